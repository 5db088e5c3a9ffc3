// What open connections cost that nobody uses: memory of the process for each of 10,000. `make idle` (5 minutes)
//   node idle.mjs [--connections 10000] [--servers node,io_uring,epoll] [--pasts fresh,asked] [--settle 2]
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import tls from 'node:tls';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { serve } from './stream.mjs';

const KIB = 1024;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** A call of the task `app.tasks.add`, with so many bytes of headers that say nothing. */
function request(padding) {
  const body = '{"input":{"a":1,"b":2}}';
  const filler = padding === 0 ? '' : `x-filler: ${'x'.repeat(padding)}\r\n`;
  return `POST /__runner/task/app.tasks.add HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n${filler}Content-Length: ${body.length}\r\n\r\n${body}`;
}

/** What a connection does before it idles. */
export const PASTS = {
  fresh: { title: 'nothing asked yet', requests: [] },
  asked: { title: 'one small request', requests: [request(0)] },
  large: { title: 'one request of 3 KiB', requests: [request(3 * KIB)] },
  deep: { title: '16 requests at once', requests: [request(0).repeat(16)] },
};

async function connect({ port, encrypted }) {
  const socket = encrypted ? tls.connect({ port, host: '127.0.0.1', servername: 'localhost', rejectUnauthorized: false }) : net.connect({ port, host: '127.0.0.1', noDelay: true });
  await once(socket, encrypted ? 'secureConnect' : 'connect');
  return socket;
}

/** Sends bytes, and reads as many answers as there are requests in them. */
function exchange(socket, bytes) {
  let left = bytes.split('POST ').length - 1;
  return new Promise((resolve, reject) => {
    const onClose = () => reject(new Error('a connection was closed'));
    socket.on('data', (chunk) => {
      left -= chunk.toString('latin1').split('"result":3').length - 1;
      if (left > 0) return;
      socket.removeAllListeners('data');
      socket.off('close', onClose);
      resolve();
    });
    socket.once('close', onClose);
    socket.write(bytes);
  });
}

/** Opens connections, some at a time; each does what it has to. */
async function open(server, count, { requests }) {
  const sockets = [];
  const worker = async () => {
    while (sockets.length < count) {
      const at = sockets.push(undefined) - 1;
      const socket = sockets[at] = await connect(server);
      for (const bytes of requests) await exchange(socket, bytes);
    }
  };
  await Promise.all(Array.from({ length: 50 }, worker));
  return sockets;
}

async function close(sockets) {
  await Promise.all(sockets.map((socket) => new Promise((resolve) => socket.once('close', resolve).destroy())));
}

/**
 * Bytes of memory for each idle connection, and what is left of them for each when all have closed.
 * Before counts from a server that has served as many requests, but over few connections.
 */
export async function measure(start, past, { connections, settleMs }) {
  const server = await start();
  try {
    const warm = await open(server, 50, past);
    for (let round = 0; round < connections / 50; round++) {
      for (const bytes of past.requests) await Promise.all(warm.map((socket) => exchange(socket, bytes)));
    }
    await close(warm);
    await sleep(settleMs);
    const before = server.rss();
    const sockets = await open(server, connections, past);
    const peak = server.rss();
    await sleep(settleMs);
    const idle = server.rss();
    await close(sockets);
    await sleep(settleMs);
    const each = (rss) => (rss - before) / connections;
    return { peak: each(peak), idle: each(idle), after: each(server.rss()) };
  } finally {
    await server.end();
  }
}

/** The engine without JavaScript: `cargo build --release --example ceiling`. */
async function ceiling(driver) {
  const path = fileURLToPath(new URL('../../target/release/examples/ceiling', import.meta.url));
  const child = spawn(path, ['0', '1', driver], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = await once(child.stdout, 'data');
  return {
    port: Number(/:(\d+)/.exec(line)[1]),
    rss: () => Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))[1]) * KIB,
    async end() {
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}

/** A server under TLS. */
async function encrypted(kind, options) {
  return { ...await serve(kind, { ...options, tls: true }), encrypted: true };
}

export const SERVERS = {
  node: { title: 'node:http', start: () => serve('node') },
  io_uring: { title: 'fasttunnel, io_uring', start: () => serve('ours', { driver: 'io_uring' }) },
  epoll: { title: 'fasttunnel, epoll', start: () => serve('ours', { driver: 'epoll' }) },
  'node-tls': { title: 'node:https', start: () => encrypted('node') },
  'io_uring-tls': { title: 'fasttunnel, tls, io_uring', start: () => encrypted('ours', { driver: 'io_uring' }) },
  'epoll-tls': { title: 'fasttunnel, tls, epoll', start: () => encrypted('ours', { driver: 'epoll' }) },
  'ceiling-io_uring': { title: 'the engine alone, io_uring', start: () => ceiling('io_uring') },
  'ceiling-epoll': { title: 'the engine alone, epoll', start: () => ceiling('epoll') },
};

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { values } = parseArgs({ options: {
    connections: { type: 'string', default: '10000' },
    servers: { type: 'string', default: 'node,io_uring,epoll' },
    pasts: { type: 'string', default: Object.keys(PASTS).join() },
    settle: { type: 'string', default: '2' },
  } });
  const how = { connections: Number(values.connections), settleMs: Number(values.settle) * 1000 };
  console.log(`${how.connections} connections; KiB of memory for each: idle for ${values.settle} s (as the last was served; ${values.settle} s after all have closed)`);
  for (const past of values.pasts.split(',')) {
    for (const name of values.servers.split(',')) {
      const { peak, idle, after } = await measure(SERVERS[name].start, PASTS[past], how);
      const kib = (bytes) => (bytes / KIB).toFixed(2);
      console.log(`${PASTS[past].title.padEnd(22)}${SERVERS[name].title.padEnd(28)}${kib(idle).padStart(6)}  (${kib(peak)}; ${kib(after)})`);
    }
  }
}
