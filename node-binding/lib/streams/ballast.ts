/** On-heap bytes for each byte outside: 2^-2. */
const SHIFT = 5; // A quarter of the bytes, in elements of eight.
/** Below it is lost in what a chunk costs anyway. */
const MIN_BYTES = 1024;
const MAX_ELEMENTS = 8192;

/**
 * Garbage on V8's heap, in proportion to bytes that lie outside of it.
 *
 * A Buffer's bytes are not on V8's heap: one of 64 KiB counts as some 100 bytes of young garbage, so that about 32 MiB
 * of dead ones pile up before V8 collects them. With a quarter of their size beside them young collections come as often
 * as the bytes demand: 3 to 7 MiB of dead Buffers instead of 32, for 1 to 2 µs per 64 KiB.
 */
export class Ballast {
  /** Nobody reads it; held only so that it is allocated at all. */
  held: unknown;

  /** So many bytes have come that will be garbage soon. */
  add(bytes: number): void {
    if (bytes >= MIN_BYTES) this.held = new Array(Math.min(bytes >> SHIFT, MAX_ELEMENTS));
  }
}
