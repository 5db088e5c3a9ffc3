/** What has happened to a worker. */
export type WorkerFault = 'FASTTUNNEL_WORKER_START' | 'FASTTUNNEL_WORKER_ENDED' | 'FASTTUNNEL_WORKER_BLOCKED';

const WHAT: Readonly<Record<WorkerFault, string>> = {
  FASTTUNNEL_WORKER_START: 'has not started',
  FASTTUNNEL_WORKER_ENDED: 'has ended',
  FASTTUNNEL_WORKER_BLOCKED: 'was blocked, and was ended',
};

/** A worker of a tunnel is gone, with the calls that it had begun; another takes its place. `cause` is the error that has ended it. */
export class WorkerError extends Error {
  static {
    this.prototype.name = 'WorkerError';
  }

  readonly code: WorkerFault;
  /** Which of the tunnel's workers it is, from 0. */
  readonly worker: number;

  constructor(code: WorkerFault, worker: number, reason: string, options?: { cause?: unknown }) {
    super(`worker ${worker} ${WHAT[code]}: ${reason}`, options);
    this.code = code;
    this.worker = worker;
  }
}
