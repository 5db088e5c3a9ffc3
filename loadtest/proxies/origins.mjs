// What the proxies are asked for: nginx that answers `ok`, and a server of bytes without end.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findNginx } from '../attacks/servers/nginx.mjs';
import { freePort } from '../attacks/servers/free-port.mjs';

export const ANSWER = 'ok';

/**
 * `{ port, close }`. One worker, and connections that are kept. With a folder of a certificate it listens under TLS as well, at
 * `secure` with HTTP/1.1 and at `http2` with both versions.
 */
export async function openNginx(certificate) {
  const root = mkdtempSync(join(tmpdir(), 'bench-proxy-'));
  const [port, secure, http2] = [await freePort(), await freePort(), await freePort()];
  const tls = (at, more) => `server { listen 127.0.0.1:${at} ssl${more} backlog=4096; ssl_certificate ${certificate}/own.crt; ssl_certificate_key ${certificate}/own.key; location / { return 200 '${ANSWER}'; } }`;
  writeFileSync(join(root, 'nginx.conf'), `
${process.getuid() === 0 ? 'user root;' : ''}
daemon off; pid ${root}/pid; error_log ${root}/error.log crit; worker_processes 1; worker_rlimit_nofile 20000;
events { worker_connections 16000; }
http {
  access_log off; default_type text/plain; keepalive_requests 1000000000; keepalive_timeout 600s;
  ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${root}/${name};`).join(' ')}
  server { listen 127.0.0.1:${port} backlog=4096; location / { return 200 '${ANSWER}'; } }
  ${certificate === undefined ? '' : tls(secure, '') + tls(http2, ' http2')}
}`);
  const nginx = spawn(findNginx(), ['-c', join(root, 'nginx.conf'), '-p', root, '-e', join(root, 'error.log')], { stdio: 'ignore' });
  const ended = once(nginx, 'exit');
  for (let listens = false; !listens; await sleep(20)) {
    if (nginx.exitCode !== null) throw new Error(`nginx has ended: ${nginx.exitCode}`);
    const socket = connect(port, '127.0.0.1');
    listens = await once(socket, 'connect').then(() => true, () => false);
    socket.destroy();
  }
  return {
    port,
    secure,
    http2,
    async close() {
      nginx.kill('SIGTERM');
      await ended;
      rmSync(root, { recursive: true, force: true });
    },
  };
}

/** What sends to whoever says `send`, until it leaves; a process of its own. */
const BYTES = `
const piece = Buffer.alloc(1 << 18, 'fasttunnel');
const server = require('node:net').createServer((socket) => {
  const send = () => { while (!socket.destroyed && socket.write(piece)); };
  socket.on('error', () => {}).once('data', (first) => { if (String(first).startsWith('send')) socket.on('drain', send), send(); });
}).listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () => process.send({ port: server.address().port }));
process.on('disconnect', () => process.exit());`;

/** `{ port, close }` of one. */
export async function openBytes() {
  const source = spawn(process.execPath, ['-e', BYTES], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  const ended = once(source, 'exit');
  const [{ port }] = await once(source, 'message');
  return {
    port,
    async close() {
      source.disconnect();
      await ended;
    },
  };
}
