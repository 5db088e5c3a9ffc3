import { CallFailure } from '../calls/outcome.js';
import { BODY_REFUSALS, REFUSALS } from '../facts/facts.generated.js';

function failure({ status, body }: { readonly status: number; readonly body: string }): CallFailure {
  return new CallFailure(status, body);
}

/** What the engine refuses a form for, by the frame's number. */
const BY_NUMBER: ReadonlyMap<number, CallFailure> = new Map(Object.values(BODY_REFUSALS).map((refusal) => [refusal.number, failure(refusal)]));
/** The end of the form inside of a file: the client's fault, which the reference calls its own. */
const TRUNCATED: number = BODY_REFUSALS.truncated.number;
const MALFORMED = failure(BODY_REFUSALS.malformed);
/** For a number that is none of theirs: a frame could not be taken. */
const BROKEN = failure(BODY_REFUSALS.truncated);

export const INVALID_MANIFEST = failure(REFUSALS.invalidManifest);
export const TOO_MANY_FILES = failure(REFUSALS.filesExceeded);
export const MISSING_MANIFEST = failure(REFUSALS.missingManifest);
const MISSING_FILE_PART = failure(REFUSALS.missingFilePart);
/** Nobody is there to see it. */
export const CLIENT_GONE = failure(REFUSALS.aborted);

/** What the engine has refused a form for; in the words of the `reference`, or in ours. */
export function refusalOf(reason: number, reference: boolean): CallFailure {
  if (reason === TRUNCATED && !reference) return MALFORMED;
  return BY_NUMBER.get(reason) ?? BROKEN;
}

/** The manifest names a file whose part is not there. */
export function missingFilePart(id: string, reference: boolean): CallFailure {
  if (reference) return MISSING_FILE_PART;
  const error = { message: `Missing file part: ${id}`, code: REFUSALS.missingFilePart.code };
  return new CallFailure(400, JSON.stringify({ ok: false, error }));
}

/** What it says to the caller. */
export function messageOf(failure: CallFailure): string {
  return (JSON.parse(failure.body) as { error: { message: string } }).error.message;
}
