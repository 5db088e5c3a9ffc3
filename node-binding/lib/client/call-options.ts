// What a call is given, and the checks of it.
import { asBoolean, asGroup, asInteger, fail } from '../options/checks.js';
import { asCallHeaders } from './header-lines.js';
import type { RequestIds } from './request-ids.js';
import { NUMBERS } from './settings.js';
import type { CallOptions, StreamOptions } from './types.js';

/** Options of a call that were checked. */
export interface CheckedCall {
  readonly requestId: string;
  /** Further header lines, each with its CRLF. */
  readonly lines: string;
  readonly timeoutMs: number;
  readonly idempotent: boolean;
  readonly signal: AbortSignal | undefined;
}

/** Checks the options of a call. Throws the signal's reason if that has aborted. */
export function asCall(given: CallOptions, timeoutMs: number, ids: RequestIds): CheckedCall {
  const options = asGroup('options', given, ['signal', 'timeoutMs', 'headers', 'idempotent', 'body', 'files']);
  const { signal } = options;
  if (signal !== undefined && !(signal instanceof AbortSignal)) fail('signal', signal, 'must be an AbortSignal', 'For example that of new AbortController().');
  const { id, lines } = asCallHeaders(options.headers);
  const checked = { timeoutMs: asInteger('timeoutMs', options.timeoutMs, { ...NUMBERS.timeoutMs, fallback: timeoutMs }), idempotent: asBoolean('idempotent', options.idempotent, false) };
  asBoolean('files', options.files, false);
  signal?.throwIfAborted();
  return { requestId: id ?? ids.next(), lines, ...checked, signal };
}

/** The path of a task or an event, behind the base path. */
export function pathOf(kind: 'task' | 'event', id: unknown): string {
  if (typeof id !== 'string' || id === '') fail('id', id, `must be the id of a ${kind}`, "For example 'app.tasks.add'.");
  if (id === '.' || id === '..') fail('id', id, 'must not be a step in a path', 'What stands between would take it out of the url.');
  try {
    return `/${kind}/${encodeURIComponent(id)}`;
  } catch {
    fail('id', id, 'must be well-formed Unicode', 'It holds half of a surrogate pair.');
  }
}

/** A request has one body. */
export function mustHaveOneBody(body: unknown, input: unknown, files: boolean | undefined): void {
  if (body !== undefined && (input !== undefined || files === true)) fail('body', body, 'cannot be combined with an input or with files', 'Pass undefined as the input: the task reads the body.');
}

/** Of an event: what it carries is its payload. */
export function mustHaveNoBody(given: StreamOptions): void {
  for (const name of ['body', 'files'] as const) {
    if (given[name] !== undefined && given[name] !== false) fail(name, given[name], 'is an option of task and stream', 'Send the payload as a value, or call a task.');
  }
}
