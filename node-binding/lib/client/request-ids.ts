import { fail } from '../options/checks.js';
import { randomText } from './random.js';

/** Seven digits. With the five characters before them, an id is short enough for V8 to make it in one piece. */
const FIRST = 1_000_000;
const LAST = 9_999_999;

/** Ids for requests: what a client has sent can be found in the server's log, and answers can be told apart. All of one length. */
export class RequestIds {
  #client = randomText(5);
  #next = FIRST;

  next(): string {
    if (this.#next > LAST) {
      this.#client = randomText(5);
      this.#next = FIRST;
    }
    return `${this.#client}${this.#next++}`;
  }
}

/** An id that a caller has chosen. What a server does not take for one, it replaces. */
export function asRequestId(option: string, value: string): string {
  const id = value.trim();
  if (!/^[A-Za-z0-9._:-]{1,128}$/.test(id)) fail(option, value, 'must be an id of a request', 'Use 1 to 128 letters, digits and ._:- only.');
  return id;
}
