// What the bridge and its callers tell each other.
import type { CallContext } from './call.js';

export type Kind = 'task' | 'event';

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

/** What one shard has done since it started. */
export interface ShardStats {
  /** Connections open now. */
  readonly connections: number;
  readonly accepted: number;
  /** Connections closed at once: `maxConnections`, or no descriptor left. */
  readonly turnedAway: number;
  readonly requests: number;
  /** Requests that the shard answered by itself: refusals, preflights, discovery. */
  readonly refused: number;
  /** Malformed, too large or too slow requests; each ended its connection. */
  readonly protocolErrors: number;
  /** Calls that went to JavaScript. */
  readonly calls: number;
  readonly answered: number;
  /** Answers that came too late. */
  readonly dropped: number;
  /** Calls refused with 503. */
  readonly overloaded: number;
  readonly handlerTimeouts: number;
  readonly inFlight: number;
  readonly batches: number;
  readonly wakes: number;
  readonly ticks: number;
  readonly panics: number;
}

export interface Stats {
  readonly driver: 'io_uring' | 'epoll';
  /** Why it is not io_uring. */
  readonly driverReason?: string;
  /** Empty once the tunnel is closed. */
  readonly shards: readonly ShardStats[];
  /** Shards that have ended by a panic. */
  readonly panickedShards: number;
  /** Calls that handlers work on. */
  readonly live: number;
  /** Batches of calls that entered JavaScript. */
  readonly drains: number;
}

export interface Bridge {
  readonly port: number;
  readonly host: string;
  readonly socketPath?: string;
  readonly driver: 'io_uring' | 'epoll';
  readonly driverReason?: string | undefined;
  readonly shards: number;
  setEntries(entries: readonly Entry[]): void;
  stats(): Stats;
  ref(): void;
  unref(): void;
  close(): Promise<void>;
}

export type OnError = (error: unknown, where: { kind: Kind; id: string; requestId: string }) => void;
