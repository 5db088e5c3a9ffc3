import { randomBytes } from 'node:crypto';
import { fail } from '../options/checks.js';

/** Ten digits, and a small integer to V8 up to 2^31. */
const FIRST = 1_000_000_000;
const LAST = 2_000_000_000;

/** Ids for requests: what a client has sent can be found in the server's log, and answers can be told apart. All of one length. */
export class RequestIds {
  #client = fresh();
  #next = FIRST;

  next(): string {
    if (this.#next === LAST) {
      this.#client = fresh();
      this.#next = FIRST;
    }
    return `${this.#client}${this.#next++}`;
  }
}

function fresh(): string {
  return `${randomBytes(6).toString('hex')}-`;
}

/** An id that a caller has chosen. What a server does not take for one, it replaces. */
export function asRequestId(option: string, value: string): string {
  const id = value.trim();
  if (!/^[A-Za-z0-9._:-]{1,128}$/.test(id)) fail(option, value, 'must be an id of a request', 'Use 1 to 128 letters, digits and ._:- only.');
  return id;
}
