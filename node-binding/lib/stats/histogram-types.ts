/**
 * How often which durations were seen since the tunnel listens, in microseconds. Quantiles are at most an eighth more than
 * the exact ones and never less.
 */
export interface DurationHistogram {
  readonly count: number;
  readonly sumUs: number;
  readonly p50Us: number;
  readonly p90Us: number;
  readonly p99Us: number;
  readonly maxUs: number;
  /** Cumulative: `count` of them took at most `leUs`. Always the same bounds, powers of two from 1.024 µs to 69 s. */
  readonly buckets: readonly { readonly leUs: number; readonly count: number }[];
}

/** How numbers without a unit are distributed, such as sizes of batches. */
export interface SizeHistogram {
  readonly count: number;
  readonly sum: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
  /** Cumulative: `count` of them were at most `le`. Always the same bounds, powers of two from 1 to 16384. */
  readonly buckets: readonly { readonly le: number; readonly count: number }[];
}

/**
 * Where the time of calls goes. A call is in each of them once: tasks and events, also those that stream. Requests that were
 * refused, and the questions of hooks, are in none.
 */
export interface PhaseTimes {
  /**
   * From the moment that the shard began to look at what had come, with the last bytes of the call among it, until the
   * call was handed over with all others of that tick. Not the time that the client takes to send.
   */
  readonly parse: DurationHistogram;
  /** From then until it was taken to JavaScript: the wake of an idle thread, or the wait for a busy one. */
  readonly queue: DurationHistogram;
  /**
   * From then until its answer came back from JavaScript: decoding, handler, encoding, and the wait for other calls of the
   * same turn. Of an answer that is a stream, until its head. Also of calls whose clients have left meanwhile.
   */
  readonly js: DurationHistogram;
  /**
   * From then until the kernel had the answer: the way back, the encoding of the envelope, sending, and the wait for a client
   * that does not read. Begins when it is the answer's turn on its connection. Without answers that are streams or were sent
   * together with one, and without those that nobody waited for.
   */
  readonly write: DurationHistogram;
}
