// Answers, from the bytes of one connection.
import { isAscii } from 'node:buffer';
import { Framing, HeadError, readHead } from './answer-head.js';
import type { AnswerHead } from './answer-head.js';
import { Content } from './content.js';
import type { Layout } from './layout.js';

/** Who wants the answers of a connection. */
export interface AnswerSink {
  /** Id of the request whose answer is next; undefined: nobody waits for one. */
  expected(): string | undefined;
  /** The server says that it has waited for a request, and ends the connection (408). `bare`: without content. False: that is an answer. */
  leave(bare: boolean): boolean;
  /** One whole answer. */
  answer(head: AnswerHead, text: string): void;
}

/** Bytes of a head, of the interim answers before one or the trailers behind it, and of a chunk's size line. */
const MAX_HEAD_BYTES = 64 * 1024;
const MAX_LINE_BYTES = 16 * 1024;
const EMPTY = Buffer.alloc(0);
const CHUNK_SIZE = /^([0-9a-f]{1,12})[ \t]*(?:;[^\r\n\0]*)?$/i;

const enum State {
  Head,
  Length,
  ChunkSize,
  Chunk,
  ChunkEnd,
  Trailers,
  Close,
}

/** Why a connection's bytes are no answers. */
export class AnswerError extends Error {
  /** They are HTTP, and the connection ends as any other. */
  readonly isEnd: boolean;

  constructor(message: string, isEnd = false) {
    super(message);
    this.isEnd = isEnd;
  }
}

/** Reads one answer after the other. */
export class AnswerReader {
  readonly #sink: AnswerSink;
  readonly #layout: Layout;
  readonly #maxBytes: number;
  #state = State.Head;
  #head: AnswerHead | undefined;
  /** Bytes of a head or line that has not ended: a copy. */
  #rest: Buffer = EMPTY;
  /** Content so far. */
  readonly #content = new Content();
  /** Bytes of this answer that say nothing to anybody: of interim answers, and of trailers. */
  #idleBytes = 0;
  /** Bytes that the content, or this chunk of it, has still to bring. */
  #left = 0;
  /** An answer has said that it is the last: what follows is not looked at. */
  #over = false;

  constructor(sink: AnswerSink, layout: Layout, maxBytes: number) {
    this.#sink = sink;
    this.#layout = layout;
    this.#maxBytes = maxBytes;
  }

  /** Nothing of an answer has come that is not complete. */
  get between(): boolean {
    return this.#state === State.Head && this.#rest.length === 0;
  }

  /** Takes in bytes, which are the reader's only until it returns. Throws an {@link AnswerError}. */
  read(chunk: Buffer): void {
    let bytes = chunk;
    if (this.#rest.length > 0) {
      bytes = Buffer.concat([this.#rest, chunk]);
      this.#rest = EMPTY;
    }
    let at = 0;
    if (this.#state === State.Head) at = this.#readRecognised(bytes);
    while (at < bytes.length && !this.#over) {
      const next = this.#step(bytes, at);
      if (next === at) {
        // More has to come; the memory belongs to the socket.
        this.#rest = Buffer.from(bytes.subarray(at));
        return;
      }
      at = next;
    }
  }

  /** The connection has ended: that is the end of an answer, too, if it has said so. */
  end(): void {
    if (this.#state === State.Close && !this.#over) this.#finish();
  }

  /** Reads answers as long as they look like the last; returns where the first begins that does not, or is not complete. */
  #readRecognised(bytes: Buffer): number {
    const layout = this.#layout;
    const { head } = layout;
    if (head === undefined) return 0;
    const text = bytes.toString('latin1');
    const ascii = isAscii(bytes);
    let at = 0;
    while (at < text.length && !this.#over) {
      const id = this.#sink.expected();
      if (id === undefined || !layout.recognises(text, at, id)) break;
      const end = layout.start + layout.length;
      // The general way tells of what is too large.
      if (end > text.length || layout.length > this.#maxBytes) break;
      this.#sink.answer(head, ascii ? text.substring(layout.start, end) : bytes.toString('utf8', layout.start, end));
      at = end;
    }
    return at;
  }

  /** Does one step; returns where the next begins: where this one did if more bytes have to come first. */
  #step(bytes: Buffer, at: number): number {
    switch (this.#state) {
      case State.Head:
        return this.#readHead(bytes, at);
      case State.Length:
      case State.Chunk:
      case State.Close:
        return this.#readContent(bytes, at);
      case State.ChunkSize:
        return this.#readLine(bytes, at, (line) => this.#beginChunk(line));
      case State.ChunkEnd:
        return this.#readLine(bytes, at, (line) => {
          if (line !== '') throw new AnswerError('a chunk that is longer than it says');
          this.#state = State.ChunkSize;
        });
      case State.Trailers:
        return this.#readLine(bytes, at, (line) => {
          if (line === '') this.#finish();
          else this.#passOver(line.length + 2, 'trailers');
        });
    }
  }

  #readHead(bytes: Buffer, at: number): number {
    const requestId = this.#sink.expected();
    const end = bytes.indexOf('\r\n\r\n', at, 'latin1');
    if (requestId === undefined && end < 0) throw new AnswerError('an answer that nobody has asked for');
    if ((end < 0 ? bytes.length : end) - at > MAX_HEAD_BYTES) throw new AnswerError(`a head of more than ${MAX_HEAD_BYTES} bytes`);
    if (end < 0) {
      if (!couldBegin(bytes, at)) throw new AnswerError('bytes that are no HTTP');
      if (hasBareLf(bytes, at)) throw new AnswerError('a line of a head that ends without CR');
      return at;
    }
    const text = bytes.toString('latin1', at, end);
    const head = headOf(text);
    if (head.status < 200) {
      // Interim answers (RFC 9110 15.2) are for others; a change of protocol is for nobody.
      if (head.status === 101) throw new AnswerError('a change of protocol that nobody has asked for');
      this.#passOver(end + 4 - at, 'interim answers');
      return end + 4;
    }
    // It may come though nobody has asked (RFC 9110 15.5.9).
    if (head.status === 408 && head.close && head.requestId === undefined && this.#sink.leave(head.framing === Framing.Length && head.length === 0)) {
      this.#over = true;
      return end + 4;
    }
    if (requestId === undefined) throw new AnswerError('an answer that nobody has asked for');
    if (head.length > this.#maxBytes) throw this.#tooLarge();
    if (head.status === 200 && head.framing === Framing.Length) this.#layout.learn(`${text}\r\n\r\n`, head, requestId);
    this.#head = head;
    this.#left = head.length;
    this.#state = head.framing === Framing.Length ? State.Length : head.framing === Framing.Chunked ? State.ChunkSize : State.Close;
    if (this.#state === State.Length && head.length === 0) this.#finish();
    return end + 4;
  }

  #readContent(bytes: Buffer, at: number): number {
    const end = this.#state === State.Close ? bytes.length : Math.min(bytes.length, at + this.#left);
    if (this.#content.length + end - at > this.#maxBytes) throw this.#tooLarge();
    if (this.#state === State.Length && this.#content.length === 0 && end - at === this.#left) {
      this.#finish(bytes.toString('utf8', at, end));
      return end;
    }
    this.#content.add(bytes.subarray(at, end));
    this.#left -= end - at;
    if (this.#state === State.Close || this.#left > 0) return end;
    if (this.#state === State.Length) this.#finish();
    else this.#state = State.ChunkEnd;
    return end;
  }

  #readLine(bytes: Buffer, at: number, take: (line: string) => void): number {
    const end = bytes.indexOf('\r\n', at, 'latin1');
    if ((end < 0 ? bytes.length : end) - at > MAX_LINE_BYTES) throw new AnswerError(`a line of more than ${MAX_LINE_BYTES} bytes in a chunked content`);
    if (end < 0) return at;
    take(bytes.toString('latin1', at, end));
    return end + 2;
  }

  #beginChunk(line: string): void {
    const size = CHUNK_SIZE.exec(line);
    if (size === null) throw new AnswerError(`no size of a chunk: ${JSON.stringify(line.slice(0, 80))}`);
    this.#left = Number.parseInt(size[1]!, 16);
    if (this.#content.length + this.#left > this.#maxBytes) throw this.#tooLarge();
    this.#state = this.#left === 0 ? State.Trailers : State.Chunk;
  }

  #finish(text = this.#content.take()): void {
    const head = this.#head!;
    this.#state = State.Head;
    this.#head = undefined;
    this.#idleBytes = 0;
    if (head.close) this.#over = true;
    this.#sink.answer(head, text);
  }

  #passOver(bytes: number, what: string): void {
    this.#idleBytes += bytes;
    if (this.#idleBytes > MAX_HEAD_BYTES) throw new AnswerError(`${what} of more than ${MAX_HEAD_BYTES} bytes`);
  }

  #tooLarge(): AnswerError {
    return new AnswerError(`an answer of more than ${this.#maxBytes} bytes (maxAnswerBytes)`);
  }
}

function headOf(text: string): AnswerHead {
  try {
    return readHead(text);
  } catch (error) {
    if (error instanceof HeadError) throw new AnswerError(error.message);
    throw error;
  }
}

/** What stands there is the beginning of a status line, as far as it goes. */
function couldBegin(bytes: Buffer, at: number): boolean {
  const begin = bytes.toString('latin1', at, Math.min(bytes.length, at + 7));
  return 'HTTP/1.'.startsWith(begin);
}

/** A line ends without CR, in what has come of a head. */
function hasBareLf(bytes: Buffer, at: number): boolean {
  for (let lf = bytes.indexOf(10, at); lf >= 0; lf = bytes.indexOf(10, lf + 1)) if (lf === at || bytes[lf - 1] !== 13) return true;
  return false;
}
