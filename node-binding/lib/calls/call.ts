import { AsyncResource } from 'node:async_hooks';
import { REQUEST_ID_HEADER } from '../facts/facts.generated.js';
import type { NativeCaller, NativeTunnel } from '../native/addon.js';
import type { CallContext, TlsPeer } from '../options/types.js';
import type { BodyStream } from '../streams/body.js';
import type { CallTrace } from '../trace/call-trace.js';
import type { RawAnswer, StreamAnswer } from './outcome.js';
import { PeerOfCall } from './tls-peer.js';

/** The reason that an aborted call's signal carries. */
export class ClientClosedError extends Error {
  static {
    this.prototype.name = 'ClientClosedError';
  }

  readonly code = 'FASTTUNNEL_CLIENT_CLOSED';

  constructor() {
    super('Client Closed Request: the client has gone or its time is over; the answer will be dropped.');
  }
}

/** Nothing has to be told when a call's scope is collected. */
const SCOPE_OPTIONS = { requireManualDestroy: true };

/** Where an entry that answers by itself puts its answer; the first outcome of a call counts. */
export interface Settlement {
  settle(call: Call, answer: RawAnswer | StreamAnswer): void;
  fail(call: Call, error: unknown): void;
}

/** A call in JavaScript's hands: from the drain that brought it to its answer. */
export class Call implements CallContext {
  readonly kind: 'task' | 'event';
  readonly id: string;
  readonly ticket: number;
  body: BodyStream | undefined;
  /** Told when the call is answered. */
  onEnd: (() => void) | undefined;
  settlement: Settlement | undefined;
  /** What its entry keeps with it. */
  attachment: object | undefined;
  /** Where somebody listens to it. */
  trace: CallTrace | undefined;
  #native: NativeTunnel | undefined;
  #requestId: string | undefined;
  #headers: Record<string, string | string[]> | undefined;
  #head: string | undefined;
  #tls: TlsPeer | undefined;
  #caller: NativeCaller | undefined;
  #controller: AbortController | undefined;
  #gone = false;
  /** What is to be told once the outcome is certain; undefined when it is, null when it was replaced. */
  #notes: (() => void)[] | null | undefined;
  /** The call's own place in async_hooks: what `AsyncLocalStorage.enterWith` sets in it is not seen by other calls. */
  #scope = new AsyncResource('FASTTUNNEL_CALL', SCOPE_OPTIONS);

  constructor(kind: 'task' | 'event', id: string, ticket: number, native: NativeTunnel, settlement?: Settlement) {
    this.kind = kind;
    this.id = id;
    this.ticket = ticket;
    this.#native = native;
    this.settlement = settlement;
  }

  get requestId(): string {
    return (this.#requestId ??= this.#native?.requestId(this.ticket) ?? '');
  }

  get headers(): CallContext['headers'] {
    return (this.#headers ??= parseHeaders(this.head, this.requestId));
  }

  get tls(): TlsPeer | undefined {
    if (this.#tls === undefined) {
      const peer = this.#native?.peer(this.ticket) ?? undefined;
      if (peer !== undefined) this.#tls = new PeerOfCall(peer);
    }
    return this.#tls;
  }

  get remoteAddress(): string | undefined {
    return this.#callerOf()?.address;
  }

  get remotePort(): number | undefined {
    return this.#callerOf()?.port;
  }

  get protocol(): 'http' | 'https' | undefined {
    const caller = this.#callerOf();
    return caller === undefined ? undefined : caller.secure ? 'https' : 'http';
  }

  get host(): string | undefined {
    return this.#callerOf()?.host ?? (this.headers['host'] as string | undefined);
  }

  #callerOf(): NativeCaller | undefined {
    return (this.#caller ??= this.#native?.caller(this.ticket) ?? undefined);
  }

  get method(): string {
    return this.#part(0);
  }

  /** The target as received, with its query. */
  get url(): string {
    return this.#part(1);
  }

  /** The target's path, without the query (and without the origin of an absolute form). */
  get path(): string {
    const path = this.url.replace(/^https?:\/\/[^/?]*/i, '').replace(/\?.*$/s, '');
    return path === '' ? '/' : path;
  }

  /** `1.0`, `1.1` or `2.0`. */
  get httpVersion(): string {
    return this.#part(2).slice('HTTP/'.length);
  }

  /** The head, fetched once: request line and field lines, each with its CRLF. */
  get head(): string {
    return (this.#head ??= this.#native?.head(this.ticket) ?? '');
  }

  /** Milliseconds that it has waited for this event loop. */
  get queuedMs(): number {
    return this.#native?.queuedMs(this.ticket) ?? 0;
  }

  /** Of the request line: the engine has checked that there are three parts with one blank between them. */
  #part(index: number): string {
    const head = this.head;
    return head.slice(0, head.indexOf('\r\n')).split(' ')[index] ?? '';
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#gone) this.#controller.abort(new ClientClosedError());
    }
    return this.#controller.signal;
  }

  /** The call is answered: its ticket may name another call from now on. */
  end(): void {
    this.#native = undefined;
    this.onEnd?.();
    if (this.trace !== undefined) this.trace.ended();
  }

  /** Nobody waits for the answer any more. */
  get gone(): boolean {
    return this.#gone;
  }

  abort(): void {
    this.#gone = true;
    const controller = this.#controller;
    if (controller !== undefined) this.within(() => controller.abort(new ClientClosedError()));
  }

  /** Tells the application of the call's outcome: now, or when it is certain. */
  note(tell: () => void): void {
    if (this.#notes === undefined) tell();
    else this.#notes?.push(tell);
  }

  /** Its outcome may be replaced by another (CONTRACT 13.4). */
  holdNotes(): void {
    this.#notes = [];
  }

  /** What was noted has become its outcome, or never will. */
  releaseNotes(tell: boolean): void {
    const notes = this.#notes ?? [];
    this.#notes = tell ? undefined : null;
    if (tell) for (const note of notes) note();
  }

  /** From now on its code runs with the stores of the one who asks, as a subscriber has set them. */
  moveHere(): void {
    this.#scope = new AsyncResource('FASTTUNNEL_CALL', SCOPE_OPTIONS);
  }

  /** Runs the handler as a part of this call; no closure, because every call comes here. */
  run(handler: (input: unknown, context: Call) => unknown, input: unknown): unknown {
    return this.#scope.runInAsyncScope(handler, undefined, input, this);
  }

  /** Runs other code of the application as a part of this call. */
  within<Result>(code: () => Result): Result {
    return this.#scope.runInAsyncScope(code);
  }
}

/** Headers of which `node:http` keeps the first line only. */
const FIRST_WINS = new Set([
  'age', 'authorization', 'content-length', 'content-type', 'etag', 'expires', 'from', 'host', 'if-modified-since',
  'if-unmodified-since', 'last-modified', 'location', 'max-forwards', 'proxy-authorization', 'referer', 'retry-after',
  'server', 'user-agent',
]);

/** The field lines of a head (latin-1, checked by the engine) as `IncomingMessage.headers` has them. */
export function parseHeaders(head: string, requestId: string): Record<string, string | string[]> {
  // No prototype: a header called `__proto__` is a header.
  const headers = Object.create(null) as Record<string, string | string[]>;
  const lines = head.split('\r\n');
  lines.shift();
  for (const line of lines) {
    const colon = line.indexOf(':');
    if (colon <= 0) continue;
    const name = line.slice(0, colon).toLowerCase();
    const value = trimBlanks(line.slice(colon + 1));
    const known = headers[name];
    if (name === 'set-cookie') headers[name] = Array.isArray(known) ? [...known, value] : [value];
    else if (known === undefined) headers[name] = value;
    else if (!FIRST_WINS.has(name)) headers[name] = `${String(known)}${name === 'cookie' ? '; ' : ', '}${value}`;
  }
  headers[REQUEST_ID_HEADER] = requestId;
  return headers;
}

/** Not `trim`: only SP and HTAB surround a field value (RFC 9112 5.1); a no-break space belongs to it. */
function trimBlanks(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(text.charCodeAt(start))) start += 1;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end -= 1;
  return text.slice(start, end);
}

function isBlank(code: number): boolean {
  return code === 32 || code === 9;
}
