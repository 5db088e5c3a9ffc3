import { CallError, RemoteError, connectErrorOf } from '../errors/client-errors.js';
import type { AnswerHead } from './answer-head.js';
import { AnswerError } from './answer-reader.js';
import { Asleep } from './asleep.js';
import { backoffMs, RetryBudget, retryAfterMs } from './backoff.js';
import { Stage } from './call.js';
import type { Call, Carrier } from './call.js';
import type { Connection } from './connection.js';
import { encoded, withoutPayload } from './envelope.js';
import type { EnvelopeReader } from './envelope.js';
import { microseconds } from './histogram.js';
import type { Ledger } from './ledger.js';
import type { Place } from './place.js';
import { Queue } from './queue.js';
import { isUnread, mayRepeat, MOST_REST_MS, MOST_RETRY_MS, RETRY_MS } from './repeat.js';
import { Server } from './server.js';
import type { ServerOwner } from './server.js';
import type { Settings } from './settings.js';
import { Timer } from './timer.js';

/** A tick that takes longer has stood still: it does not count for the calls that were made in it. */
const LONG_TICK_MS = 5;
/** Calls that have ended while they waited, of which as many are kept before they are looked for. */
const MOST_ENDED = 1000;

/** Brings calls to servers: once for all calls of a tick, again when they fail, and to an end when their time is over. */
export class Dispatcher implements ServerOwner, Carrier {
  readonly servers: readonly Server[];
  readonly #settings: Settings;
  readonly #ledger: Ledger;
  readonly #envelopes: EnvelopeReader;
  readonly #budget = new RetryBudget();
  /** Calls that wait for a connection: those that may go behind others, and those of slow tasks. */
  readonly #fast = new Queue<Call>();
  readonly #slow = new Queue<Call>();
  /** Of these, those that have ended meanwhile. */
  #ended = 0;
  /** Calls that wait for their next attempt. */
  readonly #resting = new Set<Call>();
  readonly #written: Connection[] = [];
  #scheduled = false;
  #turn = 0;
  /** Of this tick. */
  #now = 0;
  readonly #asleep = new Asleep();
  #wake: NodeJS.Timeout | undefined;
  #wakeAt = Infinity;
  #alarm: Timer | undefined;
  #alarmAt = Infinity;

  constructor(settings: Settings, ledger: Ledger, envelopes: EnvelopeReader) {
    this.#settings = settings;
    this.#ledger = ledger;
    this.#envelopes = envelopes;
    this.servers = settings.places.map((place) => new Server(place, settings, this));
  }

  /** Where a call should go that has a connection of its own. */
  place(): Place {
    return (this.#able(performance.now())[0] ?? this.servers[0]!).place;
  }

  /** Calls that wait for a connection, or for their next attempt. */
  get queued(): number {
    return this.#resting.size + this.#waiting;
  }

  /** Calls that wait for a connection. */
  get #waiting(): number {
    return this.#fast.length + this.#slow.length - this.#ended;
  }

  /** Takes a call; it leaves when the tick ends, together with all others that are made until then. */
  submit(call: Call): void {
    this.#schedule();
    call.madeAtUs = microseconds(this.#now);
    if (this.#waiting >= this.#settings.maxQueued) {
      call.fail(new CallError('FASTTUNNEL_QUEUE_FULL', false, `${call.target.what} was not sent: ${this.#settings.maxQueued} calls wait for a connection already (maxQueued). Make fewer calls at a time, or raise connections.`));
      return;
    }
    this.#budget.earn();
    if (call.timeoutMs > 0) {
      call.deadline = this.#now + call.timeoutMs;
      if (call.deadline < this.#alarmAt) this.#setAlarm(call.deadline);
    }
    this.#enqueue(call);
  }

  #enqueue(call: Call): void {
    call.carrier = this;
    (call.target.pace.slow ? this.#slow : this.#fast).push(call);
  }

  /** A call has ended while it waited. It leaves when it is its turn, or with others. */
  abandon(): void {
    this.#ended += 1;
    if (this.#ended <= MOST_ENDED || this.#ended * 2 < this.#fast.length + this.#slow.length) return;
    for (const queue of [this.#fast, this.#slow]) for (const call of queue.drain()) if (call.stage === Stage.Waiting) queue.push(call);
    this.#ended = 0;
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#now = performance.now();
    process.nextTick(dispatch, this);
  }

  /** Sends what can be sent now. */
  dispatch(): void {
    this.#scheduled = false;
    const now = performance.now();
    if (now - this.#now > LONG_TICK_MS) this.#postpone(now - this.#now);
    const slept = this.#asleep.since(now);
    if (slept > 0) for (const server of this.servers) server.age(slept);
    // In turns, so that neither keeps the other waiting for ever.
    this.#turn += 1;
    const slowFirst = this.#turn % 2 === 0;
    if (slowFirst) this.#send(this.#slow, true, now);
    this.#send(this.#fast, false, now);
    if (!slowFirst) this.#send(this.#slow, true, now);
    for (const connection of this.#written) connection.flush();
    this.#written.length = 0;
    if (this.#fast.length + this.#slow.length > 0) this.#open(now);
  }

  /** The time of calls that were made in this tick begins now. */
  #postpone(ms: number): void {
    const madeAtUs = microseconds(this.#now);
    for (const queue of [this.#fast, this.#slow]) for (const call of queue) if (call.madeAtUs === madeAtUs) call.deadline += ms;
  }

  #send(queue: Queue<Call>, slow: boolean, now: number): void {
    for (let call = queue.peek(); call !== undefined; call = queue.peek()) {
      if (call.stage === Stage.Waiting) {
        const connection = this.#pick(slow, !call.target.pace.mostlySlow, now);
        if (connection === undefined) return;
        call.attempts += 1;
        call.slow = slow;
        if (!connection.hasText) this.#written.push(connection);
        connection.add(call, now);
      } else this.#ended -= 1;
      queue.shift();
    }
  }

  #pick(slow: boolean, patient: boolean, now: number): Connection | undefined {
    if (this.servers.length === 1) return this.servers[0]!.pick(slow, patient, now);
    for (const server of this.#able(now)) {
      const connection = server.pick(slow, patient, now);
      if (connection !== undefined) return connection;
      // It is its turn: it gets connections for the next.
      server.need(slow ? 0 : 1, slow ? 1 : 0, now);
    }
    return undefined;
  }

  /** The servers that may be asked, first those with the fewest calls outstanding. Suspects only where there are no others. */
  #able(now: number): Server[] {
    // Equals have their turn one after the other.
    const first = this.#turn % this.servers.length;
    const able = [...this.servers.slice(first), ...this.servers.slice(0, first)].filter((server) => server.available(now));
    const sound = able.filter((server) => !server.isSuspect(now));
    const loads = new Map(able.map((server) => [server, server.outstanding]));
    return (sound.length > 0 ? sound : able).sort((one, other) => loads.get(one)! - loads.get(other)!);
  }

  #open(now: number): void {
    const able = this.#able(now);
    for (const { retryAt } of this.servers) if (retryAt > now) this.#wakeUp(retryAt, now);
    // All of them share what waits.
    for (const server of able) server.need(Math.ceil(this.#fast.length / able.length), Math.ceil(this.#slow.length / able.length), now);
  }

  /** Tries again then, when a server that could not be reached may be asked again. */
  #wakeUp(at: number, now: number): void {
    if (at >= this.#wakeAt) return;
    clearTimeout(this.#wake);
    this.#wakeAt = at;
    this.#wake = setTimeout(() => {
      this.#wakeAt = Infinity;
      this.ready();
    }, Math.max(1, at - now));
  }

  ready(): void {
    if (this.#fast.length + this.#slow.length > 0) this.#schedule();
  }

  answered(server: Server, call: Call, head: AnswerHead, text: string): void {
    if (head.status === 502 || head.status === 503 || head.status === 504) server.health.fail(performance.now());
    else server.health.succeed();
    let result: unknown;
    try {
      if (head.contentEncoding !== undefined) throw encoded(head.contentEncoding, head.status, call.requestId);
      result = this.#envelopes.result(head.status, text, call.requestId);
      if (result === undefined && call.wantsPayload && !text.includes('"result"')) throw withoutPayload(head.status, call.requestId);
    } catch (error) {
      if (!(error instanceof RemoteError)) call.refuse(error as Error);
      else if (!mayRepeat(error, call.idempotent) || !this.#repeat(call, retryAfterMs(head.retryAfter) ?? 0)) call.refuse(error);
      else if (!isUnread(error)) call.wasSent = true;
      return;
    }
    call.succeed(result);
  }

  unreachable(server: Server, error: Error): void {
    const now = performance.now();
    if (!this.servers.some((other) => other.available(now))) {
      for (const queue of [this.#fast, this.#slow]) {
        for (const call of queue.drain()) {
          if (call.stage !== Stage.Waiting) continue;
          call.attempts += 1;
          if (call.attempts <= this.#settings.retries) queue.push(call);
          else {
            call.carrier = undefined;
            call.fail(connectErrorOf(server.place.url, error, call.wasSent));
          }
        }
      }
      this.#ended = 0;
    }
    this.ready();
  }

  lost(server: Server, unread: Call[], lost: Call[], error: Error): void {
    if (lost.length > 0) server.health.fail(performance.now());
    // What the server says that it has not read goes first, and costs nothing.
    for (const call of unread.reverse()) {
      this.#ledger.retries += 1;
      call.attempts -= 1;
      call.carrier = this;
      (call.target.pace.slow ? this.#slow : this.#fast).unshift(call);
    }
    for (const call of lost) {
      call.wasSent = true;
      if (call.idempotent && this.#repeat(call, 0)) continue;
      const code = error instanceof AnswerError && !error.isEnd ? 'FASTTUNNEL_BAD_ANSWER' : 'FASTTUNNEL_CONNECTION_LOST';
      call.fail(new CallError(code, true, `${call.target.what} was sent to ${server.place.url} and has no answer: ${error.message}. Its handler may have run. Calls that may run twice are sent again with idempotent: true.`, { cause: error }));
    }
    this.ready();
  }

  /** Sends a call again, after a while; false: it has been sent often enough, or its time would be over. */
  #repeat(call: Call, leastMs: number): boolean {
    const ms = leastMs + backoffMs(call.attempts, RETRY_MS, MOST_RETRY_MS);
    if (call.attempts > this.#settings.retries || ms > MOST_REST_MS || performance.now() + ms > call.deadline || !this.#budget.spend()) return false;
    call.stage = Stage.Waiting;
    this.#ledger.retries += 1;
    this.#resting.add(call);
    const timer = setTimeout(() => {
      this.#resting.delete(call);
      call.madeAtUs = microseconds(performance.now());
      this.#enqueue(call);
      this.ready();
    }, ms);
    call.carrier = {
      abandon: () => {
        clearTimeout(timer);
        this.#resting.delete(call);
      },
    };
    return true;
  }

  #setAlarm(at: number): void {
    this.#alarm?.end();
    this.#alarmAt = at;
    // What waits keeps the process alive itself: its socket does, or the timer of its next attempt.
    this.#alarm = new Timer(() => this.#ring(), Math.max(1, at - performance.now())).unref();
  }

  /** Ends the calls whose time is over. */
  #ring(): void {
    this.#alarmAt = Infinity;
    const now = performance.now();
    let next = Infinity;
    for (const { call, url, server } of [...this.#calls()]) {
      if (call.stage === Stage.Over) continue;
      // A timer may be a little early.
      if (call.deadline <= now + 1) {
        server?.health.fail(now);
        call.timeOut(url);
      } else next = Math.min(next, call.deadline);
    }
    if (next < this.#alarmAt) this.#setAlarm(next);
  }

  *#calls(): Generator<{ call: Call; url: string; server?: Server }> {
    const nowhere = this.#settings.places.map(({ url }) => url).join(', ');
    for (const server of this.servers) for (const call of server.calls()) yield { call, url: server.place.url, server };
    for (const call of [...this.#fast, ...this.#slow, ...this.#resting]) yield { call, url: nowhere };
  }

  /** Ends the calls under way, with what `error` makes of each. */
  endAll(error: (call: Call) => Error): void {
    for (const { call } of [...this.#calls()]) call.fail(error(call));
  }

  /** Ends all connections: no call is under way any more. */
  end(): void {
    for (const server of this.servers) server.end();
    this.#alarm?.end();
    clearTimeout(this.#wake);
  }
}


function dispatch(dispatcher: Dispatcher): void {
  dispatcher.dispatch();
}
