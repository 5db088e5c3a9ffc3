// What it costs a call to be traced and to be written down: CPU of the whole serving process, in turns. `make bench-observe`
// CALLS=200000 in each of ROUNDS=7 (the least is printed: what else runs on the machine adds to it); LIB=folder of another build to measure, which has no such options.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const calls = Number(process.env.CALLS ?? 200_000);
const rounds = Number(process.env.ROUNDS ?? 7);
const CONNECTIONS = 4;
const DEPTH = 16;
const require = createRequire(process.env.LIB === undefined ? import.meta.url : join(process.env.LIB, 'package.json'));

const CASES = {
  'nobody looks': {},
  'again, for the noise': {},
  ...(process.env.LIB === undefined ? {
    'a subscriber of the tracing channel': { trace: 'empty' },
    'OpenTelemetry, spans and durations': { trace: 'spans' },
    'access log, JSON': { format: 'json' },
    'access log, combined': { format: 'combined' },
    'access log, a tenth': { format: 'json', sample: 0.1 },
    'access log, a logger': { logger: true },
  } : {}),
};

if (process.argv[2] === undefined) await measure();
else await serve(JSON.parse(process.argv[2]));

async function serve({ trace, format, sample = 1, logger, folder }) {
  if (trace === 'empty') (await import('node:diagnostics_channel')).tracingChannel('fasttunnel.call').subscribe({ start() {}, end() {}, asyncStart() {}, asyncEnd() {}, error() {} });
  if (trace === 'spans') {
    const sdk = createRequire(new URL('../test/opentelemetry/package.json', import.meta.url));
    const { NodeTracerProvider } = sdk('@opentelemetry/sdk-trace-node');
    const { MeterProvider } = sdk('@opentelemetry/sdk-metrics');
    // Spans go nowhere: what they cost an exporter is the exporter's.
    const tracers = new NodeTracerProvider();
    tracers.register();
    require('fasttunnel/opentelemetry').instrument({ meterProvider: new MeterProvider() });
  }
  const log = logger === true ? { info: () => {} } : format === undefined ? undefined : { path: join(folder, 'access.log'), format, sample };
  const { fastTunnel } = require('fasttunnel');
  const tunnel = await fastTunnel({ shards: 1, auth: { allowAnonymous: true }, tasks: { add: async ({ a, b }) => a + b }, ...(log === undefined ? {} : { log }) });
  process.on('message', () => process.send({ cpu: process.cpuUsage(), log: tunnel.stats().log }));
  process.on('disconnect', () => process.exit());
  process.send({ port: tunnel.port });
}

async function ask(child) {
  child.send('cpu');
  const [{ cpu, log }] = await once(child, 'message');
  return { us: cpu.user + cpu.system, user: cpu.user, log };
}

/** So many calls, DEPTH of them under way on each connection. */
async function load(port) {
  const body = '{"input":{"a":1,"b":2}}';
  const request = `POST /__runner/task/add HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench/1\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  const one = () => new Promise((resolve, reject) => {
    let [left, answered] = [calls / CONNECTIONS, 0];
    const socket = connect(port, '127.0.0.1', () => socket.write(request.repeat(DEPTH)));
    socket.on('error', reject).on('data', (chunk) => {
      let count = 0;
      for (let at = chunk.indexOf('HTTP/1.1 '); at >= 0; at = chunk.indexOf('HTTP/1.1 ', at + 1)) count += 1;
      answered += count;
      left -= count;
      if (left <= DEPTH && answered >= calls / CONNECTIONS - DEPTH) return resolve(socket.destroy());
      if (count > 0) socket.write(request.repeat(count));
    });
  });
  await Promise.all(Array.from({ length: CONNECTIONS }, one));
}

async function measure() {
  const folder = mkdtempSync(join(tmpdir(), 'fasttunnel-observe-'));
  const children = {};
  try {
    const figures = {};
    for (let round = -1; round < rounds; round += 1) {
      for (const [name, options] of Object.entries(CASES)) {
        // The first round warms up.
        const child = children[name] ??= await start({ ...options, folder });
        const before = await ask(child);
        await load(child.port);
        const { us, user, log } = await ask(child);
        if (round >= 0) (figures[name] ??= []).push({ us: (us - before.us) / calls, user: (user - before.user) / calls });
        if (round === rounds - 1) console.log(`${name.padEnd(38)} ${least(figures[name], 'us').toFixed(2)} us of CPU a call, ${least(figures[name], 'user').toFixed(2)} of it outside of the kernel${log === undefined ? '' : `, ${JSON.stringify(log)}`}`);
      }
    }
  } finally {
    for (const child of Object.values(children)) child.kill();
    rmSync(folder, { recursive: true });
  }
}

async function start(options) {
  const child = fork(fileURLToPath(import.meta.url), [JSON.stringify(options)]);
  const [{ port }] = await once(child, 'message');
  return Object.assign(child, { port });
}

function least(figures, what) {
  return Math.min(...figures.map((figure) => figure[what]));
}
