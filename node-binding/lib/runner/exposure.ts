import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { isIP } from 'node:net';
import { Server as TlsServer } from 'node:tls';
import { joinTunnel, startBridge } from '../bridge/bridge.js';
import type { Bridge } from '../bridge/bridge-interface.js';
import type { Reporter } from '../bridge/error-reports.js';
import type { BridgeHooks } from '../bridge/hooks.js';
import type { Entry, OnError } from '../calls/entry.js';
import { ClosedError, StateError } from '../errors/errors.js';
import { listenErrorOf } from '../errors/listen-error.js';
import { othersOf, resolveHost, whereOf } from '../options/addresses.js';
import type { AdminAddress } from '../options/addresses.js';
import { forgetTokens } from '../options/auth.js';
import type { Allow } from '../options/engine-options.js';
import { asEncryption } from '../options/tls.js';
import type { TlsOptions } from '../options/types.js';
import { OpenTunnel } from '../process/open-tunnel.js';
import type { Stats } from '../stats/stats.js';
import { locateAdmin } from '../supervision/sockets.js';
import { takeAllowList } from './allow-list.js';
import type { AllowList } from './allow-list.js';
import { AsyncContexts } from './async-contexts.js';
import { checkConfig } from './config.js';
import type { ExposureConfig, FastTunnelConfig } from './config.js';
import { EventEntry } from './event-entry.js';
import type { EventScope } from './event-entry.js';
import { provideExposureContext } from './exposure-context.js';
import { Failures } from './failures.js';
import { ForeignServers } from './foreign-servers.js';
import type { ForeignHandlers } from './foreign-servers.js';
import { inputFilesOf } from './input-files.js';
import { listeningServer } from './listening-server.js';
import { Logs } from './logs.js';
import { ResultValues } from './result-values.js';
import { runnerOf } from './runtime.js';
import type { Runner, Services } from './runtime.js';
import { TaskEntry } from './task-entry.js';
import type { TaskScope } from './task-entry.js';
import { whenTunnelsAreReady } from './tunnels-ready.js';
import { Validators } from './validators.js';
import { entryFile, folderOf } from '../workers/entry-file.js';
import { WorkerPool } from '../workers/pool.js';
import { workerPlace } from './worker-place.js';

/**
 * The resource's value: what an app gets that depends on `fastTunnel`. `port`, `host` and `url` are those of its own
 * listener, or of the server that it is attached to once that listens; else they throw a StateError.
 */
export interface FastTunnelExposure extends ForeignHandlers {
  readonly basePath: string;
  readonly port: number;
  readonly host: string;
  /** Where clients point their `baseUrl`. */
  readonly url: string;
  /** Where `/livez` and `/readyz` are, if `engine.admin` is set. */
  readonly admin: AdminAddress | undefined;
  readonly driver: 'io_uring' | 'epoll';
  /** Why it is not io_uring. */
  readonly driverReason: string | undefined;
  /** Where its shards run: on `threads` of their own, or `inline`, in this event loop. */
  readonly placement: 'threads' | 'inline';
  /** What decided, where `auto` left it open; why it is not `inline`, where that was asked for. */
  readonly placementReason: string | undefined;
  /**
   * As with `nodeExposure`: `http.server` where it is given, as it was given (an `http2` server is one still); with a
   * listener of its own an `http.Server` that tells of it and closes it, and throws a StateError where it would have to
   * bring requests into JavaScript; else null.
   */
  readonly server: Server | null;
  /**
   * Replaces certificate and key, while serving. Connections that come from now on begin with them; those that are open go
   * on. Throws an OptionError, and changes nothing, when something is wrong with them.
   */
  setTls(options: TlsOptions): void;
  /** Asks the tunnels again who may be called. Needed only when their values change after the app is ready. */
  refresh(): void;
  /** Goes on with the access log in a new file of the same path: see the option `engine.log`. Throws when that cannot be opened. */
  reopenLog(): void;
  stats(): Stats;
  /** Exchanges the workers, one at a time, for ones that run the app anew: see the option `engine.workers`. */
  reload(): Promise<void>;
  /** Stops accepting, answers what is in flight within the drain time, ends every thread. May be called again. */
  close(): Promise<void>;
}

/** Starts to listen. Rejects with an OptionError, a ListenError or a RunnerPeerError that says what to do. */
export async function openExposure(config: FastTunnelConfig | undefined, services: Services): Promise<FastTunnelExposure> {
  const runner = runnerOf(services.store);
  const validators = services.store.getTasksWithTag(runner.globals.tags.authValidator);
  const checked = checkConfig(config, validators.length > 0);
  const exposure = new Exposure(checked, services, runner);
  if (workerPlace.isWorker) {
    exposure.await(new Validators(validators, services.taskRunner));
    return exposure;
  }
  await exposure.listen(new Validators(validators, services.taskRunner));
  return exposure;
}

class Exposure implements FastTunnelExposure {
  readonly basePath: string;
  readonly server: Server | null;
  readonly #config: ExposureConfig;
  readonly #services: Services;
  readonly #runner: Runner;
  readonly #logs: Logs;
  readonly #scope: TaskScope & EventScope;
  #entries = new Map<string, TaskEntry | EventEntry>();
  #bridge: Bridge | undefined;
  #foreign: ForeignServers | undefined;
  readonly #pool: WorkerPool | undefined;
  #closing: Promise<void> | undefined;

  constructor(config: ExposureConfig, services: Services, runner: Runner) {
    const { store, taskRunner, eventManager, serializer } = services;
    this.#config = config;
    this.#services = services;
    this.#runner = runner;
    this.basePath = config.basePath;
    if (config.workers !== undefined && !workerPlace.isWorker) {
      const tell: Reporter = (error) => this.#logs.write('error', 'fasttunnel has lost a worker', { error });
      this.#pool = new WorkerPool(config.workers, config.engine, tell, entryFile(folderOf(() => __dirname), 'worker-entry.js'));
    }
    this.server = this.#serverOf(config);
    this.#logs = new Logs(services.logger);
    const failures = new Failures(runner, store, serializer, this.#logs);
    this.#scope = {
      taskRunner,
      eventManager,
      contexts: new AsyncContexts(store, serializer),
      values: new ResultValues(serializer, runner),
      failures,
      inputFile: inputFilesOf(runner),
      provide: provideExposureContext({ runner, basePath: this.basePath, failures }),
    };
  }

  /** In a worker: joins the tunnel when the app is ready. */
  await(validators: Validators): void {
    workerPlace.exposure = {
      exact: this.#scope.values.exact,
      ids: () => {
        this.#look();
        const idsOf = (kind: string): string[] => [...this.#entries.values()].filter((entry) => entry.kind === kind).map(({ id }) => id);
        return { tasks: idsOf('task'), events: idsOf('event') };
      },
      allow: () => this.#look().allow,
      join: (number, options) => {
        const bridge = joinTunnel(number, options, this.#look().entries, this.#scope.values, this.#onError, this.#hooks(validators));
        this.#bridge = bridge;
        this.#foreign = new ForeignServers(bridge, options.limits.idleTimeoutMs, this.basePath, this.#logs);
        return bridge;
      },
    };
  }

  readonly #onError: OnError = (error, { kind, requestId }) => this.#scope.failures.log(error, kind, requestId);

  #hooks(validators: Validators): BridgeHooks {
    const decide = this.#config.cors?.decide;
    return {
      ...(decide === undefined ? {} : { origin: decide }),
      authenticate: (request) => validators.pass(request),
      onRefused: ({ requestId, method, path, status, code }) => this.#logs.write('warn', 'exposure.auth.failure', { requestId, method, path, status, code }),
    };
  }

  /** When it rejects, nothing is left open. */
  async listen(validators: Validators): Promise<void> {
    const open = this.#listens ? new OpenTunnel() : undefined;
    try {
      await this.#start(validators, open);
    } catch (error) {
      open?.end();
      await this.close();
      throw error;
    }
  }

  async #start(validators: Validators, open: OpenTunnel | undefined): Promise<void> {
    const { engine, server } = this.#config;
    const listens = engine.inProcess !== true;
    const address = listens ? whereOf(engine) : { shown: 'no address (in process)' };
    const admin = await locateAdmin('engine.admin', engine.admin);
    const listen = listens ? await resolveHost(engine) : engine;
    try {
      const pool = this.#pool;
      await pool?.load();
      this.#bridge = await startBridge({ ...listen, ...admin, allow: pool?.allow ?? 'none' }, pool?.entries() ?? [], this.#scope.values, this.#onError, { ...this.#hooks(validators), onFailed: () => this.#giveUp() }, open);
      await pool?.join(this.#bridge.number);
    } catch (error) {
      throw listenErrorOf(error, address, othersOf(admin.admin));
    } finally {
      forgetTokens(engine);
    }
    if (this.#pool === undefined) {
      this.refresh();
      whenTunnelsAreReady(this.#services, this.#runner, () => this.refresh());
    }
    this.#foreign = new ForeignServers(this.#bridge, engine.limits.idleTimeoutMs, this.basePath, this.#logs);
    if (server !== undefined) this.#foreign.attachTo(server);
    if (listens) this.#logs.write('info', 'node.exposure.listen', { basePath: this.basePath, port: engine.port, host: engine.host });
    else if (server === undefined) this.#logs.write('debug', 'fasttunnel listens nowhere: neither http.listen nor http.server is given', { basePath: this.basePath });
    if (engine.driver === 'auto' && this.driver === 'epoll') this.#logs.write('warn', 'fasttunnel runs on epoll', { driverReason: this.driverReason });
  }

  get port(): number {
    return this.#addressFor('port').port;
  }

  get host(): string {
    return this.#listens ? this.#config.engine.host : this.#addressFor('host').address;
  }

  get url(): string {
    const { port } = this.#addressFor('url');
    // "Every address" is nothing that a client can call.
    const reachable = this.host === '0.0.0.0' ? '127.0.0.1' : this.host === '::' ? '::1' : this.host;
    const scheme = this.#bridge?.encrypted === true || this.server instanceof TlsServer ? 'https' : 'http';
    return `${scheme}://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}${this.basePath === '/' ? '' : this.basePath}`;
  }

  get handleRequest(): ForeignHandlers['handleRequest'] {
    return this.#handlers().handleRequest;
  }

  get handleTask(): ForeignHandlers['handleTask'] {
    return this.#handlers().handleTask;
  }

  get handleEvent(): ForeignHandlers['handleEvent'] {
    return this.#handlers().handleEvent;
  }

  get handleDiscovery(): ForeignHandlers['handleDiscovery'] {
    return this.#handlers().handleDiscovery;
  }

  get createRequestListener(): ForeignHandlers['createRequestListener'] {
    return this.#handlers().createRequestListener;
  }

  get createServer(): ForeignHandlers['createServer'] {
    return this.#handlers().createServer;
  }

  get attachTo(): ForeignHandlers['attachTo'] {
    return this.#handlers().attachTo;
  }

  get admin(): AdminAddress | undefined {
    return this.#running().admin;
  }

  get driver(): 'io_uring' | 'epoll' {
    return this.#running().driver;
  }

  get driverReason(): string | undefined {
    return this.#running().driverReason;
  }

  get placement(): 'threads' | 'inline' {
    return this.#running().placement;
  }

  get placementReason(): string | undefined {
    return this.#running().placementReason;
  }

  setTls(options: TlsOptions): void {
    if (this.#closing !== undefined) throw new ClosedError('setTls');
    const tls = asEncryption('tls', options);
    if (!this.#running().encrypted) throw new StateError('FASTTUNNEL_NOT_OFFERED', 'setTls: the tunnel speaks plain HTTP. Start it with http.listen.tls.');
    this.#running().setTls(tls);
  }

  reopenLog(): void {
    if (!this.#running().reopenLog()) throw new StateError('FASTTUNNEL_NOT_OFFERED', 'reopenLog: the access log is written into no file. Set the option engine.log.path.');
  }

  stats(): Stats {
    const bridge = this.#running();
    return this.#pool === undefined ? bridge.stats() : { ...bridge.stats(), workers: this.#pool.stats(bridge.members()) };
  }

  async reload(): Promise<void> {
    if (this.#closing !== undefined) throw new ClosedError('reload');
    if (this.#pool === undefined) throw new StateError('FASTTUNNEL_NOT_OFFERED', 'reload: this tunnel has no workers. Set engine.workers and engine.app.');
    await this.#pool.reload();
  }

  refresh(): void {
    // The apps of workers ask their own tunnels.
    if (this.#closing !== undefined || this.#pool !== undefined) return;
    const { entries, allow } = this.#look();
    this.#running().setEntries(entries, allow);
  }

  /** What the tunnels say now. */
  #look(): { entries: Entry[]; allow: Allow } {
    const list = takeAllowList(this.#services.store, this.#runner.globals.tags.tunnel.id, (error, where) => {
      this.#logs.write('warn', '[runner] Tunnel allow-list selector failed; item skipped.', { error, data: { ...where } });
    });
    return { entries: this.#entriesOf(list), allow: this.#allowOf(list) };
  }

  /** The bridge closes by itself. Workers would keep the process, and serve nobody. */
  #giveUp(): void {
    this.close().catch((error: unknown) => this.#logs.write('error', 'fasttunnel has not closed', { error }));
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  async #close(): Promise<void> {
    this.#foreign?.retire();
    await this.#bridge?.close();
    // Those that have not even joined need not be waited for.
    await (this.#bridge === undefined ? this.#pool?.kill() : this.#pool?.close());
    await this.#foreign?.close();
    if (this.#listens) this.server?.emit('close');
  }

  #allowOf({ enabled, tasks, events }: AllowList): Allow {
    if (enabled) return { tasks: [...tasks.keys()], events: [...events.keys()] };
    return this.#config.open ? 'open' : 'none';
  }

  /** Entries of before are kept where nothing has changed: the bridge knows them by identity. */
  #entriesOf({ enabled, tasks, events }: AllowList): Entry[] {
    if (!enabled && !this.#config.open) return [];
    const { store } = this.#services;
    const entries = new Map<string, TaskEntry | EventEntry>();
    for (const [id, stored] of store.tasks) {
      const acceptsContext = enabled ? tasks.get(id) : true;
      if (acceptsContext === undefined) continue;
      const known = this.#entries.get(`task:${id}`);
      entries.set(`task:${id}`, known?.acceptsContext === acceptsContext ? known : new TaskEntry(id, stored, acceptsContext, this.#scope));
    }
    for (const [id, { event }] of store.events) {
      const acceptsContext = enabled ? events.get(id) : true;
      if (acceptsContext === undefined) continue;
      const known = this.#entries.get(`event:${id}`);
      entries.set(`event:${id}`, known?.acceptsContext === acceptsContext ? known : new EventEntry(id, event, acceptsContext, this.#scope));
    }
    this.#entries = entries;
    return [...entries.values()];
  }

  get #listens(): boolean {
    return this.#config.engine.inProcess !== true;
  }

  #serverOf({ server, engine }: ExposureConfig): Server | null {
    if (server !== undefined) return server as unknown as Server;
    if (engine.inProcess === true) return null;
    const listening = {
      limits: engine.limits,
      address: () => (this.#bridge === undefined || this.#closing !== undefined ? null : this.#ownAddress()),
      connections: () => this.#running().stats().shards.reduce((sum, { connections }) => sum + connections, 0),
      ref: () => this.#running().ref(),
      unref: () => this.#running().unref(),
      close: () => this.close(),
      cut: () => this.#running().cut(),
    };
    return listeningServer(listening, (request, response) => this.createRequestListener()(request, response));
  }

  #ownAddress(): AddressInfo {
    const { host, port } = this.#running();
    return { address: host, family: isIP(host) === 6 ? 'IPv6' : 'IPv4', port };
  }

  /** Its own, or that of the server it is attached to. */
  #addressFor(what: string): AddressInfo {
    if (this.#listens) return this.#ownAddress();
    const address = this.server?.address?.();
    if (typeof address === 'object' && address !== null) return address;
    throw new StateError('FASTTUNNEL_NOT_LISTENING', this.server === null ? `${what}: fastTunnel listens nowhere. Give http.listen, or ask the server that its handlers are used with.` : `${what}: the server that fastTunnel is attached to has no port: it does not listen yet, or not on TCP.`);
  }

  #handlers(): ForeignServers {
    if (this.#foreign === undefined) throw new StateError('FASTTUNNEL_NOT_LISTENING', 'fastTunnel has not started yet.');
    return this.#foreign;
  }

  #running(): Bridge {
    if (this.#bridge === undefined) throw new StateError('FASTTUNNEL_NOT_LISTENING', 'fastTunnel does not listen yet.');
    return this.#bridge;
  }
}
