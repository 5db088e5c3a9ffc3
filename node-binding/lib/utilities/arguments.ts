import { fileURLToPath } from 'node:url';
import { asGroup, fail, isPlainObject } from '../options/checks.js';

/** A path: text, its bytes (for names that are not UTF-8), or a `file:` URL. */
export type PathLike = string | Uint8Array | URL;

/** The bytes of a path, and the path as text. */
export function asPath(option: string, value: unknown): { bytes: Buffer; text: string } {
  const given = value instanceof URL ? asFilePath(option, value) : value;
  if (typeof given !== 'string' && !(given instanceof Uint8Array)) fail(option, value, 'must be a path', 'Pass a string, a Buffer or a file: URL.');
  const bytes = asBytes(given);
  if (bytes.includes(0)) fail(option, value, 'must not have a zero in it', 'No file has such a name.');
  return { bytes, text: typeof given === 'string' ? given : bytes.toString() };
}

function asFilePath(option: string, url: URL): string {
  try {
    return fileURLToPath(url);
  } catch (error) {
    return fail(option, url.href, `must be the URL of a file (${(error as Error).message})`, 'Write for example file:///etc/hosts.');
  }
}

/** Texts as UTF-8, bytes as they are. */
export function asBytes(value: string | Uint8Array): Buffer {
  if (typeof value === 'string') return Buffer.from(value);
  return Buffer.isBuffer(value) ? value : Buffer.from(value.buffer, value.byteOffset, value.byteLength);
}

/**
 * The options of a function, which may be left out: each read once, and none that only `Object.prototype` has.
 * `elsewhere` says what to write instead of an option that other libraries have.
 */
export function asOptions<Known extends string>(name: string, value: unknown, known: readonly Known[], elsewhere: Readonly<Record<string, string>> = {}): Partial<Record<Known, unknown>> {
  const own = Object.create(null) as Partial<Record<Known, unknown>>;
  if (value === undefined) return own;
  if (!isPlainObject(value)) fail(`${name}.options`, value, 'must be an object', `Known options: ${known.join(', ')}.`);
  const given = asGroup(name, value, known, elsewhere);
  for (const key of known) if (Object.hasOwn(given, key)) own[key] = given[key];
  return own;
}

export function asSignal(option: string, value: unknown): AbortSignal | undefined {
  if (value === undefined) return undefined;
  // Also one of another realm, or of a library: what counts is what it can do.
  const signal = value as Partial<AbortSignal> | null;
  if (typeof signal !== 'object' || typeof signal?.addEventListener !== 'function' || typeof signal.removeEventListener !== 'function' || typeof signal.aborted !== 'boolean') {
    fail(option, value, 'must be an AbortSignal', 'Pass controller.signal, not the controller.');
  }
  return value as AbortSignal;
}
