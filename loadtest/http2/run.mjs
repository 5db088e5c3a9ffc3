// HTTP/2 in clear, by h2load: each server in turn, again and again, so that what else the machine does befalls all alike.
// run.mjs [--rounds 3] [--requests 60000] [--peers ours,node,fastify,deno] [--cases h2-64,h2-1x64]
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { findProgram } from '../attacks/servers/debian.mjs';
import { freePort } from '../attacks/servers/free-port.mjs';

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url));
const { values } = parseArgs({ options: { rounds: { type: 'string', default: '3' }, requests: { type: 'string', default: '60000' }, peers: { type: 'string', default: 'ours,node,fastify,deno' }, cases: { type: 'string', default: 'h2-64,h2-1x64' } } });

const DENO = path('../../node-binding/test/runtimes/node_modules/deno/bin.cjs');
const PEERS = {
  ours: [process.execPath, path('../peers/ours.mjs')],
  node: [process.execPath, path('../peers/node-http.mjs')],
  fastify: [process.execPath, path('../peers/fastify.mjs')],
  deno: existsSync(DENO) ? [process.execPath, DENO, 'run', '--allow-all', path('../peers/deno.mjs')] : undefined,
};
/** Connections, and streams on each. */
const CASES = { 'h2-64': [64, 1], 'h2-1x64': [1, 64] };

const folder = mkdtempSync(join(tmpdir(), 'fasttunnel-http2-'));
const body = join(folder, 'body.json');
writeFileSync(body, '{"input":{"a":1,"b":2}}');
const h2load = findProgram({ name: 'h2load', packages: ['nghttp2-client', 'libnghttp2-14', 'libev4', 'libc-ares2', 'libjemalloc2', 'libxml2'], at: 'usr/bin/h2load', probe: ['--version'] });

/** Requests a second, all of which were answered with 200. */
function measure(port, [connections, streams], requests) {
  const args = ['-c', connections, '-m', streams, '-n', requests, '-d', body, '-H', 'content-type: application/json', `http://127.0.0.1:${port}/__runner/task/app.tasks.add`].map(String);
  const { stdout } = spawnSync(h2load.path, args, { env: h2load.env, encoding: 'utf8' });
  const [, rate] = /finished in .*?, ([\d.]+) req\/s/.exec(stdout) ?? [];
  const [, good] = /status codes: (\d+) 2xx/.exec(stdout) ?? [];
  if (Number(good) !== requests) throw new Error(`${good} of ${requests} answers were good:\n${stdout}`);
  return Number(rate);
}

async function withServer(peer, measureOn) {
  const port = await freePort();
  const [command, ...args] = PEERS[peer];
  const server = spawn(command, args, { env: { ...process.env, PORT: String(port), HTTP2: '1' }, stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    await once(server.stdout, 'data');
    return measureOn(port);
  } finally {
    server.kill('SIGKILL');
    await once(server, 'exit');
  }
}

const median = (numbers) => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)];
const peers = values.peers.split(',').filter((peer) => PEERS[peer] !== undefined);
const cases = values.cases.split(',');
const rates = Object.fromEntries(cases.map((name) => [name, Object.fromEntries(peers.map((peer) => [peer, []]))]));
try {
  for (let round = 0; round < Number(values.rounds); round += 1) {
    for (const peer of peers) {
      await withServer(peer, (port) => {
        for (const name of cases) {
          measure(port, CASES[name], 5000);
          rates[name][peer].push(measure(port, CASES[name], Number(values.requests)));
        }
      });
    }
  }
} finally {
  rmSync(folder, { recursive: true });
}
console.log(`requests/s, median of ${values.rounds} rounds`);
console.log(['case', ...peers, 'ours/node'].join('\t'));
for (const name of cases) {
  const of = (peer) => median(rates[name][peer] ?? [NaN]);
  console.log([name, ...peers.map((peer) => Math.round(of(peer))), (of('ours') / of('node')).toFixed(2)].join('\t'));
}
