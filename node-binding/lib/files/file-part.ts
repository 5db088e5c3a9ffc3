import { Readable } from 'node:stream';
import { SpoolError } from '../errors/errors.js';
import { ChunkQueue } from './chunk-queue.js';
import { Spool } from './spool.js';

/** Bytes of a file that are kept in memory while nobody reads it. More: the rest waits on disk. */
export const UNREAD_BYTES = 64 * 1024;
/** Time in which somebody has to read on, once the call of the file is over. Later: what is left is thrown away. */
export const LINGER_MS = 60_000;
/** What a stream itself takes in ahead of its reader. */
const HIGH_WATER_MARK = 64 * 1024;

/** Where the bytes of a file come from. */
export interface PartPort {
  /** So many bytes are used up: as many more may come. */
  credit(bytes: number): void;
  /** Its reader has begun, or ceased, to wait for bytes that have not come. */
  starving(part: FilePart, starving: boolean): void;
  /** Its bytes could not be kept; its reader is told as well. */
  failed(part: FilePart, error: Error): void;
}

/**
 * One file of a form, from the connection to whoever reads it.
 *
 * Bytes that its reader has not asked for wait here without credit, so that they hold back the body, until they are
 * {@link spill | spilled}: {@link UNREAD_BYTES} stay in memory, the others go to disk.
 * In memory is at most that, and what was not credited: one window of the body, whatever the number of its files.
 */
export class FilePart {
  readonly stream: Readable;
  readonly #port: PartPort;
  readonly #directory: string;
  /** For those who read of it. */
  readonly #id: string;
  /** What comes first. */
  #memory = new ChunkQueue();
  /** What comes then. */
  #spool: Spool | undefined;
  /** Handed to the spool, not on disk. */
  #spoolingBytes = 0;
  /** What comes last; empty without a spool. */
  #live = new ChunkQueue();
  /** Bytes in memory that were not credited: the last ones. */
  #owed = 0;
  /** The reader has asked for more than it got. */
  #wanted = false;
  #reads = 0;
  #linger: NodeJS.Timeout | undefined;
  #fetching = false;
  #starving = false;
  #complete = false;
  /** Nobody gets any more of it. */
  #over = false;
  #error: Error | undefined;

  constructor(port: PartPort, directory: string, id: string) {
    this.#port = port;
    this.#directory = directory;
    this.#id = id;
    this.stream = new FileStream(
      () => this.#want(),
      () => this.#release(),
    );
  }

  /** Somebody has begun to read it. */
  get read(): boolean {
    return this.#reads > 0;
  }

  /** All of it has come. */
  get complete(): boolean {
    return this.#complete;
  }

  /** It holds back the body by so many bytes. */
  get owed(): number {
    return this.#owed;
  }

  /** The next bytes. */
  receive(bytes: Buffer): void {
    if (this.#over) return this.#port.credit(bytes.length);
    this.#owed += bytes.length;
    (this.#spool === undefined ? this.#memory : this.#live).push(bytes);
    this.#pump();
  }

  /** There is no more. */
  finish(): void {
    this.#complete = true;
    this.#pump();
  }

  /** Nothing more comes, or nobody wants it. A reader is told: now, or when there is one. */
  fail(error: Error): void {
    if (this.#over || this.#error !== undefined) return;
    this.#error = error;
    this.#release();
    if (this.read) this.stream.destroy(error);
  }

  /** Its call is over: whoever has opened it may read it, but has to go on with it. */
  expire(error: Error): void {
    if (this.#over) return;
    const reads = this.#reads;
    this.#linger = setTimeout(() => (this.#reads === reads ? this.fail(error) : this.expire(error)), LINGER_MS).unref();
  }

  /** It may not hold back the body (any more). */
  spill(): void {
    if (this.#over || this.#owed === 0) return;
    // With a spool, what is in memory before it is within the bound already.
    const rest = this.#spool === undefined ? this.#memory.takeBeyond(UNREAD_BYTES) : this.#live.takeBeyond(0);
    for (const bytes of rest) this.#keepOnDisk(bytes);
    const owed = this.#owed;
    this.#owed = 0;
    this.#port.credit(owed);
  }

  #keepOnDisk(bytes: Buffer): void {
    this.#spool ??= new Spool(this.#directory, {
      written: (written) => {
        this.#spoolingBytes -= written;
        this.#port.credit(written);
        this.#pump();
      },
      failed: (error) => this.#broken(error),
    });
    this.#owed -= bytes.length;
    this.#spoolingBytes += bytes.length;
    this.#spool.append(bytes);
  }

  /** The reader wants more. */
  #want(): void {
    this.#reads += 1;
    this.#wanted = true;
    if (this.#error !== undefined) this.stream.destroy(this.#error);
    else this.#pump();
  }

  /** Gives the reader what there is, as long as it wants more. */
  #pump(): void {
    while (this.#wanted && !this.#over && !this.#fetching) {
      const bytes = this.#memory.shift();
      if (bytes !== undefined) {
        this.#settleDebt();
        this.#wanted = this.stream.push(bytes);
      } else if (this.#spool !== undefined && this.#spool.unread) {
        if (!this.#spool.readable) break;
        void this.#fetch(this.#spool);
      } else if (this.#spool !== undefined) {
        this.#spool.close();
        this.#spool = undefined;
        [this.#memory, this.#live] = [this.#live, this.#memory];
      } else if (this.#complete) {
        this.#release();
        this.stream.push(null);
      } else {
        break;
      }
    }
    this.#tellHunger();
  }

  async #fetch(spool: Spool): Promise<void> {
    this.#fetching = true;
    let bytes: Buffer;
    try {
      bytes = await spool.read();
    } catch (error) {
      this.#fetching = false;
      this.#broken(error as Error);
      return;
    }
    this.#fetching = false;
    if (this.#over) return;
    this.#wanted = this.stream.push(bytes);
    this.#pump();
  }

  /** Credits what is no longer in memory. */
  #settleDebt(): void {
    const paid = this.#owed - this.#memory.bytes - this.#live.bytes;
    if (paid <= 0) return;
    this.#owed -= paid;
    this.#port.credit(paid);
  }

  #tellHunger(): void {
    const starving = this.#wanted && !this.#over && !this.#complete && this.#memory.bytes === 0 && this.#spool === undefined;
    if (starving === this.#starving) return;
    this.#starving = starving;
    this.#port.starving(this, starving);
  }

  #broken(cause: Error): void {
    if (this.#over) return;
    const error = new SpoolError(this.#id, this.#directory, cause);
    this.#port.failed(this, error);
    this.fail(error);
  }

  #release(): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#linger);
    this.#spool?.close();
    this.#spool = undefined;
    this.#memory.clear();
    this.#live.clear();
    const owed = this.#owed + this.#spoolingBytes;
    this.#owed = this.#spoolingBytes = 0;
    if (owed > 0) this.#port.credit(owed);
    this.#tellHunger();
  }
}

/** What the application reads. */
class FileStream extends Readable {
  readonly #want: () => void;
  readonly #left: () => void;

  constructor(want: () => void, left: () => void) {
    super({ highWaterMark: HIGH_WATER_MARK });
    this.#want = want;
    this.#left = left;
    // A client that leaves must not take the process along because nobody listens.
    this.on('error', ignore);
  }

  /** A listener of the application that throws breaks its stream, and neither the form nor the process. */
  override emit(event: string | symbol, ...args: unknown[]): boolean {
    if (event !== 'data') return super.emit(event, ...args);
    try {
      return super.emit(event, ...args);
    } catch (error) {
      this.destroy(error instanceof Error ? error : new Error('a listener of the file threw', { cause: error }));
      return true;
    }
  }

  override _read(): void {
    this.#want();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#left();
    done(error);
  }
}

function ignore(): void {}
