import { BEAT_MS } from '../facts/facts.generated.js';
import type { NativeTunnel } from '../native/addon.js';
import type { EngineOptions } from '../options/engine-options.js';
import { onNode } from '../process/runtime.js';

/** Tells the engine from time to time how this event loop is: how late it was for a timer, and how busy. The admin listener shows it, with its age. */
export class Heartbeat {
  readonly #native: Pick<NativeTunnel, 'beat'>;
  readonly #seat: { readonly worker: number; readonly restarts: number };
  readonly #timer: NodeJS.Timeout;
  #lastMs = performance.now();
  #delayMaxMs = 0;
  /** Other runtimes have the name, and zeros for what it tells. */
  #utilization = onNode ? performance.eventLoopUtilization() : undefined;

  /** @param seat of a worker; the event loop that has opened the tunnel has none */
  constructor(native: Pick<NativeTunnel, 'beat'>, seat: EngineOptions['seat']) {
    this.#native = native;
    this.#seat = seat ?? { worker: -1, restarts: 0 };
    this.#tell(0);
    this.#timer = setInterval(() => this.#beat(), BEAT_MS);
    this.#timer.unref();
  }

  #beat(): void {
    const nowMs = performance.now();
    const delayMs = Math.max(0, nowMs - this.#lastMs - BEAT_MS);
    this.#lastMs = nowMs;
    this.#delayMaxMs = Math.max(this.#delayMaxMs, delayMs);
    this.#tell(delayMs);
  }

  #tell(delayMs: number): void {
    const before = this.#utilization;
    let utilization = 0;
    if (before !== undefined) {
      this.#utilization = performance.eventLoopUtilization();
      ({ utilization } = performance.eventLoopUtilization(this.#utilization, before));
    }
    // Before the loop has turned for the first time, it is not a number.
    this.#native.beat(delayMs, this.#delayMaxMs, utilization || 0, this.#seat.worker, this.#seat.restarts);
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
