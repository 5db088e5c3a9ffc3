// One client: has a context, asks, checks what comes, and keeps the books.
import { isDeepStrictEqual } from 'node:util';
import { MAYBE, NEVER, ONCE } from '../soak/ledger.mjs';
import { lostMs } from '../soak/pulse.mjs';
import { ask } from './asks.mjs';
import { open1, Streams } from './clients.mjs';

/** So long a process could not run whose server, or proxy, is late. */
const LATE_MS = 300;

/** Something that a proxy should not have done. */
export class Wrong extends Error {}

/** A server, or the proxy, could not run in time, and the proxy has given up or its answer is lost. */
export class Late extends Error {}

export class Life {
  #sequence = 0;
  #history = [];
  #open = new Map();
  #connections = [];
  #fromMs;
  /** Requests that the proxy has counted for this context, if it does so rightly. */
  asked = 0;

  constructor({ proxy, place, who, dice, ports, servers, ca, ledger, tally, name }) {
    Object.assign(this, { proxy, place, who, dice, ports, servers, ca, ledger, tally, name });
    this.#fromMs = this.#lostMs();
  }

  get port() { return this.ports[this.place]; }
  get tls() { return this.place === 'tls'; }

  /** Who asks, as the proxy wants it. */
  static proofOf({ username, password }) {
    return Buffer.from(`${username}:${password}`).toString('base64');
  }

  open1() {
    return this.#opened(open1(this.port, this.tls));
  }

  open2() {
    return this.#opened(Streams.open(this.port, this.tls));
  }

  async #opened(opening) {
    this.tally.opened += 1;
    const connection = await opening;
    this.#connections.push(connection);
    return connection;
  }

  /** Makes a request, and enters it in the books. */
  next(make = ask) {
    const made = make(this.dice, `${this.name}.${(this.#sequence += 1)}`, this.who, this.servers);
    this.ledger.open(made.id, made.kind);
    this.#open.set(made.id, made);
    if (made.proof === this.who.proof) this.asked += 1;
    return made;
  }

  settle({ id }, fate) {
    this.#open.delete(id);
    this.ledger.settle(id, fate);
  }

  /** Whatever is open may have got there or not, and nobody knows what was counted. */
  giveUp() {
    for (const connection of this.#connections) connection.destroy();
    this.asked = undefined;
    for (const made of this.#open.values()) this.settle(made, made.unseen ? NEVER : MAYBE);
  }

  /** Checks an answer, or that there is none. */
  check(made, answer, { mayBreak = made.breaks === true } = {}) {
    const { expect } = made;
    if ((answer === undefined || (answer.status === 504 && expect.status !== 504)) && this.late) throw new Late(made.id);
    if (answer === undefined) {
      if (!mayBreak) throw this.wrong(made, 'there is no answer');
      return this.settle(made, MAYBE);
    }
    const { status, headers, body, complete } = answer;
    this.#history.push(`${made.kind} ${status}`);
    this.tally.kinds[made.kind] = (this.tally.kinds[made.kind] ?? 0) + 1;
    this.tally.statuses[status] = (this.tally.statuses[status] ?? 0) + 1;
    if (status !== expect.status) {
      // What breaks off at once has no head to be told.
      if (!(made.breaks && status === 502)) throw this.wrong(made, `the status is not ${expect.status}`, answer);
    }
    if (made.breaks && status === 200 && complete) throw this.wrong(made, 'the answer was to break off', answer);
    if (!complete && !mayBreak) throw this.wrong(made, 'the answer broke off', answer);
    if (expect.body !== undefined && !body.equals(complete ? expect.body : expect.body.subarray(0, body.length))) throw this.wrong(made, `other bytes than expected, of which there are ${expect.body.length}`, answer);
    if (complete && status === expect.status && !isDeepStrictEqual(answer.trailers, expect.trailers)) throw this.wrong(made, `its trailers are ${JSON.stringify(answer.trailers)}`, answer);
    if (status >= 400 && status !== 407 && made.theirs !== true && !/^fasttunnel; error=/.test(headers['proxy-status'])) throw this.wrong(made, 'the cause is not told', answer);
    // A server that does not answer in time may not have run until then.
    const unsure = made.breaks || (status === 504 && this.late);
    return this.settle(made, made.unseen ? NEVER : unsure ? MAYBE : ONCE);
  }

  /** This process, or that of the proxy, has been kept from running since this client came. */
  get late() {
    return this.#lostMs() - this.#fromMs >= LATE_MS;
  }

  #lostMs() {
    return lostMs() + this.proxy.lostMs();
  }

  /** Whether a tunnel was opened. */
  opens(status) {
    if ((status === undefined || status === 504) && this.late) throw new Late('a tunnel');
    this.must(status === 200, `a tunnel was answered with ${status}`);
  }

  must(holds, what) {
    if (!holds) throw this.wrong(undefined, what);
  }

  wrong(made, what, answer) {
    const came = answer === undefined ? '' : `\n  answer: ${answer.status} ${JSON.stringify(answer.headers)} ${answer.complete ? '' : '(not whole) '}${answer.body.length} bytes: ${answer.body.subarray(0, 300).toString('latin1')}`;
    const request = made === undefined ? '' : `${made.kind} ${made.method} http://${made.target}${made.path} ${made.id}: `;
    return new Wrong(`${request}${what}\n  before: ${this.#history.join(', ')}${came}`);
  }
}
