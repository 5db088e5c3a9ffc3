import { addon } from '../native/addon.js';

/** Beats per interval of the watchdog: one may be late. */
const BEATS = 2;
/** The exit code of this process is ours: a tunnel was given up, and none has begun to serve since. */
let isExitCodeOurs = false;
/** A longer one would run all the time. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/**
 * Tells the service manager that has started this process (systemd, by sd_notify(3)) how it is: that it serves, that it stops,
 * and, where a watchdog is set, that its JavaScript runs: a timer of the event loop says so, which a blocked one does not run.
 */
export class ServiceManager {
  readonly #address: string;
  readonly #beatMs: number | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stops = false;
  #warned = false;

  private constructor(address: string, beatMs: number | undefined) {
    this.#address = address;
    this.#beatMs = beatMs;
  }

  /** Nobody, where the process was not started by one that wants to be told. */
  static ofProcess({ NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID }: NodeJS.ProcessEnv = process.env): ServiceManager | undefined {
    if (!NOTIFY_SOCKET) return undefined;
    const isWatched = /^[1-9]\d*$/.test(WATCHDOG_USEC ?? '') && (WATCHDOG_PID === undefined || WATCHDOG_PID === String(process.pid));
    return new ServiceManager(NOTIFY_SOCKET, isWatched ? Math.min(MAX_TIMER_MS, Math.max(1, Number(WATCHDOG_USEC) / 1000 / BEATS)) : undefined);
  }

  ready(url: string): void {
    if (isExitCodeOurs && process.exitCode === 1) process.exitCode = undefined;
    isExitCodeOurs = false;
    // A zero byte (of an abstract socket) makes systemd drop the message, and a line end would begin another field.
    this.#tell(`READY=1\nSTATUS=serves ${url.replace(/[\u0000-\u001f]/g, '@')}`);
    if (this.#beatMs === undefined || this.#timer !== undefined) return;
    this.#timer = setInterval(() => this.#tell('WATCHDOG=1'), this.#beatMs).unref();
  }

  /** May be called again. The watchdog is fed until the end. */
  stopping(): void {
    if (this.#stops) return;
    this.#stops = true;
    this.#tell('STOPPING=1\nSTATUS=closes');
  }

  /**
   * It serves no more, and nobody has told it to stop: the process is to be started anew. Where something else keeps it, a
   * watchdog that is fed no longer does that; where nothing does, its exit code (`Restart=on-failure`).
   */
  failed(): void {
    if (this.#stops) return;
    this.#stops = true;
    if (process.exitCode === undefined) {
      process.exitCode = 1;
      isExitCodeOurs = true;
    }
    this.end();
    this.#tell('STATUS=a shard has failed: serves no more');
  }

  end(): void {
    clearInterval(this.#timer);
  }

  #tell(message: string): void {
    try {
      addon().notifyManager(this.#address, message);
    } catch (error) {
      if (this.#warned) return;
      this.#warned = true;
      process.emitWarning(`the service manager cannot be told ${message.split('\n')[0]!}: ${(error as Error).message}`, { code: 'FASTTUNNEL_NOTIFY', detail: `NOTIFY_SOCKET is ${this.#address}` });
    }
  }
}
