// The server of the soak, a process of its own. Answers `{ rest: connections }` and `{ stop: true }` from its parent when
// everything under way is over; what its handlers write is told in tasks.mjs.
//   DRIVER, SHARDS, PLACEMENT, WORKERS, LIMITS (JSON) by environment
import { fastTunnel } from '../../node-binding/dist/esm/index.mjs';
import { events, flush, onError, tasks } from './tasks.mjs';

const REST_PATIENCE_MS = 15_000;

const { DRIVER = 'auto', SHARDS = '2', PLACEMENT = 'threads', WORKERS = '0', LIMITS = '{}' } = process.env;
const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

const tunnel = await fastTunnel({
  driver: DRIVER,
  shards: Number(SHARDS),
  auth: { token: 'soak' },
  limits: JSON.parse(LIMITS),
  onError,
  ...(WORKERS === '0' ? { placement: PLACEMENT, tasks, events } : { workers: Number(WORKERS), handlers: new URL('tasks.mjs', import.meta.url) }),
});

const sum = (shards) => {
  const total = {};
  for (const shard of shards) for (const [name, value] of Object.entries(shard)) if (typeof value === 'number') total[name] = (total[name] ?? 0) + value;
  return total;
};

/** Waits until nothing is under way but `connections` silent connections, and says how it stands. */
async function rest(connections) {
  const deadline = performance.now() + REST_PATIENCE_MS;
  for (;;) {
    const { shards, live, failedShards } = tunnel.stats();
    const total = sum(shards);
    const quiet = live === 0 && total.inFlight === 0 && total.connections === connections;
    if (quiet || performance.now() > deadline) {
      flush();
      // Whatever can be collected is: twice, because what a finaliser lets go is only seen by the next.
      global.gc();
      await sleep(30);
      global.gc();
      const { heapUsed, external, arrayBuffers } = process.memoryUsage();
      return { quiet, live, failedShards, total, heapUsed, external, arrayBuffers };
    }
    await sleep(10);
  }
}

process.on('message', async (message) => {
  if (message.rest !== undefined) {
    process.send(await rest(message.rest));
  } else {
    await tunnel.close();
    flush();
    process.send({ closed: true }, () => process.exit());
  }
});
process.on('disconnect', () => process.exit(1));
process.send({ port: tunnel.port, driver: tunnel.driver });
