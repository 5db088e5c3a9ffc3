import { backoffMs } from './backoff.js';

/** Failures one after the other that make a server suspect. */
const SUSPECT = 3;
const SUSPEND_MS = 200;
const MOST_SUSPEND_MS = 10_000;
/** How long a server that ends its connections is left alone: it is being stopped, or started again. */
const DRAIN_MS = 500;

/** How a server is, as far as its calls tell. */
export class Health {
  #failures = 0;
  #until = -Infinity;

  /** It has answered. */
  succeed(): void {
    this.#failures = 0;
  }

  /** A call has no answer, or one that says that the server cannot. */
  fail(now: number): void {
    this.#failures += 1;
    if (this.#failures >= SUSPECT && now >= this.#until) this.#until = now + backoffMs(this.#failures - SUSPECT + 1, SUSPEND_MS, MOST_SUSPEND_MS);
  }

  /** It says that it ends its connections. */
  drain(now: number): void {
    this.#until = Math.max(this.#until, now + DRAIN_MS);
  }

  /** Others should be asked first. After a suspension one call at a time tries how it is. */
  isSuspect(now: number, outstanding: number): boolean {
    return now < this.#until || (this.#failures >= SUSPECT && outstanding > 0);
  }

  get failures(): number {
    return this.#failures;
  }
}
