/** Chunks from which on it is looked whether they are small. */
const MANY_CHUNKS = 64;
/** Smaller ones cost more than their bytes. */
const SMALL_BYTES = 512;

/** Bytes in the order in which they came. Crumbs are put together: a client may send its bytes one by one. */
export class ChunkQueue {
  #chunks: Buffer[] = [];
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#chunks.length >= MANY_CHUNKS && this.#bytes < this.#chunks.length * SMALL_BYTES) this.#chunks = [Buffer.concat(this.#chunks)];
  }

  shift(): Buffer | undefined {
    const chunk = this.#chunks.shift();
    if (chunk !== undefined) this.#bytes -= chunk.length;
    return chunk;
  }

  /** All of it, and it is empty. */
  takeAll(): Buffer {
    const chunks = this.#chunks;
    this.clear();
    return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
  }

  /** What is beyond the first `bytes`, and it has no more than those; whole chunks, so it may have less. */
  takeBeyond(bytes: number): Buffer[] {
    let kept = 0;
    let index = 0;
    while (index < this.#chunks.length && kept + this.#chunks[index]!.length <= bytes) kept += this.#chunks[index++]!.length;
    this.#bytes = kept;
    return this.#chunks.splice(index);
  }

  clear(): void {
    this.#chunks = [];
    this.#bytes = 0;
  }
}
