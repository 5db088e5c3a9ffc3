import type { Bridge, Membership } from '../bridge/bridge-interface.js';
import type { Allow, EngineOptions } from '../options/engine-options.js';

/** The exposure of a worker's app, once the app is ready: what is to be called, and how it joins the tunnel. */
export interface WorkerExposure {
  ids(): { tasks: string[]; events: string[] };
  allow(): Allow;
  readonly exact: boolean;
  join(number: number, options: EngineOptions): Bridge & Membership;
}

/** Whether this thread is a worker of a tunnel. Then its app's resource joins that tunnel instead of listening. */
export const workerPlace: { isWorker: boolean; exposure: WorkerExposure | undefined } = { isWorker: false, exposure: undefined };
