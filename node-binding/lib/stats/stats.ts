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
  /** How often the engine itself has answered with which status that is an error. */
  readonly refusals: Readonly<Record<string, number>>;
}

/** One of several event loops, as the engine sees it. */
export interface MemberStats {
  /** Calls that it was given since it came. */
  readonly calls: number;
  /** Those that it has not begun. */
  readonly waiting: number;
  /** Those that it has begun and not answered. */
  readonly running: number;
}

/** One worker, as it is now. */
export interface WorkerStats extends MemberStats {
  /** Its place, from 0, which its successors keep. */
  readonly worker: number;
  /** Of `worker_threads`; missing while there is no thread. */
  readonly threadId?: number;
  /** `starting`: its module is being loaded. `waiting`: it has ended, and is started again in a while. */
  readonly state: 'running' | 'starting' | 'waiting';
  /** Times that it was started again because it had ended. */
  readonly restarts: number;
  /** How late its event loop was for a timer, when it was last looked at, twice a second; or is now. */
  readonly eventLoopDelayMs: number;
  /** The most that was, since it came. */
  readonly eventLoopDelayMaxMs: number;
}

/** What became of the lines of the access log. */
export interface LogStats {
  /** Lines that are in the file, or that the logger was given. */
  readonly written: number;
  /** Those that were dropped because the file or the logger did not keep up. */
  readonly dropped: number;
  /** Those that could not be written, because the disk was full for example. */
  readonly failed: number;
}

export interface Stats {
  readonly driver: 'io_uring' | 'epoll';
  /** Why it is not io_uring. */
  readonly driverReason?: string;
  /** Where the shards run. */
  readonly placement: Placement;
  /** What decided, where `auto` left it open; why it is not `inline`, where that was asked for. */
  readonly placementReason?: string;
  /** How JavaScript is woken: a handle of its event loop, or a threadsafe function where there is none. */
  readonly ring: Ring;
  /** Empty once the tunnel is closed. */
  readonly shards: readonly ShardStats[];
  /** Shards that have failed so often that they were given up: the tunnel closes. */
  readonly failedShards: number;
  /** Calls that handlers work on. */
  readonly live: number;
  /** Batches of calls that entered JavaScript on this thread. */
  readonly drains: number;
  /** With the option `log`. */
  readonly log?: LogStats;
  /** With the option `workers`. */
  readonly workers?: readonly WorkerStats[];
}
