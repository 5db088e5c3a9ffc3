import type { ShardCounters } from '../facts/facts.generated.js';
import type { Placement, Ring } from '../options/engine-options.js';
import type { PhaseTimes, SizeHistogram } from './histogram-types.js';

/** What one shard has done since it started. */
export interface ShardStats extends ShardCounters {
  /** Calls in each batch that had any. */
  readonly callsPerBatch: SizeHistogram;
  /** Whole answers in each batch from JavaScript that had any. */
  readonly answersPerBatch: SizeHistogram;
  readonly phases: PhaseTimes;
}

export interface Stats {
  readonly driver: 'io_uring' | 'epoll';
  /** Why it is not io_uring. */
  readonly driverReason?: string;
  /** Where the shards run. */
  readonly placement: Placement;
  /** Why it is not `inline`, where that was asked for. */
  readonly placementReason?: string;
  /** How JavaScript is woken: a handle of its event loop, or a threadsafe function where there is none. */
  readonly ring: Ring;
  /** Empty once the tunnel is closed. */
  readonly shards: readonly ShardStats[];
  /** Shards that have failed so often that they were given up: the tunnel closes. */
  readonly failedShards: number;
  /** Calls that handlers work on. */
  readonly live: number;
  /** Batches of calls that entered JavaScript. */
  readonly drains: number;
}
