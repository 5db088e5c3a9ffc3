import { TracedWork } from './channel.js';
import type { TraceContext } from './context.js';
import { traceContextOf } from './context.js';

type Headers = Readonly<Record<string, string | string[] | undefined>>;

/** What a call tells of itself while it runs. */
export interface TracedCall {
  readonly kind: 'task' | 'event';
  readonly id: string;
  readonly requestId: string;
  readonly headers: Headers;
  readonly method: string;
  readonly path: string;
  readonly httpVersion: string;
  readonly tls: object | undefined;
  readonly protocol: 'http' | 'https' | undefined;
  readonly host: string | undefined;
  readonly queuedMs: number;
  readonly gone: boolean;
}

/**
 * The message of the tracing channel `fasttunnel.call`. One object accompanies a call through all of its channels: subscribers
 * may keep something with it. What it has of the request is read when it is asked for, so ask in `start`.
 */
export interface CallMessage {
  readonly kind: 'task' | 'event';
  readonly id: string;
  /** The effective request id, which is also in the answer's `x-runner-request-id`. */
  readonly requestId: string;
  /** Where in a trace the caller is; undefined where it does not say, or not in a valid way. */
  readonly traceContext: TraceContext | undefined;
  readonly headers: Headers;
  readonly method: string;
  /** The path of the request's target, as received, without the query. */
  readonly path: string;
  /** `1.0`, `1.1` or `2.0`. */
  readonly httpVersion: string;
  /** The client speaks TLS. */
  readonly encrypted: boolean;
  /** What the client speaks, to the tunnel or to a trusted proxy in front of it. */
  readonly protocol: 'http' | 'https';
  /** The host that it has asked for: of a trusted proxy, or the header `Host`. */
  readonly host: string | undefined;
  /** Milliseconds between the request's being complete and its reaching the event loop. */
  readonly queuedMs: number;
  /** The client has left, or the call has taken longer than `handlerTimeoutMs`: the answer is dropped. */
  readonly clientGone: boolean;
  /** Of the answer, once the handler's outcome is known. */
  readonly statusCode: number | undefined;
  /** The call is over. In `end` it says that neither `asyncStart` nor `asyncEnd` follows. */
  readonly settled: boolean;
  /** The handler's result. */
  readonly result?: unknown;
  /** What the handler has thrown, or why its result could not be sent. */
  readonly error?: unknown;
}

/** The tracing channel of all tunnels in this thread. */
export const CALLS = new TracedWork<CallMessage>('fasttunnel.call');

/** A call that somebody listens to. */
export class CallTrace implements CallMessage {
  readonly kind: 'task' | 'event';
  readonly id: string;
  statusCode: number | undefined;
  declare result?: unknown;
  declare error?: unknown;
  readonly #call: TracedCall;
  #context: TraceContext | false | undefined;
  /** Its synchronous part is over. */
  #returned = false;
  /** The answer streams: the call is over when the stream is. */
  #streams = false;
  #over = false;

  constructor(call: TracedCall) {
    this.kind = call.kind;
    this.id = call.id;
    this.#call = call;
  }

  get requestId(): string {
    return this.#call.requestId;
  }

  get headers(): Headers {
    return this.#call.headers;
  }

  get traceContext(): TraceContext | undefined {
    this.#context ??= traceContextOf(this.#call.headers) ?? false;
    return this.#context === false ? undefined : this.#context;
  }

  get method(): string {
    return this.#call.method;
  }

  get path(): string {
    return this.#call.path;
  }

  get httpVersion(): string {
    return this.#call.httpVersion;
  }

  get encrypted(): boolean {
    return this.#call.tls !== undefined;
  }

  get protocol(): 'http' | 'https' {
    return this.#call.protocol ?? (this.encrypted ? 'https' : 'http');
  }

  get host(): string | undefined {
    return this.#call.host;
  }

  get queuedMs(): number {
    return this.#call.queuedMs;
  }

  get clientGone(): boolean {
    return this.#call.gone;
  }

  get settled(): boolean {
    return this.#over;
  }

  /** The synchronous part of the call is over. */
  returned(): void {
    this.#returned = true;
    CALLS.end(this);
  }

  /** The handler has succeeded, or its result is an answer of this status. */
  succeeded(statusCode: number, result: unknown): void {
    this.statusCode = statusCode;
    this.result = result;
  }

  /** The handler has failed, or its result could not be sent. */
  failed(statusCode: number | undefined, error: unknown): void {
    if (this.#over) return;
    this.statusCode = statusCode;
    this.error = error;
    CALLS.error(this);
  }

  /** The answer's body follows: the outcome is not the end. */
  streams(): void {
    this.#streams = true;
  }

  /** The outcome is known. */
  concluded(): void {
    if (!this.#streams) this.ended();
  }

  /** Nothing more comes of the call. */
  ended(): void {
    if (this.#over) return;
    this.#over = true;
    if (this.#returned) CALLS.settle(this);
  }
}
