import { ClosedError, optionErrorOf, StateError } from '../errors/errors.js';
import { ListenError, listenErrorOf } from '../errors/listen-error.js';
import { describeThrown } from '../errors/task-error.js';
import { nativeTls } from '../native/tls.js';
import { asEncryption, forgetKeys } from '../options/tls.js';
import type { TlsEngineOptions } from '../options/tls.js';
import type { TlsOptions } from '../options/types.js';
import { asyncDispose } from '../process/async-dispose.js';
import { FileWatch } from '../process/file-watch.js';
import { OpenTunnel } from '../process/open-tunnel.js';
import { startNative } from './native.js';
import type { NativeProxy } from './native.js';
import { asAttempts, asListenAddress, asRoute, asWebContentsId, checkProxy } from './options.js';
import type { CheckedProxy } from './options.js';
import type { ProxyContext, ProxyOptions, ProxyRequest, ProxyRoute, ProxyStats } from './types.js';

const NO_STREAMS = { connections: 0, opened: 0, streams: 0, requests: 0, resets: 0 };
const NOTHING: ProxyStats = { connections: 0, accepted: 0, turnedAway: 0, requests: 0, refused: 0, protocolErrors: 0, heldBytes: 0, panics: 0, unheard: 0, http2: { clients: NO_STREAMS, servers: { ...NO_STREAMS, refused: 0, retried: 0, fallbacks: 0 } }, contexts: [] };

/**
 * A forward proxy with credentials and a route for each context:
 *
 * ```js
 * const server = await ProxyServer.start('127.0.0.1:39385');
 * const context = server.createContext(webContents.id, { morphId: 'abc', scope: 'base', domainSuffix: 'cmux.app' });
 * ```
 */
export class ProxyServer {
  readonly #native: NativeProxy;
  readonly #drainTimeoutMs: number;
  readonly #open: OpenTunnel;
  /** Keeps the process alive, and this object with it. */
  readonly #alive: NodeJS.Timeout;
  readonly #encrypted: boolean;
  /** Of the files of its certificates. */
  #watch: FileWatch | undefined;
  readonly #onRequest: CheckedProxy['onRequest'];
  #stopping: Promise<void> | undefined;

  private constructor({ native, tls, onRequest, drainTimeoutMs }: CheckedProxy) {
    const open = new OpenTunnel();
    try {
      this.#native = startNative(tls === undefined ? native : { ...native, tls: nativeTls(tls) }, onRequest && (() => this.#tell()));
    } catch (error) {
      open.end();
      const shown = `${native.host.includes(':') ? `[${native.host}]` : native.host}:${native.port}`;
      throw listenErrorOf(optionErrorOf(error), { shown });
    }
    this.#open = open;
    this.#onRequest = onRequest;
    this.#drainTimeoutMs = drainTimeoutMs;
    this.#alive = setInterval(() => this.#native, 2_147_483_647);
    this.#encrypted = tls !== undefined;
    if (native.interceptTls !== undefined) forgetKeys({ identities: [native.interceptTls] });
    if (tls !== undefined) {
      forgetKeys(tls);
      this.#watchFiles(tls);
    }
  }

  /** Looks after the files of what is in force now, and no longer after those of before. */
  #watchFiles({ watched }: TlsEngineOptions): void {
    this.#watch?.stop();
    const report = (error: unknown): void => process.emitWarning(error as Error);
    this.#watch = watched && new FileWatch({ ...watched, take: () => this.#encrypt(watched.read()), report });
  }

  #encrypt(tls: TlsEngineOptions): void {
    try {
      this.#native.setTls(nativeTls(tls));
    } catch (error) {
      throw optionErrorOf(error);
    } finally {
      forgetKeys(tls);
    }
  }

  /**
   * Resolves when it listens. Rejects with an OptionError, or a ListenError (EADDRINUSE, …).
   *
   * `address` is `host:port`, or options. HTTP/2 is spoken beside HTTP/1.1 unless `enableHttp2`, or the option `http2`, is false.
   */
  static async start(address: string | ProxyOptions, enableHttp2?: boolean): Promise<ProxyServer> {
    return new ProxyServer(checkProxy(typeof address === 'object' && address !== null ? address : asListenAddress(address), enableHttp2));
  }

  /** Listens on the first port that is free, of `maxAttempts` from `startPort` on; `options` are those that an address leaves open. */
  static async startWithAutoPort(host: string, startPort: number, maxAttempts: number, enableHttp2?: boolean, options?: Omit<ProxyOptions, 'host' | 'port'>): Promise<ProxyServer> {
    const attempts = asAttempts(maxAttempts);
    for (let port = startPort; ; port++) {
      try {
        return new ProxyServer(checkProxy({ ...options, host, port }, enableHttp2));
      } catch (error) {
        const isTaken = error instanceof ListenError && (error.code === 'EADDRINUSE' || error.code === 'EACCES');
        if (!isTaken || port + 1 >= startPort + attempts || port >= 65_535) throw error;
      }
    }
  }

  /** Where it listens; 0 when it has stopped. */
  port(): number {
    return this.#stopping === undefined ? this.#native.port : 0;
  }

  /** What moves its bytes. */
  get driver(): 'io_uring' | 'epoll' {
    return this.#native.driver;
  }

  /** Makes credentials; with a route, hosts of the own machine lead there for whoever has them. */
  createContext(webContentsId: number, route?: ProxyRoute | null): ProxyContext {
    if (this.#stopping !== undefined) throw new ClosedError('createContext', 'proxy');
    try {
      return this.#native.createContext(asWebContentsId(webContentsId), asRoute(route));
    } catch (error) {
      throw optionErrorOf(error);
    }
  }

  /** Ends a context, with all that is under way for it. One that is not known is none. */
  releaseContext(id: string): void {
    if (this.#stopping === undefined) this.#native.releaseContext(String(id));
  }

  /** Replaces the certificates, from the next connection on. */
  setTls(options: TlsOptions): this {
    if (this.#stopping !== undefined) throw new ClosedError('setTls', 'proxy');
    const tls = asEncryption('tls', options);
    if (!this.#encrypted) throw new StateError('FASTTUNNEL_NOT_OFFERED', 'setTls: the proxy speaks plain HTTP. Start it with the option tls.');
    this.#encrypt(tls);
    this.#watchFiles(tls);
    return this;
  }

  /** Stops: answers that are under way have `limits.drainTimeoutMs` to end. Resolves when everything has ended; may be called again. */
  stop(): Promise<void> {
    this.#stopping ??= this.#native.stop(this.#drainTimeoutMs).finally(() => {
      this.#tell();
      this.#native.endLog();
      clearInterval(this.#alive);
      this.#watch?.stop();
      this.#open.end();
    });
    return this.#stopping;
  }

  /** Tells what became of requests since it did so last. */
  #tell(): void {
    const log = this.#onRequest && this.#native.takeLog();
    if (log) for (const request of JSON.parse(log) as ProxyRequest[]) this.#hear(request);
  }

  #hear(request: ProxyRequest): void {
    const failed = (failure: unknown): void => process.emitWarning(`onRequest has failed: ${describeThrown(failure)}`, { code: 'FASTTUNNEL_ON_REQUEST' });
    try {
      const outcome: unknown = this.#onRequest?.(request);
      if (typeof outcome === 'object' && outcome !== null) Promise.resolve(outcome).catch(failed);
    } catch (failure) {
      failed(failure);
    }
  }

  [asyncDispose](): Promise<void> {
    return this.stop();
  }

  stats(): ProxyStats {
    const stats = this.#native.stats();
    return stats === null ? NOTHING : (JSON.parse(stats) as ProxyStats);
  }

  /** The process lives as long as this does; so it is at first. */
  ref(): this {
    this.#open.ref();
    this.#alive.ref();
    return this;
  }

  unref(): this {
    this.#open.unref();
    this.#alive.unref();
    return this;
  }
}
