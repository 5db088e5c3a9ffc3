import type { Source } from '../streams/outlet.js';
import { StreamAnswer } from './outcome.js';
import { discardStream, isBlocked, lengthOf, linesOf, OWN, sourceOf, statusOf, streamAnswerOf } from './stream-result.js';

/** Of one connection only, not of the answer (RFC 9110 7.6.1). */
const HOP_BY_HOP = new Set(['connection', 'keep-alive', 'proxy-connection', 'te', 'trailer', 'transfer-encoding', 'upgrade']);
/** Codings that `fetch` undoes, and leaves in the header. */
const DECODED = new Set(['gzip', 'x-gzip', 'deflate', 'br', 'identity']);

/** What is used here of a `Response`: fetch's own, or that of a package. */
interface FetchResponse {
  readonly status: number;
  readonly statusText?: string;
  readonly url?: string;
  readonly bodyUsed?: boolean;
  readonly headers: { forEach(visit: (value: string, name: string) => void): void };
  readonly body?: object | null;
}

/**
 * The answer to a task of a tunnel without Runner whose result is a stream, holds one, or is a `Response`; nothing for
 * any other result. Throws as {@link streamAnswerOf} does.
 */
export function answerOfResult(result: unknown): StreamAnswer | undefined {
  const stream = streamAnswerOf(result);
  if (stream !== undefined) return stream;
  return isResponse(result) ? responseAnswerOf(result) : undefined;
}

/** Destroys what a result that is not going to be sent would have been sent from. Never throws. */
export function discardResult(result: unknown): void {
  discardStream(result);
  try {
    if (isResponse(result)) bodySource(result)?.destroy();
  } catch {
    // It cannot be looked at.
  }
}

/** Every result is asked: whether it has such a member costs almost nothing. */
function isResponse(result: unknown): result is FetchResponse {
  if (typeof result !== 'object' || result === null || !('bodyUsed' in result)) return false;
  // Not `instanceof`: the global class is loaded when it is named, and packages have one of their own.
  if (Object.prototype.toString.call(result) !== '[object Response]') return false;
  const { status, headers } = result as { status?: unknown; headers?: { forEach?: unknown } };
  return typeof status === 'number' && typeof headers?.forEach === 'function';
}

/** Its status, its header lines but for those that a wrapper may not write either, and its body. */
function responseAnswerOf(response: FetchResponse): StreamAnswer {
  const source = bodySource(response);
  try {
    if (response.bodyUsed === true) throw new TypeError('the body of the Response was read before: return response.clone(), taken before that, or what was read');
    const fields = new Map<string, string>();
    response.headers.forEach((value, name) => fields.set(name.toLowerCase(), value));
    // What was fetched has come decoded, but its head is as it was sent.
    if (response.url && isDecoded(fields.get('content-encoding'))) for (const name of ['content-encoding', 'content-length']) fields.delete(name);
    // The length of a body that did not come, of an answer to HEAD.
    if (source === undefined) fields.delete('content-length');
    const lines = [...fields].filter(([name]) => !HOP_BY_HOP.has(name) && !isBlocked(name)).flatMap(([name, value]) => linesOf(name, value));
    const length = source === undefined ? 0 : lengthOf(fields.get('content-length'));
    return new StreamAnswer(statusOf(response.status), lines, source ?? NOTHING, OWN, { length, reason: response.statusText || undefined });
  } catch (error) {
    source?.destroy();
    throw error;
  }
}

const NOTHING: Source = { start: (outlet) => outlet.end(), resume: () => {}, destroy: () => {} };

function bodySource({ body }: FetchResponse): Source | undefined {
  return body === null || body === undefined ? undefined : sourceOf(body);
}

function isDecoded(contentEncoding: string | undefined): boolean {
  if (contentEncoding === undefined) return false;
  const codings = contentEncoding.toLowerCase().split(',').map((coding) => coding.trim());
  if (codings.every((coding) => DECODED.has(coding))) return true;
  throw new TypeError(`a Response that was fetched with the content-encoding ${contentEncoding} may be decoded or not: return { stream: response.body, headers }, with the headers that are right`);
}
