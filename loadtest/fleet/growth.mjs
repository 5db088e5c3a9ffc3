// What 1, 2 and 3 tunnels behind HAProxy answer a second, and what an answer costs, against one tunnel alone. As a table.
//   node growth.mjs [--rounds 3] [--duration-s 3] [--out file] [--loadtest program]
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { usage } from '../attacks/proc.mjs';
import { freePort } from '../attacks/servers/free-port.mjs';
import { Balancer } from './balancer.mjs';
import { Tunnel } from './tunnels.mjs';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    'duration-s': { type: 'string', default: '3' },
    out: { type: 'string' },
    loadtest: { type: 'string', default: fileURLToPath(new URL('../../target/release/loadtest', import.meta.url)) },
  },
});
const HOSTS = ['127.0.0.2', '127.0.0.3', '127.0.0.4'];
const TASKS = { add: 'adds two numbers', block: 'computes for 1 ms' };
const folder = mkdtempSync(join(tmpdir(), 'fasttunnel-growth-'));

async function load(url, task) {
  const file = join(folder, 'result.json');
  const args = [task, url, '--connections', '64', '--warmup-s', '0.5', '--duration-s', values['duration-s'], '--json', file, '--server-pid', String(process.pid)];
  await new Promise((resolve, reject) => execFile(values.loadtest, args, (error, _stdout, stderr) => (error === null ? resolve() : reject(new Error(stderr || String(error))))));
  return JSON.parse(readFileSync(file, 'utf8'));
}

/** One round: `{ perS, p99Ms, tunnelUs, balancerUs }`, the last two in CPU time an answer. */
async function round(task, count) {
  const [port, adminPort, agentPort, frontend] = [await freePort(), await freePort(), await freePort(), await freePort()];
  const env = { LEDGER: '/dev/null', PORT: String(port), ADMIN_PORT: String(adminPort), AGENT_PORT: String(agentPort), SERVICE_MS: '0', MOST_CALLS: '10000', READINESS_MS: '0' };
  const hosts = HOSTS.slice(0, Math.max(1, count));
  const tunnels = hosts.map((host) => new Tunnel(host, env));
  const balancer = count === 0 ? undefined : new Balancer();
  try {
    await Promise.all(tunnels.map((tunnel) => tunnel.start()));
    await balancer?.start(folder, { hosts, port, adminPort, agentPort, frontend, serverTimeoutMs: 3000, slowStartMs: 1 });
    const url = balancer === undefined ? `http://${hosts[0]}:${port}/__runner` : `http://127.0.0.1:${frontend}/__runner`;
    const cost = () => [tunnels.reduce((sum, { child }) => sum + usage(child.pid).cpu, 0), balancer === undefined ? 0 : usage(balancer.child.pid).cpu];
    const before = cost();
    const result = await load(url, task);
    const spent = cost().map((after, index) => after - before[index]);
    // CPU is counted from the warm-up on; so are these.
    const answers = result.answers_per_s * (Number(values['duration-s']) + 0.5);
    const p99 = result.latency_us.quantiles.find(([quantile]) => quantile >= 0.99)[1];
    return { perS: result.answers_per_s, p99Ms: p99 / 1000, tunnelUs: (spent[0] * 1e6) / answers, balancerUs: (spent[1] * 1e6) / answers };
  } finally {
    await balancer?.stop();
    for (const { child } of tunnels) child?.kill('SIGKILL');
  }
}

const median = (numbers) => numbers.sort((a, b) => a - b)[Math.floor(numbers.length / 2)];
const lines = [
  `${cpus().length} cores (${cpus()[0]?.model ?? 'unknown'}) for the generator, HAProxy and all tunnels together; 64 connections, ${values.rounds} rounds of ${values['duration-s']} s, medians; ${new Date().toISOString().slice(0, 10)}.`,
  '',
  '| handler | tunnels | answers a second | p99 | CPU of the tunnels an answer | CPU of HAProxy an answer |',
  '|---|---|---|---|---|---|',
];
try {
  for (const [task, says] of Object.entries(TASKS)) {
    const rounds = new Map([0, 1, 2, 3].map((count) => [count, []]));
    // In turns: a machine that is busy for a while is so for all.
    for (let turn = 0; turn < Number(values.rounds); turn += 1) for (const [count, done] of rounds) done.push(await round(task, count));
    for (const [count, done] of rounds) {
      const of = (what, digits = 0) => median(done.map((one) => one[what])).toFixed(digits);
      lines.push(`| ${says} | ${count === 0 ? 'one alone' : `${count} behind HAProxy`} | ${of('perS')} | ${of('p99Ms', 1)} ms | ${of('tunnelUs')} µs | ${count === 0 ? '–' : `${of('balancerUs')} µs`} |`);
    }
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
const text = `${lines.join('\n')}\n`;
console.log(text);
if (values.out !== undefined) writeFileSync(values.out, text);
