import type { Ring } from '../options/engine-options.js';
import type { PhaseTimes, SizeHistogram } from './histogram-types.js';

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
  readonly handlerTimeouts: number;
  readonly inFlight: number;
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
  /** Batches that went to JavaScript. */
  readonly batches: number;
  /** Times the shard slept and was woken by another thread. */
  readonly wakes: number;
  /** Times JavaScript slept and was woken by this shard. */
  readonly hostWakes: number;
  /** Batches that wait for JavaScript now; at 64 the shard keeps the next one open. */
  readonly queueDepth: number;
  /** The most that have waited at once. */
  readonly queueDepthMax: number;
  /** Calls in each batch that had any. */
  readonly callsPerBatch: SizeHistogram;
  /** Whole answers in each batch from JavaScript that had any. */
  readonly answersPerBatch: SizeHistogram;
  readonly phases: PhaseTimes;
  /** Turns of the shard: rounds of reading and sending. */
  readonly ticks: number;
  /** Each ended its connection, or all of its shard. */
  readonly panics: number;
  /** Times that the shard failed as a whole and was started anew; each ended all of its connections. */
  readonly restarts: number;
}

export interface Stats {
  readonly driver: 'io_uring' | 'epoll';
  /** Why it is not io_uring. */
  readonly driverReason?: string;
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
