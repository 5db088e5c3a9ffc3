/**
 * The numbers that the addon and this package agree on: where things are in the call table, and how outcomes are
 * written. `src/layout.rs` has the same; {@link checkLayout} compares them once.
 */

export const CALLS = 0;
export const GONE = 1;
export const SHARDS = 2;
export const NOTICES = 3;
export const FRAMES = 4;
export const HEADER = 5;
/** Ticket, handler, flags. */
export const PER_CALL = 3;
export const MAX_CALLS = 1024;
const MAX_GONE = 1024;
/** What `frame` tells of the frame that it returns: ticket, kind, argument. */
export const FRAME = HEADER + MAX_CALLS * PER_CALL + MAX_GONE;
export const LENGTH = FRAME + 3;
/** Ticket, outcome. */
export const PER_ANSWER = 2;

/** What is new of the shards: every one has ended; one was started anew; one was given up. */
export const NEWS_STOPPED = 1;
export const NEWS_RESTARTED = 2;
export const NEWS_FAILED = 4;

/** Bits of a call's flags. */
export const FLAG_EVENT = 1;
export const FLAG_EMPTY = 2;
export const FLAG_MARKED = 4;
export const FLAG_TEXT = 8;
/** No call: a request to be asked about, by the hook of the name. */
export const FLAG_ASK_ORIGIN = 16;
export const FLAG_ASK_AUTH = 32;
export const FLAG_ASK = FLAG_ASK_ORIGIN | FLAG_ASK_AUTH;
/** The body follows in frames: as it comes, or as manifest and files of a multipart form. */
export const FLAG_STREAM = 64;
export const FLAG_MULTIPART = 128;
/** The value is the input itself, of a body that holds nothing else. */
export const FLAG_INPUT = 256;
export const FLAG_FRAMES = FLAG_STREAM | FLAG_MULTIPART;

/** Kinds of frames. 0 is none: the call of the frame is over. */
export const FRAME_DATA = 1;
export const FRAME_END = 2;
export const FRAME_MANIFEST = 3;
export const FRAME_FILE = 4;
export const FRAME_FILE_END = 5;
export const FRAME_REFUSED = 6;
export const FRAME_CREDIT = 7;

/** Outcomes. From 400 on an outcome is an HTTP status, and its text is the whole body. */
export const RESULT = 0;
export const DONE = 1;
export const INTERNAL_ERROR = 2;
export const INVALID_JSON = 3;

/** All numbers of the table, as the addon lists its own. */
export const NUMBERS = [CALLS, GONE, SHARDS, NOTICES, FRAMES, HEADER, PER_CALL, MAX_CALLS, FRAME, LENGTH, PER_ANSWER];

/** An addon of another build would read our tables wrongly. */
export function otherBuild(): Error {
  return new Error("fasttunnel's native addon is of another version than its JavaScript. Run `npm install fasttunnel` again, or `make build` in a checkout.");
}

/** Compares the addon's numbers with ours. */
export function checkLayout(numbers: readonly number[]): void {
  if (numbers.length !== NUMBERS.length || NUMBERS.some((number, index) => number !== numbers[index])) throw otherBuild();
}
