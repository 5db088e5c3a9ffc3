// tinyproxy of Debian, with as many connections as it is asked for.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findProgram } from '../attacks/servers/debian.mjs';
import { freePort } from '../attacks/servers/free-port.mjs';

const [username, password] = ['user', 'secret'];
const { path, env } = findProgram({ name: 'tinyproxy', packages: ['tinyproxy-bin'], at: 'usr/bin/tinyproxy' });
const root = mkdtempSync(join(tmpdir(), 'bench-tinyproxy-'));
const port = await freePort();
writeFileSync(join(root, 'tinyproxy.conf'), `Port ${port}\nListen 127.0.0.1\nTimeout 600\nMaxClients 4000\nLogLevel Critical\nLogFile "${root}/log"\nBasicAuth ${username} ${password}\n`);
// The system ends it with this process.
const tinyproxy = spawn('setpriv', ['--pdeathsig', 'TERM', '--', path, '-d', '-c', join(root, 'tinyproxy.conf')], { env, stdio: 'ignore' });
tinyproxy.once('exit', () => process.exit(1));
process.on('disconnect', () => {
  tinyproxy.removeAllListeners('exit').kill();
  rmSync(root, { recursive: true, force: true });
  process.exit();
});
for (let listens = false; !listens; await sleep(20)) {
  const socket = connect(port, '127.0.0.1');
  listens = await once(socket, 'connect').then(() => true, () => false);
  socket.destroy();
}
process.send({ port, pid: tinyproxy.pid, username, password, version: spawnSync(path, ['-v'], { env, encoding: 'utf8' }).stdout.trim() });
