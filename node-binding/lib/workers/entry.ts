// What a worker thread of `fastTunnel()` runs.
import { joinTunnel } from '../bridge/bridge.js';
import { containErrors } from '../bridge/error-reports.js';
import { codecOf } from '../values/codec.js';
import { loadModule } from './worker-module.js';
import { runWorker } from './worker.js';

runWorker(async (url) => {
  const { entries, tasks, events, serializer, onError, close } = await loadModule(url);
  const codec = codecOf(serializer);
  return {
    tasks, events, exact: codec.exact, allow: 'registered', onError,
    join: (number, options, report) => joinTunnel(number, options, entries, codec, containErrors(onError ?? report)),
    ...(close === undefined ? {} : { close }),
  };
});
