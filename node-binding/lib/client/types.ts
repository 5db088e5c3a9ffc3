import type { IncomingMessage } from 'node:http';
import type { DurationHistogram } from '../stats/histogram-types.js';
import type { Serializer } from '../options/types.js';

/** Options of {@link createClient}. */
export interface ClientOptions {
  /** Where the server is, base path included: `tunnel.url`. `http:`, `https:` or `unix:<path>:<base path>`. */
  url?: string | URL | undefined;
  /** Several servers that are equal, instead of `url`. */
  urls?: readonly (string | URL)[] | undefined;
  /** A Unix domain socket; `url` then only gives the base path. */
  socketPath?: string | undefined;
  /** What the server wants to know callers by. `header` is `x-runner-token` by default. */
  auth?: { token?: string | undefined; header?: string | undefined } | undefined;
  /** Header lines of every request. */
  headers?: Readonly<Record<string, string>> | undefined;
  /** Reads and writes typed values, for example Runner's serializer: the same as the server's. */
  serializer?: Serializer | undefined;
  /** Options of `tls.connect`, for `https:`. */
  tls?: object | undefined;
  /** How long a call may take in all, retries and queueing included. 0: for ever. Default 30 000. */
  timeoutMs?: number | undefined;
  /** How long a connection may take to be made. Default 5000. */
  connectTimeoutMs?: number | undefined;
  /** Connections to one server, at most. They are opened as they are needed. Default 256. */
  connections?: number | undefined;
  /** Calls on one connection at a time. `auto` (the default): 32 to fasttunnel, 1 to any other server or through a proxy. */
  pipelining?: number | 'auto' | undefined;
  /** A connection whose oldest call waits for longer gets no more calls until that is answered. Default 20. */
  lateMs?: number | undefined;
  /** Tasks that take longer, by their running mean or now and then, get nothing behind them on their connection. Default 10. */
  slowMs?: number | undefined;
  /** How long a connection is kept idle where the server does not say how long it keeps it. Default 4000. */
  idleTimeoutMs?: number | undefined;
  /** How often a call may be sent again. Default 2. */
  retries?: number | undefined;
  /** Bytes of one answer. Default 64 MiB. */
  maxAnswerBytes?: number | undefined;
  /** Calls that wait for a connection. Default 100 000. */
  maxQueued?: number | undefined;
}

/** Options of one call. */
export interface CallOptions {
  /** Ends the call; the promise rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** Instead of the client's. */
  timeoutMs?: number | undefined;
  /** Further header lines. */
  headers?: Readonly<Record<string, string>> | undefined;
  /** The handler may run twice without harm: the call is sent again when its connection is lost. Default false. */
  idempotent?: boolean | undefined;
}

/** Bytes, or a stream of them: a Node stream, a web stream, a Blob, or anything that can be iterated so. Strings are UTF-8. */
export type ByteSource = Uint8Array | string | Blob | AsyncIterable<Uint8Array | string>;

/** Options of a call whose request may be a stream. */
export interface StreamOptions extends CallOptions {
  /** Sent byte by byte (`application/octet-stream`); the input has to be `undefined`. */
  body?: ByteSource | undefined;
  /** The input holds files: Blobs, Files, or what `fileFrom` makes. They are sent as a form. */
  files?: boolean | undefined;
}

/** Task ids with what their callers see: `TasksOf<typeof tunnel>`. */
export type TaskCalls = { readonly [id: string]: (...input: any[]) => Promise<unknown> };

type Arguments<Input extends readonly unknown[]> = Input extends readonly []
  ? [input?: undefined, options?: StreamOptions]
  : undefined extends Input[0]
    ? [input?: Input[0], options?: StreamOptions]
    : [input: Input[0], options?: StreamOptions];

type TaskArguments<Tasks, Id> = Id extends keyof Tasks
  ? Tasks[Id] extends (...input: infer Input) => unknown
    ? Arguments<Input>
    : [input?: unknown, options?: StreamOptions]
  : [input?: any, options?: StreamOptions];

type TaskResult<Tasks, Id> = Id extends keyof Tasks ? (Tasks[Id] extends (...input: any[]) => infer Result ? Result : Promise<any>) : Promise<any>;

type EventArguments<Events, Id> = Id extends keyof Events
  ? undefined extends Events[Id]
    ? [payload?: Events[Id], options?: CallOptions]
    : [payload: Events[Id], options?: CallOptions]
  : [payload?: any, options?: CallOptions];

/** The ids that are known; any string where none are. */
type Ids<Known> = string extends keyof Known ? string : keyof Known & string;

/** Calls tasks and events of a tunnel. */
export interface Client<Tasks = TaskCalls, Events = Record<string, any>> {
  /** Calls a task. Rejects with a RemoteError (the server says no), a CallError (no answer) or the signal's reason. */
  task<Id extends Ids<Tasks>>(id: Id, ...args: string extends keyof Tasks ? [input?: any, options?: StreamOptions] : TaskArguments<Tasks, Id>): string extends keyof Tasks ? Promise<any> : TaskResult<Tasks, Id>;
  /**
   * Calls a task that answers with a stream; resolves when the answer begins, to a Readable with `statusCode` and `headers`.
   * `timeoutMs` counts until then. Rejects as `task` does.
   */
  stream(id: Ids<Tasks>, input?: unknown, options?: StreamOptions): Promise<IncomingMessage>;
  /** Emits an event; resolves when its handlers have run. */
  event<Id extends Ids<Events>>(id: Id, ...args: EventArguments<Events, Id>): Promise<void>;
  /** As `event`, and resolves to the payload as the handlers have left it. */
  eventWithResult<Id extends Ids<Events>>(id: Id, ...args: EventArguments<Events, Id>): Promise<Id extends keyof Events ? Events[Id] : any>;
  /** What was counted since the client was made. */
  stats(): ClientStats;
  /** Takes no more calls, waits for those under way, and closes all connections. */
  close(): Promise<void>;
  /** Ends the calls under way as well: they reject. */
  destroy(): void;
  [Symbol.asyncDispose](): Promise<void>;
}

/** What a client has counted. */
export interface ClientStats {
  /** Calls that were made; each is in exactly one of `results`, `errors`, `failed`, `timedOut` and `aborted` in the end. */
  readonly calls: number;
  /** Calls that have a result. */
  readonly results: number;
  /** Calls that the server has answered with an error. */
  readonly errors: number;
  /** Calls without an answer, but for those that follow. */
  readonly failed: number;
  readonly timedOut: number;
  readonly aborted: number;
  /** Times that a call was sent again. */
  readonly retries: number;
  /** Calls that wait for a connection now. */
  readonly queued: number;
  /** Calls that wait for their answer now. */
  readonly outstanding: number;
  /** Where the time of calls went, but for those with streams. */
  readonly phases: {
    /** From when a call was made, or was to be sent again, until it was sent. */
    readonly queue: DurationHistogram;
    /** From then until its answer was read: the way there and back, and the server. Its own `stats()` has its part of that. */
    readonly answer: DurationHistogram;
  };
  readonly servers: readonly ServerStats[];
}

/** What a client knows of one server. */
export interface ServerStats {
  readonly url: string;
  /** `fasttunnel`: answers and order were recognised; `other`: it gets one call at a time on a connection; `unknown`: not yet. */
  readonly kind: 'fasttunnel' | 'other' | 'unknown';
  /** Connections that are open now. */
  readonly connections: number;
  /** Connections that were opened. */
  readonly opened: number;
  /** Connections that ended with calls outstanding, or by an answer that cannot be. */
  readonly lost: number;
  readonly outstanding: number;
  /** Attempts to connect, and calls, that have failed one after the other. */
  readonly failures: number;
}
