/**
 * The numbers that the addon and this package agree on: where things are in the call table, and how outcomes are
 * written. `src/bridge.rs` has the same; {@link checkLayout} compares them once.
 */

export const CALLS = 0;
export const GONE = 1;
export const STOPPED = 2;
export const NOTICES = 3;
export const HEADER = 4;
/** Ticket, handler, flags. */
export const PER_CALL = 3;
export const MAX_CALLS = 1024;
const MAX_GONE = 1024;
export const LENGTH = HEADER + MAX_CALLS * PER_CALL + MAX_GONE;
/** Ticket, outcome. */
export const PER_ANSWER = 2;

/** Bits of a call's flags. */
export const FLAG_EVENT = 1;
export const FLAG_EMPTY = 2;
export const FLAG_MARKED = 4;
export const FLAG_TEXT = 8;
/** No call: a request to be asked about, by the hook of the name. */
export const FLAG_ASK_ORIGIN = 16;
export const FLAG_ASK_AUTH = 32;
export const FLAG_ASK = FLAG_ASK_ORIGIN | FLAG_ASK_AUTH;

/** Outcomes. From 400 on an outcome is an HTTP status, and its text is the whole body. */
export const RESULT = 0;
export const DONE = 1;
export const INTERNAL_ERROR = 2;
export const INVALID_JSON = 3;

/** An addon of another build would read our table wrongly. */
export function checkLayout(numbers: readonly number[]): void {
  const ours = [CALLS, GONE, STOPPED, NOTICES, HEADER, PER_CALL, MAX_CALLS, LENGTH, PER_ANSWER];
  if (numbers.length !== ours.length || ours.some((number, index) => number !== numbers[index])) {
    throw new Error("fasttunnel's native addon is of another version than its JavaScript. Run `npm install fasttunnel` again, or `make build` in a checkout.");
  }
}
