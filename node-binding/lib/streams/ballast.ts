/** Elements of eight bytes: a quarter of what it weighs up. */
const QUARTER = 5;
/** All of it. */
const WHOLE = 3;
/** Between chunks of a body that takes its time. */
const SLOW_MS = 1;
/** Below it is lost in what a chunk costs anyway. */
const MIN_BYTES = 1024;
/** Small, so that none goes to the space of large objects. */
const MAX_ELEMENTS = 1024;
/** For chunks beyond it nothing more is added. */
const MAX_BYTES = 256 * 1024;

/**
 * Garbage on V8's heap, in proportion to bytes that lie outside of it.
 *
 * A Buffer's bytes are not on V8's heap: one of 64 KiB counts as some 100 bytes of young garbage, so that about 32 MiB
 * of dead ones pile up before V8 collects them. With garbage beside them young collections come as often as the bytes
 * demand. A quarter of their size costs 1 to 2 µs per 64 KiB and leaves 4 to 10 MiB of dead Buffers; all of it, where
 * there is time, leaves 2.
 */
export class Ballast {
  /** Nobody reads it; it is there so that the arrays are made at all. */
  held: unknown;
  #lastMs = 0;

  /** So many bytes have come that will be garbage soon. */
  add(bytes: number): void {
    if (bytes < MIN_BYTES) return;
    const nowMs = performance.now();
    const shift = nowMs - this.#lastMs > SLOW_MS ? WHOLE : QUARTER;
    this.#lastMs = nowMs;
    for (let left = Math.min(bytes, MAX_BYTES) >> shift; left > 0; left -= MAX_ELEMENTS) this.held = new Array(Math.min(left, MAX_ELEMENTS));
    // What survives collections is for V8 a reason to let the young space grow.
    this.held = undefined;
  }
}
