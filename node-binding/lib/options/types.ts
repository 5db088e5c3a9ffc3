import type { LogFileOptions, Logger, LoggerOptions } from './log.js';
import type { X509Certificate } from 'node:crypto';
import type { Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import type { GracefulSignal } from './graceful-signals.js';

export type { GracefulSignal };

/** One call, as its handler sees it. Everything is made when it is asked for: most handlers never ask. */
export interface CallContext {
  readonly id: string;
  /** The effective request id, which is also in the answer's `x-runner-request-id`. */
  readonly requestId: string;
  /**
   * Request headers as `node:http` gives them: names in lower case, repeated ones joined. No prototype. Read them
   * (or the request id) for the first time before the call is answered.
   */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Aborts when the client has gone, or when `handlerTimeoutMs` is over. */
  readonly signal: AbortSignal;
  /**
   * The request's body, byte by byte, of a task called with `application/octet-stream`; its input is `undefined` then.
   * Read it or leave it: what is not read when the call is answered is thrown away. When the client goes it fails with
   * `ECONNRESET`. Everything else that is called has no such body: `undefined`.
   */
  readonly body: Readable | undefined;
  /**
   * How the client has come by TLS, and who it is; `undefined` where it has not. Read it for the first time before the call
   * is answered, and while the client is connected.
   */
  readonly tls: TlsPeer | undefined;
  /**
   * The address of the client: of the peer of the connection, or, where `trustProxy` or `proxyProtocol` is set, the one that
   * trusted proxies name. `undefined` over a unix socket, for a request that comes through a server of the app's own, and where
   * proxies do not say or contradict each other. Read it for the first time as `tls`; the same goes for the three below.
   */
  readonly remoteAddress: string | undefined;
  /** The port of the client, where `remoteAddress` is known with one. */
  readonly remotePort: number | undefined;
  /** What the client speaks, to this server or to the proxy in front of it. `undefined` through a server of the app's own. */
  readonly protocol: 'http' | 'https' | undefined;
  /** The host and port that the client has asked for: what a trusted proxy says, or the header `Host`. */
  readonly host: string | undefined;
  /** `1.0`, `1.1` or `2.0`: what this server was asked with. */
  readonly httpVersion: string;
}

/** A client under TLS. */
export interface TlsPeer {
  readonly protocol: 'TLSv1.2' | 'TLSv1.3';
  /** The cipher suite, as IANA names it: `TLS_AES_256_GCM_SHA384`. */
  readonly cipher: string;
  /** The host that the client asked for (SNI). */
  readonly servername: string | undefined;
  /** What was agreed on by ALPN. */
  readonly alpnProtocol: string | undefined;
  /** Its certificate, which one of `tls.ca` vouches for; `undefined` where it has shown none. */
  readonly client: ClientCertificate | undefined;
}

/** A certificate that a client has shown. */
export interface ClientCertificate {
  /** Its subject, a line each part: `O=Acme\nCN=worker`. */
  readonly subject: string;
  /** Its alternative names, each with its kind: `DNS:worker.acme.test`, `URI:spiffe://acme.test/worker`. */
  readonly altNames: readonly string[];
  readonly certificate: X509Certificate;
}

/**
 * What a task may return to answer with bytes instead of JSON: a Node stream, a web stream, an async iterable (of an
 * async generator, say) or a Blob. A `Response` of fetch is sent with its status and header lines as well. Chunks are bytes or strings (UTF-8). It is read as fast as the client takes it, and
 * destroyed, cancelled or returned when the client goes. If it fails before its first byte the call fails like any
 * other; later the connection is cut, and `onError` hears of it.
 */
export type ByteStream = NodeJS.ReadableStream | ReadableStream | AsyncIterable<Uint8Array | string> | Blob;

/** A {@link ByteStream} with a head of its own. */
export interface StreamResult {
  stream: ByteStream;
  /** From 200 to 599, default 200. */
  status?: number | undefined;
  /** Default `application/octet-stream`. */
  contentType?: string | undefined;
  /**
   * Further header lines, which go before `contentType` and ours. With `content-length` that many bytes are sent, and
   * not chunks. `set-cookie`, `access-control-allow-origin` and `-credentials` and the security headers are left out.
   */
  headers?: Readonly<Record<string, string | number | readonly string[]>> | undefined;
}

/**
 * What answers a task: gets the call's input and its context; what it returns or resolves to is the result: a value, or a
 * stream (see {@link ByteStream} and {@link StreamResult}).
 *
 * The input's type is the handler's own claim: values come from the network and are not validated.
 */
export type TaskHandler<Input = any, Result = unknown> = (input: Input, context: CallContext) => Result;

/** What runs when an event arrives. Its return value is ignored, a promise is awaited. */
export type EventHandler<Payload = any> = (payload: Payload, context: CallContext) => unknown;

/** Task handlers by task id. */
export type TaskHandlers = Record<string, TaskHandler>;

/** Event handlers by event id; a list runs in its order, each after the one before has finished. */
export type EventHandlers = Record<string, EventHandler | readonly EventHandler[]>;

/** A descriptor, or a socket that systemd has handed over, by its name where there are several. */
export type InheritedSocket = number | 'systemd' | `systemd:${string}`;

/** Where the tunnel listens and what it demands. Everything is checked when it is given. */
export interface ListenOptions {
  /** TCP port, 0 (the default) for any free one. */
  port?: number | undefined;
  /** Host name or address to listen on. Default `127.0.0.1`. */
  host?: string | undefined;
  /** Path of a Unix domain socket, instead of `port` and `host`. */
  socketPath?: string | undefined;
  /**
   * A socket that another process has bound, instead of an address: its descriptor, `systemd` for the one that systemd has
   * handed over, or `systemd:<name>`. It listens on when the tunnel closes.
   */
  fd?: InheritedSocket | undefined;
  /** Speak HTTPS. Default: plain HTTP. */
  tls?: TlsOptions | undefined;
  /** Where `/livez`, `/readyz`, `/metrics` and `/stats` are answered, without JavaScript. Default: nowhere. */
  admin?: AdminOptions | undefined;
  /**
   * Proxies that are trusted to name their clients in `Forwarded` or `X-Forwarded-For`, `-Proto` and `-Host`: networks
   * (`'10.0.0.0/8'`, `'::1'`, `'unix'` for a unix socket), or how many proxies in a row there are. Default: none.
   */
  trustProxy?: number | readonly string[] | undefined;
  /**
   * Connections begin with a header of the PROXY protocol, version 1 or 2, or may begin with one. Without `from`, every
   * peer is believed. Default: they do not.
   */
  proxyProtocol?: boolean | 'optional' | ProxyProtocolOptions | undefined;
  /** Who may call, by address. Default: everybody. */
  access?: AccessOptions | undefined;
  /** What each caller may ask, one limit for each kind of callers. Refused with 429, without JavaScript. Default: anything. */
  rateLimit?: RateLimitOptions | readonly RateLimitOptions[] | undefined;
  /** Clients may speak HTTP/2 on the same port as HTTP/1.1: in clear, by prior knowledge. Default true. */
  http2?: boolean | undefined;
  /** Connections the kernel may queue before they are accepted. Default 4096. */
  backlog?: number | undefined;
  /** Number of shards (threads). Default 0: by the number of cores that the process may use. */
  shards?: number | undefined;
  /** How the shards talk to the kernel. Default `auto`: io_uring, or epoll where that is forbidden. */
  driver?: 'auto' | 'io_uring' | 'epoll' | undefined;
  /** Where the shards run: on `threads`, or `inline`, one shard in the event loop that calls this. Default `auto`. */
  placement?: 'auto' | 'threads' | 'inline' | undefined;
}

/** The PROXY protocol, in which a balancer names its client before it passes on the first byte. */
export interface ProxyProtocolOptions {
  /** Networks of the balancers that are believed. Others are cut off, or, with `optional`, served as if they were clients. */
  from?: readonly string[] | undefined;
  /** A connection may begin without a header. Default false: it is cut off then. */
  optional?: boolean | undefined;
}

/** Networks of callers, as in `trustProxy`. `deny` counts before `allow`. */
export interface AccessOptions {
  /** Those who may call, and nobody else. Default: all. */
  allow?: readonly string[] | undefined;
  /** Those who may not. */
  deny?: readonly string[] | undefined;
}

/** What each caller may ask. */
export interface RateLimitOptions {
  /** Whose requests are counted together: of one token, or of one address (of IPv6: of one network of 64 bits). */
  per: 'token' | 'address';
  /** Requests a second. Default: any number. */
  rate?: number | undefined;
  /** Requests that may come at once. Default: as many as in a second. */
  burst?: number | undefined;
  /** Calls that may be under way at a time. Default: any number. */
  maxConcurrent?: number | undefined;
  /** Callers whose requests are counted at a time, 16 bytes each. Default 100000. */
  maxCallers?: number | undefined;
}

/**
 * A certificate and its key. Each is PEM, as a string or as bytes, or the path of a file that holds it: a string with
 * `-----BEGIN ` in it is PEM, any other is a path.
 */
export interface TlsOptions {
  /** The certificate; behind it, in the same PEM, those that certify it. */
  cert: string | Uint8Array;
  /** Its private key. */
  key: string | Uint8Array;
  /** Of an encrypted key. */
  passphrase?: string | undefined;
  /** Further certificates, for clients that ask for one of their names (SNI). All others are shown the one above. */
  certificates?: readonly NamedCertificate[] | undefined;
  /** The oldest version that is spoken. Default `TLSv1.2`. */
  minVersion?: 'TLSv1.2' | 'TLSv1.3' | undefined;
  /** Clients are asked for a certificate, which one of these has to vouch for. One, or several in one PEM or in a list. */
  ca?: string | Uint8Array | readonly (string | Uint8Array)[] | undefined;
  /** Whether a client without a certificate is refused. Default true where `ca` is given. */
  requireClientCert?: boolean | undefined;
  /**
   * Look at the files that are named here, every five seconds or as often as is said, and take them anew when they have
   * changed. What is wrong with them `onError` hears; what was in force stays then.
   */
  watch?: boolean | { intervalMs?: number | undefined } | undefined;
}

/** A certificate for some names. */
export interface NamedCertificate {
  /** As `tls.cert`. */
  cert: string | Uint8Array;
  /** As `tls.key`. */
  key: string | Uint8Array;
  passphrase?: string | undefined;
  /** Hosts that it is for; `*.` stands for one label. Default: those that the certificate names. */
  names?: readonly string[] | undefined;
}

/** Where a tunnel says how it is: a port, or a socket path. */
export interface AdminOptions {
  /** TCP port, 0 (the default) for any free one. */
  port?: number | undefined;
  /** Host name or address. Default `127.0.0.1`: who may connect may ask. */
  host?: string | undefined;
  /** Path of a Unix domain socket, instead of `port` and `host`. */
  socketPath?: string | undefined;
  /** A socket that another process has bound, instead of an address. */
  fd?: InheritedSocket | undefined;
  /** Where a line is told to whoever connects: how busy the tunnel is (the agent-check of HAProxy). Default: nowhere. */
  agent?: AgentOptions | undefined;
  /** Speak HTTPS: with what the tunnel speaks it with (`true`), or with a certificate of its own. Default: plain HTTP. */
  tls?: boolean | TlsOptions | undefined;
  /** Show what the tunnel does on a page, `/dashboard`. Default false. */
  dashboard?: boolean | undefined;
}

/** Where balancers are told how busy the tunnel is. */
export interface AgentOptions {
  /** TCP port, 0 (the default) for any free one. */
  port?: number | undefined;
  /** Host name or address. Default `127.0.0.1`. */
  host?: string | undefined;
  /** Path of a Unix domain socket, instead of `port` and `host`. */
  socketPath?: string | undefined;
  /** A socket that another process has bound, instead of an address. */
  fd?: InheritedSocket | undefined;
}

/** Who may call. Fail-closed: without a token, only `allowAnonymous: true` opens the tunnel. */
export interface AuthOptions {
  /** Accepted token, or several: any match is enough. */
  token?: string | readonly string[] | undefined;
  /** Request header that carries the token. Default `x-runner-token`. */
  header?: string | undefined;
  /** Let everybody call. Ignored as soon as a token is given. */
  allowAnonymous?: boolean | undefined;
}

/** What browsers on other origins may do. Without it every answer carries `Access-Control-Allow-Origin: *`. */
export interface CorsOptions {
  /** One origin that is always sent, or a list to compare the request's origin with. */
  origin?: string | readonly string[] | null | undefined;
  /** Methods named in a preflight answer. Default POST, OPTIONS. */
  methods?: readonly string[] | undefined;
  /** Request headers allowed by a preflight answer. Default: whatever the browser asks for. */
  allowedHeaders?: readonly string[] | undefined;
  /** Answer headers that scripts may read. */
  exposedHeaders?: readonly string[] | undefined;
  credentials?: boolean | undefined;
  /** Seconds a browser may remember a preflight answer. */
  maxAge?: number | undefined;
  /** Send `Vary: Origin` when the answer depends on the origin. Default true. */
  varyOrigin?: boolean | undefined;
}

/** Bounds; docs/options.md says what happens when each is reached. */
export interface LimitOptions {
  maxHeadBytes?: number | undefined;
  /** Bytes of the request target. */
  maxTargetBytes?: number | undefined;
  /** Lines of a request's header, and of the trailers behind a chunked body; at most 100. */
  maxHeaders?: number | undefined;
  /** Bytes of the chunk extensions of one request. */
  maxChunkExtensionBytes?: number | undefined;
  /** Bytes of the trailers behind a chunked body. */
  maxTrailerBytes?: number | undefined;
  maxBodyBytes?: number | undefined;
  /** `maxSize` is another name for `maxBodyBytes`, as `@bluelibs/runner` spells it. */
  json?: { maxSize?: number | undefined } | undefined;
  /** Arrays and objects around a value of a JSON body, the envelope among them: with so many it is refused. At most 1001. */
  maxJsonDepth?: number | undefined;
  /** Bounds of multipart forms; what is left out keeps its default, `Infinity` stands for none. */
  multipart?: MultipartOptions | undefined;
  maxPipelined?: number | undefined;
  /** Requests that one connection serves. 0 (the default): any number. */
  maxRequestsPerConnection?: number | undefined;
  maxCallsInFlight?: number | undefined;
  /** 0 (the default): by the process's limit of open files. */
  maxConnections?: number | undefined;
  /** Bytes of answers that one connection has not taken, or of its calls under way, before its requests wait. */
  maxBufferedBytes?: number | undefined;
  /** Bytes held for all connections together, before calls get 503 and clients that make no progress are disconnected. */
  maxTotalBufferedBytes?: number | undefined;
  /** Time from accepting to the end of the handshake of TLS. */
  handshakeTimeoutMs?: number | undefined;
  /** Handshakes of TLS under way; of more the oldest is cut. */
  maxHandshakes?: number | undefined;
  headTimeoutMs?: number | undefined;
  /** Time for a body. After it a body has to have kept up `minBodyBytesPerS`; a streamed one has to go on coming. */
  bodyTimeoutMs?: number | undefined;
  /** Bytes a second. */
  minBodyBytesPerS?: number | undefined;
  /** Time for a body however fast it comes, but for streams and forms. Less than `bodyTimeoutMs` counts as that. */
  maxBodyTimeMs?: number | undefined;
  /** Bytes that are read and thrown away of a request that is answered before all of its body has come; then it is cut. */
  maxDiscardedBytes?: number | undefined;
  /** Time without a byte of such a body, and what it may be late against `minBodyBytesPerS`. */
  discardTimeoutMs?: number | undefined;
  idleTimeoutMs?: number | undefined;
  writeTimeoutMs?: number | undefined;
  /** 0 (the default): a handler may take for ever. */
  handlerTimeoutMs?: number | undefined;
  /** How long calls may wait for JavaScript once it has fallen behind for as long; 0: however long. */
  queueTimeoutMs?: number | undefined;
  drainTimeoutMs?: number | undefined;
  /** Seconds announced in `Keep-Alive: timeout=`. */
  keepAliveHintS?: number | undefined;
  /** Streams of one HTTP/2 connection at a time. */
  maxStreams?: number | undefined;
  /** Bytes of the header of an HTTP/2 request, 32 more for each field. */
  maxHeaderListBytes?: number | undefined;
  /** Bytes that an HTTP/2 client may send ahead on one stream. */
  streamWindowBytes?: number | undefined;
  /** Bytes that it may send ahead on all of a connection. */
  connectionWindowBytes?: number | undefined;
  /** Streams of one HTTP/2 connection that a client may reset in 30 seconds, or make the tunnel reset or refuse in its life. */
  maxStreamResets?: number | undefined;
  /** Frames that ask for nothing (PING, SETTINGS, …) that an HTTP/2 client may send in 30 seconds. */
  maxControlFrames?: number | undefined;
}

/** Bounds of one multipart form. Sizes count as exceeded when they are reached, numbers when they are passed. */
export interface MultipartOptions {
  /** Bytes of one file. Default 20 MiB. */
  fileSize?: number | undefined;
  /** Files. Default 10. */
  files?: number | undefined;
  /** Bytes of one field; the manifest is one. Default 1 MiB. */
  fieldSize?: number | undefined;
  /** Fields. Default 100. */
  fields?: number | undefined;
  /** Files and fields together. Default: no bound. */
  parts?: number | undefined;
  /** Known to Runner; has no effect. */
  fieldNameSize?: number | undefined;
  /** Known to Runner; has no effect. */
  headerPairs?: number | undefined;
}

/** Reads and writes typed values (Date, Map, bigint…), for example Runner's serializer. */
export interface Serializer {
  parse(text: string): unknown;
  stringify(value: unknown): string;
}

/** Which call an error came from. */
export interface ErrorOrigin {
  kind: 'task' | 'event';
  id: string;
  requestId: string;
}

/** How many event loops run handlers, and what bounds them. */
export interface WorkersOptions {
  /** `auto`: one for each core that the process may use. */
  count: number | 'auto';
  /** Milliseconds for which a worker may be busy with one thing before it is ended, and another takes its place. 0: for ever. Default 30000. */
  blockedTimeoutMs?: number | undefined;
  /** As of `worker_threads`: what a worker's heap and stack may grow to, in MiB. A worker that needs more ends. */
  resourceLimits?:
    | {
        maxYoungGenerationSizeMb?: number;
        maxOldGenerationSizeMb?: number;
        codeRangeSizeMb?: number;
        stackSizeMb?: number;
      }
    | undefined;
}

/** What a module exports that workers load: the option `handlers`. All of it runs in the worker. */
export interface WorkerModule {
  tasks?: TaskHandlers | undefined;
  events?: EventHandlers | undefined;
  /** Instead of the option `serializer`. */
  serializer?: Serializer | undefined;
  /** Instead of the option `onError`, which hears of this worker's handlers otherwise. */
  onError?: ((error: unknown, origin: ErrorOrigin) => void) | undefined;
  /** Runs when the worker has answered its last call, before its thread ends. It is given five seconds. */
  close?: (() => unknown) | undefined;
}

/** Options of {@link fastTunnel} and of {@link TunnelServer}. */
export interface TunnelOptions<Tasks = TaskHandlers, Events = EventHandlers> extends ListenOptions {
  /** Path prefix of every route. Default `/__runner`. */
  basePath?: string | undefined;
  auth?: AuthOptions | undefined;
  cors?: CorsOptions | undefined;
  /** Short form of `cors: { origin: [...] }`; `['*']` lets every origin in. */
  corsOrigins?: readonly string[] | undefined;
  /** Answer 404 to `GET {basePath}/discovery`. */
  disableDiscovery?: boolean | undefined;
  limits?: LimitOptions | undefined;
  /** Same as `limits.handlerTimeoutMs`. */
  handlerTimeoutMs?: number | undefined;
  /** Same as `limits.drainTimeoutMs`. */
  drainTimeoutMs?: number | undefined;
  /**
   * On these signals (`true`: SIGTERM and SIGINT) the tunnel closes as by `close()`; then the process ends as
   * the signal would have ended it, unless the application listens for that signal itself. A second signal ends it at
   * once. Not in worker threads. Default false.
   */
  gracefulSignals?: boolean | readonly GracefulSignal[] | undefined;
  /** Milliseconds for which it serves on after such a signal, while `/readyz` says no. Default 0. */
  readinessDelayMs?: number | undefined;
  /** Tell systemd, where it has started the process, when the tunnel serves, when it stops, and that JavaScript runs. Default false. */
  systemd?: boolean | undefined;
  /** Directory for files of which more has come than fits in memory. Default: the system's for temporary files. */
  tempDir?: string | undefined;
  /** Where every request is written down, those that the engine refuses by itself among them: a file, or a logger of pino. Default: nowhere. */
  log?: LogFileOptions | LoggerOptions | Logger | undefined;
  /** Without it values are plain JSON, and `undefined` survives. */
  serializer?: Serializer | undefined;
  /** Hears what a handler threw; its caller only sees "Internal Error". Default: one report on stderr. */
  onError?: ((error: unknown, origin: ErrorOrigin) => void) | undefined;
  tasks?: (Tasks & TaskHandlers) | undefined;
  events?: (Events & EventHandlers) | undefined;
  /** Event loops of their own for handlers, which `handlers` names: a number, or `auto` for one for each core. Default: none. */
  workers?: number | 'auto' | WorkersOptions | undefined;
  /** The module that each worker loads, as a file: URL or an absolute path; it exports a {@link WorkerModule}. With `workers`, instead of `tasks` and `events`. */
  handlers?: URL | string | undefined;
}

/** What a caller of a task sees: its input, and its result once it has travelled. */
export type TaskCall<Handler> = Handler extends (...args: infer Args) => infer Result
  ? (...input: Args extends [] ? [] : [input: Args[0]]) => Promise<Awaited<Result>>
  : never;

/** The tasks of a tunnel as their callers see them: `TasksOf<typeof tunnel>['app.tasks.add']`. */
export type TasksOf<T> = T extends { readonly [handlers]?: { tasks: infer Tasks } | undefined }
  ? { [Id in keyof Tasks]: TaskCall<Tasks[Id]> }
  : never;

/** The payload of each event of a tunnel: `EventsOf<typeof tunnel>['app.events.notify']`. */
export type EventsOf<T> = T extends { readonly [handlers]?: { events: infer Events } | undefined }
  ? { [Id in keyof Events]: PayloadOf<Events[Id]> }
  : never;

type PayloadOf<Handler> = Handler extends readonly (infer One)[]
  ? PayloadOf<One>
  : Handler extends (...args: infer Args) => unknown
    ? Args extends []
      ? undefined
      : Args[0]
    : never;

/** Known ids are suggested, any other string is accepted: handlers come and go at run time. */
export type IdOf<Handlers> = (keyof Handlers & string) | (string & {});

/** Carries the handlers' types; no such property exists at run time. */
export declare const handlers: unique symbol;
