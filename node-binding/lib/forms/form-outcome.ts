import { answerOfResult } from '../calls/fetch-response.js';
import { RawAnswer, StreamAnswer } from '../calls/outcome.js';
import type { CallFailure } from '../calls/outcome.js';
import { discardStream } from '../calls/stream-result.js';

/** How the task of a form has settled, and how its call is answered. */
export type FormOutcome = { readonly result: unknown } | { readonly error: unknown };

/** A result that may be a stream, as the answer that it is. */
export function withStream(result: unknown): FormOutcome {
  try {
    return { result: answerOfResult(result) ?? result };
  } catch (error) {
    return { error };
  }
}

/** A failure goes with the header lines that the task has set beside its own envelope. */
export function instead(outcome: FormOutcome, failure: CallFailure): FormOutcome {
  if (!('result' in outcome) || !RawAnswer.is(outcome.result)) return { error: failure };
  const { headers, own } = outcome.result;
  return { result: new RawAnswer(failure.status, headers, failure.body, own) };
}

/** It is not going to be sent. */
export function discard(outcome: FormOutcome): void {
  if ('result' in outcome && StreamAnswer.is(outcome.result)) discardStream(outcome.result);
}

/** Its result is sent as bytes. */
export function isStream(outcome: FormOutcome): boolean {
  return 'result' in outcome && StreamAnswer.is(outcome.result);
}

/** The task has written it by itself: it is neither replaced nor completed. */
export function isOwn(outcome: FormOutcome): boolean {
  if (!('result' in outcome)) return false;
  const { result } = outcome;
  return (RawAnswer.is(result) || StreamAnswer.is(result)) && !result.own.cors && !result.own.security;
}
