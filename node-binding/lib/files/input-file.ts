import { randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { FileConsumedError } from '../errors/errors.js';

/** What is known of a file besides its bytes. */
export interface InputFileMeta {
  name: string;
  type?: string | undefined;
  size?: number | undefined;
  lastModified?: number | undefined;
  extra?: Record<string, unknown> | undefined;
}

/**
 * A file of a multipart form, as a task's input holds it. Its bytes come once: by one of the three methods, once.
 *
 * What is said of it (`name`, `type`, `size`, …) is the caller's word; a name is not safe to be used as a path.
 */
export interface InputFile extends InputFileMeta {
  /** The bytes, as they arrive. Throws a {@link FileConsumedError} when it was called before. */
  stream(): Readable;
  /** The bytes as by {@link stream}, once the file's part of the form has begun: `name` and `type` are known by then. */
  resolve(): Promise<{ stream: Readable }>;
  /** Writes it to a new file in `directory` (default: the system's for temporary files), which is the task's to remove. */
  toTempFile(directory?: string): Promise<{ path: string; bytesWritten: number }>;
}

/** Makes the input's object for a file, and tells whether its stream was asked for. `arrival` waits for the file's part. */
export type InputFileFactory = (name: string, stream: Readable, arrival: () => Promise<void>) => { readonly file: InputFile; opened(): boolean };

/** What a file is called of which no name is known. */
export const UNNAMED_FILE = 'upload';

const MAX_NAME_CHARS = 64;
const OWNER_ONLY = 0o600;

/** The files of tunnels without Runner, which has a class of its own. */
export const plainInputFile: InputFileFactory = (name, stream, arrival) => {
  const file = new TunnelInputFile(name, stream, arrival);
  return { file, opened: () => file.opened };
};

class TunnelInputFile implements InputFile {
  name: string;
  type: string | undefined;
  size: number | undefined;
  lastModified: number | undefined;
  extra: Record<string, unknown> | undefined;
  readonly #stream: Readable;
  readonly #arrival: () => Promise<void>;
  #opened = false;

  constructor(name: string, stream: Readable, arrival: () => Promise<void>) {
    this.name = name;
    this.#stream = stream;
    this.#arrival = arrival;
  }

  get opened(): boolean {
    return this.#opened;
  }

  stream(): Readable {
    if (this.#opened) throw new FileConsumedError(String(this.name));
    this.#opened = true;
    return this.#stream;
  }

  async resolve(): Promise<{ stream: Readable }> {
    const stream = this.stream();
    await this.#arrival();
    return { stream };
  }

  async toTempFile(directory?: string): Promise<{ path: string; bytesWritten: number }> {
    const target = directory || tmpdir();
    await mkdir(target, { recursive: true });
    const { stream: source } = await this.resolve();
    const path = join(target, temporaryName(String(this.name)));
    const file = createWriteStream(path, { flags: 'wx', mode: OWNER_ONLY });
    try {
      await pipeline(source, file);
    } catch (error) {
      await unlink(path).catch(ignore);
      throw error;
    }
    return { path, bytesWritten: file.bytesWritten };
  }
}

function temporaryName(name: string): string {
  const safe = name.replace(/[^A-Za-z0-9._-]/g, '_').slice(0, MAX_NAME_CHARS) || UNNAMED_FILE;
  return `${safe}.${Date.now()}.${randomBytes(5).readUIntBE(0, 5).toString(36).padStart(8, '0')}`;
}

function ignore(): void {}
