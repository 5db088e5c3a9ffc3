import { fail } from '../options/checks.js';

type Listener = (request: any, response: any) => void;

/**
 * What it takes to be attached to: an `http.Server`, an `https.Server`, an `http2` one with its compatibility API, or
 * whatever else emits requests and lets go of listeners, by either of the names that Node has for that.
 */
export type AttachableServer = { on(event: 'request', listener: Listener): unknown } & (
  | { off(event: 'request', listener: Listener): unknown }
  | { removeListener(event: 'request', listener: Listener): unknown }
);

/** A server that was given; what it is made of is its own business. */
export function asAttachable(option: string, value: unknown): AttachableServer {
  const { on, off, removeListener } = Object(value) as Partial<Record<'on' | 'off' | 'removeListener', unknown>>;
  if (typeof on !== 'function' || (typeof off !== 'function' && typeof removeListener !== 'function')) {
    fail(option, value, 'must be an http.Server', 'Pass what http.createServer() has returned, or use http.listen for a listener of its own.');
  }
  return value as AttachableServer;
}

/** Lets a server go: by `off`, as `nodeExposure` does, where it has that. */
export function letGo(server: AttachableServer, listener: Listener): void {
  if ('off' in server && typeof server.off === 'function') server.off('request', listener);
  else (server as { removeListener(event: 'request', listener: Listener): unknown }).removeListener('request', listener);
}
