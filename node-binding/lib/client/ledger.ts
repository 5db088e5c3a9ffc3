import { Histogram } from './histogram.js';

/** How a call has ended. */
export const enum End {
  Result,
  Error,
  Failed,
  TimedOut,
  Aborted,
}

/** Counts calls: each begins once, and ends once. */
export class Ledger {
  calls = 0;
  results = 0;
  errors = 0;
  failed = 0;
  timedOut = 0;
  aborted = 0;
  retries = 0;
  /** From when a call was made, or was to be sent again, until it was sent. */
  readonly queue = new Histogram();
  /** From then until its answer was read. */
  readonly answer = new Histogram();
  /** Calls that have not ended. */
  open = 0;
  #whenNone: (() => void) | undefined;

  begin(): void {
    this.calls += 1;
    this.open += 1;
  }

  end(how: End): void {
    this.open -= 1;
    if (how === End.Result) this.results += 1;
    else if (how === End.Error) this.errors += 1;
    else if (how === End.Failed) this.failed += 1;
    else if (how === End.TimedOut) this.timedOut += 1;
    else this.aborted += 1;
    if (this.open === 0) this.#whenNone?.();
  }

  /** Resolves when every call has ended. */
  none(): Promise<void> {
    return this.open === 0 ? Promise.resolve() : new Promise((resolve) => { this.#whenNone = resolve; });
  }
}
