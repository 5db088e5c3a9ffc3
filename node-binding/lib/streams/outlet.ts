import { AnswerLengthError } from '../errors/errors.js';
import { ANSWER_FIRST_BYTES, FRAME_BYTES } from '../facts/facts.generated.js';
import { Ballast } from './ballast.js';

/** Milliseconds that the last piece of an answer waits for the end of its source. */
export const LAST_PIECE_MS = 100;

/** What fills an {@link Outlet}. Its methods do not throw, and may be called at any time. */
export interface Source {
  /** Writes to `outlet` from now on, until that has no room; then waits for {@link resume}. */
  start(outlet: Outlet): void;
  resume(): void;
  /** Nobody wants it (any more); because of `error`, if there is one. May be called without {@link start}, or twice. */
  destroy(error?: Error): void;
}

/** Where an {@link Outlet} leads. */
export interface OutletPort {
  /** The head, before anything else. False: it may not be written, and the call is answered with something else. */
  open(empty: boolean): boolean;
  data(bytes: Uint8Array): void;
  end(): void;
  /** The source has failed, before or after the head went out. */
  fail(error: unknown, opened: boolean): void;
}

/**
 * The sending end of a streamed answer: takes chunks of any size, and hands on as many bytes as the client's end has
 * given credit for. The head goes with the first of them: a source that fails before it gets a proper answer.
 *
 * An answer of a declared length is complete for its client with the last byte of it. So the last piece waits until the
 * source has ended, as the last chunk of an answer without a length does: a source that gives more is cut in time. But it
 * waits no longer than {@link LAST_PIECE_MS}: a source may have other things to do at its end.
 */
export class Outlet {
  readonly #port: OutletPort;
  readonly #source: Source;
  #room = ANSWER_FIRST_BYTES;
  #waiting: Uint8Array[] = [];
  /** Of the first that waits, so many bytes are sent. */
  #sent = 0;
  #opened = false;
  /** The source is at its end; what waits is still to be sent. */
  #ended = false;
  /** Over, one way or the other. */
  #closed = false;
  /** Bytes that the head declares. */
  readonly #length: number | undefined;
  /** Bytes that the source has given, and those of them that are sent. */
  #given = 0;
  #passed = 0;
  /** Runs while the last piece waits; once it has run, nothing waits for the end of the source. */
  #last: NodeJS.Timeout | undefined;
  #released = false;
  readonly #ballast = new Ballast();
  /** Of the last chunk. */
  #memory: ArrayBufferLike | undefined;

  constructor(port: OutletPort, source: Source, length?: number) {
    this.#port = port;
    this.#source = source;
    this.#length = length;
  }

  start(): void {
    this.#source.start(this);
  }

  /** A source should write only while it is true. */
  get hasRoom(): boolean {
    // What is complete waits for nothing but the end of its source.
    return this.#room > 0 && (this.#waiting.length === 0 || this.#given === this.#length) && !this.#closed;
  }

  /** Sends the head, if it is not sent. */
  open(): boolean {
    if (this.#closed) return false;
    if (!this.#opened) this.#open(false);
    return !this.#closed;
  }

  /** Takes a chunk, also without room; false when the source should wait for {@link Source.resume}. */
  write(chunk: unknown): boolean {
    if (this.#ended || this.#closed) return false;
    const bytes = bytesOf(chunk);
    if (bytes === undefined) {
      this.fail(new TypeError(`a stream gave a chunk of type ${chunk === null ? 'null' : typeof chunk}; bytes and strings can be sent`));
      return false;
    }
    if (bytes.length === 0) return this.hasRoom;
    this.#given += bytes.length;
    if (this.#length !== undefined && this.#given > this.#length) {
      this.fail(new AnswerLengthError(this.#length, this.#given));
      return false;
    }
    if (!this.open()) return false;
    // A source that gives the same memory again and again makes no garbage.
    if (bytes.buffer !== this.#memory) {
      this.#memory = bytes.buffer;
      this.#ballast.add(bytes.length);
    }
    this.#waiting.push(bytes);
    this.#send();
    return this.hasRoom;
  }

  /** The source has no more. */
  end(): void {
    if (this.#ended || this.#closed) return;
    if (this.#length !== undefined && this.#given < this.#length) return this.fail(new AnswerLengthError(this.#length, this.#given));
    this.#ended = true;
    if (!this.#opened) this.#open(true);
    this.#send();
  }

  /** The source has failed. */
  fail(error: unknown): void {
    if (this.#closed) return;
    this.abandon(error instanceof Error ? error : undefined);
    this.#port.fail(error, this.#opened);
  }

  /** So many more bytes may be sent. */
  grant(bytes: number): void {
    this.#room += bytes;
    this.#send();
    if (!this.#ended && this.hasRoom) this.#source.resume();
  }

  /** Nobody listens any more; because of `error`, if there is one. */
  abandon(error?: Error): void {
    if (this.#closed) return;
    clearTimeout(this.#last);
    this.#closed = true;
    this.#waiting.length = 0;
    this.#source.destroy(error);
  }

  #open(empty: boolean): void {
    this.#opened = true;
    if (!this.#port.open(empty)) this.abandon();
  }

  #send(): void {
    const waiting = this.#waiting;
    while (waiting.length > 0 && this.#room > 0) {
      const first = waiting[0]!;
      const sent = this.#sent;
      const count = Math.min(first.length - sent, this.#room, FRAME_BYTES);
      if (!this.#ended && !this.#released && this.#passed + count === this.#length) {
        this.#last ??= setTimeout(() => { this.#released = true; this.#send(); }, LAST_PIECE_MS).unref();
        break;
      }
      const whole = count === first.length;
      if (sent + count === first.length) {
        waiting.shift();
        this.#sent = 0;
      } else {
        this.#sent = sent + count;
      }
      this.#room -= count;
      this.#passed += count;
      this.#port.data(whole ? first : first.subarray(sent, sent + count));
    }
    if (this.#ended && !this.#closed && waiting.length === 0) {
      clearTimeout(this.#last);
      this.#closed = true;
      this.#port.end();
    }
  }
}

/** A chunk as bytes; nothing for what are none. */
function bytesOf(chunk: unknown): Uint8Array | undefined {
  if (typeof chunk === 'string') return Buffer.from(chunk, 'utf8');
  if (chunk instanceof ArrayBuffer) return new Uint8Array(chunk);
  if (!ArrayBuffer.isView(chunk)) return undefined;
  const bytes = chunk instanceof Uint8Array ? chunk : new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  // Nobody else may write to it while native code copies it.
  return bytes.buffer instanceof SharedArrayBuffer ? Buffer.from(bytes) : bytes;
}
