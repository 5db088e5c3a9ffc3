import { connect, Socket } from 'node:net';
import { connect as connectSecurely } from 'node:tls';
import { NOTICE_OPTION, REQUEST_ID_HEADER } from '../facts/facts.generated.js';
import { onNode } from '../process/runtime.js';
import { AnswerError, AnswerReader } from './answer-reader.js';
import type { AnswerSink } from './answer-reader.js';
import type { AnswerHead } from './answer-head.js';
import { Stage } from './call.js';
import type { Call, Carrier } from './call.js';
import { microseconds } from './histogram.js';
import type { Layout } from './layout.js';
import type { Rhythm } from './pace.js';
import type { Place } from './place.js';
import { Queue } from './queue.js';
import type { Settings } from './settings.js';
import { Timer } from './timer.js';

/** What a connection tells of itself. */
export interface ConnectionOwner {
  readonly layout: Layout;
  readonly rhythm: Rhythm;
  /** The server is known to tell when it reads no further request, where it is asked to. */
  readonly givesNotice: boolean;
  opened(connection: Connection): void;
  /** It could not be made. */
  failed(connection: Connection, error: Error): void;
  /** The answer to a call that still waits for it. */
  answered(call: Call, head: AnswerHead, text: string): void;
  /** An answer carries the id of another request. True: that says nothing of the order. */
  tolerates(): boolean;
  /** The server has said that it reads no further request. */
  leaves(): void;
  /** Some answers were read, or there is room for more to send. */
  ready(connection: Connection): void;
  /** It has ended. The server has said that it reads no more than what was before the calls in `unread`; those in `lost` were sent. */
  closed(connection: Connection, unread: Call[], lost: Call[], error: Error): void;
}

/** One room for all plain sockets: what they read is done with before the next one reads. */
const READ_BYTES = 64 * 1024;
/** Characters of a body that goes by itself: all that is sent together is one text, and a text has a limit. */
const APART = 64 * 1024;
const room = Buffer.allocUnsafeSlow(READ_BYTES);
/** What a server may be late, or we, with the end of an idle connection. */
const KEEP_MARGIN_MS = 1000;
/**
 * How long a connection is kept that was made for a call which another has taken meanwhile. It holds up servers that stop; ours
 * waits a little longer for the first request (`FRESH_GRACE_MS`), because it cannot tell that it has not read one.
 */
const UNUSED_MS = 100;
/** What asks a server, once for each connection, to tell when it reads no further request. For the next hop only. */
const WANTS_NOTICE = `connection: keep-alive, ${NOTICE_OPTION}\r\n`;

/** One connection, and the calls on it in the order in which they were sent. */
export class Connection implements AnswerSink, Carrier {
  readonly url: string;
  readonly sent = new Queue<Call>();
  /** Of the calls on it, those that somebody waits for. */
  live = 0;
  /** Of the calls on it, those that are known as slow. */
  slow = 0;
  open = false;
  /** It gets no more calls. */
  retired = false;
  /** Since when its oldest call has waited for nothing but its own answer; of an idle one: since when it is. */
  since = 0;
  #sinceClock = 0;
  /** Its oldest call, where that was told to be late. */
  #suspect: Call | undefined;
  readonly #owner: ConnectionOwner;
  readonly #socket: Socket;
  readonly #reader: AnswerReader;
  readonly #latin1: boolean;
  readonly #basePath: string;
  /** What every request has in common, up to the value of its id. */
  readonly #lines: string;
  /** The same without the lines of the client. */
  readonly #bareLines: string;
  /** How long it is kept idle where the server does not say. */
  readonly #idleMs: number;
  readonly #slowMs: number;
  #keepMs: number;
  readonly #begunAt = performance.now();
  #closed = false;
  /** What the server reads no further behind: its last answer, or a notice. */
  #lastAnswer = false;
  #wantsNotice = false;
  /** It has had an answer. */
  #isKept = false;
  #text = '';
  #ascii = true;
  #now = 0;
  #isFirst = false;
  readonly #timer: Timer;

  constructor(place: Place, settings: Settings, owner: ConnectionOwner) {
    this.#owner = owner;
    this.url = place.url;
    this.#latin1 = settings.latin1;
    this.#basePath = place.basePath;
    const lines = (more: string): string => ` HTTP/1.1\r\nhost: ${place.authority}\r\n${more}content-type: application/json\r\n${REQUEST_ID_HEADER}: `;
    this.#lines = lines(settings.lines);
    this.#bareLines = lines('');
    this.#idleMs = settings.idleTimeoutMs;
    this.#slowMs = settings.slowMs;
    this.#keepMs = Math.min(settings.idleTimeoutMs, UNUSED_MS);
    this.#reader = new AnswerReader(this, owner.layout, settings.maxAnswerBytes);
    this.#socket = this.#begin(place, settings);
    this.#socket.setNoDelay(true);
    this.#socket.setKeepAlive(true, 30_000);
    this.#timer = new Timer(() => this.close(Object.assign(new Error(`no connection within ${settings.connectTimeoutMs} ms`), { code: 'ETIMEDOUT' })), settings.connectTimeoutMs);
    this.#socket.once(place.secure ? 'secureConnect' : 'connect', () => this.#opened());
    this.#socket.on('drain', () => owner.ready(this));
    this.#socket.on('end', () => this.#ended());
    this.#socket.on('error', (error) => this.close(error));
    this.#socket.on('close', () => this.close(endOf('ended')));
  }

  /** What the system does not even try fails as what it has tried. */
  #begin(place: Place, settings: Settings): Socket {
    try {
      return this.#connect(place, settings);
    } catch (error) {
      return new Socket().destroy(error as Error);
    }
  }

  #connect({ secure, host, port, socketPath }: Place, settings: Settings): Socket {
    const where = socketPath === undefined ? { host, port } : { path: socketPath };
    if (secure) {
      const name = /^[\d.]+$|:/.test(host) ? {} : { servername: host };
      return connectSecurely({ ...where, ...name, ALPNProtocols: ['http/1.1'], ...settings.tls }).on('data', (chunk) => this.#read(chunk));
    }
    // Other runtimes read into memory of their own, whatever is asked for.
    if (!onNode) return connect(where).on('data', (chunk) => this.#read(chunk as Buffer));
    const callback = (bytes: number): boolean => {
      this.#read(room.subarray(0, bytes));
      return true;
    };
    return connect({ ...where, onread: { buffer: room, callback } });
  }

  /** What was sent before has left. */
  get hasRoom(): boolean {
    return !this.#socket.writableNeedDrain;
  }

  /** It is open, has room in its socket, and is not so long idle that the server may end it now. Ends it in that case. */
  usable(now: number): boolean {
    if (!this.open || this.retired || !this.hasRoom) return false;
    if (this.sent.length > 0 || now - this.since < this.#keepMs) return true;
    this.close(endOf('was idle'));
    return false;
  }

  /** The machine has slept for so long. For what waits for an answer that counts as a pause. */
  age(ms: number): void {
    if (this.sent.length === 0) this.since -= ms;
  }

  /** Takes a call, which leaves with {@link flush}. */
  add(call: Call, now: number): void {
    const { target } = call;
    if (target.beginsWith !== this.#lines) {
      target.beginsWith = this.#lines;
      target.begin = flat(`${target.method} ${this.#basePath}${target.path}${this.#lines}`);
    }
    const apart = call.body.length > APART;
    const begin = call.replaces ? `${target.method} ${this.#basePath}${target.path}${this.#bareLines}` : target.begin;
    this.#text += `${begin}${call.requestId}\r\n${this.#wantsNotice ? '' : this.#wantNotice()}${call.lines}content-length: ${call.bodyBytes}\r\n\r\n${apart ? '' : call.body}`;
    if (call.bodyBytes !== call.body.length) this.#ascii = false;
    if (this.sent.length === 0) {
      this.#setSince(now);
      this.#socket.ref();
    }
    this.sent.push(call);
    this.live += 1;
    if (call.slow) this.slow += 1;
    call.send(this, microseconds(now));
    if (apart) this.#flushWith(call.body);
  }

  /** The line that asks for it, where that means something. */
  #wantNotice(): string {
    this.#wantsNotice = this.#owner.givesNotice;
    return this.#wantsNotice ? WANTS_NOTICE : '';
  }

  /** Something was added that has not left. */
  get hasText(): boolean {
    return this.#text !== '';
  }

  /** Sends what was added. */
  flush(): void {
    if (this.#text !== '') this.#flushWith('');
  }

  #flushWith(body: string): void {
    const text = this.#text;
    const encoding = this.#ascii || this.#latin1 ? 'latin1' : 'utf8';
    this.#text = '';
    this.#ascii = true;
    this.#socket.write(text, encoding);
    if (body !== '') this.#socket.write(body, encoding);
  }

  /** Takes no more calls, and ends when those on it have ended. */
  retire(): void {
    this.retired = true;
    if (this.live === 0) this.close(endOf('was not needed any more'));
  }

  expected(): string | undefined {
    return this.sent.peek()?.requestId;
  }

  leave(bare: boolean): boolean {
    if (bare && this.#wantsNotice && this.#owner.givesNotice) {
      this.#lastAnswer = this.retired = true;
      this.#owner.leaves();
      return true;
    }
    // Of others it is the answer to the first request, if that was too slow. Behind it, it tells of the wait for the next one,
    // and of that which is on its way only that it has got no further.
    if (this.#isKept || this.sent.length === 0) throw new AnswerError('the server has waited for a request, and ends the connection (408)', true);
    return false;
  }

  answer(head: AnswerHead, text: string): void {
    this.#isKept = true;
    const call = this.sent.shift()!;
    if (head.requestId !== undefined && head.requestId !== call.requestId && !this.#owner.tolerates()) {
      this.sent.unshift(call);
      throw new AnswerError('an answer to another request: out of step');
    }
    this.#pace(call);
    if (call.slow) this.slow -= 1;
    this.#keepMs = head.keepMs === undefined ? this.#idleMs : Math.max(head.keepMs - KEEP_MARGIN_MS, head.keepMs / 2);
    if (head.close) this.#lastAnswer = this.retired = true;
    if (call.stage === Stage.Over) return;
    this.live -= 1;
    call.receive(microseconds(this.#now));
    this.#owner.answered(call, head, text);
  }

  #pace(call: Call): void {
    const { pace } = call.target;
    const { rhythm } = this.#owner;
    rhythm.answers += 1;
    // What comes in one read was done by then; only for the first of it is known how long.
    if (!this.#isFirst) return pace.pass();
    this.#isFirst = false;
    pace.note(rhythm, this.since, this.#sinceClock, this.#now, call === this.#suspect);
    this.#suspect = undefined;
    this.#setSince(this.#now);
  }

  /** Its oldest call has waited for more than `lateMs`; it tells so of its task, if others were answered meanwhile. */
  isLate(now: number, lateMs: number): boolean {
    if (now - this.since <= lateMs) return false;
    const call = this.sent.peek();
    if (call === undefined) return false;
    if (call !== this.#suspect && this.#owner.rhythm.clock - this.#sinceClock > lateMs) {
      this.#suspect = call;
      call.target.pace.suspect();
    }
    return true;
  }

  #setSince(now: number): void {
    this.since = now;
    this.#sinceClock = this.#owner.rhythm.clock;
  }

  abandon(): void {
    this.live -= 1;
    // Its answer is still to come, and what is sent from now on would wait for it.
    this.retire();
  }

  /** Ends it at once. The calls on it are the owner's again. */
  close(error: Error): void {
    if (this.#closed) return;
    this.#closed = true;
    this.retired = true;
    this.#timer.end();
    this.#socket.destroy();
    const calls = this.sent.drain().filter((call) => call.stage !== Stage.Over);
    for (const call of calls) {
      call.carrier = undefined;
      call.stage = Stage.Waiting;
    }
    this.live = this.slow = 0;
    if (!this.open) return this.#owner.failed(this, error);
    this.open = false;
    // Behind its last answer a server reads no more requests (RFC 9112 9.6).
    if (this.#lastAnswer) this.#owner.closed(this, calls, [], error);
    else this.#owner.closed(this, [], calls, error);
  }

  #opened(): void {
    this.#timer.end();
    // Our loop has stood still, or the way is long: the server may have ended it by now, and the next look at it tells.
    if (performance.now() - this.#begunAt > UNUSED_MS) setImmediate(() => setImmediate(() => this.#begins()));
    else this.#begins();
  }

  #begins(): void {
    if (this.#closed) return;
    this.open = true;
    this.since = performance.now();
    this.#socket.unref();
    this.#owner.opened(this);
  }

  #read(bytes: Buffer): void {
    if (this.#closed) return;
    this.#now = performance.now();
    this.#isFirst = true;
    this.#owner.rhythm.read(this.#now, this.sent.length === 0 ? 0 : this.#now - this.since, this.#slowMs);
    try {
      this.#reader.read(bytes);
    } catch (error) {
      return this.#refuse(error);
    }
    this.#settle();
  }

  #refuse(error: unknown): void {
    if (!(error instanceof AnswerError)) throw error;
    this.close(error);
  }

  #settle(): void {
    if (this.#lastAnswer) this.close(endOf('was closed by the server'));
    else if (this.retired && this.live === 0) this.retire();
    else {
      if (this.sent.length === 0) this.#socket.unref();
      this.#owner.ready(this);
    }
  }

  #ended(): void {
    if (this.#closed) return;
    this.#now = performance.now();
    try {
      this.#reader.end();
    } catch (error) {
      return this.#refuse(error);
    }
    this.close(endOf(this.#reader.between ? 'was closed by the server' : 'ended in the middle of an answer'));
  }
}

/** The same text in one piece: what is put together of many is gone through piece by piece each time that it is written. */
function flat(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1');
}

function endOf(how: string): Error {
  return new Error(`the connection ${how}`);
}
