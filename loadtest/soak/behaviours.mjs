// What the clients do with a connection, in order and out of it.
import { Connection, WireError } from './connection.mjs';
import { brokenExchange, exchange, longDownload, malformed, smallExchange, uploadExchange } from './exchanges.mjs';
import { MAYBE, NEVER, ONCE } from './ledger.mjs';
import { slices } from './pattern.mjs';
import { lostMs } from './pulse.mjs';

/** The server may hold it against its client when sending took so much longer than meant, because this process was busy. */
const LATE_MS = 1000;

/** So much longer takes a handler that takes too long: the clock of a shard that a busy machine keeps waiting goes slower. */
const OVERTIME_MS = 1500;

/** The server has ended a connection, or said 408, and its client was late indeed. */
export class Late extends Error {}

const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

/** One connection's life: makes its exchanges, checks their answers, keeps the books. */
export class Life {
  #sequence = 0;
  /** What this connection has been answered, for the report of a failure. */
  #history = [];
  /** Exchanges that are not over. */
  #open = new Map();
  /** When the last request began to be sent, and how long this process could not run until it was; on its own clock. */
  #sending = { fromMs: 0, lostMs: undefined };

  constructor({ port, dice, ledger, tally, name, going }) {
    Object.assign(this, { port, dice, ledger, tally, name, going });
  }

  async open() {
    this.#sending = { fromMs: lostMs(), fresh: true };
    this.connection = await Connection.open(this.port);
    this.tally.opened += 1;
    return this.connection;
  }

  /** Makes an exchange and enters it in the books. */
  next(make = exchange, how = {}) {
    const made = make(this.dice, `${this.name}.${(this.#sequence += 1)}`, how);
    this.ledger.open(made.id, made.kind);
    this.#open.set(made.id, made);
    return made;
  }

  several(least, most, make) {
    return Array.from({ length: this.dice.between(least, most) }, () => this.next(make));
  }

  /** Writes a request, at times in pieces, at times slowly. */
  async send({ bytes }) {
    const pieces = this.dice.once(2) ? [bytes] : slices(this.dice, bytes, 6);
    const sending = this.#begins();
    let last;
    for (const piece of pieces) {
      last = this.connection.write(piece);
      if (pieces.length > 1 && this.dice.once(2)) await sleep(this.dice.between(0, 4));
    }
    await last;
    sending.lostMs = lostMs() - sending.fromMs;
  }

  /** Writes a part of a request, or more than one, at once. */
  async write(bytes) {
    const sending = this.#begins();
    await this.connection.write(bytes);
    sending.lostMs = lostMs() - sending.fromMs;
  }

  #begins() {
    // For the first one the server waits from the start.
    return (this.#sending = { fromMs: this.#sending.fresh ? this.#sending.fromMs : lostMs() });
  }

  get #late() {
    return (this.#sending.lostMs ?? lostMs() - this.#sending.fromMs) >= LATE_MS;
  }

  settle({ id }, fate) {
    this.#open.delete(id);
    this.ledger.settle(id, fate);
  }

  /** The connection has ended for a reason that is its client's. */
  giveUp() {
    this.connection.destroy();
    for (const made of this.#open.values()) this.settle(made, MAYBE);
  }

  /**
   * Reads the answer to an exchange and checks it. True when the connection goes on; false when it has ended, as this
   * answer said. `mayEnd`: it may end without an answer.
   */
  async answered(made, { mayEnd = false } = {}) {
    const answer = await this.connection.answer();
    if ((answer === undefined || answer.status === 408) && this.#late) throw new Late(`${made.id} was sent late`);
    if (answer === undefined) {
      // One that breaks off before its turn to be sent is not begun.
      if (!mayEnd && !made.breaks) throw this.wrong(made, `the connection ended without an answer (${this.connection.error ?? 'FIN'})`);
      this.settle(made, MAYBE);
      return false;
    }
    this.status = answer.status;
    this.check(made, answer, mayEnd);
    return !answer.close && !made.breaks && !answer.untilEnd;
  }

  check(made, answer, mayBreak = false) {
    const { expect } = made;
    const { status, headers, body, complete } = answer;
    this.#history.push(`${made.kind} ${status}${answer.close ? ' close' : ''}`);
    const { kinds } = this.tally;
    kinds[made.kind] = (kinds[made.kind] ?? 0) + 1;
    this.tally.statuses[status] = (this.tally.statuses[status] ?? 0) + 1;
    if (made.kind !== 'malformed' && status !== 413 && headers['x-runner-request-id'] !== made.id) throw this.wrong(made, `it got the answer to ${headers['x-runner-request-id']}`, answer);
    if (status === expect.status && expect.body !== undefined) {
      const whole = complete && !made.breaks;
      const right = whole ? body.equals(expect.body) : body.equals(expect.body.subarray(0, body.length));
      if (!right) throw this.wrong(made, `other bytes than expected, of which there are ${expect.body.length}`, answer);
      if (made.breaks && complete) throw this.wrong(made, 'the answer was to break off', answer);
      if (!made.breaks && !complete && !mayBreak) throw this.wrong(made, 'the answer broke off', answer);
      // Of an answer that the client has left in the middle, the server may say either.
      if (made.runs && (complete || made.breaks)) this.tally.fromHandlers += 1;
      if (made.breaks) this.tally.broken += 1;
      this.settle(made, made.runs ? ONCE : NEVER);
      return;
    }
    if (!complete && !mayBreak) throw this.wrong(made, 'the answer broke off', answer);
    if (status === 503) {
      if (headers['retry-after'] !== '1') throw this.wrong(made, 'a 503 without Retry-After', answer);
    } else if (status === 504 && made.runs) {
      this.tally.fromHandlers += 1;
      this.settle(made, MAYBE);
      return;
    } else if (status !== expect.status) {
      throw this.wrong(made, `the status is not ${expect.status}`, answer);
    }
    if (complete && JSON.parse(body).ok !== false) throw this.wrong(made, 'no envelope of a refusal', answer);
    this.settle(made, NEVER);
  }

  /** Nothing may have come that was not asked for. */
  nothingLeft(made) {
    if (this.connection.rest.length > 0) throw this.wrong(made, `bytes behind the last answer: ${this.connection.rest.subarray(0, 200).toString('latin1')}`);
  }

  wrong(made, what, answer) {
    const came = answer === undefined ? '' : `\n  answer: ${answer.status} ${JSON.stringify(answer.headers)} ${answer.complete ? '' : '(not whole) '}${answer.body.length} bytes: ${answer.body.subarray(0, 400).toString('latin1')}`;
    return new WireError(`${made.kind} ${made.id}: ${what}\n  before: ${this.#history.join(', ')}\n  request (${made.bytes.length} bytes): ${made.bytes.subarray(0, 600).toString('latin1')}${came}`);
  }
}

/** One call after the other. */
async function orderly(life) {
  await life.open();
  let last;
  for (let left = life.dice.between(1, 12); left > 0; left -= 1) {
    const made = (last = life.next());
    const sent = life.send(made);
    if (!(await life.answered(made))) return life.connection.destroy();
    // An answer may come before the request is whole.
    await sent;
  }
  life.nothingLeft(last);
  life.connection.destroy();
}

/** All requests at once, in one write or cut anywhere; answers in their order. */
async function pipelined(life) {
  await life.open();
  const all = life.several(2, 24, life.dice.once(2) ? smallExchange : undefined);
  if (life.dice.once(8)) all.push(life.next(brokenExchange));
  void life.send({ bytes: Buffer.concat(all.map(({ bytes }) => bytes)) });
  await answersInOrder(life, all, { broken: false });
  life.connection.destroy();
}

/** Reads answers until the connection ends, which is right at its end, or behind an answer that says so. */
async function answersInOrder(life, all, { broken }) {
  for (const [index, made] of all.entries()) {
    const goesOn = await life.answered(made, { mayEnd: broken });
    if (!goesOn) {
      // What stands behind a last answer was not read as a request; behind a broken one it may have been. One that has
      // broken off before its turn makes the answer before it the last.
      for (const rest of all.slice(index + 1)) life.settle(rest, made.breaks || rest.breaks || broken ? MAYBE : NEVER);
      return false;
    }
  }
  if (!broken && !life.connection.ended) life.nothingLeft(all.at(-1));
  return true;
}

/** Leaves in the middle of a request, behind some that it has been answered. */
async function leavesInRequest(life) {
  await life.open();
  const made = life.next();
  const sent = life.send(made);
  if (!(await life.answered(made))) return life.connection.destroy();
  await sent;
  const half = life.next(life.dice.once(3) ? uploadExchange : undefined);
  const at = life.dice.between(1, half.bytes.length - 1);
  await life.write(half.bytes.subarray(0, at));
  if (life.dice.once(2)) await sleep(life.dice.between(0, 30));
  leave(life);
  // A body that is read as it comes starts its call; an empty one is complete with its head; chunks may end early.
  const streams = /upload|through|form|unread/.test(half.kind) && at >= half.bodyAt;
  life.settle(half, streams ? MAYBE : NEVER);
}

/** Leaves before it is answered. */
async function leavesBeforeAnswer(life) {
  await life.open();
  const all = life.several(1, 6);
  await life.write(Buffer.concat(all.map(({ bytes }) => bytes)));
  if (life.dice.once(2)) await sleep(life.dice.between(0, 20));
  leave(life);
  for (const made of all) life.settle(made, made.runs ? MAYBE : NEVER);
}

/** Leaves in the middle of an answer, or reads it slowly. */
async function leavesInAnswer(life) {
  await life.open();
  const made = life.next(longDownload);
  void life.send(made);
  if (life.dice.once(2)) {
    life.connection.socket.pause();
    setTimeout(() => life.connection.socket.resume(), life.dice.between(10, 300));
  }
  const answer = await life.connection.answer({ upTo: life.dice.between(1, 600_000) });
  if (answer === undefined) throw life.wrong(made, 'no answer');
  life.check(made, answer, true);
  leave(life);
}

function leave(life) {
  if (life.dice.once(2)) life.connection.reset();
  else life.connection.destroy();
}

/** Says that it has no more to ask (FIN) and reads on. Who is slow to answer may count it as gone. */
async function halfCloses(life) {
  await life.open();
  const all = life.several(1, 5);
  await life.write(Buffer.concat(all.map(({ bytes }) => bytes)));
  life.connection.finish();
  await answersInOrder(life, all, { broken: true });
  await life.connection.end();
}

/** Good requests, then one that makes no sense, then one that must not be seen. */
async function malformedInput(life) {
  await life.open();
  const all = life.several(0, 4, smallExchange);
  const bad = life.next(malformed);
  const smuggled = life.next(smallExchange);
  void life.send({ bytes: Buffer.concat([...all, bad, smuggled].map(({ bytes }) => bytes)) });
  for (const made of all) await life.answered(made);
  // Where there is no room it is refused before its body, which ends the connection when it comes.
  if ((await life.answered(bad)) && life.status !== 503) throw life.wrong(bad, 'its answer did not say that the connection ends');
  await life.connection.end();
  life.nothingLeft(bad);
  life.settle(smuggled, NEVER);
}

/** Says that its request is the last one, in either version; nothing behind it is looked at. */
async function lastRequest(life) {
  await life.open();
  const how = life.dice.once(2) ? { close: true } : { version: '1.0' };
  const made = life.next(undefined, how);
  const behind = life.next(smallExchange);
  void life.send({ bytes: Buffer.concat([made.bytes, behind.bytes]) });
  if (await life.answered(made)) throw life.wrong(made, 'its answer did not say that the connection ends');
  await life.connection.end();
  life.nothingLeft(made);
  life.settle(behind, NEVER);
}

/** Waits to be told that its body is wanted. */
async function expects(life) {
  await life.open();
  const made = life.next(uploadExchange, { lines: ['Expect: 100-continue'] });
  await life.write(made.bytes.subarray(0, made.bodyAt));
  const status = await life.connection.peekStatus();
  if (status === 100 || status === undefined) void life.write(made.bytes.subarray(made.bodyAt));
  await life.answered(made);
  life.connection.destroy();
}

/** Says nothing, or half a request, until the round is over (or it is cut off for that). */
async function idles(life) {
  await life.open();
  const made = life.next(smallExchange);
  if (life.dice.once(2)) await life.write(made.bytes.subarray(0, life.dice.between(1, made.bytes.length - 1)));
  while (life.going() && !life.connection.ended) await sleep(20);
  const text = life.connection.rest.subarray(0, 12).toString('latin1');
  const status = Number(text.slice(9));
  // Where its head is whole, there may be no room for it.
  if (text !== '' && ![408, 503].includes(status)) throw life.wrong(made, `it was told ${text}`);
  if (text !== '') life.tally.statuses[status] = (life.tally.statuses[status] ?? 0) + 1;
  life.connection.destroy();
  life.settle(made, NEVER);
}

/** Its handler takes longer than it may. */
async function overtime(life) {
  await life.open();
  const made = life.next((dice, id) => {
    const slow = smallExchange(dice, id);
    const body = JSON.stringify({ input: { id, ms: life.tally.handlerTimeoutMs + OVERTIME_MS, look: true } });
    const bytes = `POST /__runner/task/soak.async HTTP/1.1\r\nHost: soak\r\nx-runner-token: soak\r\nx-runner-request-id: ${id}\r\nx-soak: ${id}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    return { ...slow, kind: 'overtime', bytes: Buffer.from(bytes), bodyAt: bytes.length - body.length, expect: { status: 504 } };
  });
  void life.send(made);
  await life.answered(made);
  life.connection.destroy();
}

/** How often each is chosen. */
export const BEHAVIOURS = [
  [30, orderly], [25, pipelined], [5, leavesInRequest], [5, leavesBeforeAnswer], [3, leavesInAnswer], [5, halfCloses],
  [5, malformedInput], [4, lastRequest], [3, expects], [1, idles], [1, overtime],
];
