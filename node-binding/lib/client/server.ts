import type { AnswerHead } from './answer-head.js';
import { backoffMs } from './backoff.js';
import type { Call } from './call.js';
import { Connection } from './connection.js';
import type { ConnectionOwner } from './connection.js';
import { Health } from './health.js';
import { Layout } from './layout.js';
import { Rhythm } from './pace.js';
import type { Place } from './place.js';
import { probe } from './probe.js';
import type { Settings } from './settings.js';
import type { ServerStats } from './types.js';

/** Calls on one connection to fasttunnel, which reads no further behind 32 (`maxPipelined`). */
const PIPELINED = 32;
/** Calls that were sent within this time go together. */
const TOGETHER_MS = 1;
/** Connections that are made at a time, before it is known how many are needed. */
const CONNECTING = 8;
const PROBES = 3;
const SLOW_SHARE = 3 / 4;
/** Slow calls on one connection, where there is none without. */
const MOST_BEHIND_SLOW = 8;
/** How often is looked for idle connections. */
const SWEEP_MS = 1000;
const RETRY_MS = 50;
const MOST_RETRY_MS = 5000;

/** What a server tells of itself. */
export interface ServerOwner {
  answered(server: Server, call: Call, head: AnswerHead, text: string): void;
  /** Calls that wait may be sent now. */
  ready(): void;
  /** No connection could be made, and there is none. */
  unreachable(server: Server, error: Error): void;
  /** A connection has ended with these calls on it; those in `unread` have not run for certain. */
  lost(server: Server, unread: Call[], lost: Call[], error: Error): void;
}

/** One server: its connections, which of them gets a call, and how it is. */
export class Server implements ConnectionOwner {
  readonly place: Place;
  readonly layout = new Layout();
  readonly rhythm = new Rhythm();
  readonly health = new Health();
  /** When to try again to connect. */
  retryAt = -Infinity;
  readonly #settings: Settings;
  readonly #owner: ServerOwner;
  readonly #connections: Connection[] = [];
  readonly #waits = new Set<Connection>();
  #current: Connection | undefined;
  #kind: ServerStats['kind'] = 'unknown';
  /** Answers have come in the order of requests, as far as ids tell. */
  #ordered = true;
  #probe: Call | undefined;
  #probes = 0;
  #opened = 0;
  #lost = 0;
  #failures = 0;
  #sweep: NodeJS.Timeout | undefined;

  constructor(place: Place, settings: Settings, owner: ServerOwner) {
    this.place = place;
    this.#settings = settings;
    this.#owner = owner;
  }

  /** Calls on its connections. */
  get outstanding(): number {
    let outstanding = 0;
    for (const connection of this.#connections) outstanding += connection.live;
    return outstanding;
  }

  /** Calls may be sent there, or will be as soon as a connection is there. */
  available(now: number): boolean {
    return this.#connections.length > 0 || now >= this.retryAt;
  }

  /** Others should get calls first. */
  isSuspect(now: number): boolean {
    return this.health.isSuspect(now, this.outstanding);
  }

  /** Calls that one connection takes. */
  get #depth(): number {
    if (!this.#ordered) return 1;
    return this.#settings.pipelining ?? (this.#kind === 'fasttunnel' ? PIPELINED : 1);
  }

  /**
   * The connection that is to take a call now; undefined: the call has to wait for one.
   *
   * @param patient it waits rather than go behind another slow one: of a task that is slow now and then, most calls are quick, and
   * a connection is free soon. Behind another of them a call would seldom wait, but then for as long as that takes.
   */
  pick(slow: boolean, patient: boolean, now: number): Connection | undefined {
    const depth = this.#depth;
    const current = this.#current;
    // Calls that are made together go together: one write and one read for all of them.
    const apart = slow || this.rhythm.stalls;
    if (!apart && current !== undefined && current.slow === 0 && current.sent.length < depth && (current.sent.length === 0 || now - current.since < TOGETHER_MS) && current.usable(now)) return current;
    const lateMs = this.#settings.lateMs + this.rhythm.wayMs;
    let best: Connection | undefined;
    let withSlow = 0;
    // Of equals the first: those that are not needed any more become idle, and end.
    for (let index = this.#connections.length - 1; index >= 0; index--) {
      const connection = this.#connections[index]!;
      const count = connection.sent.length;
      if (connection.slow > 0) withSlow += 1;
      // Asked of each: who is late tells so of its task, long before it is answered.
      const isLate = connection.isLate(now, lateMs);
      if (connection.slow > 0 || isLate) continue;
      if (count >= depth || (best !== undefined && count > best.sent.length)) continue;
      if (connection.usable(now)) best = connection;
    }
    if (slow && withSlow >= this.#mostSlow) return patient ? undefined : this.#behindSlow(now, lateMs);
    if (best === undefined) return undefined;
    // A slow call goes behind others only where there can be no connection of its own.
    if (apart && best.sent.length > 0 && this.#room > 0 && now >= this.retryAt) return undefined;
    if (!slow) this.#current = best;
    return best;
  }

  /**
   * Where all connections are taken that slow calls may have: behind another of them, as long as that is not late. They
   * would wait here as well, and the server may as well begin with them.
   */
  #behindSlow(now: number, lateMs: number): Connection | undefined {
    const depth = Math.min(this.#depth, MOST_BEHIND_SLOW);
    let best: Connection | undefined;
    for (const connection of this.#connections) {
      const count = connection.sent.length;
      if (connection.slow === 0 || count >= depth || (best !== undefined && count >= best.sent.length) || connection.isLate(now, lateMs)) continue;
      if (connection.open && !connection.retired && connection.hasRoom) best = connection;
    }
    return best;
  }

  /** Connections that slow calls may have: the others are left to those that are quick. */
  get #mostSlow(): number {
    return Math.max(1, Math.floor(this.#settings.connections * SLOW_SHARE));
  }

  get #room(): number {
    return this.#settings.connections - this.#connections.length - this.#waits.size;
  }

  /** Opens connections for calls that wait for one. */
  need(fast: number, slow: number, now: number): void {
    if (now < this.retryAt) return;
    // One connection tries whether a server is back.
    const wanted = this.#failures > 0 ? 1 : (this.rhythm.stalls ? fast : Math.ceil(fast / this.#depth)) + slow;
    const most = this.#kind === 'unknown' ? CONNECTING : CONNECTING * 4;
    for (let left = Math.min(wanted, most, this.#room + this.#waits.size) - this.#waits.size; left > 0; left--) this.#open(now);
  }

  #open(now: number): void {
    if (now < this.retryAt) return;
    this.#waits.add(new Connection(this.place, this.#settings, this));
  }

  opened(connection: Connection): void {
    this.#waits.delete(connection);
    this.#connections.push(connection);
    this.#opened += 1;
    this.#failures = 0;
    this.retryAt = -Infinity;
    this.#sweep ??= setInterval(() => this.#endIdle(), SWEEP_MS).unref();
    this.#owner.ready();
  }

  failed(connection: Connection, error: Error): void {
    if (!this.#waits.delete(connection)) return;
    const now = performance.now();
    // Connections that were begun together fail together, and count as one.
    if (now < this.retryAt) return;
    this.#failures += 1;
    this.retryAt = now + backoffMs(this.#failures, RETRY_MS, MOST_RETRY_MS);
    if (this.#connections.length === 0) this.#owner.unreachable(this, error);
    // What waits may wait for this one alone: others may hang.
    else this.#owner.ready();
  }

  answered(call: Call, head: AnswerHead, text: string): void {
    if (call === this.#probe) return call.succeed(head);
    if (head.close) this.leaves();
    if (this.#kind === 'fasttunnel' && this.layout.isStrange) this.#kind = 'other';
    // A result that is not in our form.
    if (this.#kind === 'unknown' && head.status === 200 && this.layout.head === undefined) this.#kind = 'other';
    this.#owner.answered(this, call, head, text);
  }

  /** Ours does where we ask for it. What has not been recognised would take what we ask for as it likes. */
  get givesNotice(): boolean {
    return this.#kind === 'fasttunnel';
  }

  /** It ends a connection that it has kept: with others beside it, it is not asked again before it has had its time. */
  leaves(): void {
    if (this.#kind !== 'fasttunnel' || this.#settings.places.length === 1) return;
    this.health.drain(performance.now());
    for (const connection of [...this.#connections]) connection.retire();
  }

  tolerates(): boolean {
    this.#kind = 'other';
    this.#ordered = false;
    // Who has never given back an id makes ids of its own: they say nothing.
    return this.layout.head === undefined;
  }

  ready(connection: Connection): void {
    if (this.#kind === 'unknown' && this.layout.head !== undefined) this.#recognise(connection);
    this.#owner.ready();
  }

  closed(connection: Connection, unread: Call[], lost: Call[], error: Error): void {
    const index = this.#connections.indexOf(connection);
    if (index >= 0) this.#connections.splice(index, 1);
    if (this.#current === connection) this.#current = undefined;
    if (unread.length + lost.length > 0) this.#lost += 1;
    if (this.#connections.length === 0) {
      clearInterval(this.#sweep);
      this.#sweep = undefined;
    }
    const isCall = (call: Call): boolean => call !== this.#probe;
    // Others say so as well, but node:http, for one, begins with requests that it has read behind a last answer.
    if (this.#kind === 'fasttunnel') this.#owner.lost(this, unread.filter(isCall), lost.filter(isCall), error);
    else this.#owner.lost(this, [], [...unread, ...lost].filter(isCall), error);
    if (this.#probe !== undefined && (unread.includes(this.#probe) || lost.includes(this.#probe))) this.#probe.fail(error);
  }

  /** Once a call was answered in our form: asks what only we answer so, on a connection that nothing waits for. */
  #recognise(connection: Connection): void {
    if (!this.layout.isOwn || this.#probes === PROBES) {
      this.#kind = 'other';
      return;
    }
    const now = performance.now();
    if (this.#probe !== undefined || connection.sent.length > 0 || !connection.usable(now)) return;
    this.#probes += 1;
    this.#probe = probe((isOurs) => {
      this.#probe = undefined;
      if (isOurs !== undefined && this.#ordered) this.#kind = isOurs ? 'fasttunnel' : 'other';
    });
    const { fail } = this.#probe;
    setTimeout(fail.bind(this.#probe, new Error('the question has no answer')), this.#settings.connectTimeoutMs).unref();
    connection.add(this.#probe, now);
    connection.flush();
  }

  /** Calls that wait for an answer, for deadlines. */
  *calls(): Generator<Call> {
    for (const connection of this.#connections) yield* connection.sent;
  }

  /** Ends all connections: no call is under way any more. */
  end(): void {
    for (const connection of [...this.#connections, ...this.#waits]) connection.close(new Error('the connection is not needed any more'));
  }

  /** So long its connections were idle without anybody noticing. */
  age(ms: number): void {
    for (const connection of this.#connections) connection.age(ms);
  }

  #endIdle(): void {
    const now = performance.now();
    for (const connection of [...this.#connections]) connection.usable(now);
  }

  stats(): ServerStats {
    return {
      url: this.place.url,
      kind: this.#kind,
      connections: this.#connections.length,
      opened: this.#opened,
      lost: this.#lost,
      outstanding: this.outstanding,
      failures: this.#failures + this.health.failures,
    };
  }
}
