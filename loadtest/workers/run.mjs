// Several event loops, as a table: one event loop of fasttunnel, its workers and node:cluster under the same load, in turns.
//   node run.mjs [--rounds 5] [--duration-s 4] [--workers 2] [--connections 64] [--share 0.8] [--servers one,workers,cluster]
// `mixed` is offered at a share of what the workers can do at most (open loop); the others as fast as they are answered. Of
// ten of its calls one computes for 20 ms, the others for one, whatever the connection. `waiting` is the latency without
// that; `short` are the calls of 1 ms.
import { execFile, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const at = (path) => fileURLToPath(new URL(path, import.meta.url));
const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    'duration-s': { type: 'string', default: '4' },
    workers: { type: 'string', default: '2' },
    connections: { type: 'string', default: '64' },
    share: { type: 'string', default: '0.8' },
    servers: { type: 'string', default: 'one,workers,cluster' },
    loadtest: { type: 'string', default: at('../../target/release/loadtest') },
  },
});
/** Scenario of the generator, and its options. */
const TASKS = {
  add: ['add', '--task', 'add'],
  'spin-1ms': ['block', '--task', 'spin-1ms'],
  mixed: ['block', '--task', 'spin-1ms', '--computes-ms', '1', '--other', '10:spin-20ms:20'],
};
const scratch = mkdtempSync(join(tmpdir(), 'workers-'));
const servers = options.servers.split(',');

async function load(server, task, args) {
  const file = join(scratch, 'result.json');
  const [scenario, ...more] = TASKS[task];
  const line = [scenario, `http://127.0.0.1:${server.port}/__runner`, ...more, '--connections', options.connections, '--warmup-s', '1', '--duration-s', options['duration-s'], '--json', file, ...args];
  // Exit code 1 says that not every answer was good; that shows in the errors.
  await new Promise((resolve, reject) => execFile(options.loadtest, line, (error, _stdout, stderr) => (error === null || error.code === 1 ? resolve() : reject(new Error(stderr)))));
  return JSON.parse(readFileSync(file, 'utf8'));
}

async function withServer(name, use) {
  const child = fork(at('server.mjs'), [name, options.workers], { execArgv: [] });
  const [server] = await once(child, 'message');
  const tell = async () => {
    const told = once(child, 'message');
    child.send('tell');
    return (await told)[0];
  };
  try {
    return await use(server, tell);
  } finally {
    child.disconnect();
    if (child.exitCode === null) await once(child, 'exit');
  }
}

const msOf = (result, quantile) => result.latency_us.quantiles.find(([one]) => one === quantile)[1] / 1000;
/** Of a part of the calls, in ms. */
const partOf = ({ parts_us: parts }, name, quantile) => parts[name][quantile] / 1000;
const errorsOf = (result) => Object.values(result.failures).reduce((sum, { count }) => sum + count, 0);
const median = (numbers) => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)];

const seen = Object.fromEntries(servers.map((name) => [name, []]));
/** Calls a second, by `mixed`; the same for every server of a run. */
let offered;

async function round(name) {
  seen[name].push(await withServer(name, async (server, tell) => {
    const spin = await load(server, 'spin-1ms', []);
    const add = await load(server, 'add', []);
    const { memory } = await tell();
    const mixed = await load(server, 'mixed', ['--rate', String(offered)]);
    const row = { 'spin-1ms/s': spin.answers_per_s, 'add/s': add.answers_per_s, 'mixed p50 ms': msOf(mixed, 0.5), 'mixed p99 ms': msOf(mixed, 0.99), 'waiting p50 ms': partOf(mixed, 'waiting', 'p50'), 'waiting p99 ms': partOf(mixed, 'waiting', 'p99'), 'short p99 ms': partOf(mixed, 'usual', 'p99'), 'memory MiB': memory, errors: errorsOf(spin) + errorsOf(add) + errorsOf(mixed) };
    console.error(name, JSON.stringify(row));
    return row;
  }));
}

try {
  const most = await withServer('workers', (server) => load(server, 'mixed', []));
  offered = Math.round(most.answers_per_s * Number(options.share));
  console.error(`mixed: ${offered} calls a second, ${options.share} of ${Math.round(most.answers_per_s)}`);
  for (let turn = 0; turn < Number(options.rounds); turn++) for (const name of servers) await round(name);
  const names = Object.keys(seen[servers[0]][0]);
  const line = (cells) => `| ${cells.join(' | ')} |`;
  const figures = (name) => names.map((figure) => median(seen[name].map((row) => row[figure])).toFixed(figure.endsWith('/s') ? 0 : 1));
  console.log([line(['server', ...names]), line(['---', ...names.map(() => '---')]), ...servers.map((name) => line([name, ...figures(name)]))].join('\n'));
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
