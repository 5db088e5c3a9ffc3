/// <reference types="node" preserve="true" />
import './native/supported.js';
export { fastTunnel } from './tunnel/fast-tunnel.js';
export { TunnelServer } from './tunnel/server.js';
export type { Tunnel } from './tunnel/server.js';
export { AnswerLengthError, ClosedError, DuplicateTaskError, FileConsumedError, FileLostError, FileRefusedError, OptionError, ShardError, SpoolError, StateError } from './errors/errors.js';
export { WorkerError } from './errors/worker-error.js';
export { ListenError } from './errors/listen-error.js';
export { NativeLoadError } from './native/load.js';
export { TaskError } from './errors/task-error.js';
export type { TaskErrorOptions } from './errors/task-error.js';
export type { InputFile, InputFileMeta } from './files/input-file.js';
export { metricsContentType, metricsText } from './stats/metrics.js';
export type { MetricsFormat } from './stats/metrics.js';
export type { CallMessage } from './trace/call-trace.js';
export type { TraceContext } from './trace/context.js';
export type { LogFileOptions, Logger, LoggerOptions } from './options/log.js';
export type { AdminAddress, AgentAddress } from './options/addresses.js';
export type { LogStats, MemberStats, ShardStats, Stats, WorkerStats } from './stats/stats.js';
export type { DurationHistogram, PhaseTimes, SizeHistogram } from './stats/histogram-types.js';
export type {
  AccessOptions,
  AdminOptions,
  AgentOptions,
  AuthOptions,
  ByteStream,
  CallContext,
  ClientCertificate,
  CorsOptions,
  ErrorOrigin,
  EventHandler,
  EventHandlers,
  EventsOf,
  GracefulSignal,
  InheritedSocket,
  LimitOptions,
  ListenOptions,
  MultipartOptions,
  NamedCertificate,
  ProxyProtocolOptions,
  RateLimitOptions,
  Serializer,
  StreamResult,
  TaskCall,
  TaskHandler,
  TaskHandlers,
  TasksOf,
  TlsOptions,
  TlsPeer,
  TunnelOptions,
  WorkerModule,
  WorkersOptions,
} from './options/types.js';
