// nginx, which speaks TLS, in front of fasttunnel, which does not: how it is mostly done. The CPU of nginx is not counted.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { fastTunnel } from '../../node-binding/dist/esm/index.mjs';
import { findNginx } from '../attacks/servers/nginx.mjs';
import { files } from './tls.mjs';
import { BASE_PATH, HOST, introduce, PORT, tasks } from './work.mjs';

const path = findNginx();
const root = mkdtempSync(`${tmpdir()}/compare-nginx-`);
const socketPath = `${root}/app`;
await fastTunnel({ socketPath, basePath: BASE_PATH, auth: { allowAnonymous: true }, tasks });
const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${root}/${name};`).join(' ');
writeFileSync(`${root}/nginx.conf`, `
${process.getuid() === 0 ? 'user root;' : ''}
daemon off; pid ${root}/pid; error_log ${root}/error.log crit; worker_processes 1;
events { worker_connections 4000; }
http {
  access_log off; keepalive_requests 1000000000; ${temporary}
  upstream app { server unix:${socketPath}; keepalive 128; keepalive_requests 1000000000; }
  server {
    listen ${HOST}:${PORT} ssl; ssl_certificate ${files.cert}; ssl_certificate_key ${files.key}; ssl_protocols TLSv1.2 TLSv1.3;
    location / { proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ""; }
  }
}`);
// The system ends it with this process, and with it the process that serves.
const words = [path, '-c', `${root}/nginx.conf`, '-p', root, '-e', `${root}/error.log`];
const nginx = spawn('setpriv', ['--pdeathsig', 'TERM', '--', ...words], { stdio: 'inherit' });
nginx.once('exit', (code) => process.exit(code ?? 1));
const version = spawnSync(path, ['-v'], { encoding: 'utf8' }).stderr.trim().replace('nginx version: ', '');
introduce(`${version} in front of fasttunnel, over a unix socket`);
