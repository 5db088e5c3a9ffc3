import { Readable } from 'node:stream';
import { Ballast } from './ballast.js';

/** Where a body comes from. */
export interface BodyPort {
  /** So many bytes are used up: as many more may come. */
  credit(bytes: number): void;
  /** Nobody wants the rest. */
  discard(): void;
}

/** What the stream itself takes in ahead of its reader. */
const HIGH_WATER_MARK = 64 * 1024;

/**
 * The body of a request as a Node `Readable`. What has come waits here, and is not credited, until the consumer wants
 * it: a body that nobody reads holds one window and not more.
 */
export class BodyStream extends Readable {
  #port: BodyPort | undefined;
  #waiting: Buffer[] = [];
  /** The consumer has asked for more than there was. */
  #wanted = false;
  #received = false;
  readonly #ballast = new Ballast();

  constructor(port: BodyPort) {
    super({ highWaterMark: HIGH_WATER_MARK });
    this.#port = port;
    // A client that leaves must not take the process along because nobody listens.
    this.on('error', ignore);
  }

  /** All of it has come, though it may not be read yet. */
  get complete(): boolean {
    return this.#received;
  }

  /** The next bytes. Runs listeners, which may throw. */
  receive(bytes: Buffer): void {
    if (this.destroyed || this.#received) return;
    this.#ballast.add(bytes.length);
    if (this.#wanted && this.#waiting.length === 0) this.#give(bytes);
    else this.#waiting.push(bytes);
  }

  /** There is no more. */
  finish(): void {
    if (this.destroyed || this.#received) return;
    this.#received = true;
    if (this.#waiting.length === 0) this.push(null);
  }

  /** No more will come: the client has gone, or (without an error) the call is answered. */
  abandon(error?: Error): void {
    if (error === undefined && this.#received) return;
    this.#port = undefined;
    if (!this.destroyed && !this.readableEnded) this.destroy(error);
  }

  override _read(): void {
    this.#wanted = true;
    while (this.#wanted) {
      const bytes = this.#waiting.shift();
      if (bytes === undefined) return;
      this.#give(bytes);
    }
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#waiting.length = 0;
    if (!this.#received) this.#port?.discard();
    this.#port = undefined;
    done(error);
  }

  #give(bytes: Buffer): void {
    if (!this.#received) this.#port?.credit(bytes.length);
    this.#wanted = this.push(bytes);
    if (this.#received && this.#waiting.length === 0) this.push(null);
  }
}

/** What a stream is told whose client has gone, in the words of `node:http`. */
export function connectionReset(): Error {
  return Object.assign(new Error('aborted'), { code: 'ECONNRESET' });
}

function ignore(): void {}
