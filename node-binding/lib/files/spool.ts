import { randomUUID } from 'node:crypto';
import { close, constants, open, read, unlink, write } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ChunkQueue } from './chunk-queue.js';

const openFd = promisify(open);
const readFd = promisify(read);
const writeFd = promisify(write);
const unlinkPath = promisify(unlink);

/** A file without a name, which nobody can give it one; Linux only, and Node has no word for it. */
const UNNAMED = 0o20_000_000 | constants.O_DIRECTORY | constants.O_RDWR | constants.O_EXCL;
const OWNER_ONLY = 0o600;
/** Bytes of one read. */
const READ_BYTES = 64 * 1024;

/** What becomes of what was appended. */
export interface SpoolPort {
  /** So many bytes more are on disk. */
  written(bytes: number): void;
  /** The disk is full, the directory cannot be written, … Nothing comes after it. */
  failed(error: Error): void;
}

/** Bytes that wait on disk, in an unnamed file of their own: first in, first out. */
export class Spool {
  readonly #directory: string;
  readonly #port: SpoolPort;
  #fd: number | undefined;
  readonly #queue = new ChunkQueue();
  /** Being written. */
  #underWay = 0;
  #end = 0;
  #start = 0;
  #writing = false;
  #reading = false;
  #closed = false;

  constructor(directory: string, port: SpoolPort) {
    this.#directory = directory;
    this.#port = port;
  }

  /** There are bytes that were not read, on disk or on their way there. */
  get unread(): boolean {
    return this.#start < this.#end || this.#underWay > 0 || this.#queue.bytes > 0;
  }

  /** Some of them can be read now. */
  get readable(): boolean {
    return this.#start < this.#end;
  }

  append(bytes: Buffer): void {
    this.#queue.push(bytes);
    if (!this.#writing) void this.#write();
  }

  /** The next bytes; only while {@link readable}, and one read at a time. */
  async read(): Promise<Buffer> {
    const buffer = Buffer.allocUnsafeSlow(Math.min(READ_BYTES, this.#end - this.#start));
    this.#reading = true;
    try {
      const { bytesRead } = await readFd(this.#fd!, buffer, 0, buffer.length, this.#start);
      if (bytesRead === 0) throw new Error('the file is shorter than what was written to it');
      this.#start += bytesRead;
      return buffer.subarray(0, bytesRead);
    } finally {
      this.#reading = false;
      this.#closeIfDone();
    }
  }

  /** Nobody wants the rest. The port hears no more. */
  close(): void {
    this.#closed = true;
    this.#queue.clear();
    this.#closeIfDone();
  }

  async #write(): Promise<void> {
    this.#writing = true;
    try {
      this.#fd ??= await openUnnamed(this.#directory);
      while (this.#queue.bytes > 0) {
        const bytes = this.#queue.takeAll();
        this.#underWay = bytes.length;
        await writeAll(this.#fd, bytes, this.#end);
        this.#underWay = 0;
        this.#end += bytes.length;
        if (!this.#closed) this.#port.written(bytes.length);
      }
    } catch (error) {
      if (!this.#closed) this.#port.failed(error as Error);
    } finally {
      this.#writing = false;
      this.#closeIfDone();
    }
  }

  /** A descriptor that is closed under an operation may be another file's by then. */
  #closeIfDone(): void {
    if (!this.#closed || this.#writing || this.#reading || this.#fd === undefined) return;
    closeQuietly(this.#fd);
    this.#fd = undefined;
  }
}

/** A file that is gone as soon as it is closed, whatever becomes of the process. */
async function openUnnamed(directory: string): Promise<number> {
  try {
    return await openFd(directory, UNNAMED, OWNER_ONLY);
  } catch {
    // Not every file system can; what is wrong with the directory is said below.
  }
  const path = join(directory, `.fasttunnel-${randomUUID()}`);
  const fd = await openFd(path, 'wx+', OWNER_ONLY);
  try {
    await unlinkPath(path);
    return fd;
  } catch (error) {
    closeQuietly(fd);
    throw error;
  }
}

async function writeAll(fd: number, bytes: Buffer, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await writeFd(fd, bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}

function closeQuietly(fd: number): void {
  close(fd, ignore);
}

function ignore(): void {}
