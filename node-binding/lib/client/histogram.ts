import type { DurationHistogram } from '../stats/histogram-types.js';

/** Parts of each power of two: a quantile is at most an eighth too high. */
const PARTS = 8;
/** From 2^10 ns to 2^36 ns, as the engine's. */
const FIRST_POWER = 10;
const POWERS = 27;

/**
 * Microseconds of a time of `performance.now()`, as an integer that fits where V8 keeps small ones; the difference of two is
 * right for half an hour.
 */
export function microseconds(now: number): number {
  return (now * 1000) | 0;
}

/** How often which durations were seen. */
export class Histogram {
  readonly #counts = new Float64Array(POWERS * PARTS);
  #count = 0;
  #sumUs = 0;
  #maxUs = 0;
  /** The last duration and how often it has come: calls that were sent and read together have the same. */
  #us = 0;
  #times = 0;

  note(us: number): void {
    if (us !== this.#us) {
      this.#settle();
      this.#us = us;
    }
    this.#times += 1;
  }

  #settle(): void {
    const [us, times] = [this.#us, this.#times];
    this.#times = 0;
    this.#count += times;
    this.#sumUs += us * times;
    if (us > this.#maxUs) this.#maxUs = us;
    this.#counts[slotOf(us * 1000)]! += times;
  }

  snapshot(): DurationHistogram {
    this.#settle();
    const buckets: { leUs: number; count: number }[] = [];
    let count = 0;
    for (let slot = 0; slot < this.#counts.length; slot++) {
      count += this.#counts[slot]!;
      if (slot % PARTS === PARTS - 1) buckets.push({ leUs: upperUs(slot), count });
    }
    return { count: this.#count, sumUs: this.#sumUs, p50Us: this.#quantile(0.5), p90Us: this.#quantile(0.9), p99Us: this.#quantile(0.99), maxUs: this.#maxUs, buckets };
  }

  #quantile(share: number): number {
    let left = Math.ceil(this.#count * share);
    for (let slot = 0; slot < this.#counts.length && left > 0; slot++) {
      left -= this.#counts[slot]!;
      if (left <= 0 && slot < this.#counts.length - 1) return Math.min(upperUs(slot), this.#maxUs);
    }
    return this.#maxUs;
  }
}

/** The slot of a duration in nanoseconds; what is beyond counts as the last. */
function slotOf(ns: number): number {
  // In units of 2^10 ns and below 2^32 of them: one instruction finds the power.
  const units = Math.min(ns / 2 ** (FIRST_POWER - 3), 2 ** 30);
  if (units < PARTS) return 0;
  const power = 31 - Math.clz32(units);
  const part = (units >> (power - 3)) & (PARTS - 1);
  return Math.min((power - 2) * PARTS + part, POWERS * PARTS - 1);
}

/** What a slot's durations are below, in microseconds. */
function upperUs(slot: number): number {
  if (slot < PARTS) return 2 ** FIRST_POWER / 1000;
  const power = Math.floor(slot / PARTS) + FIRST_POWER - 1;
  return (2 ** power * (1 + ((slot % PARTS) + 1) / PARTS)) / 1000;
}
