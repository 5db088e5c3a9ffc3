// Files in an input, as a form carries them: a manifest with a sentinel for each, and a part with its bytes (CONTRACT 13).
import { fail } from '../options/checks.js';
import type { ValueCodec } from '../values/codec.js';
import { randomText } from './random.js';
import type { ByteSource } from './types.js';

/** A file that is not a Blob: {@link fileFrom} makes one. */
export class SourceFile {
  readonly source: ByteSource;
  readonly meta: FileMeta;

  constructor(source: ByteSource, meta: FileMeta) {
    this.source = source;
    this.meta = meta;
  }
}

/** What the task learns of a file before its bytes. */
export interface FileMeta {
  name: string;
  type?: string | undefined;
  size?: number | undefined;
  lastModified?: number | undefined;
  extra?: Readonly<Record<string, unknown>> | undefined;
}

/** A file for an input, of bytes or of a stream of them, which is read once. */
export function fileFrom(source: ByteSource, meta: FileMeta): SourceFile {
  return new SourceFile(source, meta);
}

/** A file of a form. */
export interface Part {
  readonly id: string;
  readonly meta: FileMeta;
  readonly source: ByteSource;
}

/** An input with files as the body of a request. */
export interface Form {
  readonly contentType: string;
  readonly body: AsyncIterable<Uint8Array | string>;
}

export function formOf(input: unknown, codec: ValueCodec): Form {
  const { manifest, parts } = partsOf(input, codec);
  const boundary = `fasttunnel-${randomText(16)}`;
  return { contentType: `multipart/form-data; boundary=${boundary}`, body: write(boundary, manifest, parts) };
}

/** What stands in a form: the input, and the files that it holds. */
export function partsOf(input: unknown, codec: ValueCodec): { manifest: string; parts: Part[] } {
  const parts: Part[] = [];
  return { manifest: codec.stringify({ input: withSentinels(input, parts, []) }), parts };
}

/** Deeper than any input may nest. */
const MAX_DEPTH = 1001;

/** The input with a sentinel in the place of each file; the files go to `parts`. */
function withSentinels(value: unknown, parts: Part[], above: object[]): unknown {
  // What holds itself is the codec's to refuse.
  if (typeof value !== 'object' || value === null || above.length > MAX_DEPTH || above.includes(value)) return value;
  if (value instanceof SourceFile) return sentinel(value.source, value.meta, parts);
  if (value instanceof Blob) return sentinel(value, metaOf(value), parts);
  const source = sourceOf(value);
  if (source !== undefined) {
    const { id, meta } = value as { id: string; meta?: FileMeta };
    if (/["\r\n]/.test(id)) fail('the id of a file', id, 'must not hold quotes or line breaks', 'Use letters and digits.');
    parts.push({ id, meta: { ...meta, name: meta?.name ?? 'upload' }, source });
    return { $runnerFile: 'File', id, ...(meta === undefined ? {} : { meta }) };
  }
  if (Array.isArray(value)) return inside(value, above, () => value.map((item) => withSentinels(item, parts, above)));
  // Dates, Maps and other instances are the codec's.
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return value;
  return inside(value, above, () => Object.fromEntries(Object.entries(value).map(([name, item]) => [name, withSentinels(item, parts, above)])));
}

function inside<Result>(value: object, above: object[], body: () => Result): Result {
  above.push(value);
  const result = body();
  above.pop();
  return result;
}

/** What a sentinel that Runner has made holds beside what is sent. */
function sourceOf(value: object): ByteSource | undefined {
  const { $runnerFile, id, _node, _web } = value as { $runnerFile?: unknown; id?: unknown; _node?: { stream?: ByteSource; buffer?: Uint8Array }; _web?: { blob?: Blob } };
  if ($runnerFile !== 'File' || typeof id !== 'string') return undefined;
  return _node?.stream ?? _node?.buffer ?? _web?.blob;
}

/** Is there a file somewhere in an input? */
export function hasFiles(value: unknown, depth = 0, seen = new Set<object>()): boolean {
  if (typeof value !== 'object' || value === null || depth > MAX_DEPTH || seen.has(value)) return false;
  if (value instanceof SourceFile || value instanceof Blob || sourceOf(value) !== undefined) return true;
  // Once each: there are many ways to what is held by many, and no end of them where something holds itself.
  seen.add(value);
  if (Array.isArray(value)) return value.some((item) => hasFiles(item, depth + 1, seen));
  const prototype: unknown = Object.getPrototypeOf(value);
  return (prototype === Object.prototype || prototype === null) && Object.values(value).some((item) => hasFiles(item, depth + 1, seen));
}

function sentinel(source: ByteSource, meta: FileMeta, parts: Part[]): unknown {
  const id = `F${parts.length + 1}`;
  parts.push({ id, meta, source });
  const given = Object.entries(meta).filter(([, value]) => value !== undefined);
  return { $runnerFile: 'File', id, meta: Object.fromEntries(given) };
}

function metaOf(blob: Blob): FileMeta {
  const { name, lastModified } = blob as Blob & { name?: string; lastModified?: number };
  return { name: name ?? 'upload', size: blob.size, type: blob.type === '' ? undefined : blob.type, lastModified };
}

async function* write(boundary: string, manifest: string, parts: readonly Part[]): AsyncGenerator<Uint8Array | string> {
  // First, so that the task can begin before the files have come.
  yield `--${boundary}\r\ncontent-disposition: form-data; name="__manifest"\r\n\r\n${manifest}\r\n`;
  for (const { id, meta, source } of parts) {
    yield `--${boundary}\r\ncontent-disposition: form-data; name="file:${id}"; filename="${quoted(meta.name)}"\r\ncontent-type: ${quoted(meta.type ?? 'application/octet-stream')}\r\n\r\n`;
    yield* chunksOf(source);
    yield '\r\n';
  }
  yield `--${boundary}--\r\n`;
}

/** As browsers write it: what would end a value is escaped. */
function quoted(text: string): string {
  return text.replace(/["\r\n]/g, (unit) => `%${unit.charCodeAt(0).toString(16).padStart(2, '0').toUpperCase()}`);
}

/** The bytes of a source, in pieces. */
export async function* chunksOf(source: ByteSource): AsyncGenerator<Uint8Array | string> {
  if (typeof source === 'string' || source instanceof Uint8Array) yield source;
  else if (source instanceof Blob) yield* source.stream() as unknown as AsyncIterable<Uint8Array>;
  else yield* source as AsyncIterable<Uint8Array | string>;
}
