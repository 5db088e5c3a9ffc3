// The bridge alone: calls from a Rust thread through a real handler and back, without network. `make bench-bridge`
// Everything between that thread and the handler is what ships. SECONDS=1 a figure, ROUNDS=3 (the median is printed),
// CASE='async 2x64' for one case; --smoke: right answers are enough.
import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { readFileSync } from 'node:fs';
import { lib, native } from './addon.mjs';
import { median, print, smoke } from './measure.mjs';

const seconds = Number(process.env.SECONDS ?? 0.8);
const rounds = smoke ? 1 : Number(process.env.ROUNDS ?? 3);
const { fastTunnel } = lib('index');

const storage = new AsyncLocalStorage();
const tasks = {
  async: async ({ a, b }) => a + b,
  sync: ({ a, b }) => a + b,
  awaiting: async ({ a, b }) => { await undefined; return a + b; },
  // Not before the last case: from the first use of any storage on, Node follows every promise of the process.
  storing: ({ a, b }) => storage.run(a, async () => storage.getStore() + b),
};
const cases = [
  ...[1, 8, 64, 512].map((calls) => ({ task: 'async', calls })),
  { task: 'async', calls: 1, batches: 64 },
  ...[1, 8, 64, 512].map((calls) => ({ task: 'async', calls, sleeps: true })),
  ...['sync', 'awaiting', 'storing'].map((task) => ({ task, calls: 64 })),
].map((each) => ({ batches: 2, sleeps: false, ...each, name: `${each.task} ${each.batches ?? 2}x${each.calls}${each.sleeps ? ' sleeping' : ''}` }))
  .filter(({ name }) => process.env.CASE === undefined || name === process.env.CASE);

/** CPU of the JavaScript thread, in µs: of this process' threads the first. */
const cpuUs = () => Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'utf8').split(' ')[0]) / 1000;

// On a busy machine a call may wait long enough to be shed.
const tunnel = await fastTunnel({ port: 0, shards: 1, auth: { allowAnonymous: true }, limits: { queueTimeoutMs: 0 }, tasks });

async function run({ task, calls, batches, sleeps }, total) {
  const [drains, cpu] = [tunnel.stats().drains, cpuUs()];
  const { seconds, answered, wrong, firstWrong } = await native.feed({ handler: Object.keys(tasks).indexOf(task), calls, batches, sleeps, total });
  assert.ok(answered >= total && wrong === 0, `${task} ${calls}: of ${answered} answers ${wrong} were wrong, first ${firstWrong ?? 'one for nobody'}`);
  return { rate: answered / seconds, cpuUs: (cpuUs() - cpu) / answered, perDrain: answered / (tunnel.stats().drains - drains) };
}

try {
  const figures = cases.map(() => []);
  const measure = async (index) => {
    const probe = await run(cases[index], smoke ? 2000 : 100_000);
    figures[index].push(smoke ? probe : await run(cases[index], Math.ceil(probe.rate * seconds)));
  };
  const alone = cases.filter(({ task }) => task !== 'storing').length;
  for (let round = 0; round < rounds; round++) for (let index = 0; index < alone; index++) await measure(index);
  for (let round = 0; round < rounds; round++) for (let index = alone; index < cases.length; index++) await measure(index);
  const rows = figures.map((runs, index) => {
    const { task, calls, batches, sleeps } = cases[index];
    const of = (key) => median(runs.map((each) => each[key]));
    return [task, `${batches} x ${calls}`, sleeps ? 'sleeps' : 'spins', `${(of('rate') / 1e6).toFixed(2)}M`, (1e6 / of('rate')).toFixed(3), of('cpuUs').toFixed(3), of('perDrain').toFixed(1)];
  });
  print(`bridge alone, medians of ${rounds} rounds, Node.js ${process.version}`, ['handler', 'batches x calls under way', 'feeder', 'calls/s', 'us a call', 'CPU of the JS thread, us a call', 'calls in a drain'], rows);
} finally {
  await tunnel.close();
}
