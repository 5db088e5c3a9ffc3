// When a call that was answered with an error may be sent again.
import type { RemoteError } from '../errors/client-errors.js';

export const RETRY_MS = 50;
export const MOST_RETRY_MS = 2000;
/** A server that wants more time than this has refused. */
export const MOST_REST_MS = 60_000;
/** Of a server that was too busy to begin with a call. */
const BUSY = 'SERVICE_UNAVAILABLE';
/** Statuses of a server, or of a proxy, that say that another attempt may go better. */
const PASSING = new Set([429, 502, 503, 504]);

/** The server did not begin with the call. */
export function isUnread({ code, status }: RemoteError): boolean {
  return status === 503 && code === BUSY;
}

/** The server did not begin with the call, or it may run twice. */
export function mayRepeat(error: RemoteError, idempotent: boolean): boolean {
  return isUnread(error) || (idempotent && PASSING.has(error.status));
}
