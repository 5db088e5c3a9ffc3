// The interface of the hot path, as types only: the implementation lands with the native addon.
import type { ValueCodec } from './codec.js';

export type Kind = 'task' | 'event';

export interface CallContext {
  readonly id: string;
  readonly requestId: string;
  readonly headers: Readonly<Record<string, string | string[]>>;
  readonly signal: AbortSignal;
}

/** What runs a call. Returns (or resolves to) the raw result; may throw or reject with anything. */
export interface Entry {
  readonly kind: Kind;
  readonly id: string;
  readonly run: (input: unknown, ctx: CallContext) => unknown;
}

export interface EngineOptions {
  host: string;
  port: number;
  socketPath?: string;
  backlog: number;
  /** 0 = by the number of cores. */
  shards: number;
  driver: 'auto' | 'io_uring' | 'epoll';
  basePath: string;
  auth: { header: string; tokens: string[]; allowAnonymous: boolean };
  cors?: {
    origin?: string | string[] | null;
    methods: string[];
    allowedHeaders: string[];
    exposedHeaders: string[];
    credentials: boolean;
    maxAge?: number;
    varyOrigin: boolean;
  };
  disableDiscovery: boolean;
  limits: {
    maxHeadBytes: number;
    maxBodyBytes: number;
    maxPipelined: number;
    maxCallsInFlight: number;
    /** 0 = by RLIMIT_NOFILE. */
    maxConnections: number;
    headTimeoutMs: number;
    bodyTimeoutMs: number;
    idleTimeoutMs: number;
    writeTimeoutMs: number;
    /** 0 = off. */
    handlerTimeoutMs: number;
    drainTimeoutMs: number;
    keepAliveHintS: number;
    maxBufferedBytes: number;
  };
}

export type { ValueCodec } from './codec.js';

export interface ShardStats {
  readonly connections: number;
  readonly accepted: number;
  readonly requests: number;
  readonly calls: number;
}

export interface Stats {
  readonly driver: 'io_uring' | 'epoll';
  readonly driverReason?: string;
  readonly shards: readonly ShardStats[];
}

export interface Bridge {
  readonly port: number;
  readonly host: string;
  readonly socketPath?: string;
  readonly driver: 'io_uring' | 'epoll';
  readonly driverReason?: string;
  readonly shards: number;
  setEntries(entries: readonly Entry[]): void;
  stats(): Stats;
  ref(): void;
  unref(): void;
  close(): Promise<void>;
}

export function startBridge(
  _options: EngineOptions,
  _entries: readonly Entry[],
  _codec: ValueCodec,
  _onError: (error: unknown, where: { kind: Kind; id: string; requestId: string }) => void,
): Promise<Bridge> {
  return Promise.reject(new Error('the native bridge is not in this tree yet'));
}
