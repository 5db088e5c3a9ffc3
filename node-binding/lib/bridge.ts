import { addon } from './addon.js';
import type { Destination, NativeTunnel } from './addon.js';
import { Answers } from './answers.js';
import type { Bridge, Entry, OnError, Stats } from './bridge-types.js';
import { Call } from './call.js';
import type { ValueCodec } from './codec.js';
import { nativeAllow, nativeOptions } from './engine-options.js';
import type { Allow, EngineOptions } from './engine-options.js';
import { HandlerIndex } from './handler-index.js';
import { Asks, tellRefusals } from './hooks.js';
import type { BridgeHooks } from './hooks.js';
import { CALLS, FLAG_ASK, FLAG_EMPTY, FLAG_EVENT, FLAG_MARKED, FLAG_TEXT, GONE, HEADER, LENGTH, NOTICES, PER_CALL, STOPPED } from './layout.js';
import { answerOfFailure, CallFailure, DONE, RawAnswer } from './outcome.js';
import { errorAnswerOf, INTERNAL_ERROR, TaskError } from './task-error.js';
import { isThenable } from './thenable.js';
import { inputOf, payloadOf, returnPayload } from './values.js';

/** Starts the engine; rejects with what it says when it cannot. */
export async function startBridge(
  options: EngineOptions,
  entries: readonly Entry[],
  codec: ValueCodec,
  onError: OnError,
  hooks: BridgeHooks = {},
): Promise<Bridge> {
  return new EngineBridge(options, entries, codec, onError, hooks);
}

/** Drains in a row before the application's own events get their turn. */
const MAX_ROUNDS = 64;
/** The same, in milliseconds. */
const MAX_BUSY_MS = 5;
/** As long as a timer can be: only its being there matters. */
const FOREVER_MS = 2 ** 31 - 1;

/**
 * Runs calls in batches: one entry from native code brings all that wait, one call back takes all answers and brings
 * what has come meanwhile.
 */
class EngineBridge implements Bridge {
  readonly host: string;
  readonly socketPath?: string;
  readonly #native: NativeTunnel;
  readonly #table = new Uint32Array(LENGTH);
  readonly #codec: ValueCodec;
  readonly #onError: OnError;
  readonly #answers: Answers;
  readonly #hooks: BridgeHooks;
  readonly #asks: Asks;
  readonly #drainTimeoutMs: number;
  /** By ticket: calls whose handler has not settled. */
  readonly #pending: (Call | undefined)[] = [];
  readonly #handlers = new HandlerIndex();
  readonly #keepAlive: NodeJS.Timeout;
  #flushAsked = false;
  /** Draining, or about to: false while native code would ring. */
  #awake = false;
  #rounds = 0;
  #busySinceMs = 0;
  #drains = 0;
  #closing: Promise<void> | undefined;
  #stopped: (() => void) | undefined;

  constructor(options: EngineOptions, entries: readonly Entry[], codec: ValueCodec, onError: OnError, hooks: BridgeHooks) {
    this.#codec = codec;
    this.#onError = onError;
    this.#answers = new Answers(codec, (error, call) => this.#report(error, call));
    this.#drainTimeoutMs = options.limits.drainTimeoutMs;
    this.host = options.host;
    if (options.socketPath !== undefined) this.socketPath = options.socketPath;
    const { NativeTunnel } = addon();
    this.#hooks = hooks;
    this.#native = new NativeTunnel(nativeOptions(options, codec, hooks), this.#handlers.publish(entries), nativeAllow(options.allow), this.#table, () => this.#onRing());
    this.#asks = new Asks(this.#native, hooks, () => {
      this.#answers.given();
      this.#askFlush();
    });
    this.#keepAlive = setInterval(() => undefined, FOREVER_MS);
    // What it does not listen for need not be waited for.
    if (options.inProcess === true) this.#keepAlive.unref();
    // Native code rings only when a poll has found nothing; the first call needs one before it.
    this.#onRing();
  }

  get port(): number {
    return this.#native.port;
  }

  get driver(): 'io_uring' | 'epoll' {
    return this.#native.driver;
  }

  get driverReason(): string | undefined {
    return this.#native.driverReason ?? undefined;
  }

  get shards(): number {
    return this.#native.shards;
  }

  setEntries(entries: readonly Entry[], allow?: Allow): void {
    this.#native.setHandlers(this.#handlers.publish(entries), nativeAllow(allow));
  }

  connect(): number {
    return this.#native.connect();
  }

  route(target: string): Destination {
    return this.#native.route(target);
  }

  stats(): Stats {
    const counters = JSON.parse(this.#native.stats()) as Pick<Stats, 'shards' | 'panickedShards' | 'live'>;
    const reason = this.driverReason;
    return { driver: this.driver, ...(reason === undefined ? {} : { driverReason: reason }), ...counters, drains: this.#drains };
  }

  ref(): void {
    if (this.#closing === undefined) this.#keepAlive.ref();
  }

  unref(): void {
    this.#keepAlive.unref();
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  async #close(): Promise<void> {
    // The process must live until the answers are out, even if it was not to live for listening.
    this.#keepAlive.ref();
    try {
      await new Promise<void>((resolve) => {
        this.#stopped = resolve;
        this.#native.stop(this.#drainTimeoutMs);
        // Shards that have ended before (by a panic) say so no more: look whether that was the last of them.
        setImmediate(this.#resume);
      });
      this.#native.finish();
    } finally {
      clearInterval(this.#keepAlive);
      // Whoever still works does so for nobody.
      for (const call of this.#pending) call?.abort();
      this.#pending.length = 0;
    }
  }

  /** Native code says that calls wait. */
  #onRing(): void {
    this.#wake();
    this.#take(this.#native.poll());
  }

  /** A new budget for what is drained before the application's own events get their turn. */
  #wake(): void {
    this.#awake = true;
    this.#rounds = 0;
    this.#busySinceMs = performance.now();
  }

  /** Runs what a drain has brought. */
  #take(text: string | null): void {
    const table = this.#table;
    const count = table[CALLS]!;
    const gone = table[GONE]!;
    const notices = table[NOTICES]!;
    if (gone > 0) this.#abort(HEADER + count * PER_CALL, gone);
    if (text !== null) {
      this.#drains += 1;
      this.#run(text, count);
    }
    const stopped = table[STOPPED] === 1;
    if (notices > 0) tellRefusals(this.#native.notices(), this.#hooks, (error, requestId) => this.#onError(error, { kind: 'task', id: '(onRefused)', requestId }));
    if (stopped) this.#stopped?.();
    if (text === null) {
      // Native code has not parked. The application gets a turn before we look again: a crowd that is refused, or that
      // leaves, must not keep it busy.
      if (gone > 0 || notices > 0) setImmediate(this.#resume);
      else this.#awake = false;
    }
  }

  #abort(from: number, gone: number): void {
    // Copied first: a listener of an abort signal may do anything.
    for (const ticket of this.#table.slice(from, from + gone)) {
      const call = this.#pending[ticket];
      if (call === undefined) {
        this.#asks.leave(ticket);
        continue;
      }
      try {
        call.abort();
      } catch (error) {
        this.#report(error, call);
      }
    }
  }

  #run(text: string, count: number): void {
    const values = this.#parse(text);
    if (values === undefined) return this.#failAll(count);
    // The table is written again by the next drain, which a handler cannot start: it runs in a microtask at the earliest.
    const table = this.#table;
    for (let index = 0, at = HEADER; index < count; index += 1, at += PER_CALL) {
      this.#start(table[at]!, table[at + 1]!, table[at + 2]!, values[index]);
    }
    this.#askFlush();
  }

  /** The engine has checked every text; should one slip through, it must not take the process along. */
  #parse(text: string): unknown[] | undefined {
    try {
      return JSON.parse(text) as unknown[];
    } catch {
      return undefined;
    }
  }

  #failAll(count: number): void {
    for (let at = HEADER; at < HEADER + count * PER_CALL; at += PER_CALL) {
      if ((this.#table[at + 2]! & FLAG_ASK) !== 0) {
        this.#asks.ask(this.#table[at]!, this.#table[at + 2]!);
        continue;
      }
      const { kind, id } = this.#handlers.get(this.#table[at + 1]!);
      this.#answers.failed(new Call(kind, id, this.#table[at]!, this.#native), INTERNAL_ERROR);
    }
    this.#askFlush();
  }

  #start(ticket: number, handler: number, flags: number, value: unknown): void {
    if ((flags & FLAG_ASK) !== 0) return this.#asks.ask(ticket, flags);
    const entry = this.#handlers.get(handler);
    const call = new Call(entry.kind, entry.id, ticket, this.#native);
    let payload: unknown;
    let wanted = true;
    try {
      let body = value;
      if (flags !== 0) {
        if ((flags & FLAG_EMPTY) !== 0) body = undefined;
        else if ((flags & FLAG_TEXT) !== 0) body = this.#codec.parse(value as string);
        else if ((flags & FLAG_MARKED) !== 0) body = this.#codec.revive(value);
      }
      if (entry.raw === true) {
        payload = body;
      } else if ((flags & FLAG_EVENT) !== 0) {
        payload = payloadOf(body);
        wanted = returnPayload(body);
      } else {
        payload = inputOf(body);
      }
    } catch {
      // The engine has checked the syntax; the serializer refuses the meaning.
      this.#answers.invalidJson(call);
      return;
    }
    try {
      const result = call.run(entry.run, payload);
      if (isThenable(result)) {
        this.#pending[ticket] = call;
        // A thenable of the application's own may settle twice, or with another thenable.
        const promise = result instanceof Promise ? (result as Promise<unknown>) : Promise.resolve(result);
        promise.then(
          (settled) => this.#settle(call, settled, wanted),
          (error: unknown) => this.#fail(call, error),
        );
      } else {
        this.#finish(call, result, wanted);
      }
    } catch (error) {
      this.#pending[ticket] = call;
      this.#fail(call, error);
    }
  }

  #settle(call: Call, result: unknown, wanted: boolean): void {
    const { ticket } = call;
    // A thenable may settle twice; the ticket may name another call by then.
    if (this.#pending[ticket] !== call) return;
    this.#pending[ticket] = undefined;
    this.#finish(call, result, wanted);
    this.#askFlush();
  }

  #finish(call: Call, result: unknown, wanted: boolean): void {
    if (typeof result === 'object' && RawAnswer.is(result)) this.#answers.raw(call, result, this.#native);
    else if (wanted && result !== DONE) this.#answers.result(call, result);
    else this.#answers.done(call);
  }

  #fail(call: Call, error: unknown): void {
    const { ticket } = call;
    if (this.#pending[ticket] !== call) return;
    this.#pending[ticket] = undefined;
    if (CallFailure.is(error)) {
      this.#answers.raw(call, answerOfFailure(error), this.#native);
    } else {
      const answer = errorAnswerOf(error, this.#codec.stringify);
      // A task error is for the caller to see; one that cannot be written (a cycle in its `data`) nobody would see.
      if (answer === INTERNAL_ERROR || !isTaskError(error)) this.#report(error, call);
      this.#answers.failed(call, answer);
    }
    this.#askFlush();
  }

  #report(error: unknown, call: Call): void {
    call.within(() => this.#onError(error, { kind: call.kind, id: call.id, requestId: call.requestId }));
  }

  /** Answers leave when the microtask queue is empty: everything that settles in this turn goes in one call. */
  #askFlush(): void {
    if (this.#flushAsked) return;
    this.#flushAsked = true;
    if (!this.#awake) this.#wake();
    queueMicrotask(this.#afterMicrotasks);
  }

  // `nextTick` from a microtask runs when all microtasks have: Node drains the one queue before it looks at the other.
  readonly #afterMicrotasks = (): void => {
    process.nextTick(this.#flush);
  };

  readonly #flush = (): void => {
    this.#flushAsked = false;
    this.#rounds += 1;
    const more = this.#rounds < MAX_ROUNDS && performance.now() - this.#busySinceMs < MAX_BUSY_MS;
    // With nothing to answer all handlers wait for something; what has come meanwhile would not ring, because we
    // have not parked: poll.
    const next = this.#answers.empty ? this.#pollIf(more) : this.#complete(more);
    if (more) this.#take(next);
    else setImmediate(this.#resume);
  };

  #complete(more: boolean): string | null {
    const answers = this.#answers;
    for (;;) {
      const text = answers.take();
      const last = answers.empty;
      try {
        const next = this.#native.complete(text, answers.rows, answers.count, more && last);
        if (last) return next;
      } catch (error) {
        // There was no memory for the texts: native code has answered 500 where it had a ticket.
        this.#onError(error, { kind: 'task', id: '(batch of answers)', requestId: '' });
        if (last) return this.#pollIf(more);
      }
    }
  }

  #pollIf(more: boolean): string | null {
    return more ? this.#native.poll() : null;
  }

  /** The application has had its turn. */
  readonly #resume = (): void => this.#onRing();
}

/** Never throws: what was thrown may be a Proxy. */
function isTaskError(error: unknown): boolean {
  try {
    return TaskError.is(error);
  } catch {
    return false;
  }
}
