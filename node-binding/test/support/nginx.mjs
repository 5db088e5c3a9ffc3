// A real nginx in front of tunnels, with its defaults but for what a test asks for.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { findNginx } from '../../../loadtest/attacks/servers/nginx.mjs';
import { reasonFor } from './programs.mjs';
import { until } from './tunnels.mjs';

/** Why there is no nginx here, or false. It is a failure where CI runs. */
export const withoutNginx = reasonFor(findNginx);

/** Runs `body({ socketPath, errors() })` with an nginx that balances between these tunnels; `upstream` are further lines of that block. */
export async function withNginx(tunnels, { upstream = '', location = '' }, body) {
  const path = findNginx();
  const root = mkdtempSync(`${tmpdir()}/fasttunnel-nginx-`);
  const socketPath = `${root}/socket`;
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${root}/${name};`).join(' ');
  writeFileSync(`${root}/nginx.conf`, `
${process.getuid() === 0 ? 'user root;' : ''}
daemon off; pid ${root}/pid; error_log ${root}/error.log warn; worker_processes 1;
events {}
http {
  access_log off; client_max_body_size 0; ${temporary}
  upstream tunnels { ${tunnels.map(({ host, port }) => `server ${host}:${port};`).join(' ')} ${upstream} }
  server { listen unix:${socketPath}; location / { proxy_pass http://tunnels; ${location} } }
}`);
  const nginx = spawn(path, ['-c', `${root}/nginx.conf`, '-p', root, '-e', `${root}/error.log`], { stdio: 'inherit' });
  const ended = once(nginx, 'exit');
  try {
    await until(() => nginx.exitCode === null && connects(socketPath), 'nginx listens');
    return await body({ socketPath, errors: () => readFileSync(`${root}/error.log`, 'utf8') });
  } finally {
    nginx.kill('SIGQUIT');
    setTimeout(() => nginx.kill('SIGKILL'), 2000).unref();
    await ended;
    rmSync(root, { recursive: true, force: true });
  }
}

const connects = (path) => new Promise((resolve) => {
  const socket = net.connect(path, () => { socket.destroy(); resolve(true); });
  socket.once('error', () => resolve(false));
});
