import type { Reporter } from '../bridge/error-reports.js';
import { workersByCores } from '../bridge/native-options.js';
import type { Entry } from '../calls/entry.js';
import type { Allow, EngineOptions } from '../options/engine-options.js';
import type { CheckedWorkers } from '../options/workers.js';
import type { MemberStats, WorkerStats } from '../stats/stats.js';
import { entryFile, folderOf } from './entry-file.js';
import type { Loaded } from './messages.js';
import { BEAT_MS } from '../facts/facts.generated.js';
import { Seat } from './seat.js';

/** Stands for handlers that workers have. */
const elsewhere: Entry['run'] = () => {
  throw new Error('this thread runs no calls');
};

/** The workers of one tunnel. */
export class WorkerPool {
  readonly #seats: readonly Seat[];
  readonly #blockedTimeoutMs: number;
  readonly #report: Reporter;
  #offered: Loaded = { tasks: [], events: [], exact: false, allow: 'registered' };
  #watch: NodeJS.Timeout | undefined;
  /** Reports of the first start: where no worker starts, its one error says it all. */
  #held: Parameters<Reporter>[] | undefined = [];
  #reloading: Promise<void> = Promise.resolve();

  /** @param entry the file that its threads run; default: that of `fastTunnel()` */
  constructor(workers: CheckedWorkers, options: EngineOptions, onError: Reporter, entry = entryFile(folderOf(() => __dirname), 'entry.js')) {
    this.#blockedTimeoutMs = workers.blockedTimeoutMs;
    const onLoaded = (loaded: Loaded): void => void (this.#offered = loaded);
    const report: Reporter = (error, origin) => void (this.#held?.push([error, origin]) ?? onError(error, origin));
    this.#report = onError;
    const length = workers.count === 'auto' ? workersByCores() : workers.count;
    this.#seats = Array.from({ length }, (_, place) => new Seat({ place, workers, options, entry, onError: report }, onLoaded));
  }

  /** Resolves when at least one worker has loaded the module and the others have tried; rejects when none could, with the error of the first. */
  async load(): Promise<void> {
    const tried = await Promise.allSettled(this.#seats.map((seat) => seat.load()));
    const held = this.#held ?? [];
    this.#held = undefined;
    if (tried.some(({ status }) => status === 'fulfilled')) return held.forEach(([error, origin]) => this.#report(error, origin));
    await this.kill();
    throw (tried[0] as PromiseRejectedResult).reason;
  }

  /** Whether the module has a serializer. */
  get exact(): boolean {
    return this.#offered.exact;
  }

  get allow(): Allow {
    return this.#offered.allow;
  }

  get tasks(): readonly string[] {
    return this.#offered.tasks;
  }

  get events(): readonly string[] {
    return this.#offered.events;
  }

  /** What the engine is to be told before the workers join. */
  entries(): Entry[] {
    return [...this.tasks.map((id): Entry => ({ kind: 'task', id, run: elsewhere })), ...this.events.map((id): Entry => ({ kind: 'event', id, run: elsewhere }))];
  }

  /** Joins the tunnel of that number: resolves when one worker takes calls and the others have tried. */
  async join(number: number): Promise<void> {
    const tried = await Promise.allSettled(this.#seats.map((seat) => seat.join(number)));
    if (!tried.some(({ status }) => status === 'fulfilled')) throw (tried[0] as PromiseRejectedResult).reason;
    if (this.#blockedTimeoutMs > 0) this.#watchPulses();
  }

  #watchPulses(): void {
    let last = performance.now();
    this.#watch = setInterval(() => {
      const late = performance.now() - last - BEAT_MS;
      last = performance.now();
      // Where this thread was held up, perhaps with the whole process, the workers get the time to beat.
      if (late < BEAT_MS) for (const seat of this.#seats) seat.endIfBlocked();
    }, BEAT_MS);
    this.#watch.unref();
  }

  /** Exchanges the workers, one at a time. */
  reload(): Promise<void> {
    const reloading = this.#reloading.then(async () => {
      for (const seat of this.#seats) await seat.reload();
    });
    this.#reloading = reloading.catch(() => {});
    return reloading;
  }

  stats(members: ReadonlyMap<number, MemberStats>): WorkerStats[] {
    return this.#seats.map((seat) => seat.stats(members));
  }

  /** Ends the workers, when the engine has. */
  async close(): Promise<void> {
    clearInterval(this.#watch);
    await Promise.all(this.#seats.map((seat) => seat.close()));
  }

  async kill(): Promise<void> {
    clearInterval(this.#watch);
    await Promise.all(this.#seats.map((seat) => seat.kill()));
  }
}
