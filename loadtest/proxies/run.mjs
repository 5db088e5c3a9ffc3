// Forward proxies beside each other, as tables in Markdown: the proxy of this checkout, proxy-chain, http-proxy-3 and tinyproxy, in turns.
//   node run.mjs [--rounds 5] [--duration-s 3] [--connections 64] [--idle 1000] [--contexts 100000] [--proxies ours,proxy-chain,…]
// Small GETs are asked of nginx by loadtest. What is beside the proxy on the machine's cores is the same for all of them.
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { ANSWER, openBytes, openNginx } from './origins.mjs';
import { start } from './servers.mjs';
import { asked, close, download, many, proofOf, tunnel } from './tunnels.mjs';

const at = (path) => fileURLToPath(new URL(path, import.meta.url));
const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    'duration-s': { type: 'string', default: '3' },
    'warmup-s': { type: 'string', default: '0.5' },
    connections: { type: 'string', default: '64' },
    idle: { type: 'string', default: '1000' },
    contexts: { type: 'string', default: '100000' },
    proxies: { type: 'string', default: 'ours,proxy-chain,http-proxy-3,tinyproxy' },
    loadtest: { type: 'string', default: at('../../target/release/loadtest') },
  },
});
/** tinyproxy closes each connection behind its answer. */
const CLOSES = new Set(['tinyproxy']);
const MIB = 2 ** 20;
const scratch = mkdtempSync(join(tmpdir(), 'bench-proxy-'));
const seconds = Number(options['duration-s']);

/** A run of loadtest, of which no request may fail: through a proxy, or straight. */
async function load(port, proxy, ...args) {
  const file = join(scratch, 'result.json');
  const way = proxy === undefined ? [] : ['--proxy', `127.0.0.1:${proxy.port}`, '--proxy-basic', proofOf(proxy)];
  const line = ['get', `http://127.0.0.1:${port}/`, '--expect', ANSWER, '--connections', options.connections, '--warmup-s', options['warmup-s'], '--duration-s', options['duration-s'], '--json', file, ...way, ...args];
  await new Promise((resolve, reject) => execFile(options.loadtest, line, (error, stdout, stderr) => (error === null ? resolve() : reject(new Error(`${line.join(' ')}\n${stdout}${stderr}`)))));
  return JSON.parse(readFileSync(file, 'utf8'));
}

const msOf = (result, quantile) => result.latency_us.quantiles.find(([one]) => one === quantile)[1] / 1000;

/** Memory that each of `count` connections takes, and what the process has with them, in KiB and MiB. */
async function memoryOf(proxy, count, open) {
  await close(await many(Math.min(count, 50), open));
  await sleep(200);
  const before = proxy.usage().rss;
  const sockets = await many(count, open);
  await sleep(200);
  const { rss } = proxy.usage();
  await close(sockets);
  return { each: ((rss - before) * 1024) / count, whole: rss };
}

/** Everything that is measured of one proxy, once. */
async function measure(name, { nginx, bytes }) {
  const row = {};
  const proxy = await start(name);
  try {
    const kept = CLOSES.has(name) ? undefined : await load(nginx, proxy);
    const fresh = await load(nginx, proxy, '--fresh', 'yes');
    const cpuOf = (result) => result.server.cpu_us_per_answer;
    Object.assign(row, { 'GET/s': kept?.answers_per_s, 'CPU us': kept && cpuOf(kept), 'fresh GET/s': fresh.answers_per_s, 'fresh CPU us': cpuOf(fresh) });
    if (kept !== undefined) {
      const rate = ['--rate', String(Math.max(1, Math.round(kept.answers_per_s / 2)))];
      const [through, straight] = [await load(nginx, proxy, ...rate), await load(nginx, undefined, ...rate)];
      for (const [title, quantile] of [['p50', 0.5], ['p99', 0.99]]) row[`+${title} ms`] = msOf(through, quantile) - msOf(straight, quantile);
    }
    let [cpu, last] = [0, 0];
    const come = await download(proxy, bytes, seconds, () => { [cpu, last] = [proxy.usage().cpu - last, proxy.usage().cpu]; });
    Object.assign(row, { 'CONNECT MiB/s': come.bytes / MIB / come.seconds, 'CPU ms/GiB': (cpu * 1000) / (come.bytes / MIB / 1024) });
  } finally {
    await proxy.stop();
  }
  // A process of its own, which has not grown under load.
  const idle = await start(name);
  try {
    const tunnels = await memoryOf(idle, Number(options.idle), () => tunnel(idle, bytes));
    row['KiB/tunnel'] = tunnels.each;
    if (!CLOSES.has(name)) row[`MiB at ${options.idle}`] = (await memoryOf(idle, Number(options.idle), () => asked(idle, nginx))).whole;
  } finally {
    await idle.stop();
  }
  return row;
}

/** Memory over contexts that come and go: what is there after a tenth of them is what has to suffice for all. */
async function contexts(count) {
  const proxy = await start('ours');
  try {
    await proxy.tell(Math.ceil(count / 10));
    const before = proxy.usage().rss;
    const left = await proxy.tell(count);
    return { before, after: proxy.usage().rss, left: left.contexts };
  } finally {
    await proxy.stop();
  }
}

const median = (numbers) => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)];
const line = (cells) => `| ${cells.join(' | ')} |`;
const shown = (figure, value) => (value === undefined ? '–' : value.toFixed(/\/s$|GiB/.test(figure) ? 0 : figure.startsWith('+') ? 2 : 1));

if (!existsSync(options.loadtest)) throw new Error(`there is no ${options.loadtest}: make instruments builds it`);
const nginx = await openNginx();
const source = await openBytes();
const bytes = source.port;
try {
  const [versions, seen] = [new Map(), new Map()];
  for (const name of options.proxies.split(',')) {
    try {
      const proxy = await start(name);
      versions.set(name, proxy.version);
      seen.set(name, []);
      await proxy.stop();
    } catch (error) {
      console.error(`left out: ${name}: ${error.message}`);
    }
  }
  if (!seen.has('ours')) throw new Error('the proxy of this checkout does not start');
  for (let round = 0; round < Number(options.rounds); round++) {
    for (const name of seen.keys()) {
      const row = await measure(name, { nginx: nginx.port, bytes });
      console.error(name, JSON.stringify(row));
      seen.get(name).push(row);
    }
  }
  const figures = Object.keys(seen.get('ours')[0]);
  const cells = (name) => figures.map((figure) => shown(figure, seen.get(name)[0][figure] === undefined ? undefined : median(seen.get(name).map((row) => row[figure]))));
  console.log([line(['proxy', ...figures]), line(['---', ...figures.map(() => '---:')]), ...[...seen.keys()].map((name) => line([versions.get(name), ...cells(name)]))].join('\n'));
  const { before, after, left } = await contexts(Number(options.contexts));
  console.log(`\n${options.contexts} contexts created and released: ${before.toFixed(1)} MiB before, ${after.toFixed(1)} after; ${left} is left.`);
  console.log(`\nMedians of ${options.rounds} rounds of ${options['duration-s']} s, ${options.connections} connections, ${cpus().length} cores (${cpus()[0].model}), Node.js ${process.version}.`);
} finally {
  await source.close();
  await nginx.close();
  rmSync(scratch, { recursive: true, force: true });
}
