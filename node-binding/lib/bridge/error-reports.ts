import { describeThrown } from '../errors/task-error.js';
import type { ErrorOrigin } from '../options/types.js';
import { isThenable } from '../values/thenable.js';

/** Hears what handlers throw. */
export type Reporter = (error: unknown, origin: ErrorOrigin) => void;

/** The reporter where none is given. */
export function reportOnStderr(error: unknown, { kind, id, requestId }: ErrorOrigin): void {
  const request = requestId === '' ? '' : ` (request ${requestId})`;
  console.error(`fasttunnel: ${kind} ${id} failed${request}: ${describeThrown(error)}`);
}

/** A reporter that throws (or rejects) must not become a second failure of the call, nor hide the first. */
export function containErrors(report: Reporter): Reporter {
  return (error, origin) => {
    const failed = (failure: unknown): void => {
      reportOnStderr(error, origin);
      console.error(`fasttunnel: onError failed as well: ${describeThrown(failure)}`);
    };
    try {
      const outcome: unknown = report(error, origin);
      if (isThenable(outcome)) Promise.resolve(outcome).catch(failed);
    } catch (failure) {
      failed(failure);
    }
  };
}
