const FIRST_MS = 100;
const MOST_MS = 30_000;
/** A worker that has lived for so long was well. */
const WELL_AFTER_MS = 10_000;

/** How long to wait before something that has failed is tried again: twice as long each time, up to a bound. */
export class Backoff {
  #failures = 0;

  /** It has failed after it had run for so long. Milliseconds until the next try. */
  failed(ranMs: number): number {
    if (ranMs >= WELL_AFTER_MS) this.#failures = 0;
    const wait = Math.min(MOST_MS, FIRST_MS * 2 ** this.#failures);
    this.#failures = Math.min(this.#failures + 1, 16);
    return wait;
  }

  /** It is another thing now. */
  reset(): void {
    this.#failures = 0;
  }
}
