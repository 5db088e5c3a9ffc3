// From the command line: node run.mjs [--rate 1200] [--calls 100000] [--out folder]
// In a network namespace of its own, where packets can be dropped without harm to anybody else.
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { findHaproxy } from '../attacks/servers/haproxy.mjs';
import { draw } from './chart.mjs';
import { fleet } from './fleet.mjs';
import { table } from './table.mjs';

const { values } = parseArgs({ options: { rate: { type: 'string', default: '1200' }, calls: { type: 'string', default: '100000' }, out: { type: 'string' }, phases: { type: 'string' } } });
const ALONE = ['--map-root-user', '--net'];
const inNamespace = process.env.FLEET_NAMESPACE === '1';

if (!inNamespace && spawnSync('unshare', [...ALONE, 'sh', '-c', 'ip link set lo up && iptables -L INPUT -n']).status === 0) {
  // apt-get, which may have to fetch HAProxy, needs the network of outside.
  findHaproxy();
  const script = 'ip link set lo up && exec "$@"';
  const { status } = spawnSync('unshare', [...ALONE, 'sh', '-c', script, 'sh', process.execPath, fileURLToPath(import.meta.url), ...process.argv.slice(2)], { stdio: 'inherit', env: { ...process.env, FLEET_NAMESPACE: '1' } });
  process.exit(status ?? 1);
}
if (!inNamespace) console.log('no network namespace with iptables here: nothing is cut off');

const rate = Number(values.rate);
const all = ['calm', 'rolling', 'killed', 'cut', 'hangs', 'calm', 'rest', 'overloaded'];
const phases = (values.phases?.split(',') ?? all).filter((name) => name !== 'cut' || inNamespace);
const settings = {
  rate, serviceMs: 5, mostCalls: 64, readinessMs: 1500, serverTimeoutMs: 3000, slowStartMs: 1000,
  calmMs: 5000, restarted: 3, rollingCalls: Number(values.calls), faultMs: 4000,
  // 64 calls of 128 ms each: 500 a second for each tunnel, 1000 for two.
  slowMs: 128, excessRate: 1150, steadyMs: 8000,
};
const { calls, phases: counted, measured, wrong } = await fleet({ phases, settings, log: (line) => console.log(line) });
const text = table(counted, measured, settings);
console.log(text);
if (values.out !== undefined) {
  mkdirSync(values.out, { recursive: true });
  writeFileSync(join(values.out, 'fleet.md'), text);
  writeFileSync(join(values.out, 'fleet.svg'), draw(calls));
}
for (const line of wrong.slice(0, 20)) console.error(line);
if (wrong.length > 0) process.exitCode = 1;
