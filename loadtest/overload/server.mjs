// A server to be overloaded, fasttunnel (with its placement, fasttunnel:inline) or node:http: `node server.mjs fasttunnel`,
// started by run.mjs, which it tells how late its own timers were.
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { fastTunnel } from '../../node-binding/dist/esm/index.mjs';
import { serveTasks } from '../peers/node-tasks.mjs';

const spin = (ms) => {
  const end = performance.now() + ms;
  while (performance.now() < end);
};
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const tasks = {
  add: async ({ a, b }) => a + b,
  'spin-1ms': (input) => { spin(1); return input; },
  'spin-1ms-after-await': async (input) => { await undefined; spin(1); return input; },
  'sleep-10ms-spin-1ms': async (input) => { await sleep(10); spin(1); return input; },
  'sleep-10ms': async (input) => { await sleep(10); return input; },
  'spin-100ms': (input) => { spin(100); return input; },
};

async function startTunnel(placement) {
  const { DRIVER: driver = 'auto', LIMITS: limits = '{}' } = process.env;
  return (await fastTunnel({ driver, placement, limits: JSON.parse(limits), auth: { allowAnonymous: true }, tasks })).port;
}

const [, , name] = process.argv;
const port = await (name === 'node:http' ? serveTasks(tasks) : startTunnel(name.split(':')[1]));
const delay = monitorEventLoopDelay({ resolution: 1 });
delay.enable();
process.on('message', (word) => {
  const ms = (ns) => ns / 1e6;
  if (word === 'tell') process.send({ p50: ms(delay.percentile(50)), p99: ms(delay.percentile(99)), max: ms(delay.max), rss: process.memoryUsage().rss / 2 ** 20 });
  delay.reset();
});
process.on('disconnect', () => process.exit());
process.send({ port });
