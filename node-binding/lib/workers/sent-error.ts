import { inspect } from 'node:util';
import { OptionError } from '../errors/errors.js';
import { describeThrown } from '../errors/task-error.js';

/** An error on its way to another thread: structured clones keep neither its class nor its `code`. */
export interface SentError {
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
  readonly code?: string | number;
  /** Of an OptionError. */
  readonly option?: string;
  readonly cause?: SentError;
}

/** Causes of causes that are sent along. */
const DEPTH = 5;

/** Anything that was thrown. Never throws. */
export function sentError(thrown: unknown, depth = DEPTH): SentError {
  try {
    if (!(thrown instanceof Error)) return { name: 'Error', message: describeThrown(thrown), stack: undefined };
    const { name, message, stack, cause } = thrown;
    const { code } = thrown as { code?: unknown };
    return {
      name: String(name),
      message: String(message),
      stack: typeof stack === 'string' ? stack : undefined,
      ...(typeof code === 'string' || typeof code === 'number' ? { code } : {}),
      ...(thrown instanceof OptionError ? { option: thrown.option } : {}),
      ...(cause === undefined || depth === 0 ? {} : { cause: sentError(cause, depth - 1) }),
    };
  } catch {
    return { name: 'Error', message: '(an error that throws when it is looked at)', stack: undefined };
  }
}

/** The error that has arrived. */
export function errorOf({ name, message, stack, code, option, cause }: SentError): Error {
  const options = cause === undefined ? {} : { cause: errorOf(cause) };
  const error = option === undefined ? new Error(message, options) : new OptionError(option, '(of a worker)', message, options);
  if (error.name !== name) Object.defineProperty(error, 'name', { value: name, configurable: true, writable: true });
  if (code !== undefined && option === undefined) Object.assign(error, { code });
  if (stack !== undefined) error.stack = stack;
  return error;
}

/** One line of what was thrown, for another message. */
export function briefly(thrown: unknown): string {
  return thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : inspect(thrown, { depth: 0 });
}
