// What the bridge and its callers tell each other.
import type { MakeBody } from '../bridge/call-streams.js';
import type { Call } from '../calls/call.js';
import type { InputFileFactory } from '../files/input-file.js';
import type { Destination } from '../native/addon.js';
import type { AdminAddress } from '../options/addresses.js';
import type { Allow, Ring } from '../options/engine-options.js';
import type { PhaseTimes, SizeHistogram } from './histogram-types.js';

export type Kind = 'task' | 'event';

/**
 * What a call is answered with, from what the promise of `run` has come to; asked once. Each may throw what the call
 * fails with, or return `LATER`. This is not done by a promise of `run`'s own because every promise costs every call.
 */
export interface Conclusion {
  result(result: unknown, ctx: Call): unknown;
  failure(error: unknown, ctx: Call): unknown;
}

/**
 * What runs a call. Returns (or resolves to) the result, `DONE`, a `RawAnswer` or a `StreamAnswer`; may throw or reject with anything,
 * `CallFailure` among it.
 */
export interface Entry {
  readonly kind: Kind;
  readonly id: string;
  readonly run: (input: unknown, ctx: Call) => unknown;
  /** Has a say in what the outcome of `run` means. Default: it is the call's outcome. */
  readonly conclusion?: Conclusion;
  /**
   * Gets the body's value as it is, `undefined` for an empty one, instead of the input or payload in it; and an event's
   * result is what it returns, whatever the body says.
   */
  readonly raw?: true;
  /** A result that is a stream is sent as one (CONTRACT 14); otherwise it is a value like any other. */
  readonly streams?: true;
  /** Makes the bodies that this entry reads by itself. Default: a `BodyStream`. */
  readonly makeBody?: MakeBody;
  /** Makes the files in its input. Default: `plainInputFile`. */
  readonly inputFile?: InputFileFactory;
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
  /** Calls whose client left before they were answered: at rest, `calls` are `answered` and `abandoned`. */
  readonly abandoned: number;
  /** Answers that came too late. */
  readonly dropped: number;
  /** Calls refused with 503 because there were too many. */
  readonly overloaded: number;
  /** The same, because they had waited too long for JavaScript. */
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

export interface Bridge {
  readonly port: number;
  readonly host: string;
  readonly socketPath?: string;
  readonly admin?: AdminAddress | undefined;
  readonly driver: 'io_uring' | 'epoll';
  readonly driverReason?: string | undefined;
  readonly shards: number;
  /** Counts from the next request on. Without `allow`, every entry may be called. */
  setEntries(entries: readonly Entry[], allow?: Allow): void;
  /** A connection to the engine from within: its descriptor, the caller's to close. Throws when there are too many, or at the end. */
  connect(): number;
  /** Where a request target leads, as the engine reads it. */
  route(target: string): Destination;
  stats(): Stats;
  ref(): void;
  unref(): void;
  /** Lets `/readyz` say that no calls are wanted any more. */
  retire(): void;
  close(): Promise<void>;
  /** Ends a `close` that is under way at once. */
  cut(): void;
}

export type OnError = (error: unknown, where: { kind: Kind; id: string; requestId: string }) => void;
