import type { EventEmitter } from 'node:events';
import { createServer } from 'node:http';
import type { RequestListener, Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { StateError } from '../errors/errors.js';
import type { EngineOptions } from '../options/engine-options.js';
import { asyncDispose } from '../process/async-dispose.js';

/** What an `http.Server` is asked, where it is the engine that listens. */
export interface Listening {
  readonly limits: EngineOptions['limits'];
  /** Null once nothing listens. */
  address(): AddressInfo | null;
  connections(): number;
  ref(): void;
  unref(): void;
  close(): Promise<void>;
  /** Ends a `close` that is under way at once. */
  cut(): void;
}

/** Emitted by no listener of the engine's: what they would tell does not come into JavaScript. */
const NEVER_EMITTED = new Set<string | symbol>(['request', 'upgrade', 'connect', 'connection', 'checkContinue', 'checkExpectation', 'clientError', 'dropRequest', 'drop', 'secureConnection', 'timeout']);

const TIMEOUTS = 'Set the timeouts of engine.limits.';

/** Properties that set a bound in `node:http`, and the limit of ours that they read. */
const BOUNDS = {
  headersTimeout: 'headTimeoutMs',
  requestTimeout: 'maxBodyTimeMs',
  keepAliveTimeout: 'idleTimeoutMs',
  maxHeadersCount: 'maxHeaders',
  maxRequestsPerSocket: 'maxRequestsPerConnection',
  maxConnections: 'maxConnections',
} as const satisfies Partial<Record<keyof Server, keyof EngineOptions['limits']>>;

/**
 * The resource's `server` where the engine listens: an `http.Server` that never listens itself. It tells the address, the
 * bounds and the number of connections of the engine's listener, closes it, lets the process end beside it, and answers
 * requests that are emitted at it. Whatever would have no effect throws a StateError that says what to do instead.
 */
export function listeningServer(engine: Listening, answer: RequestListener): Server {
  const server = createServer(answer);
  const { on, prependListener } = server as EventEmitter;
  const isListening = (): boolean => engine.address() !== null;
  const adding = (add: typeof on) => (event: string | symbol, listener: (...values: any[]) => void): Server => {
    if (NEVER_EMITTED.has(event)) throw notOffered(`on('${String(event)}')`, 'Give http.server: a server of your own that emits it, which fastTunnel attaches to.');
    add.call(server, event, listener);
    return server;
  };
  const methods = {
    address: () => engine.address(),
    close(callback?: (error?: Error) => void): Server {
      const error = isListening() ? undefined : notRunning();
      engine.close().then(() => callback?.(error), (failure: unknown) => callback?.(failure as Error));
      return server;
    },
    closeAllConnections(): void {
      if (isListening()) throw notOffered('closeAllConnections()', 'Call close() before: it ends idle connections at once, and this then those with calls under way.');
      engine.cut();
    },
    closeIdleConnections(): void {
      if (isListening()) throw notOffered('closeIdleConnections()', 'Call close(), which ends them, or set engine.limits.idleTimeoutMs.');
    },
    getConnections(callback: (error: Error | null, count: number) => void): Server {
      process.nextTick(callback, null, engine.connections());
      return server;
    },
    listen(): never {
      throw new StateError('FASTTUNNEL_ALREADY_LISTENING', 'server.listen: fastTunnel listens already, where http.listen says.');
    },
    ref: () => (engine.ref(), server),
    unref: () => (engine.unref(), server),
    setTimeout(): never {
      throw notOffered('setTimeout()', TIMEOUTS);
    },
    on: adding(on),
    addListener: adding(on),
    prependListener: adding(prependListener),
    [asyncDispose]: () => engine.close(),
  };
  for (const key of Reflect.ownKeys(methods)) Object.defineProperty(server, key, { value: Reflect.get(methods, key), writable: true, configurable: true });
  const bound = (name: string, value: number, fix: string): void => {
    const set = (): never => {
      throw notOffered(`${name} =`, fix);
    };
    Object.defineProperty(server, name, { get: () => value, set, configurable: true, enumerable: true });
  };
  for (const [name, limit] of Object.entries(BOUNDS)) bound(name, engine.limits[limit], `Set engine.limits.${limit}.`);
  // Of sockets as such: there is none.
  bound('timeout', 0, TIMEOUTS);
  return Object.defineProperty(server, 'listening', { get: isListening, configurable: true });
}

function notOffered(what: string, fix: string): StateError {
  return new StateError('FASTTUNNEL_NOT_OFFERED', `server.${what} has no effect where fastTunnel itself listens. ${fix}`);
}

/** As Node says it of a server that was closed before. */
function notRunning(): Error {
  return Object.assign(new Error('Server is not running.'), { code: 'ERR_SERVER_NOT_RUNNING' });
}
