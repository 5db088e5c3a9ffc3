import type { AnswerHead } from './answer-head.js';

/** All answers to calls begin with this, or are read in the general way. */
const BEFORE_ID = 'HTTP/1.1 200 OK\r\nx-runner-request-id: ';
const LENGTH = '\r\ncontent-length: ';

/** As our engine writes it, and so does `nodeExposure`; proxies change the order or the case of names, or leave lines out. */
const OWN_MIDDLE = /^\r\n(?:[^\r\n]+\r\n)*content-type: application\/json; charset=utf-8\r\ncontent-length: $/;
const OWN_TAIL = /^\r\nX-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\nDate: [^\r\n]{29}\r\nConnection: keep-alive\r\nKeep-Alive: timeout=\d+\r\n\r\n$/;

/**
 * The head of the last answer, to recognise the next by: of a server that writes all of them alike, they differ in the
 * request's id and in the length. What is equal to bytes that were read before, field by field, means the same.
 */
export class Layout {
  #middle = '';
  /** Behind the length, with the empty line; the date is in it, so that it is learned anew each second. */
  #tail = '';
  head: AnswerHead | undefined;
  /** Of the answer that was recognised last: where its content begins, and how long it is. */
  start = 0;
  length = 0;

  /** An answer has come that no tunnel has written, or that something has changed on its way. */
  isStrange = false;

  /** Learns from the text of a head, with the empty line at its end, which has answered the request with that id. */
  learn(text: string, head: AnswerHead, requestId: string): void {
    const idEnd = BEFORE_ID.length + requestId.length;
    const at = text.indexOf(LENGTH, idEnd);
    const isAlike = at >= 0 && text.substring(0, BEFORE_ID.length) === BEFORE_ID && text.substring(BEFORE_ID.length, idEnd) === requestId;
    if (!isAlike && !head.close) this.isStrange = true;
    if (head.close || !isAlike) return;
    const digits = at + LENGTH.length;
    this.#middle = text.substring(idEnd, digits);
    this.#tail = text.substring(text.indexOf('\r\n', digits));
    // The id is compared on the way; this one is another's.
    this.head = { ...head, requestId: undefined };
  }

  /** The last answer was written by a tunnel, and nothing in between has changed it. */
  get isOwn(): boolean {
    return OWN_MIDDLE.test(this.#middle) && OWN_TAIL.test(this.#tail);
  }

  /** Does the answer to the request with that id, of this layout, begin there? Sets `start` and `length` where it does. */
  recognises(text: string, at: number, requestId: string): boolean {
    // Comparisons of substrings, because they are many times as fast as `startsWith`.
    const id = at + BEFORE_ID.length;
    const middle = id + requestId.length;
    if (text.substring(id, middle) !== requestId || text.substring(at, id) !== BEFORE_ID) return false;
    let digit = middle + this.#middle.length;
    if (text.substring(middle, digit) !== this.#middle) return false;
    let length = 0;
    const first = digit;
    for (let code = text.charCodeAt(digit); code >= 0x30 && code <= 0x39; code = text.charCodeAt(++digit)) length = length * 10 + code - 0x30;
    const start = digit + this.#tail.length;
    if (digit === first || digit - first > 9 || text.substring(digit, start) !== this.#tail) return false;
    this.start = start;
    this.length = length;
    return true;
  }
}
