/** Where pieces are put together: what comes in small ones must not cost an object for each. */
const MOST_BYTES = 64 * 1024;

/** Bytes of an answer that come in pieces. */
export class Content {
  #blocks: Buffer[] = [];
  /** Bytes of the last block that are in use. */
  #used = 0;
  length = 0;

  /** Takes a copy. */
  add(piece: Buffer): void {
    const last = this.#blocks.at(-1);
    const fits = last === undefined ? 0 : Math.min(piece.length, last.length - this.#used);
    if (fits > 0) piece.copy(last!, this.#used, 0, fits);
    this.#used += fits;
    this.length += piece.length;
    const left = piece.length - fits;
    if (left === 0) return;
    // Blocks grow with what has come: a short answer takes no more than its own bytes.
    const block = Buffer.allocUnsafeSlow(Math.max(left, Math.min(this.length, MOST_BYTES)));
    piece.copy(block, 0, fits);
    this.#blocks.push(block);
    this.#used = left;
  }

  /** All of it, which is not kept. */
  take(): string {
    const text = this.length === 0 ? '' : Buffer.concat(this.#blocks, this.length).toString();
    this.#blocks = [];
    this.#used = this.length = 0;
    return text;
  }
}
