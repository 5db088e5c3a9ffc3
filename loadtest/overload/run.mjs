// Overload, as a table: each server's capacity under a kind of task, then so many times that (open loop), and what comes
// of it: answers in time, refusals, how late the app's own timers are, memory. `make overload` calls it.
//   node run.mjs [--servers fasttunnel,fasttunnel:inline,node:http] [--tasks spin-1ms,…] [--times 3] [--duration-s 5] [--deadline-ms 1000]
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
    servers: { type: 'string', default: 'fasttunnel,node:http' },
    tasks: { type: 'string', default: 'spin-1ms,spin-1ms-after-await,sleep-10ms-spin-1ms,spin-100ms,sleep-10ms,add' },
    times: { type: 'string', default: '3' },
    'duration-s': { type: 'string', default: '5' },
    'deadline-ms': { type: 'string', default: '1000' },
    connections: { type: 'string', default: '4000' },
    loadtest: { type: 'string', default: at('../../target/release/loadtest') },
    server: { type: 'string', default: at('server.mjs') },
  },
});
/** Connections that find out the capacity: enough to wait for what sleeps. */
const CAPACITY_CONNECTIONS = { 'sleep-10ms': 1000, 'sleep-10ms-spin-1ms': 64, 'spin-100ms': 4 };
const scratch = mkdtempSync(join(tmpdir(), 'overload-'));

async function load(server, task, args) {
  const file = join(scratch, 'result.json');
  const [scenario, more] = task === 'add' ? ['add', ['--task', 'add']] : ['block', ['--task', task]];
  const line = [scenario, `http://127.0.0.1:${server.port}/__runner`, ...more, '--deadline-ms', options['deadline-ms'], '--json', file, ...args];
  // Exit code 1 says that not every answer was good, which is what overload is about.
  await new Promise((resolve, reject) => execFile(options.loadtest, line, (error, _stdout, stderr) => (error === null || error.code === 1 ? resolve() : reject(new Error(stderr)))));
  return JSON.parse(readFileSync(file, 'utf8'));
}

async function tell(child) {
  const told = once(child, 'message');
  child.send('tell');
  return (await told)[0];
}

async function measure(name, task) {
  const child = fork(options.server, [name], { execArgv: [] });
  const [server] = await once(child, 'message');
  const seconds = options['duration-s'];
  const base = await load(server, task, ['--connections', String(CAPACITY_CONNECTIONS[task] ?? 64), '--warmup-s', '1', '--duration-s', '3']);
  const calm = await tell(child);
  const rate = Math.round(base.answers_per_s * Number(options.times));
  child.send('forget');
  const over = await load(server, task, ['--connections', options.connections, '--rate', String(rate), '--warmup-s', '2', '--duration-s', seconds]);
  const busy = await tell(child);
  const again = await load(server, task, ['--connections', String(CAPACITY_CONNECTIONS[task] ?? 64), '--warmup-s', '1', '--duration-s', '2']);
  child.disconnect();
  const { refused, ...others } = over.failures;
  return {
    task,
    server: name,
    'capacity/s': Math.round(base.answers_per_s),
    'offered/s': rate,
    'goodput/s': Math.round(over.goodput_per_s),
    'of capacity': (over.goodput_per_s / base.answers_per_s).toFixed(2),
    '503/s': Math.round((refused?.count ?? 0) / over.seconds),
    'p50 ms': Math.round(over.latency_us.quantiles.find(([quantile]) => quantile === 0.5)[1] / 1000),
    '503 p50 ms': Math.round(over.refusal_us.p50 / 1000),
    'delay p50/p99/max ms': [busy.p50, busy.p99, busy.max].map((ms) => ms.toFixed(1)).join(' / '),
    'calm p99': calm.p99.toFixed(1),
    'RSS MiB': `${calm.rss.toFixed(0)} to ${busy.rss.toFixed(0)}`,
    'after/s': Math.round(again.answers_per_s),
    unsent: over.generator.unsent,
    errors: Object.entries(others).map(([failure, { count }]) => `${count} ${failure}`).join(' '),
    'generator at its limit': over.generator.limit,
  };
}

try {
  const rows = [];
  for (const task of options.tasks.split(',')) {
    for (const server of options.servers.split(',')) {
      rows.push(await measure(server, task));
      console.error(JSON.stringify(rows.at(-1)));
    }
  }
  const names = Object.keys(rows[0]);
  const line = (cells) => `| ${cells.join(' | ')} |`;
  console.log([line(names), line(names.map(() => '---')), ...rows.map((row) => line(names.map((name) => row[name])))].join('\n'));
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
