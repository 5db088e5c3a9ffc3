import { JSON_TYPE, REFUSALS, RETRY_AFTER_S } from '../facts/facts.generated.js';
import type { ForeignResponse } from './foreign.js';

/** An answer in the contract's form, for what the engine is not asked about. */
export interface OwnAnswer {
  readonly status: number;
  readonly body: string;
  readonly retryAfterS?: number;
}

export const BAD_REQUEST: OwnAnswer = REFUSALS.badRequest;
export const NOT_ENABLED: OwnAnswer = REFUSALS.exposureNotEnabled;
export const NOT_FOUND: OwnAnswer = REFUSALS.notFound;
export const CLIENT_GONE: OwnAnswer = REFUSALS.aborted;
export const INTERNAL: OwnAnswer = REFUSALS.internal;
export const UNAVAILABLE: OwnAnswer = { ...REFUSALS.serviceUnavailable, retryAfterS: RETRY_AFTER_S };

/** True while nobody has begun an answer and one can be given. */
export function isOpen(response: ForeignResponse): boolean {
  return response.headersSent !== true && response.writableEnded !== true && response.destroyed !== true;
}

/** Answers, unless somebody has. */
export function answer(response: ForeignResponse, { status, body, retryAfterS }: OwnAnswer): void {
  if (!isOpen(response)) return;
  response.statusCode = status;
  response.setHeader('content-type', JSON_TYPE);
  response.setHeader('content-length', String(Buffer.byteLength(body)));
  response.setHeader('X-Content-Type-Options', 'nosniff');
  response.setHeader('X-Frame-Options', 'DENY');
  if (retryAfterS !== undefined) response.setHeader('Retry-After', String(retryAfterS));
  response.end(body);
}
