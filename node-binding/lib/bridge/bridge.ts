import { setTimeout as sleep } from 'node:timers/promises';
import type { Entry, OnError } from '../calls/entry.js';
import { optionErrorOf, ShardError } from '../errors/errors.js';
import { CALLS, FRAMES, GONE, HEADER, LENGTH, NEWS_FAILED, NEWS_RESTARTED, NEWS_STOPPED, NOTICES, PER_CALL, SHARDS } from '../facts/facts.generated.js';
import { fileRules } from '../forms/file-rules.js';
import { addon } from '../native/addon.js';
import type { Destination, NativeHandler, NativeTunnel } from '../native/addon.js';
import { nativeTls } from '../native/tls.js';
import { urlOf } from '../options/addresses.js';
import type { AdminAddress } from '../options/addresses.js';
import type { AdminEngineOptions } from '../options/admin.js';
import type { Allow, EngineOptions, Placement } from '../options/engine-options.js';
import { forgetKeys } from '../options/tls.js';
import type { TlsEngineOptions } from '../options/tls.js';
import { FileWatch } from '../process/file-watch.js';
import type { OpenTunnel } from '../process/open-tunnel.js';
import { onNode } from '../process/runtime.js';
import type { MemberStats, Stats } from '../stats/stats.js';
import type { ValueCodec } from '../values/codec.js';
import { AccessLog } from './access-log.js';
import { AnswerBatch } from './answer-batch.js';
import type { Bridge, Membership } from './bridge-interface.js';
import { Calls } from './calls.js';
import { HandlerIndex } from './handler-index.js';
import { Heartbeat } from './heartbeat.js';
import { Asks, tellRefusals } from './hooks.js';
import type { BridgeHooks } from './hooks.js';
import { defaultRing, nativeAllow, nativeOptions } from './native-options.js';
import { TurnBudget } from './turn-budget.js';

/** Starts the engine; rejects with what it says when it cannot, an OptionError where it is about an option. Ends `open` then, or when it is closed. */
export async function startBridge(
  options: EngineOptions,
  entries: readonly Entry[],
  codec: ValueCodec,
  onError: OnError,
  hooks: BridgeHooks = {},
  open?: OpenTunnel,
): Promise<Bridge> {
  try {
    const make: MakeNative = (handlers, table, ring) => new (addon().NativeTunnel)(nativeOptions(options, codec, hooks), handlers, nativeAllow(options.allow), table, ring);
    return new EngineBridge(make, options, entries, codec, onError, hooks, open);
  } catch (error) {
    open?.end();
    throw optionErrorOf(error);
  }
}

/** Joins a tunnel of another thread of this process, by its number: runs the calls of these entries. Throws when it has ended. */
export function joinTunnel(number: number, options: EngineOptions, entries: readonly Entry[], codec: ValueCodec, onError: OnError, hooks: BridgeHooks = {}): Bridge & Membership {
  const make: MakeNative = (handlers, table, ring) => addon().NativeTunnel.attach(number, (options.ring ?? defaultRing()) === 'loop', handlers, table, ring);
  return new EngineBridge(make, { ...options, workers: false, member: true }, entries, codec, onError, hooks, undefined);
}

/** What native code counts. */
type Look = Pick<Stats, 'shards' | 'failedShards' | 'live' | 'log'> & { members: (MemberStats & { member: number })[] };

/** Makes the native side, which writes into `table` and calls `ring`. */
type MakeNative = (handlers: NativeHandler[], table: Uint32Array, ring: () => void) => NativeTunnel;

/** Milliseconds between two looks at whether the last call is over. */
const LEAVE_LOOK_MS = 2;

function adminAddress(given: AdminEngineOptions | undefined, port: number, agentPort: number): AdminAddress | undefined {
  if (given === undefined) return undefined;
  const agent = given.agent === undefined ? {} : { agent: { host: given.agent.host, port: agentPort, socketPath: given.agent.socketPath } };
  return { url: urlOf({ ...given, port }, given.tls !== undefined), host: given.host, port, socketPath: given.socketPath, ...agent };
}

/** As long as a timer can be: only its being there matters. */
const FOREVER_MS = 2 ** 31 - 1;

/**
 * Runs calls in batches: one entry from native code brings all that wait, one call back takes all answers and brings
 * what has come meanwhile.
 */
class EngineBridge implements Bridge, Membership {
  readonly host: string;
  readonly socketPath?: string;
  readonly encrypted: boolean;
  readonly admin: AdminAddress | undefined;
  readonly #native: NativeTunnel;
  readonly #table = new Uint32Array(LENGTH);
  readonly #onError: OnError;
  readonly #answers: AnswerBatch;
  readonly #hooks: BridgeHooks;
  readonly #asks: Asks;
  readonly #calls: Calls;
  readonly #drainTimeoutMs: number;
  readonly #open: OpenTunnel | undefined;
  readonly #handlers = new HandlerIndex();
  readonly #keepAlive: NodeJS.Timeout;
  readonly #heartbeat: Heartbeat | undefined;
  #flushAsked = false;
  /** Draining, or about to: false while native code would ring. */
  #awake = false;
  #resumeAsked = false;
  readonly #budget: TurnBudget;
  /** Frames that belong behind the calls of a drain that was interrupted. */
  #heldFrames = 0;
  #drains = 0;
  /** Files of certificates, for the tunnel and for the admin listener. */
  readonly #watches = new Map<'tls' | 'admin', FileWatch>();
  readonly #log: { readonly reader: AccessLog; readonly path: string | undefined } | undefined;
  #closing: Promise<void> | undefined;
  #stopped: (() => void) | undefined;
  /** The engine is another thread's. */
  readonly #joined: boolean;

  constructor(make: MakeNative, options: EngineOptions & { member?: boolean }, entries: readonly Entry[], codec: ValueCodec, onError: OnError, hooks: BridgeHooks, open: OpenTunnel | undefined) {
    this.#open = open;
    this.#onError = onError;
    this.#answers = new AnswerBatch(codec, (error, call) => this.#calls.unwritable(error, call));
    this.#drainTimeoutMs = options.limits.drainTimeoutMs;
    this.host = options.host;
    this.encrypted = options.tls !== undefined;
    if (options.socketPath !== undefined) this.socketPath = options.socketPath;
    this.#joined = options.member === true;
    const { threadCpuMs } = addon();
    // Bun and Deno have the name, and zeros for what it tells. Their event loop is as busy as its thread.
    this.#budget = new TurnBudget(onNode ? () => performance.eventLoopUtilization().active : threadCpuMs);
    this.#hooks = hooks;
    this.#native = make(this.#handlers.offer(entries), this.#table, () => this.#onRing());
    // What is only announced has no numbers here.
    if (options.workers !== true) this.#handlers.publish(entries, this.#native.handlerNumbers);
    this.admin = adminAddress(options.admin, this.#native.adminPort, this.#native.agentPort);
    this.#asks = new Asks(this.#native, hooks, () => {
      this.#answers.given();
      this.#askFlush();
    });
    this.#calls = new Calls({
      native: this.#native, table: this.#table, codec, handlers: this.#handlers, answers: this.#answers, asks: this.#asks, onError, files: fileRules(options),
      askFlush: () => this.#askFlush(),
    });
    if (options.admin !== undefined || options.seat !== undefined) this.#heartbeat = new Heartbeat(this.#native, options.seat);
    if (options.tls !== undefined) this.#watch('tls', options.tls);
    if (typeof options.admin?.tls === 'object') this.#watch('admin', options.admin.tls);
    if (options.log !== undefined && !this.#joined) this.#log = { reader: new AccessLog(this.#native, options.log, onError), path: options.log.path };
    this.#keepAlive = setInterval(() => undefined, FOREVER_MS);
    // What it does not listen for need not be waited for.
    if (options.inProcess === true) this.#keepAlive.unref();
    // Native code rings only when a poll has found nothing; the first call needs one before it. A worker says before that
    // that it has joined: a call that has waited for it may never let go of the thread.
    if (this.#joined) this.#askResume();
    else this.#onRing();
  }

  setTls(tls: TlsEngineOptions): void {
    this.#encrypt('tls', tls);
    this.#watch('tls', tls);
  }

  #encrypt(place: 'tls' | 'admin', tls: TlsEngineOptions): void {
    try {
      if (place === 'tls') this.#native.setTls(nativeTls(tls));
      else this.#native.setAdminTls(nativeTls(tls));
    } catch (error) {
      throw optionErrorOf(error);
    } finally {
      forgetKeys(tls);
    }
  }

  /** Looks after the files of what is in force now, and no longer after those of before. */
  #watch(place: 'tls' | 'admin', { watched }: TlsEngineOptions): void {
    this.#watches.get(place)?.stop();
    this.#watches.delete(place);
    if (watched === undefined) return;
    const { files, intervalMs, state, read } = watched;
    const report = (error: unknown): void => this.#onError(error, { kind: 'task', id: '(tls)', requestId: '' });
    this.#watches.set(place, new FileWatch({ files, intervalMs, state, take: () => this.#encrypt(place, read()), report }));
  }

  reopenLog(): boolean {
    const path = this.#log?.path;
    if (path === undefined) return false;
    try {
      this.#native.reopenLog(path);
    } catch (error) {
      throw optionErrorOf(error);
    }
    return true;
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

  get placement(): Placement {
    return this.#native.placement;
  }

  get placementReason(): string | undefined {
    return this.#native.placementReason ?? undefined;
  }

  get shards(): number {
    return this.#native.shards;
  }

  get number(): number {
    return this.#native.number;
  }

  get member(): number {
    return this.#native.member;
  }

  setEntries(entries: readonly Entry[], allow?: Allow): void {
    try {
      this.#handlers.publish(entries, this.#native.setHandlers(this.#handlers.offer(entries), nativeAllow(allow)));
    } catch (error) {
      throw optionErrorOf(error);
    }
  }

  connect(): number {
    return this.#native.connect();
  }

  route(target: string): Destination {
    return this.#native.route(target);
  }

  stats(): Stats {
    const { members: _apart, ...counters } = this.#look();
    const { driver, driverReason, placement, placementReason } = this;
    const reasons = { ...(driverReason === undefined ? {} : { driverReason }), ...(placementReason === undefined ? {} : { placementReason }) };
    return { driver, placement, ...reasons, ring: this.#native.ring, ...counters, drains: this.#drains };
  }

  members(): ReadonlyMap<number, MemberStats> {
    return new Map(this.#look().members.map(({ member, ...stats }) => [member, stats]));
  }

  #look(): Look {
    return JSON.parse(this.#native.stats()) as Look;
  }

  ref(): void {
    if (this.#closing !== undefined) return;
    this.#keepAlive.ref();
    this.#open?.ref();
  }

  unref(): void {
    this.#keepAlive.unref();
    this.#open?.unref();
  }

  retire(): void {
    this.#native.retire();
  }

  cut(): void {
    this.#native.stop(0);
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#joined ? this.#leave() : this.#close());
  }

  async #close(): Promise<void> {
    // The process must live until the answers are out, even if it was not to live for listening.
    for (const watch of this.#watches.values()) watch.stop();
    this.#keepAlive.ref();
    try {
      await new Promise<void>((resolve) => {
        this.#stopped = resolve;
        this.#native.stop(this.#drainTimeoutMs);
        // Shards that have ended before (by a panic) say so no more: look whether that was the last of them.
        this.#askResume();
      });
      this.#native.finish();
      this.#log?.reader.end();
    } finally {
      clearInterval(this.#keepAlive);
      this.#heartbeat?.stop();
      this.#open?.end();
      this.#calls.abandon();
    }
  }

  leave(): Promise<void> {
    return (this.#closing ??= this.#leave());
  }

  async #leave(): Promise<void> {
    this.#native.leave();
    const until = performance.now() + this.#drainTimeoutMs;
    while (this.#native.live > 0 && performance.now() < until) await sleep(LEAVE_LOOK_MS);
    this.end();
  }

  end(): void {
    this.#native.finish();
    clearInterval(this.#keepAlive);
    this.#heartbeat?.stop();
    this.#calls.abandon();
  }

  /** Native code says that calls wait. */
  #onRing(): void {
    this.#wake();
    if (this.#calls.interrupted) return this.#goOn();
    const room = this.#budget.room();
    if (room > 0) this.#take(this.#native.poll(room));
    else this.#askResume();
  }

  /** A new budget for what is drained before the application's own events get their turn. */
  #wake(): void {
    this.#awake = true;
    this.#budget.begin();
  }

  /** Goes on with a drain that was interrupted. */
  #goOn(): void {
    this.#calls.runOn();
    this.#deliver(this.#heldFrames);
  }

  #deliver(frames: number): void {
    this.#heldFrames = this.#calls.interrupted ? frames : 0;
    if (frames === 0 || this.#calls.interrupted) return;
    this.#calls.streams.deliver(frames);
    this.#askFlush();
  }

  /** Runs what a drain has brought: calls, then pieces of their bodies, then the leaving of clients. */
  #take(text: string | null): void {
    const table = this.#table;
    const count = table[CALLS]!;
    const frames = table[FRAMES]!;
    const notices = table[NOTICES]!;
    const news = table[SHARDS]!;
    // Copied first: a call may be answered, and its ticket come again, before these are looked at.
    const gone = table[GONE] === 0 ? undefined : table.slice(HEADER + count * PER_CALL, HEADER + count * PER_CALL + table[GONE]!);
    if (text !== null) {
      this.#drains += 1;
      this.#budget.started(count);
      this.#calls.run(text, count);
    }
    this.#deliver(frames);
    if (gone !== undefined) this.#calls.leave(gone);
    if (notices > 0) tellRefusals(this.#native.notices(), this.#hooks, (error, requestId) => this.#onError(error, { kind: 'task', id: '(onRefused)', requestId }));
    if (news !== 0) this.#hear(news);
    if (text === null && frames === 0) {
      // Native code has not parked. The application gets a turn before we look again: a crowd that is refused, or that
      // leaves, must not keep it busy.
      if (gone !== undefined || notices > 0) this.#askResume();
      else this.#awake = false;
    }
  }

  /** Something is new of the shards. */
  #hear(news: number): void {
    // Whoever has the engine says so, and closes.
    if (this.#joined) return;
    if ((news & NEWS_RESTARTED) !== 0) this.#reportShard(new ShardError('FASTTUNNEL_SHARD_RESTARTED'));
    if ((news & NEWS_FAILED) !== 0) {
      this.#reportShard(new ShardError('FASTTUNNEL_SHARD_FAILED'));
      this.#hooks.onFailed?.();
      // Half of a tunnel would look well from without.
      this.close().catch((error: unknown) => this.#reportShard(error));
    }
    if ((news & NEWS_STOPPED) !== 0) this.#stopped?.();
  }

  #reportShard(error: unknown): void {
    this.#onError(error, { kind: 'task', id: '(shard)', requestId: '' });
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
    const room = this.#calls.interrupted ? 0 : this.#budget.room();
    // With nothing to answer all handlers wait for something; what has come meanwhile would not ring, because we
    // have not parked: poll.
    const next = this.#answers.empty ? this.#pollIf(room) : this.#complete(room);
    if (room > 0) this.#take(next);
    else this.#askResume();
  };

  #complete(room: number): string | null {
    const answers = this.#answers;
    for (;;) {
      const text = answers.take();
      const last = answers.empty;
      try {
        this.#budget.answered(answers.count);
        const next = this.#native.complete(text, answers.rows, answers.count, last ? room : 0);
        if (last) return next;
      } catch (error) {
        // There was no memory for the texts: native code has answered 500 where it had a ticket.
        this.#onError(error, { kind: 'task', id: '(batch of answers)', requestId: '' });
        if (last) return this.#pollIf(room);
      }
    }
  }

  #pollIf(room: number): string | null {
    return room > 0 ? this.#native.poll(room) : null;
  }

  /** Goes on when the application has had its turn. */
  #askResume(): void {
    if (this.#resumeAsked) return;
    this.#resumeAsked = true;
    // Where only time brings room, an immediate would keep the thread busy until then.
    if (this.#budget.isDue) setImmediate(this.#resume);
    else setTimeout(this.#resume, 1);
  }

  readonly #resume = (): void => {
    this.#resumeAsked = false;
    this.#onRing();
  };
}
