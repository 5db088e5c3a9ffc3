// Clients beside each other, in turns, against one server in a process of its own: calls a second, CPU of this process for a
// call, and how long a call takes. `make bench-client`
// For `make compare` one of them, for one measurement, against a server that is there: what came out as JSON.
//   node client.mjs --one undici --url http://127.0.0.1:7070/__runner [--case client-64] [--width 64] [--warmup 0.5] [--seconds 2]
//   node client.mjs [--case client-64,client-1,client-echo-10k,client-slow] [--seconds 2] [--rounds 5] [--socket]
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createClient } from 'fasttunnel/client';

const TOKEN = 'secret';
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const median = (numbers) => numbers.toSorted((a, b) => a - b)[numbers.length >> 1];
const quantile = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
/** What nothing waits behind: what its calls take that take no time is the machine's. */
const SINGLE = 'fasttunnel, 1 call on a connection';
const text10k = 'x'.repeat(10_000);

/** The server's process. */
async function serve(socketPath) {
  const { fastTunnel } = await import('fasttunnel');
  const tunnel = await fastTunnel({
    ...(socketPath === undefined ? {} : { socketPath }),
    auth: { token: TOKEN },
    tasks: {
      'app.tasks.add': async ({ a, b }) => a + b,
      'app.tasks.echo': (input) => input,
      'app.tasks.sometimes': async ({ n }) => { if (n % 100 === 0) await sleep(200); return n; },
    },
  });
  process.send({ url: tunnel.url, socketPath });
}

/** Each is `(id, input) => result`. */
function clientsOf({ url, socketPath }) {
  const require = createRequire(import.meta.url);
  const ours = createClient({ url, auth: { token: TOKEN } });
  const { Pool } = require('undici');
  const origin = socketPath === undefined ? new URL(url).origin : 'http://localhost';
  const pool = new Pool(origin, { connections: 16, ...(socketPath === undefined ? {} : { socketPath }) });
  const headers = { 'x-runner-token': TOKEN, 'content-type': 'application/json' };
  const undici = async (id, input) => {
    const { body } = await pool.request({ method: 'POST', path: `/__runner/task/${id}`, headers, body: JSON.stringify({ input }) });
    return (await body.json()).result;
  };
  const single = createClient({ url, auth: { token: TOKEN }, pipelining: 1 });
  const clients = { fasttunnel: (id, input) => ours.task(id, input), [SINGLE]: (id, input) => single.task(id, input), undici };
  if (socketPath !== undefined) return clients;
  const { Serializer } = require('@bluelibs/runner');
  const runner = require('@bluelibs/runner/node');
  const options = { baseUrl: url, auth: { token: TOKEN }, serializer: new Serializer() };
  const smart = runner.createHttpSmartClient(options);
  const mixed = runner.createHttpMixedClient(options);
  return {
    ...clients,
    fetch: async (id, input) => (await (await fetch(`${url}/task/${id}`, { method: 'POST', headers, body: JSON.stringify({ input }) })).json()).result,
    'smart (Runner)': (id, input) => smart.task(id, input),
    'mixed (Runner)': (id, input) => mixed.task(id, input),
  };
}

/** Calls, `width` at a time, for a while. */
async function closedLoop(call, width, seconds) {
  const until = performance.now() + seconds * 1000;
  const times = [];
  const before = process.cpuUsage();
  const started = performance.now();
  let next = 0;
  await Promise.all(Array.from({ length: width }, async () => {
    while (performance.now() < until) {
      const at = performance.now();
      await call(next++);
      times.push(performance.now() - at);
    }
  }));
  const elapsed = performance.now() - started;
  const { user, system } = process.cpuUsage(before);
  times.sort((a, b) => a - b);
  return { rate: (times.length / elapsed) * 1000, cpuUs: (user + system) / times.length, share: (user + system) / elapsed / 1000, answers: times.length, p50: quantile(times, 0.5), p99: quantile(times, 0.99) };
}

/** Calls at a rate, whether others are answered or not; how long those took that have nothing to wait for. */
async function openLoop(call, rate, seconds) {
  const times = [];
  const pending = new Set();
  const started = performance.now();
  for (let number = 0, elapsed = 0; elapsed < seconds * 1000; elapsed = performance.now() - started) {
    for (; number < (elapsed * rate) / 1000; number++) {
      const at = performance.now();
      const isSlow = number % 100 === 0;
      const promise = call(number).then(() => {
        if (!isSlow) times.push(performance.now() - at);
        pending.delete(promise);
      });
      pending.add(promise);
    }
    await sleep(1);
  }
  await Promise.all(pending);
  times.sort((a, b) => a - b);
  return { p50: quantile(times, 0.5), p99: quantile(times, 0.99) };
}

const check = (got, expected) => {
  if (got !== expected) throw new Error(`an answer to another call: ${got}, not ${expected}`);
};
const adds = (client) => async (number) => check(await client('app.tasks.add', { a: number, b: 1 }), number + 1);
const echoes = (client) => async (number) => check((await client('app.tasks.echo', { number, text: text10k })).number, number);
const sometimes = (client) => async (number) => check(await client('app.tasks.sometimes', { n: number }), number);

const CASES = {
  'client-64': { calls: adds, width: 64 },
  'client-1': { calls: adds, width: 1 },
  'client-echo-10k': { calls: echoes, width: 64 },
  'client-slow': { calls: sometimes, width: 64, half: true },
};

/** One client, for one measurement. */
async function one({ one: name, url, case: cases, width, warmup, seconds }) {
  const client = clientsOf({ url })[name];
  if (client === undefined) throw new Error(`there is no client ${name}`);
  const { calls } = CASES[cases];
  const before = await closedLoop(calls(client), Number(width), Number(warmup));
  const figure = await closedLoop(calls(client), Number(width), Number(seconds));
  console.log(JSON.stringify({ ...figure, answers: before.answers + figure.answers }));
  process.exit();
}

async function main() {
  const { values } = parseArgs({ options: { case: { type: 'string', default: Object.keys(CASES).join(',') }, seconds: { type: 'string', default: '2' }, rounds: { type: 'string', default: '5' }, socket: { type: 'boolean', default: false },
    one: { type: 'string' }, url: { type: 'string' }, width: { type: 'string', default: '64' }, warmup: { type: 'string', default: '0.5' } } });
  if (values.one !== undefined) return one(values);
  const child = fork(fileURLToPath(import.meta.url), ['serve', ...(values.socket ? [join(tmpdir(), `fasttunnel-bench-${process.pid}.sock`)] : [])]);
  try {
    const [where] = await once(child, 'message');
    const clients = clientsOf(where);
    for (const name of values.case.split(',')) {
      const { calls, width, half } = CASES[name];
      const compared = Object.entries(clients).filter(([client]) => half || client !== SINGLE);
      const figures = Object.fromEntries(compared.map(([client]) => [client, []]));
      for (let round = -1; round < Number(values.rounds); round++) {
        let rate;
        for (const [client, task] of compared) {
          const figure = await closedLoop(calls(task), width, round < 0 ? 0.5 : Number(values.seconds));
          // At half of what it has just reached; the second at the rate of the first, in the same minute, to tell the client from the machine.
          rate = client === SINGLE ? rate : figure.rate / 2;
          if (half) Object.assign(figure, await openLoop(calls(task), rate, round < 0 ? 0.5 : Number(values.seconds)));
          // The first round warms up.
          if (round >= 0) figures[client].push(figure);
        }
      }
      console.log(`\n${name}: ${width} at a time${half ? '; p50 and p99 of the calls that take no time, at half of that rate' : ''}${values.socket ? '; Unix socket' : ''}\n`);
      console.log('| client | calls/s | CPU of the client, µs a call | p50 ms | p99 ms |\n|---|---|---|---|---|');
      for (const [client, rounds] of Object.entries(figures)) {
        const of = (what, digits) => median(rounds.map((figure) => figure[what])).toFixed(digits);
        console.log(`| ${client} | ${of('rate', 0)} | ${of('cpuUs', 2)} | ${of('p50', 3)} | ${of('p99', 3)} |`);
      }
    }
  } finally {
    child.kill();
  }
  process.exit();
}

if (process.argv[2] === 'serve') await serve(process.argv[3]);
else await main();
