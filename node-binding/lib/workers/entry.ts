// What a worker thread of a tunnel runs: it loads the module with the handlers, joins the tunnel, and answers calls.
import { workerData } from 'node:worker_threads';
import { containErrors } from '../bridge/error-reports.js';
import { joinTunnel } from '../bridge/bridge.js';
import type { Membership } from '../bridge/bridge-interface.js';
import type { ErrorOrigin } from '../options/types.js';
import { codecOf } from '../values/codec.js';
import type { FromWorker, ToWorker, WorkerStart } from './messages.js';
import { Pulse } from './pulse.js';
import { sentError } from './sent-error.js';
import { loadModule } from './worker-module.js';
import type { CheckedModule } from './worker-module.js';

const { module: url, options, port, pulse } = (workerData as { fasttunnel: WorkerStart }).fasttunnel;
// Nobody else's business: handlers may use what threads are given.
delete (workerData as { fasttunnel?: WorkerStart }).fasttunnel;

let membership: Membership | undefined;
let beats: Pulse | undefined;
let ending = false;

function tell(message: FromWorker): void {
  port.postMessage(message);
}

function report(error: unknown, origin: ErrorOrigin): void {
  tell({ kind: 'error', error: sentError(error), origin });
}

async function end(loaded: CheckedModule): Promise<void> {
  if (ending) return;
  ending = true;
  membership?.end();
  beats?.stop();
  try {
    await loaded.close?.();
  } catch (error) {
    (loaded.onError ?? report)(error, { kind: 'task', id: '(close)', requestId: '' });
  } finally {
    // What the module has left open must not keep the thread.
    process.exit(0);
  }
}

function join(loaded: CheckedModule, number: number): void {
  membership = joinTunnel(number, options, loaded.entries, codecOf(loaded.serializer), containErrors(loaded.onError ?? report));
  beats = new Pulse(pulse);
  tell({ kind: 'joined', member: membership.member });
}

async function hear(loaded: CheckedModule, message: ToWorker): Promise<void> {
  if (message.kind === 'join') return join(loaded, message.number);
  if (message.kind === 'leave') await membership?.leave();
  await end(loaded);
}

function fail(error: unknown): void {
  tell({ kind: 'failed', error: sentError(error) });
  process.exit(1);
}

async function start(): Promise<void> {
  const loaded = await loadModule(url);
  port.on('message', (message: ToWorker) => void hear(loaded, message).catch(fail));
  const { tasks, events, serializer } = loaded;
  tell({ kind: 'loaded', tasks, events, exact: codecOf(serializer).exact });
}

// While the module is being loaded, too: what it waits for may keep no thread alive.
port.ref();
start().catch(fail);
