// Forward proxies beside each other, as tables in Markdown: the proxy of this checkout, proxy-chain, http-proxy-3 and tinyproxy, in turns.
//   node run.mjs [--rounds 5] [--duration-s 3] [--connections 64] [--streams 64] [--idle 1000] [--contexts 100000] [--rate 4000] [--cores one]
//                [--parts plain,routed,contexts] [--proxies ours,proxy-chain,…]
// Small GETs are asked of nginx by loadtest, over HTTP/2 by h2load. What is beside the proxy on the machine's cores is the same for all of them.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { certificateFolder } from '../attacks/servers/certificate.mjs';
import { ROUTE } from '../peers/route.mjs';
import { CORES } from '../placements/servers.mjs';
import { Loads } from './loads.mjs';
import { contexts, kept, latency, most, tunnels, using } from './measure.mjs';
import { openBytes, openNginx } from './origins.mjs';
import { Table } from './table.mjs';

const at = (path) => fileURLToPath(new URL(path, import.meta.url));
const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    'duration-s': { type: 'string', default: '3' },
    'warmup-s': { type: 'string', default: '0.5' },
    connections: { type: 'string', default: '64' },
    'h2-connections': { type: 'string', default: '4' },
    streams: { type: 'string', default: '64' },
    idle: { type: 'string', default: '1000' },
    contexts: { type: 'string', default: '100000' },
    rate: { type: 'string' },
    cores: { type: 'string', default: 'both' },
    parts: { type: 'string', default: 'plain,routed,contexts' },
    proxies: { type: 'string', default: 'ours,proxy-chain,http-proxy-3,tinyproxy' },
    loadtest: { type: 'string', default: at('../../target/release/loadtest') },
  },
});
const PARTS = ['plain', 'routed', 'contexts'];
const parts = options.parts.split(',');
for (const part of parts) if (!PARTS.includes(part)) throw new Error(`--parts takes ${PARTS.join(', ')}, not ${part}`);
if (!['one', 'both'].includes(options.cores)) throw new Error(`--cores takes one and both, not ${options.cores}`);
if (!existsSync(options.loadtest)) throw new Error(`there is no ${options.loadtest}: make instruments builds it`);
/** What this process starts has the other core with it, unless it is a proxy. */
const core = options.cores === 'one' ? CORES.server : undefined;
if (core !== undefined) execFileSync('taskset', ['-a', '-c', '-p', CORES.generator, String(process.pid)], { stdio: 'ignore' });

const certificate = certificateFolder(`DNS:localhost,DNS:*.${ROUTE.domainSuffix}`, 'basicConstraints=critical,CA:FALSE');
const [nginx, source, loads] = [await openNginx(certificate), await openBytes(), new Loads(options)];
const [seconds, idle, rounds] = [Number(options['duration-s']), Number(options.idle), Number(options.rounds)];
const names = options.proxies.split(',');

/** tinyproxy closes each connection behind its answer. */
const plain = names.map((program) => ({ program, http2: program === 'ours', closes: program === 'tinyproxy', certificate }));
/** Those that have a workspace, and what that speaks. */
const routed = [['ours', nginx.secure, 'HTTP/1.1'], ['ours', nginx.http2, 'HTTP/2'], ['proxy-chain-route', nginx.secure, 'HTTP/1.1']]
  .filter(([program]) => names.includes(program.replace('-route', '')))
  .map(([program, port, version]) => ({ program, http2: program === 'ours', certificate, behind: ` → ${version}`, env: { WORKSPACE: `127.0.0.1:${port}`, CA: join(certificate, 'own.crt') } }));

/** Those that start, with their titles. */
async function present(entries) {
  const there = [];
  for (const entry of entries) {
    try {
      there.push({ ...entry, title: `${await using(entry, core, ({ version }) => version)}${entry.behind ?? ''}` });
    } catch (error) {
      console.error(`left out: ${entry.program}: ${error.message}`);
    }
  }
  return there;
}

/** Half of what the slowest of them can do, unless it is said. */
async function rateFor(entries, url) {
  if (options.rate !== undefined) return Number(options.rate);
  const figures = [];
  for (const entry of entries.filter(({ closes }) => !closes)) figures.push(await using(entry, core, (proxy) => loads.get(url, proxy)));
  return Math.max(1, Math.floor(Math.min(...figures.map(({ perS }) => perS)) / 2));
}

/** Two tables: what proxies can do and take, and latencies. `more` are further figures of one of them. */
async function compare(all, { heading, url, straightUrl, fresh, more }) {
  const entries = await present(all);
  if (!entries.some(({ program }) => program === 'ours')) throw new Error('the proxy of this checkout does not start');
  const [figures, latencies] = [new Table(), new Table()];
  const rate = await rateFor(entries, url);
  for (let round = 0; round < rounds; round++) {
    const straight = await loads.get(straightUrl, undefined, '--rate', String(rate));
    latencies.add('none', { 'p50 ms': straight.p50, 'p99 ms': straight.p99 });
    // Forth and back: what a machine does to the first, it does to the last.
    for (const entry of round % 2 === 0 ? entries : [...entries].reverse()) {
      const row = { ...(await most(entry, { url, core, loads, fresh })), ...(await more(entry)), ...(await kept(entry, { url, core, idle })) };
      figures.add(entry.title, row);
      const times = entry.closes ? undefined : await latency(entry, { url, straightUrl, core, loads, rate, half: row['GET/s'] / 2, straight });
      if (times !== undefined) latencies.add(entry.title, times);
      console.error(entry.title, JSON.stringify({ ...row, ...times }));
    }
  }
  console.log(`### ${heading}\n\n${figures}\n\nLatency at ${rate} requests a second, and at half of what each can do:\n\n${latencies}\n`);
}

try {
  const url = `http://127.0.0.1:${nginx.port}/`;
  if (parts.includes('plain')) {
    await compare(plain, { heading: 'What is asked for is what is connected to', url, straightUrl: url, fresh: true, more: (entry) => tunnels(entry, { bytes: source.port, core, seconds, idle }) });
  }
  if (parts.includes('routed')) {
    await compare(routed, { heading: 'localhost leads to a workspace, under TLS', url: 'http://localhost:5173/', straightUrl: `https://127.0.0.1:${nginx.secure}/`, fresh: false, more: () => ({}) });
  }
  if (parts.includes('contexts')) {
    const { before, after, left } = await contexts(Number(options.contexts), core);
    console.log(`${options.contexts} contexts created and released: ${before.toFixed(1)} MiB before, ${after.toFixed(1)} after; ${left} is left.\n`);
  }
  const placed = core === undefined ? 'shared by all' : 'one of them for the proxy, another for the rest';
  console.log(`Medians of ${rounds} rounds of ${seconds} s, ${options.connections} connections, over HTTP/2 ${options.streams} streams on ${options['h2-connections']}, ${cpus().length} cores (${cpus()[0].model}), ${placed}, Node.js ${process.version}.`);
} finally {
  loads.close();
  await source.close();
  await nginx.close();
}
