import type { ForeignResponse } from './foreign.js';

/** An answer in the contract's form, for what the engine is not asked about. */
export interface OwnAnswer {
  readonly status: number;
  readonly code: string;
  readonly message: string;
  readonly retryAfterS?: number;
}

export const BAD_REQUEST: OwnAnswer = { status: 400, code: 'BAD_REQUEST', message: 'Bad Request' };
export const NOT_ENABLED: OwnAnswer = { status: 403, code: 'FORBIDDEN', message: 'Exposure not enabled' };
export const NOT_FOUND: OwnAnswer = { status: 404, code: 'NOT_FOUND', message: 'Not Found' };
export const CLIENT_GONE: OwnAnswer = { status: 499, code: 'REQUEST_ABORTED', message: 'Client Closed Request' };
export const INTERNAL: OwnAnswer = { status: 500, code: 'INTERNAL_ERROR', message: 'Internal Error' };
export const UNAVAILABLE: OwnAnswer = { status: 503, code: 'SERVICE_UNAVAILABLE', message: 'Service Unavailable', retryAfterS: 1 };

/** True while nobody has begun an answer and one can be given. */
export function isOpen(response: ForeignResponse): boolean {
  return response.headersSent !== true && response.writableEnded !== true && response.destroyed !== true;
}

/** Answers, unless somebody has. */
export function answer(response: ForeignResponse, { status, code, message, retryAfterS }: OwnAnswer): void {
  if (!isOpen(response)) return;
  const body = JSON.stringify({ ok: false, error: { message, code } });
  response.statusCode = status;
  response.setHeader('content-type', 'application/json; charset=utf-8');
  response.setHeader('content-length', String(Buffer.byteLength(body)));
  response.setHeader('X-Content-Type-Options', 'nosniff');
  response.setHeader('X-Frame-Options', 'DENY');
  if (retryAfterS !== undefined) response.setHeader('Retry-After', String(retryAfterS));
  response.end(body);
}
