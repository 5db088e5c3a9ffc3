import { ClosedError } from '../errors/errors.js';
import { WorkerError } from '../errors/worker-error.js';
import type { MemberStats, WorkerStats } from '../stats/stats.js';
import { Backoff } from './backoff.js';
import type { Loaded } from './messages.js';
import { now } from './pulse.js';
import { briefly } from './sent-error.js';
import { WorkerThread } from './thread.js';
import type { ThreadSetup } from './thread.js';

const NOTHING: MemberStats = { calls: 0, waiting: 0, running: 0 };

/** The place of one worker: whenever its thread ends, another takes its place. */
export class Seat {
  readonly #setup: ThreadSetup;
  readonly #onLoaded: (loaded: Loaded) => void;
  readonly #backoff = new Backoff();
  /** The tunnel to join, once it is there. */
  #number: number | undefined;
  #thread: WorkerThread | undefined;
  /** The next one, while `reload` waits for it. */
  #fresh: WorkerThread | undefined;
  /** The last one, until it has left. */
  #old: WorkerThread | undefined;
  #since = now();
  #timer: NodeJS.Timeout | undefined;
  #restarts = 0;
  #closed = false;

  /** @param onLoaded hears what each thread's module offers */
  constructor(setup: ThreadSetup, onLoaded: (loaded: Loaded) => void) {
    this.#setup = setup;
    this.#onLoaded = onLoaded;
  }

  /** Resolves when a first thread has loaded the module; rejects with why it could not, and tries again unless it is closed. */
  async load(): Promise<void> {
    await this.#begin(new WorkerThread({ ...this.#setup, restarts: this.#restarts })).loaded;
  }

  /** Joins a tunnel: resolves when a thread takes calls, rejects when this one could not; others will try. */
  async join(number: number): Promise<void> {
    this.#number = number;
    // A thread that is still being loaded joins by itself.
    await this.#thread?.join(number);
  }

  /** Puts a new thread into the place of the present one, which answers the calls that it has begun. Rejects, and nothing has changed, when it does not start. */
  async reload(): Promise<void> {
    if (this.#closed) throw new ClosedError('reload');
    const fresh = new WorkerThread({ ...this.#setup, restarts: this.#restarts });
    this.#fresh = fresh;
    try {
      this.#onLoaded(await fresh.loaded);
      if (this.#number !== undefined) await fresh.join(this.#number);
    } catch (error) {
      await fresh.kill();
      throw this.#closed ? new ClosedError('reload') : error;
    } finally {
      this.#fresh = undefined;
    }
    const old = this.#thread;
    if (this.#closed) return fresh.end();
    clearTimeout(this.#timer);
    this.#backoff.reset();
    this.#watch(fresh);
    this.#old = old;
    await old?.leave(this.#setup.options.limits.drainTimeoutMs);
    this.#old = undefined;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    // What would take its place has no calls yet, and may take long to load.
    await Promise.all([this.#thread?.end(), this.#old?.end(), this.#fresh?.kill()]);
  }

  /** Ends it at once. */
  async kill(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await Promise.all([this.#thread?.kill(), this.#old?.kill(), this.#fresh?.kill()]);
  }

  endIfBlocked(): void {
    this.#thread?.endIfBlocked(this.#setup.workers.blockedTimeoutMs);
  }

  stats(members: ReadonlyMap<number, MemberStats>): WorkerStats {
    const thread = this.#thread;
    const member = thread?.member === undefined ? undefined : members.get(thread.member);
    const { lateMs, latestMs } = thread?.pulse() ?? { lateMs: 0, latestMs: 0 };
    return {
      worker: this.#setup.place,
      ...(thread === undefined ? {} : { threadId: thread.threadId }),
      state: thread === undefined ? 'waiting' : member === undefined ? 'starting' : 'running',
      restarts: this.#restarts,
      ...(member ?? NOTHING),
      eventLoopDelayMs: lateMs,
      eventLoopDelayMaxMs: latestMs,
    };
  }

  /** A thread begins, and joins when it can. */
  #begin(thread: WorkerThread): WorkerThread {
    this.#watch(thread);
    void thread.loaded.then(
      (loaded) => {
        this.#onLoaded(loaded);
        // Its end is heard of by itself.
        if (this.#number !== undefined) thread.join(this.#number).catch(() => {});
      },
      () => {},
    );
    return thread;
  }

  #watch(thread: WorkerThread): void {
    this.#thread = thread;
    this.#since = now();
    void thread.ended.then((error) => {
      if (this.#thread !== thread) return;
      this.#thread = undefined;
      if (!this.#closed) this.#failed(error);
    });
  }

  /** Tells of it, and tries again later. */
  #failed(error: WorkerError): void {
    this.#setup.onError(error, { kind: 'task', id: '(worker)', requestId: '' });
    this.#timer = setTimeout(() => this.#restart(), this.#backoff.failed(now() - this.#since));
    this.#timer.unref();
  }

  #restart(): void {
    this.#restarts += 1;
    this.#since = now();
    try {
      this.#begin(new WorkerThread({ ...this.#setup, restarts: this.#restarts })).unref();
    } catch (error) {
      // The system has no thread for it now. Thrown here, it would end the process.
      this.#failed(new WorkerError('FASTTUNNEL_WORKER_START', this.#setup.place, briefly(error), { cause: error }));
    }
  }
}
