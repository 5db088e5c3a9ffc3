// Written by `make facts` from the engine's constants (engine/src/facts.rs). Do not change it by hand.

/** Another addon than the one with this hash states something below in another way. */
export const FACTS_HASH = '6c13fd8c3ef39004';
/** What one shard has counted since it started. */
export interface ShardCounters {
  /** Connections open now. */
  readonly connections: number;
  /** Connections open now that speak HTTP/2. */
  readonly http2Connections: number;
  /** Streams of HTTP/2 open now: requests that are received or answered. */
  readonly http2Streams: number;
  /** Connections of HTTP/2 ended because the client reset too many streams, or sent too many frames that ask for nothing. */
  readonly http2Floods: number;
  /** Connections taken over. */
  readonly accepted: number;
  /** Connections closed at once: `maxConnections`, or no descriptor left. */
  readonly turnedAway: number;
  /** Connections closed, and requests refused with 403, because `access` does not let their callers in. */
  readonly denied: number;
  /** Requests refused with 429 because of `rateLimit`. */
  readonly limited: number;
  /** Callers that `rateLimit` forgot before their time, because others needed their place. */
  readonly callersForgotten: number;
  /** Requests whose head was complete and well-formed. */
  readonly requests: number;
  /** Requests that the shard answered by itself: refusals, preflights, discovery. */
  readonly refused: number;
  /** Malformed, too large or too slow requests; each ended its connection. */
  readonly protocolErrors: number;
  /** Calls that went to JavaScript, and questions of hooks. */
  readonly calls: number;
  /** Requests that hooks were asked about. */
  readonly asks: number;
  /** Authentication failures that `onRefused` did not hear of. */
  readonly noticesDropped: number;
  /** Calls whose body came as a stream or a form. */
  readonly streamedBodies: number;
  /** Answers that were streams. */
  readonly streamedAnswers: number;
  /** Streamed answers that broke off. */
  readonly cutAnswers: number;
  /** Pieces of bodies, and credit for answers, that went to JavaScript. */
  readonly frames: number;
  /** Records from JavaScript that made no sense; each cost its call. */
  readonly hostErrors: number;
  /** Calls and questions answered. */
  readonly answered: number;
  /** Calls whose client left before they were answered: at rest, `calls` are `answered` and `abandoned`. */
  readonly abandoned: number;
  /** Answers that came too late. */
  readonly dropped: number;
  /** Calls refused with 503 because there were too many. */
  readonly overloaded: number;
  /** Calls refused with 503 because they had waited too long for JavaScript. */
  readonly shed: number;
  /** Bytes held now for connections and calls: what `limits.maxTotalBufferedBytes` bounds. */
  readonly heldBytes: number;
  /** Large answers that became a 500 because the shard held too much. */
  readonly discardedAnswers: number;
  /** Connections ended because the shard held too much, and they much of it without progress. */
  readonly evicted: number;
  /** Calls ended with 504. */
  readonly handlerTimeouts: number;
  /** Calls under way now. */
  readonly inFlight: number;
  /** Batches that went to JavaScript. */
  readonly batches: number;
  /** Times the shard slept and was woken by another thread. */
  readonly wakes: number;
  /** Turns of the shard: rounds of reading and sending. */
  readonly ticks: number;
  /** Panics that were contained; each ended its connection, or all of its shard. */
  readonly panics: number;
  /** Times that the shard failed as a whole and was started anew; each ended all of its connections. */
  readonly restarts: number;
  /** Times JavaScript slept and was woken by this shard. */
  readonly hostWakes: number;
  /** Batches that wait for JavaScript now; at 64 the shard keeps the next one open. */
  readonly queueDepth: number;
  /** The most batches that have waited at once. */
  readonly queueDepthMax: number;
}
/** Number of calls in the table that a drain fills. */
export const CALLS = 0;
/** Number of tickets whose client has gone. */
export const GONE = 1;
/** What is new of the shards: bits of `news`. */
export const SHARDS = 2;
/** Number of refusals to fetch with `notices`. */
export const NOTICES = 3;
/** Number of frames to fetch with `frame`, one by one. */
export const FRAMES = 4;
/** First call; the tickets that have gone follow the last. */
export const HEADER = 5;
/** Numbers a call: ticket, handler, flags. */
export const PER_CALL = 3;
/** Calls in one drain. */
export const MAX_CALLS = 1024;
/** Gone tickets in one drain. */
export const MAX_GONE = 1024;
/** What `frame` tells of the frame that it returns: ticket, kind, argument. */
export const FRAME = 4101;
/** Numbers in the table. */
export const LENGTH = 4104;
/** Numbers an answer: ticket, outcome. */
export const PER_ANSWER = 2;
/** Every one has ended. */
export const NEWS_STOPPED = 1;
/** One has failed, and was started anew. */
export const NEWS_RESTARTED = 2;
/** One has failed, and is given up. */
export const NEWS_FAILED = 4;
/** The call is an event, not a task. */
export const FLAG_EVENT = 1;
/** The body was empty: the value is `undefined`. Its text in the batch is `null`, to keep the count right. */
export const FLAG_EMPTY = 2;
/** The body may hold typed records or unsafe keys: JavaScript has to look at the value. */
export const FLAG_MARKED = 4;
/** The text in the batch is a JSON string that holds the body's text, for a serializer to parse. */
export const FLAG_TEXT = 8;
/** No call: a request that cannot be decided without an answer of `Advice`, namely which origin it allows. Its text in the batch is `null`. */
export const FLAG_ASK_ORIGIN = 16;
/** No call either: whether the request may pass. */
export const FLAG_ASK_AUTH = 32;
/** `ASK_ORIGIN` or `ASK_AUTH`. */
export const FLAG_ASK = 48;
/** The body follows in frames, as it comes: untouched bytes (CONTRACT 12). `EMPTY` is set as well. The text in the batch is a number: how many bytes of it may be under way, until some are credited. */
export const FLAG_STREAM = 64;
/** The body follows in frames, as manifest and files of a multipart form (CONTRACT 13). Otherwise as `STREAM`. */
export const FLAG_MULTIPART = 128;
/** The text is the value of the body's only member, `input` (`bare_inputs`). */
export const FLAG_INPUT = 256;
/** Bytes of the body. */
export const FRAME_DATA = 1;
/** The body is complete. */
export const FRAME_END = 2;
/** The manifest of a multipart body. */
export const FRAME_MANIFEST = 3;
/** A file begins; the bytes are JSON. */
export const FRAME_FILE = 4;
/** The open file is complete. */
export const FRAME_FILE_END = 5;
/** The body is refused; the argument says why. */
export const FRAME_REFUSED = 6;
/** As many more bytes of the answer may be sent as the argument says. */
export const FRAME_CREDIT = 7;
/** 200 with the next text as the result. */
export const RESULT = 0;
/** 200 without a result. */
export const DONE = 1;
/** 500, no text, as for any number that is none of these. */
export const INTERNAL_ERROR = 2;
/** 400, no text: the serializer refused the body. */
export const INVALID_JSON = 3;
/** Bytes of a streamed answer that may be sent before any credit has come. */
export const ANSWER_FIRST_BYTES = 16384;
/** Bytes of one frame, at most. */
export const FRAME_BYTES = 65536;
/** For so long, in milliseconds, calls may come that name handlers by numbers of before. */
export const HANDLERS_SETTLE_MS = 10000;
/** Milliseconds between two times that an event loop says how it is. */
export const BEAT_MS = 500;
/** `Retry-After` of every 503, in seconds. */
export const RETRY_AFTER_S = 1;
/** Media type of the bodies that are the engine's own. */
export const JSON_TYPE = 'application/json; charset=utf-8';
/** Default of `basePath`. */
export const BASE_PATH = '/__runner';
/** Default name of the header that carries the token. */
export const TOKEN_HEADER = 'x-runner-token';
/** The connection option of a client that wants to be told, by a 408, when no further request is read. */
export const NOTICE_OPTION = 'fasttunnel-notice';
/** The header that carries the request id. */
export const REQUEST_ID_HEADER = 'x-runner-request-id';
/** What each limit may be. `Limits` of the engine says what happens when one is reached. */
export const LIMITS = {
  maxHeadBytes: { fallback: 16384, least: 512, most: 65536, unit: 'bytes' },
  maxTargetBytes: { fallback: 8192, least: 16, most: 65536, unit: 'bytes' },
  maxHeaders: { fallback: 100, least: 1, most: 100, unit: 'header lines' },
  maxChunkExtensionBytes: { fallback: 4096, least: 0, most: 65536, unit: 'bytes' },
  maxTrailerBytes: { fallback: 8192, least: 0, most: 65536, unit: 'bytes' },
  maxBodyBytes: { fallback: 2097152, least: 0, most: 268435456, unit: 'bytes' },
  maxJsonDepth: { fallback: 1001, least: 1, most: 1001, unit: 'levels' },
  maxPipelined: { fallback: 32, least: 1, most: 1024, unit: 'requests' },
  maxRequestsPerConnection: { fallback: 0, least: 0, most: 1000000000, unit: 'requests, 0 = any number' },
  maxCallsInFlight: { fallback: 10000, least: 1, most: 1000000, unit: 'calls' },
  maxConnections: { fallback: 0, least: 0, most: 1000000, unit: 'connections, 0 = by the limit of open files' },
  maxBufferedBytes: { fallback: 65536, least: 4096, most: 67108864, unit: 'bytes' },
  maxTotalBufferedBytes: { fallback: 268435456, least: 1048576, most: 1099511627776, unit: 'bytes' },
  handshakeTimeoutMs: { fallback: 10000, least: 1, most: 86400000, unit: 'milliseconds' },
  maxHandshakes: { fallback: 1000, least: 1, most: 1000000, unit: 'handshakes' },
  headTimeoutMs: { fallback: 10000, least: 1, most: 86400000, unit: 'milliseconds' },
  bodyTimeoutMs: { fallback: 30000, least: 1, most: 86400000, unit: 'milliseconds' },
  minBodyBytesPerS: { fallback: 500, least: 1, most: 1073741824, unit: 'bytes a second' },
  maxBodyTimeMs: { fallback: 300000, least: 1, most: 86400000, unit: 'milliseconds' },
  maxDiscardedBytes: { fallback: 1073741824, least: 0, most: 1099511627776, unit: 'bytes' },
  discardTimeoutMs: { fallback: 10000, least: 1, most: 86400000, unit: 'milliseconds' },
  idleTimeoutMs: { fallback: 65000, least: 1, most: 86400000, unit: 'milliseconds' },
  writeTimeoutMs: { fallback: 30000, least: 1, most: 86400000, unit: 'milliseconds' },
  handlerTimeoutMs: { fallback: 0, least: 0, most: 86400000, unit: 'milliseconds, 0 = none' },
  queueTimeoutMs: { fallback: 500, least: 0, most: 86400000, unit: 'milliseconds, 0 = none' },
  drainTimeoutMs: { fallback: 10000, least: 0, most: 86400000, unit: 'milliseconds' },
  keepAliveHintS: { fallback: 5, least: 0, most: 3600, unit: 'seconds' },
  maxStreams: { fallback: 100, least: 1, most: 10000, unit: 'streams of an HTTP/2 connection' },
  maxHeaderListBytes: { fallback: 16384, least: 512, most: 65536, unit: 'bytes' },
  streamWindowBytes: { fallback: 65536, least: 1024, most: 67108864, unit: 'bytes' },
  connectionWindowBytes: { fallback: 1048576, least: 65536, most: 1073741824, unit: 'bytes' },
  maxStreamResets: { fallback: 200, least: 1, most: 1000000, unit: 'streams reset' },
  maxControlFrames: { fallback: 2000, least: 16, most: 1000000, unit: 'frames in 30 seconds' },
} as const;
/** What the other options may be that are numbers. */
export const NUMBERS = {
  port: { fallback: 0, least: 0, most: 65535 },
  backlog: { fallback: 4096, least: 1, most: 65535, unit: 'connections' },
  shards: { fallback: 0, least: 0, most: 64, unit: 'threads, 0 = by the number of cores' },
  workers: { least: 1, most: 60, unit: 'event loops' },
  blockedTimeoutMs: { fallback: 30000, least: 0, most: 86400000, unit: 'milliseconds, 0 = none' },
  readinessDelayMs: { fallback: 0, least: 0, most: 600000, unit: 'milliseconds' },
  burst: { least: 1, most: 1000000, unit: 'requests' },
  maxConcurrent: { least: 1, most: 1000000, unit: 'calls' },
  maxCallers: { fallback: 100000, least: 64, most: 16000000, unit: 'callers' },
  maxAge: { least: 0, most: 2147483647, unit: 'seconds' },
} as const;
/** What each bound of a multipart form may be. */
export const MULTIPART = {
  fileSize: { fallback: 20971520, least: 0, most: Infinity, unit: 'Infinity = none' },
  files: { fallback: 10, least: 0, most: Infinity, unit: 'Infinity = none' },
  fieldSize: { fallback: 1048576, least: 0, most: Infinity, unit: 'Infinity = none' },
  fields: { fallback: 100, least: 0, most: Infinity, unit: 'Infinity = none' },
  parts: { fallback: Infinity, least: 0, most: Infinity, unit: 'Infinity = none' },
} as const;
/** Refusals of the engine that the host answers with as well. */
export const REFUSALS = {
  badRequest: { status: 400, code: 'BAD_REQUEST', body: '{"ok":false,"error":{"message":"Bad Request","code":"BAD_REQUEST"}}' },
  invalidManifest: { status: 400, code: 'INVALID_MULTIPART', body: '{"ok":false,"error":{"message":"Invalid manifest","code":"INVALID_MULTIPART"}}' },
  missingManifest: { status: 400, code: 'MISSING_MANIFEST', body: '{"ok":false,"error":{"message":"Missing manifest","code":"MISSING_MANIFEST"}}' },
  exposureNotEnabled: { status: 403, code: 'FORBIDDEN', body: '{"ok":false,"error":{"message":"Exposure not enabled","code":"FORBIDDEN"}}' },
  notFound: { status: 404, code: 'NOT_FOUND', body: '{"ok":false,"error":{"message":"Not Found","code":"NOT_FOUND"}}' },
  filesExceeded: { status: 413, code: 'PAYLOAD_TOO_LARGE', body: '{"ok":false,"error":{"message":"Files limit exceeded","code":"PAYLOAD_TOO_LARGE"}}' },
  aborted: { status: 499, code: 'REQUEST_ABORTED', body: '{"ok":false,"error":{"message":"Client Closed Request","code":"REQUEST_ABORTED"}}' },
  internal: { status: 500, code: 'INTERNAL_ERROR', body: '{"ok":false,"error":{"message":"Internal Error","code":"INTERNAL_ERROR"}}' },
  missingFilePart: { status: 500, code: 'MISSING_FILE_PART', body: '{"ok":false,"error":{"message":"Internal Error","code":"MISSING_FILE_PART"}}' },
  serviceUnavailable: { status: 503, code: 'SERVICE_UNAVAILABLE', body: '{"ok":false,"error":{"message":"Service Unavailable","code":"SERVICE_UNAVAILABLE"}}' },
} as const;
/** Codes of errors that the addon throws. */
export const ERROR_CODES = { badOption: 'FASTTUNNEL_BAD_OPTION', closed: 'FASTTUNNEL_CLOSED', full: 'FASTTUNNEL_FULL', internal: 'FASTTUNNEL_INTERNAL', noIoUring: 'FASTTUNNEL_NO_IO_URING', start: 'FASTTUNNEL_START' } as const;
/** Those that it has of the system, with their numbers. */
export const ERRNO = { EADDRINUSE: 98, EADDRNOTAVAIL: 99, EACCES: 13, EPERM: 1, ENOENT: 2, ENOTDIR: 20, EISDIR: 21, EROFS: 30, ENAMETOOLONG: 36, ELOOP: 40, ENOSPC: 28, EDQUOT: 122, EINVAL: 22, EMFILE: 24, ENFILE: 23, ENOMEM: 12, ENOBUFS: 105, EAFNOSUPPORT: 97, EAGAIN: 11 } as const;
/** Numbers in the statistics of a shard. */
export const SHARD_STATS = {
  connections: { kind: 'gauge', help: 'Connections open now.' },
  http2Connections: { kind: 'gauge', help: 'Connections open now that speak HTTP/2.' },
  http2Streams: { kind: 'gauge', help: 'Streams of HTTP/2 open now: requests that are received or answered.' },
  http2Floods: { kind: 'counter', help: 'Connections of HTTP/2 ended because the client reset too many streams, or sent too many frames that ask for nothing.' },
  accepted: { kind: 'counter', help: 'Connections taken over.' },
  turnedAway: { kind: 'counter', help: 'Connections closed at once: `maxConnections`, or no descriptor left.' },
  denied: { kind: 'counter', help: 'Connections closed, and requests refused with 403, because `access` does not let their callers in.' },
  limited: { kind: 'counter', help: 'Requests refused with 429 because of `rateLimit`.' },
  callersForgotten: { kind: 'counter', help: 'Callers that `rateLimit` forgot before their time, because others needed their place.' },
  requests: { kind: 'counter', help: 'Requests whose head was complete and well-formed.' },
  refused: { kind: 'counter', help: 'Requests that the shard answered by itself: refusals, preflights, discovery.' },
  protocolErrors: { kind: 'counter', help: 'Malformed, too large or too slow requests; each ended its connection.' },
  calls: { kind: 'counter', help: 'Calls that went to JavaScript, and questions of hooks.' },
  asks: { kind: 'counter', help: 'Requests that hooks were asked about.' },
  noticesDropped: { kind: 'counter', help: 'Authentication failures that `onRefused` did not hear of.' },
  streamedBodies: { kind: 'counter', help: 'Calls whose body came as a stream or a form.' },
  streamedAnswers: { kind: 'counter', help: 'Answers that were streams.' },
  cutAnswers: { kind: 'counter', help: 'Streamed answers that broke off.' },
  frames: { kind: 'counter', help: 'Pieces of bodies, and credit for answers, that went to JavaScript.' },
  hostErrors: { kind: 'counter', help: 'Records from JavaScript that made no sense; each cost its call.' },
  answered: { kind: 'counter', help: 'Calls and questions answered.' },
  abandoned: { kind: 'counter', help: 'Calls whose client left before they were answered: at rest, `calls` are `answered` and `abandoned`.' },
  dropped: { kind: 'counter', help: 'Answers that came too late.' },
  overloaded: { kind: 'counter', help: 'Calls refused with 503 because there were too many.' },
  shed: { kind: 'counter', help: 'Calls refused with 503 because they had waited too long for JavaScript.' },
  heldBytes: { kind: 'gauge', help: 'Bytes held now for connections and calls: what `limits.maxTotalBufferedBytes` bounds.' },
  discardedAnswers: { kind: 'counter', help: 'Large answers that became a 500 because the shard held too much.' },
  evicted: { kind: 'counter', help: 'Connections ended because the shard held too much, and they much of it without progress.' },
  handlerTimeouts: { kind: 'counter', help: 'Calls ended with 504.' },
  inFlight: { kind: 'gauge', help: 'Calls under way now.' },
  batches: { kind: 'counter', help: 'Batches that went to JavaScript.' },
  wakes: { kind: 'counter', help: 'Times the shard slept and was woken by another thread.' },
  ticks: { kind: 'counter', help: 'Turns of the shard: rounds of reading and sending.' },
  panics: { kind: 'counter', help: 'Panics that were contained; each ended its connection, or all of its shard.' },
  restarts: { kind: 'counter', help: 'Times that the shard failed as a whole and was started anew; each ended all of its connections.' },
  hostWakes: { kind: 'counter', help: 'Times JavaScript slept and was woken by this shard.' },
  queueDepth: { kind: 'gauge', help: 'Batches that wait for JavaScript now; at 64 the shard keeps the next one open.' },
  queueDepthMax: { kind: 'gauge', help: 'The most batches that have waited at once.' },
} as const;
/** Numbers in the statistics of a tunnel. */
export const TUNNEL_STATS = {
  failedShards: { kind: 'gauge', help: 'Shards that were given up.' },
  live: { kind: 'gauge', help: 'Calls that handlers work on now.' },
  drains: { kind: 'counter', help: 'Times that calls entered JavaScript.' },
} as const;
/** Numbers in the statistics of a worker. */
export const WORKER_STATS = {
  calls: { kind: 'counter', help: 'Calls that the worker was given since its thread started.' },
  waiting: { kind: 'gauge', help: 'Calls that the worker has not begun.' },
  running: { kind: 'gauge', help: 'Calls that the worker works on now.' },
  restarts: { kind: 'counter', help: 'Times that the worker had ended and was started again.' },
  eventLoopDelayMs: { kind: 'gauge', help: 'Milliseconds that the event loop of the worker was late for a timer.' },
  eventLoopDelayMaxMs: { kind: 'gauge', help: 'The most that was since its thread started.' },
} as const;
/** Numbers in the statistics of an access log. */
export const LOG_STATS = {
  written: { kind: 'counter', help: 'Lines of the access log that were written, or given to the logger.' },
  dropped: { kind: 'counter', help: 'Lines that were dropped because the file or the logger did not keep up.' },
  failed: { kind: 'counter', help: 'Lines that could not be written.' },
} as const;
/** Families of metrics that are more than a number: their names and what they mean. */
export const METRICS = {
  info: { name: 'info', help: 'How the tunnel runs.' },
  phases: { name: 'phase_duration_seconds', help: 'Time that calls spend in a phase: parse, queue, js, write.' },
  callsPerBatch: { name: 'calls_per_batch', help: 'Calls in a batch to JavaScript.' },
  answersPerBatch: { name: 'answers_per_batch', help: 'Answers in a batch from JavaScript.' },
  refusals: { name: 'refusals', help: 'Errors that the engine itself has answered with, by status.' },
} as const;
/** Why a form is refused, by the number that its frame carries. */
export const BODY_REFUSALS = {
  malformed: { number: 1, status: 400, code: 'INVALID_MULTIPART', body: '{"ok":false,"error":{"message":"Invalid multipart payload","code":"INVALID_MULTIPART"}}' },
  secondManifest: { number: 2, status: 400, code: 'INVALID_MULTIPART', body: '{"ok":false,"error":{"message":"Invalid manifest","code":"INVALID_MULTIPART"}}' },
  fileSize: { number: 3, status: 413, code: 'PAYLOAD_TOO_LARGE', body: '{"ok":false,"error":{"message":"File size limit exceeded","code":"PAYLOAD_TOO_LARGE"}}' },
  files: { number: 4, status: 413, code: 'PAYLOAD_TOO_LARGE', body: '{"ok":false,"error":{"message":"Files limit exceeded","code":"PAYLOAD_TOO_LARGE"}}' },
  fieldSize: { number: 5, status: 413, code: 'PAYLOAD_TOO_LARGE', body: '{"ok":false,"error":{"message":"Field limit exceeded","code":"PAYLOAD_TOO_LARGE"}}' },
  fields: { number: 6, status: 413, code: 'PAYLOAD_TOO_LARGE', body: '{"ok":false,"error":{"message":"Fields limit exceeded","code":"PAYLOAD_TOO_LARGE"}}' },
  parts: { number: 7, status: 413, code: 'PAYLOAD_TOO_LARGE', body: '{"ok":false,"error":{"message":"Parts limit exceeded","code":"PAYLOAD_TOO_LARGE"}}' },
  truncated: { number: 8, status: 500, code: 'STREAM_ERROR', body: '{"ok":false,"error":{"message":"Internal Error","code":"STREAM_ERROR"}}' },
  manifestIsFile: { number: 9, status: 400, code: 'MISSING_MANIFEST', body: '{"ok":false,"error":{"message":"The part __manifest must be a field, not a file: send it without a file name","code":"MISSING_MANIFEST"}}' },
} as const;
