import { startBridge } from '../bridge/bridge.js';
import type { Bridge } from '../bridge/bridge-interface.js';
import { containErrors, reportOnStderr } from '../bridge/error-reports.js';
import type { Reporter } from '../bridge/error-reports.js';
import type { Entry } from '../calls/entry.js';
import { eventEntry, taskEntry } from '../calls/handler-entries.js';
import { ClosedError, DuplicateTaskError, StateError } from '../errors/errors.js';
import { listenErrorOf } from '../errors/listen-error.js';
import { othersOf, urlOf, whereOf } from '../options/addresses.js';
import type { AdminAddress } from '../options/addresses.js';
import { forgetTokens } from '../options/auth.js';
import { asFunction, asId, checkOptions } from '../options/options.js';
import type { CheckedOptions } from '../options/options.js';
import { asEncryption } from '../options/tls.js';
import type { EventHandler, handlers, EventHandlers, IdOf, TaskHandler, TaskHandlers, TlsOptions, TunnelOptions } from '../options/types.js';
import { asyncDispose } from '../process/async-dispose.js';
import { OpenTunnel } from '../process/open-tunnel.js';
import { stopOnSignals } from '../process/signals.js';
import type { Stats } from '../stats/stats.js';
import { ServiceManager } from '../supervision/service-manager.js';
import { locate, locateAdmin } from '../supervision/sockets.js';
import { codecOf } from '../values/codec.js';
import { WorkerPool } from '../workers/pool.js';

/** Handlers that are put in force one by one. */
const CHANGES_AT_ONCE = 64;

/** What both forms of a tunnel can do once it listens. */
export interface Tunnel<Tasks = TaskHandlers, Events = EventHandlers> {
  readonly [handlers]?: { tasks: Tasks; events: Events } | undefined;
  /** Where callers point their client's `baseUrl`; with a socket path `unix:<path>:<base path>`. */
  readonly url: string;
  /** The port it listens on, 0 with a socket path. */
  readonly port: number;
  readonly host: string;
  readonly socketPath: string | undefined;
  /** Where `/livez` and `/readyz` are, if the option `admin` is set. */
  readonly admin: AdminAddress | undefined;
  readonly driver: 'io_uring' | 'epoll';
  /** Why it is not io_uring. */
  readonly driverReason: string | undefined;
  /** Where its shards run: on `threads` of their own, or `inline`, in this event loop. */
  readonly placement: 'threads' | 'inline';
  /** What decided, where `auto` left it open; why it is not `inline`, where that was asked for. */
  readonly placementReason: string | undefined;

  /** Adds a task, also while serving. Throws a {@link DuplicateTaskError} when the id has a handler. */
  registerTask<Input = any>(id: string, handler: TaskHandler<Input>): this;
  /** Adds an event handler, also while serving; it runs after those that the id has already. */
  registerEvent<Payload = any>(id: string, handler: EventHandler<Payload>): this;
  /** Removes a task: new calls get 404 or 403, calls that run go on. Tells whether there was one. */
  unregisterTask(id: IdOf<Tasks>): boolean;
  /** Removes one handler of an event, or all of them. Tells whether there was one. */
  unregisterEvent(id: IdOf<Events>, handler?: EventHandler): boolean;
  getTaskIds(): IdOf<Tasks>[];
  getEventIds(): IdOf<Events>[];

  /**
   * Replaces certificate and key, while serving. Every connection that comes from now on begins with them; those that are
   * open go on. Throws an OptionError, and changes nothing, when something is wrong with them.
   */
  setTls(options: TlsOptions): this;

  /**
   * Goes on with the access log in a new file of the same path: call it when the file has been renamed, on SIGHUP for example.
   * Throws an OptionError, and goes on as before, when the file cannot be opened.
   */
  reopenLog(): this;

  /** What was counted and measured since it listens, in total and by shard; docs/operating.md says how to read it. */
  stats(): Stats;
  /**
   * Exchanges the workers, one at a time, for ones that have loaded the module anew; calls go on meanwhile. Rejects with the
   * module's error when a new one does not start: those that are not exchanged yet stay. With the option `workers`.
   */
  reload(): Promise<void>;
  /** Listening keeps the process alive (the default). */
  ref(): this;
  /** Listening no longer keeps the process alive. */
  unref(): this;
  /** Stops accepting, answers what is in flight within `drainTimeoutMs`, ends every thread. May be called again. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * A tunnel for people who register one by one:
 *
 * ```js
 * const server = new TunnelServer({ port: 7070, auth: { token } });
 * server.registerTask('app.tasks.add', async ({ a, b }) => a + b);
 * await server.listen();
 * ```
 */
export class TunnelServer<Tasks = TaskHandlers, Events = EventHandlers> implements Tunnel<Tasks, Events> {
  declare readonly [handlers]?: { tasks: Tasks; events: Events } | undefined;
  readonly #options: CheckedOptions;
  // The entries themselves are kept: the bridge knows by identity what has not changed.
  readonly #tasks = new Map<string, Entry>();
  readonly #events = new Map<string, { handlers: readonly EventHandler[]; entry: Entry }>();
  #listening: Promise<this> | undefined;
  #closing: Promise<void> | undefined;
  #bridge: Bridge | undefined;
  #pool: WorkerPool | undefined;
  /** Workers that are loaded for the first time. */
  #loading: WorkerPool | undefined;
  #forgetSignals: (() => void) | undefined;
  #manager: ServiceManager | undefined;
  #referenced = true;
  /** Handlers that came or went in this turn of the event loop. */
  #changes = 0;

  /** Checks every option; nothing listens before {@link listen}. */
  constructor(options: TunnelOptions<Tasks, Events>) {
    this.#options = checkOptions(options);
    for (const [id, handler] of this.#options.tasks) this.#addTask(id, handler);
    for (const [id, handler] of this.#options.events) this.#addEvent(id, handler);
  }

  /** Resolves when it listens. Rejects with a ListenError (EADDRINUSE, …), after which it may be tried again. */
  listen(): Promise<this> {
    if (this.#closing !== undefined) return Promise.reject(new ClosedError('listen'));
    if (this.#listening !== undefined) {
      return Promise.reject(new StateError('FASTTUNNEL_ALREADY_LISTENING', 'listen: it was called before. One TunnelServer listens once; create another for another address.'));
    }
    const open = new OpenTunnel();
    this.#listening = this.#start(open).then(() => this.#tellReady()).catch((error: unknown) => {
      open.end();
      this.#listening = undefined;
      throw error;
    });
    return this.#listening;
  }

  #tellReady(): this {
    if (this.#options.systemd && this.#closing === undefined) {
      this.#manager = ServiceManager.ofProcess();
      this.#manager?.ready(this.url);
    }
    return this;
  }

  async #start(open: OpenTunnel): Promise<this> {
    const { workers, engine } = this.#options;
    const onError = containErrors(this.#options.onError ?? reportOnStderr);
    if (workers === undefined) return await this.#startWith(undefined, onError, open);
    const pool = new WorkerPool(workers, engine, onError);
    try {
      this.#loading = pool;
      await pool.load().finally(() => (this.#loading = undefined));
      // One of them may have been there before the others were ended.
      this.#mustBeOpen('listen');
      await this.#startWith(pool, onError, open);
      await pool.join(this.#running('listen').number);
      return this;
    } catch (error) {
      await this.#bridge?.close();
      await pool.kill();
      this.#forgetSignals?.();
      [this.#bridge, this.#pool] = [undefined, undefined];
      throw this.#closing === undefined ? error : new ClosedError('listen');
    }
  }

  async #startWith(pool: WorkerPool | undefined, onError: Reporter, open: OpenTunnel): Promise<this> {
    const { engine, serializer } = this.#options;
    const listen = await locate('fd', engine);
    const admin = await locateAdmin('admin', engine.admin);
    try {
      const entries = (): Entry[] => pool?.entries() ?? this.#entries();
      const codec = codecOf(serializer);
      const bridge = await startBridge({ ...listen, ...admin }, entries(), pool === undefined ? codec : { ...codec, exact: pool.exact }, onError, { onFailed: () => this.#giveUp(onError) }, open);
      [this.#bridge, this.#pool] = [bridge, pool];
      forgetTokens(engine);
      // What was registered or said while it started.
      if (pool === undefined) bridge.setEntries(entries());
      if (engine.tls !== undefined && engine.tls !== listen.tls) bridge.setTls(engine.tls);
      if (this.#options.signals.length > 0) this.#stopOnSignals(bridge);
      if (!this.#referenced) bridge.unref();
      if (engine.driver === 'auto' && bridge.driver === 'epoll') warnOfEpoll(bridge.driverReason);
      return this;
    } catch (error) {
      throw listenErrorOf(error, whereOf(engine), othersOf(admin.admin));
    }
  }

  get url(): string {
    // Clients put `/task/…` behind it: under the root there is nothing in between.
    const basePath = this.#options.engine.basePath === '/' ? '' : this.#options.engine.basePath;
    return `${urlOf(this.#running('url'), this.#running('url').encrypted)}${basePath}`;
  }

  get port(): number {
    return this.#running('port').port;
  }

  get host(): string {
    return this.#running('host').host;
  }

  get socketPath(): string | undefined {
    return this.#running('socketPath').socketPath;
  }

  get admin(): AdminAddress | undefined {
    return this.#running('admin').admin;
  }

  get driver(): 'io_uring' | 'epoll' {
    return this.#running('driver').driver;
  }

  get driverReason(): string | undefined {
    return this.#running('driverReason').driverReason;
  }

  get placement(): 'threads' | 'inline' {
    return this.#running('placement').placement;
  }

  get placementReason(): string | undefined {
    return this.#running('placementReason').placementReason;
  }

  registerTask<Input = any>(id: string, handler: TaskHandler<Input>): this {
    this.#mustBeOpen('registerTask');
    this.#mustHaveHandlers('registerTask');
    this.#addTask(asId('task', id), asFunction<TaskHandler>('handler', handler));
    return this.#publish();
  }

  registerEvent<Payload = any>(id: string, handler: EventHandler<Payload>): this {
    this.#mustBeOpen('registerEvent');
    this.#mustHaveHandlers('registerEvent');
    this.#addEvent(asId('event', id), asFunction<EventHandler>('handler', handler));
    return this.#publish();
  }

  unregisterTask(id: IdOf<Tasks>): boolean {
    this.#mustHaveHandlers('unregisterTask');
    const found = this.#tasks.delete(id);
    if (found) this.#publish();
    return found;
  }

  unregisterEvent(id: IdOf<Events>, handler?: EventHandler): boolean {
    this.#mustHaveHandlers('unregisterEvent');
    const present = this.#events.get(id)?.handlers;
    if (present === undefined) return false;
    const rest = handler === undefined ? [] : withoutFirst(present, handler);
    if (rest.length === present.length) return false;
    if (rest.length === 0) this.#events.delete(id);
    else this.#setEvent(id, rest);
    this.#publish();
    return true;
  }

  getTaskIds(): IdOf<Tasks>[] {
    return [...(this.#pool?.tasks ?? this.#tasks.keys())];
  }

  getEventIds(): IdOf<Events>[] {
    return [...(this.#pool?.events ?? this.#events.keys())];
  }

  setTls(options: TlsOptions): this {
    this.#mustBeOpen('setTls');
    const tls = asEncryption('tls', options);
    const { engine } = this.#options;
    if (engine.tls === undefined) throw new StateError('FASTTUNNEL_NOT_OFFERED', 'setTls: the tunnel speaks plain HTTP. Start it with the option tls.');
    if (this.#bridge === undefined) engine.tls = tls;
    else this.#bridge.setTls(tls);
    return this;
  }

  reopenLog(): this {
    if (!this.#running('reopenLog').reopenLog()) throw new StateError('FASTTUNNEL_NOT_OFFERED', 'reopenLog: the access log is written into no file. Set the option log.path.');
    return this;
  }

  stats(): Stats {
    const bridge = this.#running('stats');
    const stats = bridge.stats();
    return this.#pool === undefined ? stats : { ...stats, workers: this.#pool.stats(bridge.members()) };
  }

  async reload(): Promise<void> {
    this.#mustBeOpen('reload');
    this.#running('reload');
    if (this.#pool === undefined) throw new StateError('FASTTUNNEL_NOT_OFFERED', 'reload: this tunnel has no workers. Set the options workers and handlers.');
    await this.#pool.reload();
  }

  ref(): this {
    this.#referenced = true;
    if (this.#closing === undefined) this.#bridge?.ref();
    return this;
  }

  unref(): this {
    this.#referenced = false;
    if (this.#closing === undefined) this.#bridge?.unref();
    return this;
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#stop());
  }

  [asyncDispose](): Promise<void> {
    return this.close();
  }

  async #stop(): Promise<void> {
    // Workers may take long to load, and need not: nothing listens yet.
    await this.#loading?.kill();
    // A start that is under way has to end before there is anything to stop; its error belongs to listen().
    await this.#listening?.catch(() => {});
    this.#manager?.stopping();
    forgetTokens(this.#options.engine);
    await this.#bridge?.close();
    await this.#pool?.close();
    this.#forgetSignals?.();
    this.#manager?.end();
  }

  /** The bridge closes by itself. Workers, signals and the watchdog go with it. */
  #giveUp(onError: Reporter): void {
    this.#manager?.failed();
    this.close().catch((error: unknown) => onError(error, { kind: 'task', id: '(shard)', requestId: '' }));
  }

  #stopOnSignals(bridge: Bridge): void {
    const { signals, readinessDelayMs } = this.#options;
    const retire = (): void => {
      this.#manager?.stopping();
      bridge.retire();
    };
    this.#forgetSignals = stopOnSignals({ signals, readinessDelayMs, retire, close: () => this.close(), cut: () => bridge.cut() });
  }

  #running(what: string): Bridge {
    if (this.#bridge !== undefined) return this.#bridge;
    if (this.#closing !== undefined) throw new ClosedError(what);
    throw new StateError('FASTTUNNEL_NOT_LISTENING', `${what}: it does not listen yet. Await listen() first.`);
  }

  #mustBeOpen(action: string): void {
    if (this.#closing !== undefined) throw new ClosedError(action);
  }

  #mustHaveHandlers(action: string): void {
    if (this.#options.workers !== undefined) throw new StateError('FASTTUNNEL_NOT_OFFERED', `${action}: the handlers of this tunnel are those that its workers' module exports. Change the module, then call reload().`);
  }

  #addTask(id: string, handler: TaskHandler): void {
    if (this.#tasks.has(id)) throw new DuplicateTaskError(id);
    this.#tasks.set(id, taskEntry(id, handler));
  }

  #addEvent(id: string, handler: EventHandler): void {
    this.#setEvent(id, [...(this.#events.get(id)?.handlers ?? []), handler]);
  }

  #setEvent(id: string, handlers: readonly EventHandler[]): void {
    this.#events.set(id, { handlers, entry: eventEntry(id, handlers) });
  }

  /**
   * Puts the handlers in force: for every request that is sent from now on. The table is compiled anew each time, so of
   * thousands of changes in one turn only the first ones count at once, the others when the turn ends.
   */
  #publish(): this {
    if (this.#bridge === undefined) return this;
    this.#changes += 1;
    if (this.#changes === 1) process.nextTick(() => this.#endTurn());
    if (this.#changes <= CHANGES_AT_ONCE) this.#setEntries();
    return this;
  }

  #endTurn(): void {
    const late = this.#changes > CHANGES_AT_ONCE;
    this.#changes = 0;
    if (late) this.#setEntries();
  }

  #setEntries(): void {
    if (this.#closing === undefined) this.#bridge?.setEntries(this.#entries());
  }

  #entries(): Entry[] {
    return [...this.#tasks.values(), ...[...this.#events.values()].map(({ entry }) => entry)];
  }
}

function withoutFirst<T>(list: readonly T[], item: T): readonly T[] {
  const index = list.indexOf(item);
  return index < 0 ? list : list.filter((_, position) => position !== index);
}

let warnedOfEpoll = false;

/** Once per process (and worker): a slower driver than hoped for is nothing to find out from a profile. */
function warnOfEpoll(reason = 'io_uring is not available'): void {
  if (warnedOfEpoll) return;
  warnedOfEpoll = true;
  process.emitWarning(`fasttunnel runs on epoll: ${reason}`, { code: 'FASTTUNNEL_EPOLL', detail: "Set driver: 'epoll' to choose it without this warning." });
}
