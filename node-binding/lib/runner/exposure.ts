import { lookup } from 'node:dns/promises';
import type { AddressInfo } from 'node:net';
import { isIP } from 'node:net';
import { startBridge } from '../bridge.js';
import type { Bridge, Entry, Stats } from '../bridge-types.js';
import type { Allow } from '../engine-options.js';
import { listenErrorOf, StateError } from '../errors.js';
import { takeAllowList } from './allow-list.js';
import type { AllowList } from './allow-list.js';
import { AsyncContexts } from './async-contexts.js';
import { checkConfig } from './config.js';
import type { ExposureConfig, FastTunnelConfig } from './config.js';
import { EventEntry } from './event-entry.js';
import type { EventScope } from './event-entry.js';
import { provideExposureContext } from './exposure-context.js';
import { Failures } from './failures.js';
import { inputFilesOf } from './input-files.js';
import { Logs } from './logs.js';
import { ResultValues } from './result-values.js';
import { runnerOf } from './runtime.js';
import type { Runner, Services } from './runtime.js';
import { TaskEntry } from './task-entry.js';
import type { TaskScope } from './task-entry.js';
import { whenTunnelsAreReady } from './tunnels-ready.js';
import { Validators } from './validators.js';

/** The resource's value: what an app gets that depends on `fastTunnel`. */
export interface FastTunnelExposure {
  readonly basePath: string;
  readonly port: number;
  readonly host: string;
  /** Where clients point their `baseUrl`. */
  readonly url: string;
  readonly driver: 'io_uring' | 'epoll';
  /** Why it is not io_uring. */
  readonly driverReason: string | undefined;
  /** For `server.address().port`, as with `nodeExposure`; it is not an `http.Server`. */
  readonly server: { readonly listening: boolean; address(): AddressInfo };
  /** Asks the tunnels again who may be called. Needed only when their values change after the app is ready. */
  refresh(): void;
  stats(): Stats;
  /** Stops accepting, answers what is in flight within the drain time, ends every thread. May be called again. */
  close(): Promise<void>;
}

/** Starts to listen. Rejects with an OptionError, a ListenError or a RunnerPeerError that says what to do. */
export async function openExposure(config: FastTunnelConfig | undefined, services: Services): Promise<FastTunnelExposure> {
  const runner = runnerOf(services.store);
  const validators = services.store.getTasksWithTag(runner.globals.tags.authValidator);
  const checked = checkConfig(config, validators.length > 0);
  const exposure = new Exposure(checked, services, runner);
  await exposure.listen(new Validators(validators, services.taskRunner));
  return exposure;
}

/** What `nodeExposure`'s value has besides: they take an `http.Server`, or the requests of one (issue C). */
const NOT_YET = ['attachTo', 'createServer', 'createRequestListener', 'handleRequest', 'handleTask', 'handleEvent', 'handleDiscovery'];

function refuse(name: string): never {
  throw Object.assign(new Error(`${name}() is not served yet: fasttunnel listens by itself (http.listen) and takes no requests from an http.Server so far.`), { code: 'FASTTUNNEL_NOT_SERVED_YET' });
}

class Exposure implements FastTunnelExposure {
  readonly basePath: string;
  readonly host: string;
  readonly server = { listening: true, address: (): AddressInfo => this.#address() };
  readonly #config: ExposureConfig;
  readonly #services: Services;
  readonly #runner: Runner;
  readonly #logs: Logs;
  readonly #scope: TaskScope & EventScope;
  #entries = new Map<string, TaskEntry | EventEntry>();
  #bridge: Bridge | undefined;
  #closing: Promise<void> | undefined;

  constructor(config: ExposureConfig, services: Services, runner: Runner) {
    const { store, taskRunner, eventManager, serializer } = services;
    this.#config = config;
    this.#services = services;
    this.#runner = runner;
    this.basePath = config.basePath;
    this.host = config.engine.host;
    this.#logs = new Logs(services.logger);
    for (const name of NOT_YET) Object.defineProperty(this, name, { value: () => refuse(name) });
    this.#scope = {
      runner,
      taskRunner,
      eventManager,
      basePath: this.basePath,
      contexts: new AsyncContexts(store, serializer),
      values: new ResultValues(serializer, runner),
      failures: new Failures(runner, store, serializer, this.#logs),
      inputFile: inputFilesOf(runner),
      provide: provideExposureContext(runner),
    };
  }

  async listen(validators: Validators): Promise<void> {
    const { engine, cors } = this.#config;
    const address = `${engine.host.includes(':') ? `[${engine.host}]` : engine.host}:${engine.port}`;
    try {
      const host = isIP(engine.host) === 0 ? (await lookup(engine.host)).address : engine.host;
      this.#bridge = await startBridge({ ...engine, host, allow: 'none' }, [], this.#scope.values, (error, { kind, requestId }) => this.#scope.failures.log(error, kind, requestId), {
        ...(cors?.decide === undefined ? {} : { origin: cors.decide }),
        authenticate: (request) => validators.pass(request),
        onRefused: ({ requestId, method, path, status, code }) => this.#logs.write('warn', 'exposure.auth.failure', { requestId, method, path, status, code }),
      });
    } catch (error) {
      throw listenErrorOf(error, address);
    }
    this.refresh();
    whenTunnelsAreReady(this.#services, this.#runner, () => this.refresh());
    this.#logs.write('info', 'node.exposure.listen', { basePath: this.basePath, port: engine.port, host: engine.host });
    if (engine.driver === 'auto' && this.driver === 'epoll') this.#logs.write('warn', 'fasttunnel runs on epoll', { driverReason: this.driverReason });
  }

  get port(): number {
    return this.#running().port;
  }

  get url(): string {
    // "Every address" is nothing that a client can call.
    const reachable = this.host === '0.0.0.0' ? '127.0.0.1' : this.host === '::' ? '::1' : this.host;
    return `http://${reachable.includes(':') ? `[${reachable}]` : reachable}:${this.port}${this.basePath === '/' ? '' : this.basePath}`;
  }

  get driver(): 'io_uring' | 'epoll' {
    return this.#running().driver;
  }

  get driverReason(): string | undefined {
    return this.#running().driverReason;
  }

  stats(): Stats {
    return this.#running().stats();
  }

  refresh(): void {
    if (this.#closing !== undefined) return;
    const list = takeAllowList(this.#services.store, this.#runner.globals.tags.tunnel.id, (error, where) => {
      this.#logs.write('warn', '[runner] Tunnel allow-list selector failed; item skipped.', { error, data: { ...where } });
    });
    this.#running().setEntries(this.#entriesOf(list), this.#allowOf(list));
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#bridge?.close() ?? Promise.resolve());
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

  #address(): AddressInfo {
    return { address: this.#running().host, family: isIP(this.#running().host) === 6 ? 'IPv6' : 'IPv4', port: this.port };
  }

  #running(): Bridge {
    if (this.#bridge === undefined) throw new StateError('FASTTUNNEL_NOT_LISTENING', 'fastTunnel does not listen yet.');
    return this.#bridge;
  }
}
