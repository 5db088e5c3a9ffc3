import { MessageChannel, receiveMessageOnPort, Worker } from 'node:worker_threads';
import type { MessagePort } from 'node:worker_threads';
import { WorkerError } from '../errors/worker-error.js';
import type { WorkerFault } from '../errors/worker-error.js';
import type { Reporter } from '../bridge/error-reports.js';
import type { EngineOptions } from '../options/engine-options.js';
import type { CheckedWorkers } from '../options/workers.js';
import type { FromWorker, Loaded, ToWorker, WorkerStart } from './messages.js';
import { dueMs, Pulse, readPulse } from './pulse.js';
import type { Reading } from './pulse.js';
import { briefly, errorOf } from './sent-error.js';

/** Milliseconds that a module may take to load. */
const START_TIMEOUT_MS = 60_000;
/** Milliseconds that a worker which was told to end may take. */
const END_TIMEOUT_MS = 5_000;

/** What a worker thread is made of. */
export interface ThreadSetup {
  /** Its place among the tunnel's workers. */
  readonly place: number;
  readonly workers: CheckedWorkers;
  readonly options: EngineOptions;
  /** The file that it runs. */
  readonly entry: string;
  readonly onError: Reporter;
}

/** How often the thread's place was taken anew, for want of the one before. */
export interface ThreadStart extends ThreadSetup {
  readonly restarts: number;
}

/** A worker inherits Node's flags; but one of them is for a program that is no file. To name flags is to have them checked, so the others are left alone. */
function inheritedFlags(): { execArgv?: string[] } {
  const isForText = (flag: string): boolean => flag.startsWith('--input-type');
  return process.execArgv.some(isForText) ? { execArgv: process.execArgv.filter((flag) => !isForText(flag)) } : {};
}

/** Tokens and keys are the engine's: what else a worker holds is for anybody there. The log is written where the engine is; a logger could not even be sent. */
function withoutSecrets({ tls: _keys, log: _log, admin, ...options }: EngineOptions, seat: NonNullable<EngineOptions['seat']>): EngineOptions {
  return { ...options, auth: { ...options.auth, tokens: undefined }, ...(admin === undefined ? {} : { seat }) };
}

/** One worker thread, from its start to its end. */
export class WorkerThread {
  readonly threadId: number;
  /** Resolves when the module is loaded; rejects when it cannot be. */
  readonly loaded: Promise<Loaded>;
  /** Resolves, to why, when the thread has ended. */
  readonly ended: Promise<WorkerError>;
  /** The engine's number of its event loop, once it has joined. */
  member: number | undefined;
  readonly #place: number;
  readonly #worker: Worker;
  readonly #port: MessagePort;
  readonly #pulse = Pulse.memory();
  readonly #joined: Promise<void>;
  #onJoined!: () => void;
  #joining: Promise<void> | undefined;
  /** It was told to end. */
  #leaves = false;
  #onLoaded!: (loaded: Loaded) => void;
  /** What has been found out of its end. */
  #fault: WorkerFault = 'FASTTUNNEL_WORKER_START';
  #cause: unknown;
  /** Its module took too long. */
  #late = false;

  constructor({ place, workers, options, entry, onError, restarts }: ThreadStart) {
    this.#place = place;
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    const start: WorkerStart = { module: workers.module, options: withoutSecrets(options, { worker: place, restarts }), port: port2, pulse: this.#pulse };
    const { resourceLimits } = workers;
    this.#worker = new Worker(entry, {
      workerData: { fasttunnel: start },
      transferList: [port2],
      name: `fasttunnel worker ${place}`,
      ...inheritedFlags(),
      ...(resourceLimits === undefined ? {} : { resourceLimits }),
    });
    this.threadId = this.#worker.threadId;
    this.#joined = new Promise((resolve) => (this.#onJoined = resolve));
    this.ended = new Promise((resolve) => {
      this.#worker.once('exit', (code) => {
        // It may have ended before its last words were read.
        for (let last = receiveMessageOnPort(port1); last !== undefined; last = receiveMessageOnPort(port1)) this.#hear(last.message as FromWorker, onError);
        port1.close();
        resolve(this.#errorOf(code));
      });
    });
    this.#worker.on('error', (error) => (this.#cause = error));
    this.loaded = this.#load(workers.module, onError);
    // Who does not wait for it hears of `ended`.
    this.loaded.catch(() => {});
    port1.unref();
  }

  #load(module: string, onError: Reporter): Promise<Loaded> {
    const timer = setTimeout(() => {
      this.#late = true;
      this.#stop('FASTTUNNEL_WORKER_START', new Error(`${module} was not loaded within ${START_TIMEOUT_MS} ms. Look for an await at its top, or at that of what it imports, which does not end`));
    }, START_TIMEOUT_MS);
    timer.unref();
    const loaded = new Promise<Loaded>((resolve) => (this.#onLoaded = resolve));
    this.#port.on('message', (message: FromWorker) => this.#hear(message, onError));
    return Promise.race([loaded, this.#failure()]).finally(() => clearTimeout(timer));
  }

  #hear(message: FromWorker, onError: Reporter): void {
    if (message.kind === 'loaded') this.#onLoaded(message);
    else if (message.kind === 'failed') this.#cause = errorOf(message.error);
    else if (message.kind === 'error') onError(errorOf(message.error), message.origin);
    else {
      this.member = message.member;
      this.#fault = 'FASTTUNNEL_WORKER_ENDED';
      this.unref();
      this.#onJoined();
    }
  }

  /** Rejects when the thread ends: with the error of its module, if it is about that. */
  async #failure(): Promise<never> {
    const error = await this.ended;
    throw error.code === 'FASTTUNNEL_WORKER_START' && !this.#late && error.cause instanceof Error ? error.cause : error;
  }

  #errorOf(code: number): WorkerError {
    const cause = this.#cause;
    return new WorkerError(this.#fault, this.#place, cause === undefined ? `its thread has ended with code ${code}` : briefly(cause), cause === undefined ? {} : { cause });
  }

  /** Lets the process end while it starts. Once it has joined, that is the tunnel's business. */
  unref(): void {
    this.#worker.unref();
  }

  #tell(message: ToWorker): void {
    this.#port.postMessage(message);
  }

  #stop(fault: WorkerFault, cause: unknown): void {
    this.#fault = fault;
    this.#cause = cause;
    void this.#worker.terminate();
  }

  /** Resolves when it takes calls; rejects when it ends before. It joins once, however often it is asked to. */
  join(number: number): Promise<void> {
    return (this.#joining ??= this.#join(number));
  }

  async #join(number: number): Promise<void> {
    await this.loaded;
    // One that was told to end while it was loaded would get calls, and end in the midst of them.
    if (!this.#leaves) this.#tell({ kind: 'join', number });
    await Promise.race([this.#joined, this.#failure()]);
  }

  /** Resolves when it has answered the calls that it has begun, within `drainTimeoutMs`, and has ended. */
  async leave(drainTimeoutMs: number): Promise<void> {
    this.#leaves = true;
    this.#tell({ kind: 'leave' });
    await this.#endWithin(drainTimeoutMs + END_TIMEOUT_MS);
  }

  /** Resolves when it has ended. */
  async end(): Promise<void> {
    this.#leaves = true;
    this.#tell({ kind: 'end' });
    await this.#endWithin(END_TIMEOUT_MS);
  }

  async #endWithin(timeoutMs: number): Promise<void> {
    this.#worker.ref();
    const timer = setTimeout(() => void this.#worker.terminate(), timeoutMs);
    await this.ended;
    clearTimeout(timer);
  }

  /** Ends it now, wherever it is. */
  async kill(): Promise<void> {
    await this.#worker.terminate();
    await this.ended;
  }

  /** Ends it when it is busy with one thing for longer. */
  endIfBlocked(timeoutMs: number): void {
    const due = dueMs(this.#pulse);
    if (this.#fault !== 'FASTTUNNEL_WORKER_ENDED' || due <= timeoutMs) return;
    this.#stop('FASTTUNNEL_WORKER_BLOCKED', new Error(`its event loop has not turned for ${Math.round(due)} ms. See the option workers.blockedTimeoutMs`));
  }

  pulse(): Reading {
    return readPulse(this.#pulse);
  }
}
