/**
 * A timer that runs behind what has come by then. A loop that has stood still runs its timers before it reads: what was
 * answered long ago would time out.
 */
export class Timer {
  readonly #timer: NodeJS.Timeout;
  #immediate: NodeJS.Immediate | undefined;
  #over = false;

  constructor(run: () => void, ms: number) {
    this.#timer = setTimeout(() => {
      if (!this.#over) this.#immediate = setImmediate(run);
    }, ms);
  }

  unref(): this {
    this.#timer.unref();
    return this;
  }

  end(): void {
    this.#over = true;
    clearTimeout(this.#timer);
    clearImmediate(this.#immediate);
  }
}
