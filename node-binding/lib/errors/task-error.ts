import { inspect } from 'node:util';
import { REFUSALS } from '../facts/facts.generated.js';

/** Everything a caller may see of a {@link TaskError}. */
export interface TaskErrorOptions {
  /** Error id that the caller's error registry knows, for example `app.errors.conflict`. */
  id?: string;
  /** Details for the caller. Runner clients rethrow a typed error only when `id` and `data` are both there. */
  data?: unknown;
  /** HTTP status, an integer from 400 to 599. Anything else, or nothing, gives 500. */
  httpCode?: number;
  cause?: unknown;
}

const BRAND = Symbol.for('fasttunnel.TaskError');

/**
 * An error that the caller is meant to see. Any other error answers 500 "Internal Error" without details.
 *
 * ```js
 * throw new TaskError('Conflict on k1', { id: 'app.errors.conflict', data: { key: 'k1' }, httpCode: 409 });
 * ```
 */
export class TaskError extends Error {
  static {
    this.prototype.name = 'TaskError';
  }

  readonly id: string | undefined;
  readonly data: unknown;
  readonly httpCode: number | undefined;

  constructor(message: string, options: TaskErrorOptions = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    const { id, data, httpCode } = options;
    this.id = typeof id === 'string' ? id : undefined;
    this.data = data;
    this.httpCode = httpStatusOf(httpCode);
  }

  /** Recognises task errors of another copy of this package in the same process, too. */
  static is(error: unknown): error is TaskError {
    return typeof error === 'object' && error !== null && (error as Record<symbol, unknown>)[BRAND] === true;
  }
}
Object.defineProperty(TaskError.prototype, BRAND, { value: true });

/** Status and body of the answer to a failed call. */
export interface ErrorAnswer {
  readonly status: number;
  /** JSON text of the whole envelope. */
  readonly body: string;
}

/** What a failed call answers when its error is nobody's business but ours. */
export const INTERNAL_ERROR: ErrorAnswer = Object.freeze({ status: REFUSALS.internal.status, body: REFUSALS.internal.body });

/**
 * The answer to whatever a handler threw. Never throws: the thrown thing may be a Proxy or have getters that
 * throw, and then, as when its `data` cannot be written, the answer is {@link INTERNAL_ERROR}.
 *
 * @param stringify the tunnel's value encoding, for `data`
 */
export function errorAnswerOf(error: unknown, stringify: (value: unknown) => string): ErrorAnswer {
  try {
    if (!TaskError.is(error)) return INTERNAL_ERROR;
    const { message, id, data } = error;
    const httpCode = httpStatusOf(error.httpCode);
    // The key order is part of the contract.
    let body = `{"ok":false,"error":{"message":${JSON.stringify(String(message))},"code":"${REFUSALS.internal.code}"`;
    if (id !== undefined) body += `,"id":${JSON.stringify(String(id))}`;
    if (data !== undefined) body += `,"data":${stringify(data)}`;
    if (httpCode !== undefined) body += `,"httpCode":${httpCode}`;
    return { status: httpCode ?? 500, body: `${body}}}` };
  } catch {
    return INTERNAL_ERROR;
  }
}

function httpStatusOf(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isInteger(value) && value >= 400 && value <= 599 ? value : undefined;
}

/** Text of anything that was thrown, for a log. Never throws. */
export function describeThrown(error: unknown): string {
  try {
    if (error instanceof Error && typeof error.stack === 'string') {
      const { stack, cause } = error;
      // Of a worker that has ended, the cause alone says where.
      return cause instanceof Error && typeof cause.stack === 'string' ? `${stack}\nCaused by ${cause.stack}` : stack;
    }
    return inspect(error, { depth: 2, customInspect: false, getters: false });
  } catch {
    return '(a value that throws when it is looked at)';
  }
}
