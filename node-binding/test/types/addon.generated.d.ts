// Written by `make addon-types`, from node-binding/src. `make lint` compares.

/**
 * A file that is open, for JavaScript to give the memory for its bytes: of its own, because memory of ours would be freed
 * too late by its collector, and not be allowed everywhere (Electron).
 */
export declare class NativeFile {
  /** Its bytes. */
  get size(): number
  /** Closes it. */
  close(): void
}

/** A running proxy. All methods on the JavaScript thread that made it. */
export declare class NativeProxy {
  /**
   * Starts listening. `heard` is called when there are requests to hear of; without it nobody notes any.
   *
   * Throws with `code` set to the operating system's name (`EADDRINUSE`, …) or `FASTTUNNEL_BAD_OPTION`.
   */
  constructor(options: NativeProxyOptions, heard?: (() => void) | undefined | null)
  /** TCP port. */
  get port(): number
  /** The driver that runs. */
  get driver(): string
  /**
   * Makes a context.
   *
   * Throws with `code` `FASTTUNNEL_BAD_OPTION` for a route that is none, `FASTTUNNEL_CLOSED` when it has stopped.
   */
  createContext(webContentsId: number, route?: NativeRoute | undefined | null): NativeContext
  /** Ends a context, with all that is under way for it; one that is not known is none. */
  releaseContext(id: string): void
  /** Replaces what clients are spoken to with; counts from the next connection on. */
  setTls(tls: NativeTls): void
  /** Stops: what is under way has `drain_ms` to end. Resolves when everything has. */
  stop(drainMs: number): Promise<unknown>
  /** JSON: what became of requests since it was asked last; null when there were none. */
  takeLog(): string | null
  /** Nobody is called any more when there are requests to hear of. */
  endLog(): void
  /** JSON: what it has done, and each context; null when it has stopped. */
  stats(): string | null
}

/** A session; several threads may have one of the same session. */
export declare class NativeSessionStore {
  /** A new session. */
  constructor(maxMessages: number, maxBytes: number)
  /** The session with that number, if anybody in this process still has it. */
  static find(id: number): NativeSessionStore | null
  /** False: it is too large. */
  configure(config: string): boolean
  /** The configuration. */
  config(): string
  /** False: it is too large. */
  add(message: string): boolean
  /** A JSON array, oldest first. */
  messages(): string
  /** Drops the messages. */
  clear(): void
  /** How much it keeps, and what it holds. */
  facts(): NativeSessionFacts
}

/** A running tunnel, or another event loop of one. All methods on the JavaScript thread that made it. */
export declare class NativeTunnel {
  /**
   * Drains waiting calls: fills the table, returns the JSON array of their bodies, or null when there are none.
   * At most `max_calls`, but one at least. When there is nothing at all, the next call rings.
   */
  poll(maxCalls: number): string | null
  /**
   * Answers calls: `rows` holds `count` pairs of ticket and outcome, `text` the texts that they need: a JSON array,
   * then others behind a zero each. Then drains like `poll`, unless `max_calls` is 0: the caller has to poll later.
   */
  complete(text: string, rows: Uint32Array, count: number, maxCalls: number): string | null
  /** The effective request id of a call that is not answered yet. */
  requestId(ticket: number): string | null
  /** The head, as received (latin-1), of a call that is not answered yet. */
  head(ticket: number): string | null
  /** Milliseconds that a call has waited for the event loop, while it is not answered. */
  queuedMs(ticket: number): number
  /** What is known of the client of a call that is not answered yet, where it came by TLS and is connected. */
  peer(ticket: number): NativePeer | null
  /** Who has made a call that is not answered yet, while the peer is connected; nothing of one of this process. */
  caller(ticket: number): NativeCaller | null
  /** Says what a request that was asked about may do; it leaves with the next `complete`. */
  advise(ticket: number, passed: boolean, origin?: string | undefined | null): void
  /**
   * Answers a call with a status, header lines (names and values in turn) and a body of its own; it leaves with the
   * next `complete`. False when it may not be written: the call is to be answered with something else.
   */
  raw(ticket: number, status: number, reason: string, headers: Array<string>, body: Uint8Array, cors: boolean, security: boolean): boolean
  /** The next of the frames of which the table has told: what it is goes into the table, its bytes are copied. */
  frame(): Buffer | null
  /**
   * Begins an answer whose body follows in pieces: `length` bytes, or any number if it is negative. Leaves with the
   * next `complete`, like all that follows. False when it may not be written, as of `raw`.
   */
  openStream(ticket: number, status: number, reason: string, headers: Array<string>, length: number, cors: boolean, security: boolean): boolean
  /** The next piece of that body. */
  sendData(ticket: number, bytes: Uint8Array): void
  /** That body is complete. */
  endStream(ticket: number): void
  /** That body breaks off. */
  cutStream(ticket: number): void
  /** So many bytes of the request's body are used up. */
  creditBody(ticket: number, bytes: number): void
  /** Nobody wants the rest of the request's body. */
  discardBody(ticket: number): void
  /** The refusals of which the table has told: the members of a JSON array. */
  notices(): string
  /** Replaces the handlers; counts from the next request on. Returns their numbers, in their order. */
  setHandlers(handlers: Array<NativeHandler>, allow: NativeAllow): Array<number>
  /**
   * The event loop says how it is: how late it was for its last timer, the most that was, and the part of the time in
   * which it did not wait for events. `worker` is negative for the one that has opened the tunnel.
   */
  beat(delayMs: number, delayMaxMs: number, utilization: number, worker: number, restarts: number): void
  /** Takes no more calls: what this event loop has not begun goes to others. Then answer what is live, and call `finish`. */
  leave(): void
  /** Replaces what clients are spoken to with; counts from the next connection on. */
  setTls(tls: NativeTls): void
  /** Replaces what the admin listener encrypts with, where it has something of its own. */
  setAdminTls(tls: NativeTls): void
  /**
   * Makes a connection to the engine. The descriptor belongs to the caller, who has to close it.
   *
   * Throws with `code` `FASTTUNNEL_FULL`, `FASTTUNNEL_CLOSED`, or the operating system's name.
   */
  connect(): number
  /** Where a request target leads: see `Destination`. Also when it no longer runs. */
  route(target: string): string
  /** Lets `/readyz` say that no calls are wanted any more. */
  retire(): void
  /**
   * Stops accepting, lets calls under way finish within `drain_ms`. When every shard has ended, the ring is called
   * and the table says so; then call `finish`.
   */
  stop(drainMs: number): void
  /** Goes on with the access log in this file, which is opened to be appended to. */
  reopenLog(path: string): void
  /** By which a thread of this process attaches to it. */
  get number(): number
  /** The engine's number of this event loop. */
  get member(): number
  /** The numbers by which calls name the handlers that it was made with, in their order. */
  get handlerNumbers(): Array<number>
  /** Calls that it has begun and not answered. */
  get live(): number
  /** TCP port, 0 where it does not listen on one. */
  get port(): number
  /** TCP port of the admin listener, 0 where there is none. */
  get adminPort(): number
  /** TCP port where balancers are told, 0 where there is none. */
  get agentPort(): number
  /** The driver that runs. */
  get driver(): string
  /** Why it is epoll. */
  get driverReason(): string | null
  /** How JavaScript is woken: `loop` or `threadsafe`. */
  get ring(): string
  /** Where the shards run: `threads` or `inline`. */
  get placement(): string
  /** Why it is `threads`, where `inline` was asked for; what decided, where that was left open. */
  get placementReason(): string | null
  /** Number of shards. */
  get shards(): number
  /**
   * JSON: `{"shards":[…],"failedShards":n,"live":n,"members":[…]}`, see [`json::shards`] and [`members_json`]; without
   * shards and members after `finish`.
   */
  stats(): string
  /** The next lines of the access log as a JSON array, at most so many; nothing where there are none. Also after `finish`. */
  readLog(most: number): string | null
  /** Why the access log could not be written, once for each time that it began. */
  logFailure(): string | null
  /**
   * Starts listening. `ring` is called when calls wait and JavaScript is idle; it should call `poll`.
   * `table` is written by `poll` and `complete` (see `layout`).
   *
   * Throws with `code` set to the operating system's name (`EADDRINUSE`, …) or `FASTTUNNEL_BAD_OPTION`.
   */
  constructor(options: NativeOptions, handlers: Array<NativeHandler>, allow: NativeAllow, table: Uint32Array, ring: () => void)
  /**
   * Attaches the event loop of this thread to a tunnel of another one, that was made with `workers` and has this number.
   * It runs the calls of these handlers from now on.
   *
   * Throws with `code` `FASTTUNNEL_CLOSED` when there is no such tunnel (any more).
   */
  static attach(number: number, loopRing: boolean, handlers: Array<NativeHandler>, table: Uint32Array, ring: () => void): NativeTunnel
  /** Joins the threads and lets the ring go. Cuts off what has not ended. */
  finish(): void
}

/** The utilities of one environment. All methods on its JavaScript thread; none of them waits. */
export declare class NativeUtilities {
  /** `ring` is called when outcomes wait; it should call `fetch`. It does not keep the event loop alive. */
  constructor(ring: () => void, byLoop: boolean)
  /** Reads a whole file. */
  readFile(id: number, path: Uint8Array, maxRegular: number, maxOther: number): void
  /** Reads an open file into memory of JavaScript's, which nobody else has. */
  fill(id: number, file: NativeFile, memory: Buffer): void
  /** Writes the next piece of a file, of which `last` is the last. After a failure nothing is left of it. */
  writeFile(id: number, writer: NativeWriter, piece: Uint8Array, last: boolean): void
  /** Nobody writes that file on. */
  dropWriter(id: number, writer: NativeWriter): void
  /** The next entries of a walk. */
  walk(id: number, walk: NativeWalk, most: number): void
  /** Runs a command. */
  execute(id: number, command: NativeCommand): void
  /** Nobody wants the outcome of that operation any more; it comes nevertheless, and soon. */
  abort(id: number): void
  /** What has ended since the last call. */
  fetch(): Array<object>
  /** Ends everything, as the end of the environment does. Nothing has an outcome any more. */
  end(): void
  /** Threads that work on files now or wait for work. */
  threads(): number
}

/** A walk that is asked for batches. */
export declare class NativeWalk {
  /** Nothing is opened before the first batch is asked for. */
  constructor(path: Uint8Array, listing: NativeListing)
  /**
   * Closes the directory that is open: JavaScript's collector may come late, and there are only so many descriptors. Not
   * while a batch is read.
   */
  close(): void
}

/** A file that is written in pieces. */
export declare class NativeWriter {
  /** Nothing is opened before the first piece comes. */
  constructor(path: Uint8Array, atomic: boolean, fsync: boolean, mode?: number | undefined | null)
}

/** Cores that the process may use: by its affinity, and by the quotas of its control groups. */
export declare function availableCores(): number

/** Makes a CA that may certify hosts of this machine, and no others. */
export declare function createLocalCa(): NativeLocalCa

/** The hash of all that TypeScript states as well, for it to compare: the addon and the script must be of one build. */
export declare function factsHash(): string

/** Tells where a descriptor listens that another process has bound. `option` is what messages call it. */
export declare function inheritedSocket(option: string, descriptor: number): NativeSocket

/** Who may call. */
export interface NativeAccess {
  /** Networks of those who may; without it all may. */
  allow?: Array<string>
  /** Networks of those who may not. */
  deny: Array<string>
}

/** Where to say how it is. */
export interface NativeAdmin {
  /** IP address. */
  host: string
  /** TCP port; 0 for any. */
  port: number
  /** Unix socket instead of both. */
  socketPath?: string
  /** Descriptor of a socket that is bound to that address already. */
  fd?: number
  /** Where to tell balancers, if anywhere. */
  agent?: NativeAgent
  /** A page there shows what the tunnel does. */
  dashboard: boolean
}

/** Where to tell balancers how busy it is. */
export interface NativeAgent {
  /** IP address. */
  host: string
  /** TCP port; 0 for any. */
  port: number
  /** Unix socket instead of both. */
  socketPath?: string
  /** Descriptor of a socket that is bound to that address already. */
  fd?: number
}

/** Which of the handlers may be called (CONTRACT 5). */
export interface NativeAllow {
  /** `registered`, `none`, `open` or `list`. */
  policy: string
  /** Listed tasks. */
  tasks: Array<string>
  /** Listed events. */
  events: Array<string>
}

/** Who has made a call. */
export interface NativeCaller {
  /** Its address, where that is known. */
  address?: string
  /** Its port, where that is known. */
  port?: number
  /** It speaks HTTPS, to this server or to a proxy that has said so. */
  secure: boolean
  /** The host that it has asked a proxy for, where that has said so. */
  host?: string
}

/** What each caller may ask. */
export interface NativeCallerLimit {
  /** `token` or `address`. */
  per: string
  /** Requests a second; without it any number. */
  rate?: number
  /** Requests that may come at once. */
  burst: number
  /** Calls under way; without it any number. */
  maxConcurrent?: number
  /** Callers whose requests are counted. */
  maxCallers: number
}

/** What holds of callers. */
export interface NativeCallers {
  /** Proxies in a row that are trusted. */
  trustedHops?: number
  /** Networks of proxies that are trusted; none with the one above. */
  trustedNetworks?: Array<string>
  /** Whether connections begin with a header of the PROXY protocol. */
  proxyProtocol?: NativeProxyProtocol
  /** Who may call. */
  access?: NativeAccess
  /** What each caller may ask. */
  limits: Array<NativeCallerLimit>
}

/** What to run: `Spec`. */
export interface NativeCommand {
  /** The command. */
  command: Buffer
  /** Its arguments. */
  args: Array<Buffer>
  /** Its working directory. */
  cwd?: Buffer
  /** Names and values in turn. */
  env: Array<string>
  /** What it reads. */
  stdin?: Buffer
  /** 0: none. */
  timeoutMs: number
  /** Of both outputs. */
  maxOutputBytes: number
  /** Its number. */
  killSignal: number
  /** After that. */
  killAfterMs: number
}

/** What a context is called, and its credentials. */
export interface NativeContext {
  /** Names it. */
  id: string
  /** User name. */
  username: string
  /** Password. */
  password: string
  /** What it was made for. */
  webContentsId: number
}

/** CORS options (CONTRACT 8). */
export interface NativeCors {
  /** One origin, sent always. */
  fixedOrigin?: string
  /** Ask JavaScript. */
  askedOrigin?: boolean
  /** Listed origins, compared exactly. */
  listedOrigins?: Array<string>
  /** Allowed methods. */
  methods: Array<string>
  /** Allowed request headers. */
  allowedHeaders: Array<string>
  /** Readable response headers. */
  exposedHeaders: Array<string>
  /** `Access-Control-Allow-Credentials`. */
  credentials: boolean
  /** Seconds a preflight may be cached. */
  maxAge?: number
  /** `Vary: Origin` where the answer depends on it. */
  varyOrigin: boolean
}

/** One row of the handler table. */
export interface NativeHandler {
  /** Task or event. */
  event: boolean
  /** Its id. */
  id: string
  /** The number that calls carry, if it has one already and is the same handler as then. */
  number?: number
}

/** A certificate and its key. Dropped, with the key wiped, as soon as the engine has read it. */
export interface NativeIdentity {
  /** The certificate, and behind it those that certify it. PEM. */
  cert: string
  /** Its private key. PEM, not encrypted. */
  key: string
  /** Names by which clients ask for it, in lower case. */
  names: Array<string>
}

/** The bounds, in the units of their names. */
export interface NativeLimits {
  /** Bytes of a head. */
  maxHeadBytes: number
  /** Bytes of a request target. */
  maxTargetBytes: number
  /** Field lines of a head, and of a trailer section. */
  maxHeaders: number
  /** Bytes of the chunk extensions of a request. */
  maxChunkExtensionBytes: number
  /** Bytes of a trailer section. */
  maxTrailerBytes: number
  /** Bytes of a JSON body. */
  maxBodyBytes: number
  /** Arrays and objects around a value of a JSON body. */
  maxJsonDepth: number
  /** Requests that a connection serves; 0 for no limit. */
  maxRequestsPerConnection: number
  /** Requests of a connection without an answer. */
  maxPipelined: number
  /** Bytes of answers that a connection has not taken, and of its calls. */
  maxBufferedBytes: number
  /** Bytes held for all connections. */
  maxTotalBufferedBytes: number
  /** Calls under way. */
  maxCallsInFlight: number
  /** Connections; 0 for the default by RLIMIT_NOFILE. */
  maxConnections: number
  /** Time for a handshake. */
  handshakeTimeoutMs: number
  /** Handshakes under way. */
  maxHandshakes: number
  /** Time for a head. */
  headTimeoutMs: number
  /** Time for a body. */
  bodyTimeoutMs: number
  /** Bytes a second of a body that takes longer. */
  minBodyBytesPerS: number
  /** Time for a body, however fast it is. */
  maxBodyTimeMs: number
  /** Bytes of a body that nobody wants which are thrown away. */
  maxDiscardedBytes: number
  /** Time without a byte of it. */
  discardTimeoutMs: number
  /** Time between requests. */
  idleTimeoutMs: number
  /** Time without progress in sending. */
  writeTimeoutMs: number
  /** Time for a handler; 0 for no limit. */
  handlerTimeoutMs: number
  /** Time for which calls may wait for JavaScript; 0 for no limit. */
  queueTimeoutMs: number
  /** Announced keep-alive time. */
  keepAliveHintS: number
  /** Streams of an HTTP/2 connection. */
  maxStreams: number
  /** Bytes of the fields of a request, as HTTP/2 counts them. */
  maxHeaderListBytes: number
  /** Window of a stream. */
  streamWindowBytes: number
  /** Window of all streams of a connection. */
  connectionWindowBytes: number
  /** Streams that a client resets, within the interval. */
  maxStreamResets: number
  /** Frames that ask for nothing, within the interval. */
  maxControlFrames: number
  /** Bounds of multipart forms; without them the engine's defaults. */
  multipart?: NativeMultipart
}

/** What to list: `Rules`. */
export interface NativeListing {
  /** 1 is the directory's own entries. */
  maxDepth: number
  /** It may meet so many. */
  maxEntries: number
  /** Whether links to directories are entered. */
  followSymlinks: boolean
}

/** A CA, in PEM. */
export interface NativeLocalCa {
  /** Its certificate. */
  cert: string
  /** Its private key. */
  key: string
}

/** Where requests are written down. */
export interface NativeLog {
  /** The file; without it JavaScript reads them. */
  path?: string
  /** In the Combined Log Format, not as JSON. */
  combined: boolean
  /** Of the answers that are no errors, the part that is written. */
  sample: number
}

/** Bounds of one multipart form; a missing one is none. */
export interface NativeMultipart {
  /** Bytes of a file. */
  fileSize?: number
  /** Files. */
  files?: number
  /** Bytes of a field. */
  fieldSize?: number
  /** Fields. */
  fields?: number
  /** Files and fields together. */
  parts?: number
}

/**
 * What TypeScript's `EngineOptions` becomes; numbers are in range, `0` asks for the default where it says so.
 * Dropped, with the tokens wiped, as soon as the tunnel runs.
 */
export interface NativeOptions {
  /** IP address to listen on. */
  host: string
  /** TCP port; 0 for any. */
  port: number
  /** Listen nowhere: `connect` alone makes connections. */
  inProcess: boolean
  /** Wake JavaScript through libuv, if it is there; otherwise by a threadsafe function. */
  loopRing: boolean
  /** `auto`, `threads` or `inline`: the event loop turns the one shard, if it can; otherwise shards have threads. */
  placement: string
  /** Unix socket instead of host and port. */
  socketPath?: string
  /** Descriptor of a socket that is bound to that address already. */
  fd?: number
  /** What to encrypt with; without it nothing is. */
  tls?: NativeTls
  /** What the admin listener is to encrypt with, if it has something of its own. */
  adminTls?: NativeTls
  /** The admin listener encrypts with what the tunnel does. */
  adminTlsShared: boolean
  /** Where to say how it is; without it nowhere. */
  admin?: NativeAdmin
  /** What holds of callers. */
  callers?: NativeCallers
  /** Connections the kernel queues. */
  backlog: number
  /** Shard threads; 0 for the default by cores. */
  shards: number
  /** `auto`, `io_uring` or `epoll`. */
  driver: string
  /** Path that all routes lie under. */
  basePath: string
  /** Header that carries the token. */
  tokenHeader: string
  /** Accepted tokens; none at all is not the same as an empty list, which accepts nobody. */
  tokens?: Array<string>
  /** Ask JavaScript when no token matches. */
  validators: boolean
  /** No token needed when there are none. */
  allowAnonymous: boolean
  /** CORS, if configured. */
  cors?: NativeCors
  /** Discovery answers 404. */
  disableDiscovery: boolean
  /** Marked bodies travel as text. */
  exactBodies: boolean
  /** Clients may speak HTTP/2. */
  http2: boolean
  /** Do as the reference where the engine by itself does otherwise. */
  reference: boolean
  /** Handlers are announced: event loops of other threads attach, this one runs no calls. */
  workers: boolean
  /** Tell JavaScript of authentication failures. */
  reportRefusals: boolean
  /** Where requests are written down; without it nowhere. */
  log?: NativeLog
  /** The bounds. */
  limits: NativeLimits
}

/** What is known of a client under TLS. */
export interface NativePeer {
  /** `TLSv1.2` or `TLSv1.3`. */
  protocol: string
  /** The cipher suite, as IANA names it. */
  cipher: string
  /** The name that it asked for. */
  servername?: string
  /** What was agreed on by ALPN. */
  alpnProtocol?: string
  /** Its certificate, which was verified. DER. */
  certificate?: Buffer
}

/** Bounds of a proxy, in the units of their names. */
export interface NativeProxyLimits {
  /** Connections of clients. */
  maxConnections?: number
  /** Connections to servers. */
  maxUpstreams?: number
  /** Those that wait for the next request. */
  maxIdleUpstreams?: number
  /** Those that one context has. */
  maxUpstreamsPerContext?: number
  /** Time for a head. */
  headTimeoutMs?: number
  /** Time without a byte of a request's content. */
  bodyTimeoutMs?: number
  /** Time between requests. */
  idleTimeoutMs?: number
  /** Time without progress in sending to a client. */
  writeTimeoutMs?: number
  /** Time that a connection to a server waits for the next request. */
  idleUpstreamTimeoutMs?: number
  /** Time for looking up a name. */
  dnsTimeoutMs?: number
  /** Time for connecting. */
  connectTimeoutMs?: number
  /** Time for the handshake of TLS. */
  tlsTimeoutMs?: number
  /** Time without progress in sending to a server. */
  sendTimeoutMs?: number
  /** Time for the head of an answer. */
  answerTimeoutMs?: number
  /** Time without a byte of its content. */
  contentTimeoutMs?: number
  /** Time without a byte through a tunnel. */
  tunnelTimeoutMs?: number
  /** The same, once one end has said that it sends nothing more. */
  tunnelHalfTimeoutMs?: number
  /** Time for the first byte through a tunnel that is read. */
  sniffTimeoutMs?: number
  /** Certificates of the CA that are kept. */
  maxCertificates?: number
}

/** What TypeScript's options of a proxy become; what is missing has the engine's default. */
export interface NativeProxyOptions {
  /** IP address to listen on. */
  host: string
  /** TCP port; 0 for any. */
  port: number
  /** Shard threads; 0 for the default by cores. */
  shards: number
  /** `auto`, `io_uring` or `epoll`. */
  driver: string
  /** What clients are spoken to under TLS with; without it in the clear. */
  tls?: NativeTls
  /** The CA by which TLS within tunnels to this machine is read; without it, it goes on as it is. */
  interceptTls?: NativeIdentity
  /** HTTP/2 is spoken, too. */
  http2: boolean
  /** Ports that may be connected to: first and last in turn. */
  ports?: Array<number>
  /** Hosts that may be asked for. */
  allow: Array<string>
  /** Hosts that may not. */
  deny: Array<string>
  /** Addresses of this machine may be connected to. */
  loopback: boolean
  /** Those of networks around here may. */
  privateNetworks: boolean
  /** Those of the link may. */
  linkLocal: boolean
  /** Hosts and where they are, in turn. */
  hosts: Array<string>
  /** By whom servers have to be certified; without it, by whom browsers trust. */
  ca?: string
  /** The bounds. */
  limits: NativeProxyLimits
}

/** Whether connections begin with a header of the PROXY protocol. */
export interface NativeProxyProtocol {
  /** A connection may begin without one. */
  optional: boolean
  /** Networks of those who are believed; without it all are. */
  from?: Array<string>
}

/** Where hosts of the own machine lead. */
export interface NativeRoute {
  /** The workspace. */
  morphId: string
  /** Its part. */
  scope: string
  /** The domain below which workspaces are. */
  domainSuffix: string
  /** Another one, with names of another form. */
  morphDomainSuffix?: string
}

/** How much a session keeps, and what it holds. */
export interface NativeSessionFacts {
  /** Its number in this process. */
  id: number
  /** At most. */
  maxMessages: number
  /** At most, of all messages. */
  maxBytes: number
  /** Now. */
  messages: number
  /** Now. */
  bytes: number
  /** They have made room for others. */
  dropped: number
}

/** Where an inherited socket listens. */
export interface NativeSocket {
  /** IP address; none of a unix socket. */
  host?: string
  /** TCP port; 0 of a unix socket. */
  port: number
  /** Path of a unix socket. */
  socketPath?: string
}

/** What to encrypt with. */
export interface NativeTls {
  /** The first is also for clients that ask for no name. At least one. */
  identities: Array<NativeIdentity>
  /** `TLSv1.2` or `TLSv1.3`. */
  minVersion: string
  /** Those who certify clients. PEM. Without it clients are asked for no certificate. */
  ca?: string
  /** A client without a certificate is refused. */
  requireClientCert: boolean
}

/** What this build is. */
export declare function nativeVersion(): NativeVersion

/** What this build is. */
export interface NativeVersion {
  /** Version of the package. */
  version: string
  /** The commit; `unknown` where there was no git. */
  gitHash: string
  /** When it was built, as ISO 8601; by `SOURCE_DATE_EPOCH` if that was set. */
  buildTime: string
  /** The compiler. */
  rustVersion: string
}

/**
 * Sends one message to the socket of a service manager (sd_notify(3)). `@` at the beginning of the address stands for the
 * zero byte of an abstract one. Never waits: a manager that does not read loses the message, and that is an error.
 */
export declare function notifyManager(address: string, message: string): void

/** Milliseconds of processor time that the calling thread has used. */
export declare function threadCpuMs(): number
