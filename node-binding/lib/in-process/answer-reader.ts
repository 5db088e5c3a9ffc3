// The engine's answers, from bytes. It writes them itself, so this reads what it writes, and refuses everything else.
//
// It stays beside `engine/src/wire/answer_head.rs`, which reads the answers of others: these arrive in JavaScript, on a
// socket of node:net, and leave for a response of JavaScript's, so that reading them in Rust would take each piece across
// and back. It goes when answers to requests from within the process cross as fields and body instead of as bytes.

/** What the answer to one request consists of, in this order; `head` once. */
export interface AnswerSink {
  /** Names and values of the header lines in turn. */
  head(status: number, reason: string, lines: string[]): void;
  data(bytes: Buffer): void;
  end(): void;
}

/** Bytes of a head or of a chunk's size line; the engine's are far shorter, but for what a task may add. */
const MAX_LINE_BYTES = 1024 * 1024;
const EMPTY = Buffer.alloc(0);
const STATUS_LINE = /^HTTP\/1\.1 (\d{3}) ?(.*)$/;

const enum State {
  Head,
  Length,
  ChunkSize,
  Chunk,
  ChunkEnd,
  Trailer,
  Over,
}

/** Reads one answer after the other. */
export class AnswerReader {
  #state = State.Over;
  #sink: AnswerSink | undefined;
  #toHead = false;
  /** Bytes of a line that has not ended. */
  #partial: Buffer = EMPTY;
  /** Bytes that the body, or this chunk of it, has still to bring. */
  #left = 0;
  /** The answer says that the connection ends behind it. */
  last = false;

  /** Expects the next answer; `toHead`: to a HEAD, so without content. */
  expect(sink: AnswerSink, toHead: boolean): void {
    this.#state = State.Head;
    this.#sink = sink;
    this.#toHead = toHead;
    this.last = false;
  }

  /** True between an answer and the next `expect`. */
  get idle(): boolean {
    return this.#state === State.Over;
  }

  /** Takes in bytes. False: they are none of an answer that is expected. */
  read(bytes: Buffer): boolean {
    let rest: Buffer = this.#partial.length === 0 ? bytes : Buffer.concat([this.#partial, bytes]);
    this.#partial = EMPTY;
    while (rest.length > 0) {
      const took = this.#step(rest);
      if (took < 0) return false;
      if (took === 0) {
        this.#partial = rest;
        return rest.length <= MAX_LINE_BYTES;
      }
      rest = rest.subarray(took);
    }
    return true;
  }

  /** Returns the bytes that are done with; 0: more are needed first; -1: nonsense. */
  #step(rest: Buffer): number {
    switch (this.#state) {
      case State.Head:
        return this.#readHead(rest);
      case State.Length:
      case State.Chunk:
        return this.#readContent(rest);
      case State.ChunkSize:
        return this.#readLine(rest, (line) => {
          const size = /^[0-9a-f]+$/i.test(line) ? Number.parseInt(line, 16) : NaN;
          if (!Number.isSafeInteger(size)) return false;
          this.#left = size;
          this.#state = size === 0 ? State.Trailer : State.Chunk;
          return true;
        });
      case State.ChunkEnd:
        return this.#readLine(rest, (line) => {
          this.#state = State.ChunkSize;
          return line === '';
        });
      case State.Trailer:
        return this.#readLine(rest, (line) => {
          if (line === '') this.#finish();
          return true;
        });
      case State.Over:
        return -1;
    }
  }

  #readHead(rest: Buffer): number {
    const end = rest.indexOf('\r\n\r\n');
    if (end < 0) return 0;
    const [first = '', ...fields] = rest.toString('latin1', 0, end).split('\r\n');
    const status = STATUS_LINE.exec(first);
    if (status === null) return -1;
    const code = Number(status[1]);
    // Interim answers are for those who wait to send a body; here it is on its way.
    if (code < 200) return end + 4;
    const lines: string[] = [];
    let length: number | undefined;
    let chunked = false;
    for (const field of fields) {
      const colon = field.indexOf(':');
      if (colon < 1) return -1;
      const name = field.slice(0, colon);
      const value = field.slice(colon + 1).trim();
      lines.push(name, value);
      if (name.length === 14 && /^content-length$/i.test(name)) length = Number(value);
      else if (name.length === 17 && /^transfer-encoding$/i.test(name)) chunked = true;
      else if (name.length === 10 && /^connection$/i.test(name)) this.last = /^close$/i.test(value);
    }
    const bodiless = this.#toHead || code === 204 || code === 304;
    if (!bodiless && !chunked && !Number.isSafeInteger(length)) return -1;
    this.#left = bodiless || chunked ? 0 : length!;
    this.#state = !bodiless && chunked ? State.ChunkSize : State.Length;
    this.#sink?.head(code, status[2]!, lines);
    if (this.#state === State.Length && this.#left === 0) this.#finish();
    return end + 4;
  }

  #readContent(rest: Buffer): number {
    const piece = rest.length > this.#left ? rest.subarray(0, this.#left) : rest;
    this.#left -= piece.length;
    const over = this.#left === 0;
    if (over && this.#state === State.Chunk) this.#state = State.ChunkEnd;
    this.#sink?.data(piece);
    if (over && this.#state === State.Length) this.#finish();
    return piece.length;
  }

  #readLine(rest: Buffer, take: (line: string) => boolean): number {
    const end = rest.indexOf('\r\n');
    if (end < 0) return 0;
    return take(rest.toString('latin1', 0, end)) ? end + 2 : -1;
  }

  #finish(): void {
    const sink = this.#sink;
    this.#state = State.Over;
    this.#sink = undefined;
    sink?.end();
  }
}
