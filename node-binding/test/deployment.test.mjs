// The configuration files of docs/deployment.md, read by what they are for: systemd, runc, nginx and HAProxy.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fastTunnel } from 'fasttunnel';
import { freePort } from '../../loadtest/attacks/servers/free-port.mjs';
import { findHaproxy } from '../../loadtest/attacks/servers/haproxy.mjs';
import { findNginx } from '../../loadtest/attacks/servers/nginx.mjs';
import { IO_URING, profileOf, written } from '../../scripts/seccomp.mjs';
import { baseProfile, beside, fileOf, inContainer, inFolder, root, withoutContainers } from './support/deployment.mjs';
import { withoutNginx } from './support/nginx.mjs';
import { reasonFor } from './support/programs.mjs';
import { callTask, sleep, until } from './support/tunnels.mjs';

const withoutSystemd = spawnSync('systemd-analyze', ['--version']).status === 0 ? false : 'no systemd here';
const noContainers = await withoutContainers();
const ring = await driverOf();

async function driverOf() {
  const tunnel = await fastTunnel({ auth: { allowAnonymous: true } });
  await tunnel.close();
  return tunnel.driver;
}

const listens = (port) => fetch(`http://127.0.0.1:${port}/`).then(() => true, () => false);

/** The system calls that the unit lets through. */
function callsOfUnit() {
  const filter = /^SystemCallFilter=(.*)$/m.exec(fileOf('fasttunnel.service'))[1];
  const members = (set) => spawnSync('systemd-analyze', ['syscall-filter', set], { encoding: 'utf8' }).stdout.split('\n').map((line) => line.trim());
  return members(filter).flatMap((name) => (name.startsWith('@') && name !== filter ? members(name) : [name])).filter((name) => /^\w+$/.test(name));
}

/** Two tunnels as those of the page, on 127.0.0.1 and 127.0.0.2, which have one port in common, and one for probes. */
async function withTwo(body) {
  const auth = { allowAnonymous: true };
  const count = [0, 0];
  const start = (index, port, adminPort) => {
    const host = `127.0.0.${index + 1}`;
    const add = ({ a, b }) => { count[index] += 1; return a + b; };
    return fastTunnel({ host, port, admin: { host, port: adminPort }, auth, tasks: { add } });
  };
  const one = await start(0, 0, 0);
  const two = await start(1, one.port, one.admin.port);
  try {
    return await body(one, two, count);
  } finally {
    await Promise.all([one.close(), two.close()]);
  }
}

/** Calls without a pause, four at a time, until `stop()`; gives the answers that were none, and how many there were. */
function callOn(url) {
  let ends = false;
  const failed = [];
  let calls = 0;
  const caller = async () => {
    while (!ends) {
      const { status, text } = await callTask({ url }, 'add', { a: 1, b: 2 }).catch((error) => ({ status: 0, text: String(error.cause ?? error) }));
      calls += 1;
      if (text !== '{"ok":true,"result":3}') failed.push(`${status} ${text}`);
    }
  };
  const all = Promise.all(Array.from({ length: 4 }, caller));
  return async () => { ends = true; await all; return { failed, calls }; };
}

/** With a balancer at `port`: both tunnels get calls, and that one of them closes costs none. */
async function checkBalancing(port, one, two, count, beforeClosing = async () => {}) {
  await until(() => listens(port), 'the balancer listens');
  const url = `http://127.0.0.1:${port}/__runner`;
  const stop = callOn(url);
  await until(() => count[0] > 50 && count[1] > 50, 'both get calls');
  await beforeClosing();
  await one.close();
  const before = count[1];
  await until(() => count[1] > before + 50, 'the other goes on');
  const { failed, calls } = await stop();
  assert.deepEqual(failed, [], `${failed.length} of ${calls}`);
}

describe('deployment', () => {
  it('a unit that systemd takes, and that lets io_uring through', { skip: withoutSystemd }, () => inFolder((folder) => {
    const unit = join(folder, 'fasttunnel.service');
    writeFileSync(unit, fileOf('fasttunnel.service').replace('/usr/bin/node', process.execPath));
    const { status, stdout, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', unit], { encoding: 'utf8' });
    assert.deepEqual([status, stdout, stderr.split('\n').filter((line) => line.includes('fasttunnel.service'))], [0, '', []]);
    for (const call of IO_URING) assert.ok(callsOfUnit().includes(call), call);
  }));

  it('units with sockets that systemd takes, and that name what the page hands over', { skip: withoutSystemd }, () => inFolder((folder) => {
    const source = join(root, 'deploy', 'systemd');
    const names = readdirSync(source).sort();
    assert.deepEqual(names, ['fasttunnel-admin.socket', 'fasttunnel-calls.socket', 'fasttunnel.service']);
    const text = (name) => readFileSync(join(source, name), 'utf8');
    for (const name of names) writeFileSync(join(folder, name), text(name).replace('/usr/bin/node', process.execPath));
    const { status, stdout, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', ...names.map((name) => join(folder, name))], { encoding: 'utf8' });
    assert.deepEqual([status, stdout, stderr.split('\n').filter((line) => line.includes('fasttunnel'))], [0, '', []]);
    const page = readFileSync(join(root, 'docs', 'supervision.md'), 'utf8');
    for (const name of ['calls', 'admin']) assert.ok(text(`fasttunnel-${name}.socket`).includes(`FileDescriptorName=${name}\n`) && page.includes(`'systemd:${name}'`), name);
    const confinement = (unit) => unit.slice(unit.indexOf('NoNewPrivileges='));
    assert.equal(confinement(text('fasttunnel.service')).split('[Install]')[0], confinement(fileOf('fasttunnel.service')).split('[Install]')[0], 'the confinement is that of docs/deployment.md');
  }));

  it('a seccomp profile that adds to the usual one the calls of io_uring, and nothing else', () => {
    const file = readFileSync(join(root, 'docs', 'seccomp.json'), 'utf8');
    assert.equal(file, written(profileOf(baseProfile())));
    const allowed = (profile) => profile.syscalls.filter(({ action }) => action === 'SCMP_ACT_ALLOW').flatMap(({ names }) => names);
    const usual = new Set(allowed(JSON.parse(baseProfile())));
    assert.deepEqual(allowed(JSON.parse(file)).filter((name) => !usual.has(name)), IO_URING);
  });

  it('in a container the profile, or what the unit lets through, decides about the driver', { skip: noContainers || (ring !== 'io_uring' && 'no io_uring here') }, async () => {
    const program = `require(${JSON.stringify(join(root, 'node-binding'))}).fastTunnel({ auth: { allowAnonymous: true }, tasks: { a: () => 1 } }).then(async (tunnel) => {
      const answer = await fetch(tunnel.url + '/task/a', { method: 'POST' });
      console.log(tunnel.driver, await answer.text());
      process.exit();
    });`;
    const profile = JSON.parse(readFileSync(join(root, 'docs', 'seccomp.json'), 'utf8'));
    const usual = { ...profile, syscalls: profile.syscalls.filter(({ names }) => names[0] !== IO_URING[0]) };
    const unit = { defaultAction: 'SCMP_ACT_ERRNO', defaultErrnoRet: 38, syscalls: [{ names: withoutSystemd ? [] : callsOfUnit(), action: 'SCMP_ACT_ALLOW' }] };
    const cases = [[profile, 'io_uring'], [usual, 'epoll'], ...(withoutSystemd ? [] : [[unit, 'io_uring']])];
    for (const [seccomp, driver] of cases) {
      const { stdout, stderr } = await inContainer([process.execPath, '-e', program], seccomp, [root, process.execPath]);
      assert.equal(stdout, `${driver} {"ok":true,"result":1}\n`, stderr);
      assert.equal(stderr.includes('FASTTUNNEL_EPOLL'), driver === 'epoll');
    }
  });

  it('nginx passes calls on, and loses none when a tunnel closes', { skip: withoutNginx, timeout: 30_000 }, () => inFolder((folder) => withTwo(async (one, two, count) => {
    const port = await freePort();
    const site = fileOf('nginx.conf').replace('10.0.0.1:7070', `127.0.0.1:${one.port}`).replace('10.0.0.2:7070', `127.0.0.2:${two.port}`).replace('listen 80;', `listen 127.0.0.1:${port};`);
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder}/${name};`).join(' ');
    writeFileSync(join(folder, 'all.conf'), `${process.getuid() === 0 ? 'user root;' : ''} daemon off; pid ${folder}/pid; error_log stderr error; worker_processes 1; events {} http { access_log off; ${temporary}\n${site}}`);
    await beside({ path: findNginx(), env: process.env }, ['-c', join(folder, 'all.conf'), '-p', folder, '-e', join(folder, 'error.log')], () => checkBalancing(port, one, two, count));
  })));

  it('HAProxy asks /readyz, passes calls on, and loses none when a tunnel closes', { skip: reasonFor(findHaproxy), timeout: 30_000 }, () => inFolder((folder) => withTwo(async (one, two, count) => {
    const port = await freePort();
    const config = fileOf('haproxy.cfg').replace('10.0.0.1:7070', `127.0.0.1:${one.port}`).replace('10.0.0.2:7070', `127.0.0.2:${two.port}`)
      .replace('bind :80', `bind 127.0.0.1:${port}`).replace('check port 7071', `check port ${one.admin.port}`);
    writeFileSync(join(folder, 'haproxy.cfg'), config);
    const haproxy = findHaproxy();
    const checked = spawnSync(haproxy.path, ['-c', '-f', join(folder, 'haproxy.cfg')], { encoding: 'utf8', env: haproxy.env });
    assert.equal(checked.status, 0, checked.stderr);
    await beside(haproxy, ['-db', '-f', join(folder, 'haproxy.cfg')], () => checkBalancing(port, one, two, count, () => sleep(1500)));
  })));

  it('deploy/nginx.conf is a file that nginx takes', { skip: withoutNginx }, () => inFolder(async (folder) => {
    // It tries to listen.
    writeFileSync(join(folder, 'nginx.conf'), readFileSync(join(root, 'deploy', 'nginx.conf'), 'utf8').replace('listen 80;', `listen 127.0.0.1:${await freePort()};`));
    const { status, stderr } = spawnSync(findNginx(), ['-t', '-c', join(folder, 'nginx.conf'), '-p', folder, '-e', join(folder, 'error.log'), '-g', `pid ${folder}/pid;`], { encoding: 'utf8' });
    assert.equal(status, 0, stderr);
  }));

  it('deploy/kubernetes.yaml probes as docs/deployment.md does, and waits as long', () => {
    const manifest = readFileSync(join(root, 'deploy', 'kubernetes.yaml'), 'utf8');
    const told = (text) => ['terminationGracePeriodSeconds', 'path', 'periodSeconds', 'failureThreshold', 'containerPort'].map((key) => [...text.matchAll(new RegExp(`${key}: ([\\w/]+)`, 'g'))].map(([, value]) => value));
    assert.deepEqual(told(manifest), told(fileOf('pod.yaml')));
  });

  it('deploy/haproxy.cfg is a file that HAProxy takes', { skip: reasonFor(findHaproxy) }, () => {
    const haproxy = findHaproxy();
    const { status, stderr } = spawnSync(haproxy.path, ['-c', '-f', join(root, 'deploy', 'haproxy.cfg')], { encoding: 'utf8', env: haproxy.env });
    assert.equal(status, 0, stderr);
    assert.doesNotMatch(stderr, /WARNING/);
  });

  it('a pod asks for what the admin listener answers, and waits longer than a stop takes', async () => {
    const pod = fileOf('pod.yaml');
    const program = fileOf('service.mjs');
    const number = (text, pattern) => Number(pattern.exec(text)[1].replaceAll('_', ''));
    const stopMs = number(program, /readinessDelayMs: ([\d_]+)/) + number(program, /drainTimeoutMs: ([\d_]+)/);
    for (const seconds of [number(pod, /terminationGracePeriodSeconds: (\d+)/), number(fileOf('fasttunnel.service'), /TimeoutStopSec=(\d+)/)]) assert.ok(seconds * 1000 > stopMs + 2000);
    const ports = [...pod.matchAll(/name: (\w+), containerPort: (\d+)/g)].map(([, name, port]) => [name, Number(port)]);
    assert.deepEqual(ports, [['calls', number(program, /port: (\d+), {2,}/)], ['admin', number(program, /port: (\d+) }/)]]);
    const tunnel = await fastTunnel({ auth: { allowAnonymous: true }, admin: {} });
    const paths = [...pod.matchAll(/httpGet: \{ path: (\S+), port: admin \}/g)].map(([, path]) => path);
    assert.equal(paths.length, 2);
    for (const path of paths) assert.equal((await fetch(`${tunnel.admin.url}${path}`)).status, 200);
    await tunnel.close();
  });
});
