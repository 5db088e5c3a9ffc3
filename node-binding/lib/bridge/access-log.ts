import type { OnError } from '../calls/entry.js';
import type { NativeTunnel } from '../native/addon.js';
import type { LogEngineOptions, Logger } from '../options/log.js';

/** Milliseconds between two looks at what the logger is to be given. */
const READ_MS = 20;
/** Lines that a logger is given before the application's own events get their turn. */
const LINES = 500;
/** Milliseconds between two looks at whether the file could be written. */
const LOOK_MS = 500;

/** The JavaScript side of the access log: gives a logger its lines, or tells of a file that cannot be written. */
export class AccessLog {
  readonly #native: NativeTunnel;
  readonly #logger: Logger | undefined;
  readonly #onError: OnError;
  readonly #timer: NodeJS.Timeout;
  #goesOn = false;

  constructor(native: NativeTunnel, { logger }: LogEngineOptions, onError: OnError) {
    this.#native = native;
    this.#logger = logger;
    this.#onError = onError;
    this.#timer = setInterval(this.#tick, logger === undefined ? LOOK_MS : READ_MS);
    this.#timer.unref();
  }

  readonly #tick = (): void => {
    if (this.#goesOn || !this.#look()) return;
    // Others get their turn before the rest.
    this.#goesOn = true;
    setImmediate(() => {
      this.#goesOn = false;
      this.#tick();
    }).unref();
  };

  /** The engine has ended: what it has said last. */
  end(): void {
    clearInterval(this.#timer);
    while (this.#look()) {
      // More is there.
    }
  }

  /** True when there may be more. */
  #look(): boolean {
    if (this.#logger !== undefined) return this.#give(this.#logger);
    const failure = this.#native.logFailure();
    if (failure !== null) this.#report(new Error(`The access log could not be written: ${failure}. Lines are lost, and counted in stats().log.failed, until it can be.`));
    return false;
  }

  #give(logger: Logger): boolean {
    const text = this.#native.readLog(LINES);
    if (text === null) return false;
    const lines = JSON.parse(text) as { method?: string; path?: string; status: number }[];
    let failure: { readonly error: unknown } | undefined;
    for (const line of lines) {
      try {
        logger.info(line, `${line.method ?? '-'} ${line.path ?? '-'} ${line.status}`);
      } catch (error) {
        failure ??= { error };
      }
    }
    // Most likely it throws for the others as well: one report for all of them.
    if (failure !== undefined) this.#report(failure.error);
    return lines.length === LINES;
  }

  #report(error: unknown): void {
    this.#onError(error, { kind: 'task', id: '(log)', requestId: '' });
  }
}
