import { constants } from 'node:buffer';
import { asBoolean, asInteger, fail } from '../options/checks.js';
import { asOptions, asPath, asSignal } from './arguments.js';
import type { PathLike } from './arguments.js';
import { UtilityError } from './errors.js';
import { utilitiesAddon } from './native.js';
import type { NativeFile } from './native.js';
import { operate } from './operations.js';
import type { Subject } from './operations.js';

/** Bytes that {@link readFile} reads of a regular file unless it is told otherwise: 4 GiB, or what a Buffer may have. */
const MOST_OF_REGULAR = Math.min(constants.MAX_LENGTH, 2 ** 32);
/** And of anything else, which may never end. */
const MOST_OF_OTHERS = 64 * 2 ** 20;
/** Bytes that are handed over to native code at a time, by a copy. The event loop goes on in between. */
const PIECE = 2 * 2 ** 20;

/** What {@link readFile} takes. */
export interface ReadFileOptions {
  /** How many bytes the file may have. The default is what a Buffer may have, 4 GiB at most, and 64 MiB for what is not a regular file. */
  maxBytes?: number | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * Reads a whole file. A FIFO is read from when somebody opens it for writing until all who did have closed it.
 *
 * @throws UtilityError with the system's code; `FASTTUNNEL_TOO_LARGE`; `ABORT_ERR`.
 */
export async function readFile(path: PathLike, options?: ReadFileOptions): Promise<Buffer> {
  const { bytes, text } = asPath('path', path);
  const given = asOptions('readFile', options, ['maxBytes', 'signal'], { encoding: '(await readFile(path)).toString()' });
  const signal = asSignal('readFile.signal', given.signal);
  const range = { least: 0, most: constants.MAX_LENGTH, unit: 'bytes' };
  const maxRegular = asInteger('readFile.maxBytes', given.maxBytes, { ...range, fallback: MOST_OF_REGULAR });
  const maxOther = asInteger('readFile.maxBytes', given.maxBytes, { ...range, fallback: MOST_OF_OTHERS });
  const what = { operation: 'readFile', subject: text, signal };
  const settled = await operate(what, (native, id) => native.readFile(id, bytes, maxRegular, maxOther));
  return settled.file === undefined ? settled.bytes! : fill(settled.file, what);
}

async function fill(file: NativeFile, what: Subject): Promise<Buffer> {
  try {
    const memory = allocate(file.size, what);
    const { count = 0, rest } = await operate(what, (native, id) => native.fill(id, file, memory));
    if (rest !== undefined && rest.length > 0) return Buffer.concat([memory, rest]);
    return count === memory.length ? memory : memory.subarray(0, count);
  } finally {
    file.close();
  }
}

/** Memory that is not zeroed: nobody sees it before it is filled. */
function allocate(size: number, { operation, subject }: Subject): Buffer {
  try {
    return Buffer.allocUnsafeSlow(size);
  } catch (cause) {
    throw new UtilityError('ENOMEM', `${operation}: there is no memory for the ${size} bytes of '${subject}'. Read it in pieces with createReadStream of node:fs.`, { path: subject, cause });
  }
}

/** What {@link writeFile} takes. */
export interface WriteFileOptions {
  /**
   * Writes into another file of the same directory, which takes the name when all is written: whoever reads sees the old
   * file or the new one, and never a part. True unless it is given.
   */
  atomic?: boolean | undefined;
  /** Waits until the file, and with `atomic` its name, is on the disk. False unless it is given. */
  fsync?: boolean | undefined;
  /** Permissions of a new file, before the umask: 0o666 unless given. A file that is replaced keeps its own, unless this is given. */
  mode?: number | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * Writes a whole file. Do not change the data before it is written. A symbolic link stays, and its file is written.
 *
 * @throws UtilityError with the system's code; `ABORT_ERR`: then an atomic write has changed nothing.
 */
export async function writeFile(path: PathLike, data: string | ArrayBuffer | ArrayBufferView, options?: WriteFileOptions): Promise<void> {
  const { bytes, text } = asPath('path', path);
  const view = asData(data);
  const given = asOptions('writeFile', options, ['atomic', 'fsync', 'mode', 'signal']);
  const atomic = asBoolean('writeFile.atomic', given.atomic, true);
  const fsync = asBoolean('writeFile.fsync', given.fsync, false);
  const mode = given.mode === undefined ? undefined : asMode('writeFile.mode', given.mode);
  const what = { operation: 'writeFile', subject: text, signal: asSignal('writeFile.signal', given.signal) };
  const length = view.byteLength;
  const writer = new (utilitiesAddon().NativeWriter)(bytes, atomic, fsync, mode);
  let written = 0;
  try {
    do {
      const end = Math.min(length, written + PIECE);
      if (view.byteLength < length) throw new UtilityError('FASTTUNNEL_DATA_CHANGED', `writeFile: the data of '${text}' was transferred or cut before it was written.`, { path: text });
      const piece = view.subarray(written, end);
      await operate(what, (native, id) => native.writeFile(id, writer, isShared(view) ? piece.slice() : piece, end === length));
      written = end;
    } while (written < length);
  } catch (error) {
    // After a failure of its own, nothing is left of it.
    await operate({ ...what, signal: undefined }, (native, id) => native.dropWriter(id, writer));
    throw error;
  }
}

function asMode(option: string, value: unknown): number {
  // A text is not converted: it would be octal to its author, and decimal to JavaScript.
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > 0o7777) fail(option, value, 'must be an integer from 0 to 4095 (0o7777)', 'Write for example 0o644.');
  return value;
}

function asData(data: unknown): Uint8Array {
  if (typeof data === 'string') return Buffer.from(data);
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  if (data instanceof ArrayBuffer) return new Uint8Array(data);
  return fail('data', data, 'must be text or bytes', 'Pass a string, a Buffer, a typed array or an ArrayBuffer.');
}

/** Other threads may write to it while it is copied. */
function isShared(view: Uint8Array): boolean {
  return typeof SharedArrayBuffer === 'function' && view.buffer instanceof SharedArrayBuffer;
}
