// A worker thread of a tunnel: it loads what has the handlers, joins the tunnel, and answers calls.
import { workerData } from 'node:worker_threads';
import type { Reporter } from '../bridge/error-reports.js';
import type { Membership } from '../bridge/bridge-interface.js';
import type { EngineOptions } from '../options/engine-options.js';
import type { FromWorker, Loaded, ToWorker, WorkerStart } from './messages.js';
import { Pulse } from './pulse.js';
import { sentError } from './sent-error.js';

/** What a worker has loaded. */
export interface LoadedWorker extends Loaded {
  /** Joins the tunnel of that number. `report` tells `onError` of the tunnel. */
  join(number: number, options: EngineOptions, report: Reporter): Membership;
  /** Runs when the last call is answered. */
  close?(): unknown;
  /** Hears what `close` throws, instead of the tunnel. */
  readonly onError?: Reporter | undefined;
}

/** Runs this thread as a worker; `load` gets the URL that the option names. */
export function runWorker(load: (url: string) => Promise<LoadedWorker>): void {
  const { module: url, options, port, pulse } = (workerData as { fasttunnel: WorkerStart }).fasttunnel;
  // Nobody else's business: handlers may use what threads are given.
  delete (workerData as { fasttunnel?: WorkerStart }).fasttunnel;
  let membership: Membership | undefined;
  let beats: Pulse | undefined;
  let ending = false;
  const tell = (message: FromWorker): void => port.postMessage(message);
  const report: Reporter = (error, origin) => tell({ kind: 'error', error: sentError(error), origin });
  const fail = (error: unknown): void => {
    tell({ kind: 'failed', error: sentError(error) });
    process.exit(1);
  };
  const end = async (loaded: LoadedWorker): Promise<void> => {
    if (ending) return;
    ending = true;
    membership?.end();
    beats?.stop();
    try {
      await loaded.close?.();
    } catch (error) {
      (loaded.onError ?? report)(error, { kind: 'task', id: '(close)', requestId: '' });
    } finally {
      // What was left open must not keep the thread.
      process.exit(0);
    }
  };
  const hear = async (loaded: LoadedWorker, message: ToWorker): Promise<void> => {
    if (message.kind === 'join') {
      membership = loaded.join(message.number, options, report);
      beats = new Pulse(pulse);
      return tell({ kind: 'joined', member: membership.member });
    }
    if (message.kind === 'leave') await membership?.leave();
    await end(loaded);
  };
  // While it is being loaded, too: what that waits for may keep no thread alive.
  port.ref();
  load(url).then((loaded) => {
    port.on('message', (message: ToWorker) => void hear(loaded, message).catch(fail));
    const { tasks, events, exact, allow } = loaded;
    tell({ kind: 'loaded', tasks, events, exact, allow });
  }).catch(fail);
}
