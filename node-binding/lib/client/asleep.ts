/** What clocks may differ by without a reason: they are set right in small steps. */
const LEAST_MS = 1000;

/**
 * The time for which the machine has slept. The clock of `performance.now()` stands still meanwhile, on Linux, and the servers'
 * go on. A wall clock that is set forward looks the same, and does no harm; one that is set back says nothing.
 */
export class Asleep {
  #ahead = Date.now() - performance.now();

  /** Milliseconds slept since this was last asked. */
  since(now: number): number {
    const ahead = Date.now() - now;
    const ms = ahead - this.#ahead;
    this.#ahead = ahead;
    return ms > LEAST_MS ? ms : 0;
  }
}
