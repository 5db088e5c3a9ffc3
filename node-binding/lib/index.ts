/// <reference types="node" preserve="true" />
export { fastTunnel } from './fast-tunnel.js';
export { TunnelServer } from './server.js';
export type { Tunnel } from './server.js';
export { AnswerLengthError, ClosedError, DuplicateTaskError, FileConsumedError, FileLostError, FileRefusedError, OptionError, ShardError, SpoolError, StateError } from './errors.js';
export { ListenError } from './listen-error.js';
export { NativeLoadError } from './native.js';
export { TaskError } from './task-error.js';
export type { TaskErrorOptions } from './task-error.js';
export type { InputFile, InputFileMeta } from './files/input-file.js';
export { metricsContentType, metricsText } from './metrics.js';
export type { MetricsFormat } from './metrics.js';
export type { AdminAddress } from './addresses.js';
export type { ShardStats, Stats } from './bridge-types.js';
export type { DurationHistogram, PhaseTimes, SizeHistogram } from './histogram-types.js';
export type {
  AdminOptions,
  AuthOptions,
  ByteStream,
  CallContext,
  CorsOptions,
  ErrorOrigin,
  EventHandler,
  EventHandlers,
  EventsOf,
  GracefulSignal,
  LimitOptions,
  ListenOptions,
  MultipartOptions,
  Serializer,
  StreamResult,
  TaskCall,
  TaskHandler,
  TaskHandlers,
  TasksOf,
  TunnelOptions,
} from './types.js';
