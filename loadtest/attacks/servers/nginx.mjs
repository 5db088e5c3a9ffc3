// nginx with its defaults as a proxy: it reads a request whole, then asks itself over a unix socket, which answers.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { findProgram } from './debian.mjs';
import { freePort } from './free-port.mjs';
import { files } from '../../peers/tls.mjs';

/** Path of an nginx that starts; throws when there is none to be had. */
export const findNginx = () => findProgram({ name: 'nginx', packages: ['nginx'], at: 'usr/sbin/nginx' }).path;

/** Started by servers.mjs in its own process, so that nginx ends with it. */
async function main() {
  const path = findNginx();
  const root = mkdtempSync(`${tmpdir()}/attacks-nginx-`);
  const port = await freePort();
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${root}/${name};`).join(' ');
  writeFileSync(`${root}/nginx.conf`, `
${process.getuid() === 0 ? 'user root;' : ''}
daemon off; pid ${root}/pid; error_log ${root}/error.log crit; worker_processes 1; worker_rlimit_nofile 20000;
events { worker_connections 16000; }
http {
  access_log off; client_max_body_size 2m; default_type application/json; ${temporary}
  upstream app { server unix:${root}/app; keepalive 16; }
  server { listen 127.0.0.1:${port}${files ? ' ssl' : ''} backlog=4096; ${files ? `ssl_certificate ${files.cert}; ssl_certificate_key ${files.key};` : ''} location / { proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ""; } }
  server { listen unix:${root}/app backlog=4096; location / { return 200 '{"ok":true,"result":3}'; } }
}`);
  const nginx = spawn(path, ['-c', `${root}/nginx.conf`, '-p', root], { stdio: 'inherit' });
  const version = spawnSync(path, ['-v'], { encoding: 'utf8' }).stderr.trim().replace('nginx version: ', '');
  nginx.once('exit', (code) => { rmSync(root, { recursive: true, force: true }); process.exit(code ?? 0); });
  process.once('SIGTERM', () => nginx.kill('SIGTERM'));
  setTimeout(() => console.log(JSON.stringify({ port, pid: nginx.pid, version })), 300);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
