// nginx with its defaults as a proxy: it reads a request whole, then asks itself over a unix socket, which answers. The
// binary is the one on the PATH, or Debian's package, unpacked (not installed) below target/.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';

const CACHE = fileURLToPath(new URL('../../../target/nginx', import.meta.url));

/** Path of an nginx that starts; throws when there is none to be had. */
export function findNginx() {
  const works = (path) => spawnSync(path, ['-v']).status === 0;
  const unpacked = `${CACHE}/usr/sbin/nginx`;
  for (const path of ['nginx', '/usr/sbin/nginx', unpacked]) if (works(path)) return path;
  mkdirSync(CACHE, { recursive: true });
  const download = () => spawnSync('apt-get', ['download', 'nginx'], { cwd: CACHE }).status === 0;
  // A new machine has no list of packages, or an old one.
  if (!download() && spawnSync('apt-get', ['update']).status === 0) download();
  const [deb] = existsSync(CACHE) ? readdirSync(CACHE).filter((name) => name.endsWith('.deb')) : [];
  if (deb) spawnSync('dpkg', ['-x', deb, '.'], { cwd: CACHE });
  if (!works(unpacked)) throw new Error('no nginx on the PATH, and `apt-get download nginx` gives none that starts');
  return unpacked;
}

const freePort = () => new Promise((resolve) => {
  const server = createServer().listen(0, '127.0.0.1', () => {
    const { port } = server.address();
    server.close(() => resolve(port));
  });
});

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
  server { listen 127.0.0.1:${port} backlog=4096; location / { proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ""; } }
  server { listen unix:${root}/app backlog=4096; location / { return 200 '{"ok":true,"result":3}'; } }
}`);
  const nginx = spawn(path, ['-c', `${root}/nginx.conf`, '-p', root], { stdio: 'inherit' });
  const version = spawnSync(path, ['-v'], { encoding: 'utf8' }).stderr.trim().replace('nginx version: ', '');
  nginx.once('exit', (code) => { rmSync(root, { recursive: true, force: true }); process.exit(code ?? 0); });
  process.once('SIGTERM', () => nginx.kill('SIGTERM'));
  setTimeout(() => console.log(JSON.stringify({ port, pid: nginx.pid, version })), 300);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
