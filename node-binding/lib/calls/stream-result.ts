import { validateHeaderName, validateHeaderValue } from 'node:http';
import type { ReadableStream } from 'node:stream/web';
import type { Source } from '../streams/outlet.js';
import { PullSource, ReadableSource } from '../streams/pump.js';
import type { Pipeable } from '../streams/pump.js';
import { StreamAnswer } from './outcome.js';
import type { OwnLines } from './outcome.js';

const OCTET_STREAM = 'application/octet-stream';
export const OWN: OwnLines = { cors: true, security: true };

const BLOCKED = new Set(['set-cookie', 'access-control-allow-origin', 'access-control-allow-credentials', 'x-content-type-options', 'x-frame-options']);

/** A line that a wrapper may not write (CONTRACT 14). */
export function isBlocked(name: string): boolean {
  return BLOCKED.has(name);
}

interface Wrapper {
  readonly stream: unknown;
  readonly status?: unknown;
  readonly contentType?: unknown;
  readonly headers?: unknown;
}

/**
 * The answer to a task whose result is a stream, or holds one (CONTRACT 14); nothing for any other result. The reference
 * knows those with a `pipe` method; web streams, async iterables and Blobs are ours.
 *
 * Throws when a wrapper's status or a header may not be sent, and when the result throws as it is looked at; a stream
 * that was found is destroyed then.
 */
export function streamAnswerOf(result: unknown): StreamAnswer | undefined {
  if (!isObject(result)) return undefined;
  if (isPipeable(result)) return bare(new ReadableSource(result));
  const stream = typeof result === 'object' && 'stream' in result ? result.stream : undefined;
  if (isObject(stream) && isPipeable(stream)) return wrapped(result as Wrapper, new ReadableSource(stream));
  if (typeof stream === 'function' && result instanceof Blob) return ofBlob(result, {});
  const own = pulledFrom(result);
  if (own !== undefined) return bare(own);
  if (!isObject(stream)) return undefined;
  if (stream instanceof Blob) return ofBlob(stream, result as Wrapper);
  const inner = pulledFrom(stream);
  return inner === undefined ? undefined : wrapped(result as Wrapper, inner);
}

/** Destroys the stream in a result that is not going to be sent. Never throws. */
export function discardStream(result: unknown): void {
  try {
    (StreamAnswer.is(result) ? result : streamAnswerOf(result))?.source.destroy();
  } catch {
    // Its head was wrong, and it is destroyed.
  }
}

function bare(source: Source): StreamAnswer {
  return new StreamAnswer(200, [['content-type', OCTET_STREAM]], source, OWN);
}

function ofBlob(blob: Blob, wrapper: Omit<Wrapper, 'stream'>): StreamAnswer {
  const { status, contentType, headers } = wrapper;
  const source = pulledFrom(blob.stream()) as Source;
  return wrapped({ stream: blob, status, contentType: contentType ?? (blob.type || undefined), headers: { 'content-length': blob.size, ...(headers as object | undefined) } }, source);
}

function wrapped(wrapper: Wrapper, source: Source): StreamAnswer {
  try {
    const status = statusOf(wrapper.status ?? 200);
    const { contentType, headers } = wrapper;
    // By name in lower case: as with `setHeader`, the last one counts.
    const lines = new Map<string, readonly [string, string][]>([['content-type', linesOf('content-type', contentType ?? OCTET_STREAM)]]);
    for (const [name, value] of Object.entries(headers ? (headers as object) : {})) {
      const key = name.toLowerCase();
      if (!isBlocked(key)) lines.set(key, linesOf(name, value));
    }
    const length = lengthOf(lines.get('content-length')?.[0]?.[1]);
    return new StreamAnswer(status, [...lines.values()].flat(), source, OWN, { length });
  } catch (error) {
    source.destroy();
    throw error;
  }
}

/** Whatever of these it is. */
export function sourceOf(stream: object): Source | undefined {
  return isPipeable(stream) ? new ReadableSource(stream) : pulledFrom(stream);
}

/** A web stream, or what `for await` can read. */
function pulledFrom(value: object): Source | undefined {
  if (typeof (value as { getReader?: unknown }).getReader === 'function') {
    return new PullSource(() => {
      const reader = (value as ReadableStream).getReader();
      return { next: () => reader.read() as PromiseLike<{ done?: boolean; value?: unknown }>, stop: () => reader.cancel() };
    });
  }
  if (typeof (value as { [Symbol.asyncIterator]?: unknown })[Symbol.asyncIterator] !== 'function') return undefined;
  return new PullSource(() => {
    const iterator = (value as AsyncIterable<unknown>)[Symbol.asyncIterator]();
    return { next: () => iterator.next(), stop: () => iterator.return?.() };
  });
}

/** As `node:http` reads it, and as far as the engine writes it. */
export function statusOf(value: unknown): number {
  const status = (value as number) | 0;
  if (status >= 200 && status <= 599) return status;
  throw new RangeError(`a streamed answer has a status from 200 to 599, not ${String(value)}`);
}

export function lengthOf(value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const length = /^[0-9]+$/.test(value) ? Number(value) : NaN;
  if (Number.isSafeInteger(length)) return length;
  throw new TypeError(`content-length has to be a number of bytes, not ${JSON.stringify(value)}`);
}

export function linesOf(name: string, value: unknown): [string, string][] {
  validateHeaderName(name);
  return (Array.isArray(value) ? (value as unknown[]) : [value]).map((one) => {
    validateHeaderValue(name, one as string);
    return [name, String(one)];
  });
}

function isObject(value: unknown): value is object {
  return (typeof value === 'object' && value !== null) || typeof value === 'function';
}

function isPipeable(value: object): value is Pipeable {
  return typeof (value as { pipe?: unknown }).pipe === 'function';
}
