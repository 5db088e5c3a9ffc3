import { CallFailure } from '../calls/outcome.js';

/** A form's failure, as the caller sees it (CONTRACT 6). */
function failure(status: number, message: string, code: string): CallFailure {
  return new CallFailure(status, JSON.stringify({ ok: false, error: { message, code } }));
}

/** Names for the frame's numbers: `BodyRefusal` of the engine. */
const BY_NUMBER: readonly (CallFailure | undefined)[] = [
  undefined,
  failure(400, 'Invalid multipart payload', 'INVALID_MULTIPART'),
  failure(400, 'Invalid manifest', 'INVALID_MULTIPART'),
  failure(413, 'File size limit exceeded', 'PAYLOAD_TOO_LARGE'),
  failure(413, 'Files limit exceeded', 'PAYLOAD_TOO_LARGE'),
  failure(413, 'Field limit exceeded', 'PAYLOAD_TOO_LARGE'),
  failure(413, 'Fields limit exceeded', 'PAYLOAD_TOO_LARGE'),
  failure(413, 'Parts limit exceeded', 'PAYLOAD_TOO_LARGE'),
  failure(500, 'Internal Error', 'STREAM_ERROR'),
  failure(400, 'The part __manifest must be a field, not a file: send it without a file name', 'MISSING_MANIFEST'),
];
/** The end of the form inside of a file: the client's fault, which the reference calls its own. */
const TRUNCATED = 8;

export const INVALID_MANIFEST = BY_NUMBER[2]!;
export const TOO_MANY_FILES = BY_NUMBER[4]!;
export const MISSING_MANIFEST = failure(400, 'Missing manifest', 'MISSING_MANIFEST');
const MISSING_FILE_PART = failure(500, 'Internal Error', 'MISSING_FILE_PART');
/** Nobody is there to see it. */
export const CLIENT_GONE = failure(499, 'Client Closed Request', 'REQUEST_ABORTED');

/** A number that is none of theirs: of another version, or because a frame could not be taken. */
const BROKEN = BY_NUMBER[TRUNCATED]!;

/** What the engine has refused a form for; in the words of the `reference`, or in ours. */
export function refusalOf(reason: number, reference: boolean): CallFailure {
  if (reason === TRUNCATED && !reference) return BY_NUMBER[1]!;
  return BY_NUMBER[reason] ?? BROKEN;
}

/** The manifest names a file whose part is not there. */
export function missingFilePart(id: string, reference: boolean): CallFailure {
  return reference ? MISSING_FILE_PART : failure(400, `Missing file part: ${id}`, 'MISSING_FILE_PART');
}

/** What it says to the caller. */
export function messageOf(failure: CallFailure): string {
  return (JSON.parse(failure.body) as { error: { message: string } }).error.message;
}
