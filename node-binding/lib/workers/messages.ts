// What the thread of the tunnel and its workers tell each other.
import type { MessagePort } from 'node:worker_threads';
import type { Allow, EngineOptions } from '../options/engine-options.js';
import type { ErrorOrigin } from '../options/types.js';
import type { SentError } from './sent-error.js';

/** What a worker begins with. */
export interface WorkerStart {
  /** URL of the module with the handlers. */
  readonly module: string;
  /** Without tokens and keys: the engine has them. */
  readonly options: EngineOptions;
  readonly port: MessagePort;
  readonly pulse: SharedArrayBuffer;
}

export type ToWorker =
  /** The engine runs: join the tunnel of this number. */
  | { readonly kind: 'join'; readonly number: number }
  /** Answer what was begun, then end. */
  | { readonly kind: 'leave' }
  /** End. */
  | { readonly kind: 'end' };

export type FromWorker =
  | ({ readonly kind: 'loaded' } & Loaded)
  /** The module cannot be loaded, or is not what it has to be. */
  | { readonly kind: 'failed'; readonly error: SentError }
  | { readonly kind: 'joined'; readonly member: number }
  /** For `onError`. */
  | { readonly kind: 'error'; readonly error: SentError; readonly origin: ErrorOrigin };

/** What a module offers. */
export interface Loaded {
  readonly tasks: readonly string[];
  readonly events: readonly string[];
  /** It has a serializer. */
  readonly exact: boolean;
  /** Which ids may be called. */
  readonly allow: Allow;
}
