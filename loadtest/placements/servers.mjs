// The servers, each as loadtest/peers has it, on the cores that it is given.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const peer = (path) => fileURLToPath(new URL(`../peers/${path}`, import.meta.url));
const node = (script, environment = {}) => ({ words: () => [process.execPath, peer(script)], environment });
const packaged = (program, script, ...more) => ({ words: () => [peer(`node_modules/${program}`), ...more, peer(script)] });

/** Every token is this; without one, nodeExposure exposes nothing. */
const TOKEN = 'dev-secret';

/** By their names in tables: how each is started. */
export const SERVERS = {
  inline: node('ours.mjs', { PLACEMENT: 'inline' }),
  threads: node('ours.mjs', { PLACEMENT: 'threads' }),
  ceiling: { words: ({ binaries, port }) => [`${binaries}/examples/ceiling`, String(port), '1'] },
  node: node('node-http.mjs'),
  bun: packaged('@oven/bun-linux-x64/bin/bun', 'bun.mjs'),
  deno: packaged('@deno/linux-x64-glibc/deno', 'deno.mjs', 'run', '--allow-all'),
  'runner-inline': { ...node('runner.mjs', { PLACEMENT: 'inline', TOKEN }), token: TOKEN },
  'runner-threads': { ...node('runner.mjs', { PLACEMENT: 'threads', TOKEN }), token: TOKEN },
  exposure: { ...node('runner.mjs', { EXPOSURE: 'node', TOKEN }), token: TOKEN },
};

/** What they say when they listen; Runner has more to say before. */
const LISTENS = /^server: |^\d+ shards, /;

/** The core of the server, and that of the generator, where each has one of its own. */
export const CORES = { server: '0', generator: '1' };

/** In front of a command that is to stay on a core. */
export const pinned = (core) => ['taskset', '-c', core];

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  return port;
}

/** Undefined where its program is not there. */
export async function start(name, { cores, binaries }) {
  const { words, environment = {}, token } = SERVERS[name];
  const port = await freePort();
  const own = words({ binaries, port });
  if (!existsSync(own[0])) {
    console.error(`${name} is left out: there is no ${own[0]}`);
    return undefined;
  }
  const [command, ...args] = cores === 'one' ? [...pinned(CORES.server), ...own] : own;
  const child = spawn(command, args, { env: { ...process.env, ...environment, PORT: String(port) }, stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'exit').then(([code, signal]) => { throw new Error(`${name} has ended: ${signal ?? code}`); });
  // Heard of by whoever waits; afterwards the load fails, which says more.
  ended.catch(() => {});
  const listens = new Promise((resolve) => createInterface({ input: child.stdout }).on('line', (line) => {
    if (LISTENS.test(line)) resolve(line.replace(/^server: /, ''));
  }));
  return { name, port, token, pid: child.pid, said: await Promise.race([listens, ended]), stop: () => child.kill('SIGKILL') };
}
