// `fasttunnel doctor`: what it finds on this machine, on one with limits, and on such as this one is not.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { fasttunnel, installInto } from './support/command-line.mjs';
import { ADDON } from './support/elves.mjs';

const require = createRequire(import.meta.url);
const folder = mkdtempSync(join(tmpdir(), 'fasttunnel-doctor-'));
installInto(folder);
after(() => rmSync(folder, { recursive: true }));
const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
const DENY = fileURLToPath(new URL('../../../shared/http/tools/seccomp_deny.py', import.meta.url));

/** The report, and the exit code. */
async function examine(options, args = []) {
  const { status, stdout, stderr } = await fasttunnel(folder, ['doctor', '--json', ...args], options);
  assert.equal(stderr, '');
  return { status, report: JSON.parse(stdout) };
}

async function listening() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

describe('fasttunnel doctor', () => {
  it('tells of the machine, of the versions and of a call over each driver, and ends with 0', async () => {
    const { status, report } = await examine({ env: { npm_config_user_agent: 'npm/10.8.2 node/v20' } });
    assert.deepEqual(Object.keys(report), ['schema', 'ok', 'system', 'versions', 'addon', 'driver', 'limits', 'ports', 'calls', 'findings']);
    const { schema, ok, system, versions, addon, driver, limits, ports, calls } = report;
    assert.deepEqual([status, schema, ok], [0, 1, true], JSON.stringify(report.findings));
    assert.deepEqual({ ...system, container: null }, { platform: 'linux', arch: 'x64', libc: 'glibc', libcVersion: process.report.getReport().header.glibcVersionRuntime, kernel: release(), container: null });
    assert.deepEqual(versions, { fasttunnel: version, runtime: `Node ${process.versions.node}`, runner: null, packageManager: 'npm 10.8.2' });
    assert.deepEqual(addon, { file: ADDON, build: require('../dist/cjs/facts/facts.generated.js').FACTS_HASH, error: null });
    assert.deepEqual(calls.map(({ driver: name }) => name), ['io_uring', 'epoll']);
    assert.ok(calls[1].ok && calls[1].ms > 0);
    assert.equal(driver.name, calls[0].ok ? 'io_uring' : 'epoll');
    assert.equal(limits.openFiles.soft, Number(/Max open files +(\d+)/.exec(readFileSync('/proc/self/limits', 'utf8'))[1]));
    assert.ok(limits.cpus >= 1);
    assert.equal(ports[0].port, 7070);
  });

  it('finds the Runner of the app', async () => {
    const runner = join(folder, 'node_modules', '@bluelibs', 'runner');
    mkdirSync(runner, { recursive: true });
    writeFileSync(join(runner, 'package.json'), '{"name":"@bluelibs/runner","version":"5.5.9","main":"index.js"}');
    writeFileSync(join(runner, 'index.js'), "throw new Error('nobody has to load it')");
    assert.equal((await examine()).report.versions.runner, '5.5.9');
  });

  it('says it in words as well', async () => {
    const { status, stdout } = await fasttunnel(folder, ['doctor']);
    assert.equal(status, 0);
    for (const row of ['system', 'versions', 'addon', 'driver', 'open files', 'locked memory', 'processors', 'memory', 'port 7070', 'call, io_uring', 'call, epoll']) assert.match(stdout, new RegExp(`^${row} +\\S`, 'm'));
    assert.match(stdout, /^call, epoll +answered, [\d.]+ ms/m);
    assert.match(stdout, /\nAll is fine\.\n$/);
  });

  it('ends with 1 when the addon cannot be loaded, and says why, once', async () => {
    const options = { env: { FASTTUNNEL_NATIVE_PATH: '/none/such.node' } };
    const { status, report } = await examine(options);
    assert.deepEqual([status, report.ok, report.calls, report.driver], [1, false, [], { name: null, reason: null, obstacles: report.driver.obstacles }]);
    assert.match(report.addon.error, /^fasttunnel's native addon is missing\..*Tried: \/none\/such\.node.*Cause: there is no/);
    assert.deepEqual(report.findings.filter(({ level }) => level === 'problem').map(({ text }) => text), [report.addon.error]);
    const { status: inWords, stdout } = await fasttunnel(folder, ['doctor'], options);
    assert.equal(inWords, 1);
    assert.match(stdout, /^problem: fasttunnel's native addon is missing[^]*\nNot all is fine\.\n$/m);
  });

  it('says which process has the port', async () => {
    const server = await listening();
    const { port } = server.address();
    try {
      const { status, report } = await examine({}, ['--port', String(port)]);
      assert.equal(status, 0, 'a port in use is no problem: it may be ours');
      assert.deepEqual(report.ports, [{ port, free: false, usedBy: { pid: process.pid, name: readFileSync('/proc/self/comm', 'utf8').trim() } }]);
      assert.match(report.findings.map(({ text }) => text).join('\n'), new RegExp(`port ${port} is in use by .* \\(process ${process.pid}\\)`));
    } finally {
      server.close();
    }
    assert.deepEqual((await examine({}, ['--port', String(port)])).report.ports, [{ port, free: true, usedBy: null }]);
  });

  it('notes that only few files may be open', async () => {
    const { status, report } = await examine({ command: ['bash', '-c', 'ulimit -n 500; exec "$0" "$@"'] });
    assert.equal(status, 0);
    assert.equal(report.limits.openFiles.soft, 500);
    assert.deepEqual(report.findings.find(({ text }) => text.includes('open 500 files')), { level: 'note', text: 'the process may open 500 files: each connection takes one', fix: 'Raise `ulimit -n` (LimitNOFILE of systemd) to 4096 or more.' });
  });

  for (const [errno, obstacle] of [['EPERM', /seccomp filter is in force/], ['ENOMEM', /locked memory \(memlock\) is too low/]]) {
    it(`tells why it is epoll when io_uring_setup fails with ${errno}, and that is no problem`, { skip: existsSync(DENY) ? false : `no seccomp tool at ${DENY}` }, async () => {
      const { status, report } = await examine({ command: ['python3', DENY, '--errno', errno, '--calls', 'io_uring_setup', '--'] });
      assert.deepEqual([status, report.ok, report.driver.name], [0, true, 'epoll']);
      assert.match(report.driver.reason, /^io_uring_setup: /);
      assert.match(report.driver.obstacles.join('\n'), obstacle);
      const [ring, epoll] = report.calls;
      assert.deepEqual([ring.ok, ring.ms, epoll.ok], [false, null, true]);
      assert.match(ring.error, /io_uring does not work here: io_uring_setup/);
      const notes = report.findings.filter(({ level }) => level === 'note').map(({ text }) => text);
      assert.ok(notes.some((text) => text.startsWith('tunnels run on epoll, which is slower: io_uring_setup')));
    });
  }
});

describe('obstacles of io_uring', () => {
  const { obstaclesOf } = require('../dist/cjs/cli/doctor/obstacles.js');
  const refused = 'io_uring_setup: Operation not permitted (os error 1)';
  const texts = (kernel, files, reason = refused) => obstaclesOf(kernel, reason, (path) => files[path]).map(({ text }) => text);

  it('are an old kernel, a sysctl, a seccomp filter, memlock and gVisor', () => {
    assert.deepEqual(texts('6.0.1', {}), []);
    assert.match(texts('5.19.0-generic', {}).join(), /the kernel is 5\.19\.0-generic, and io_uring as the engine needs it came with 6\.0/);
    for (const [value, text] of [['0\n', /^$/], ['1\n', /only the group kernel\.io_uring_group and root/], ['2\n', /nobody may use io_uring/]]) {
      assert.match(texts('6.8.0', { '/proc/sys/kernel/io_uring_disabled': value }).join(), text);
    }
    assert.match(texts('6.8.0', { '/proc/self/status': 'Name:\tnode\nSeccomp:\t2\n' }).join(), /a seccomp filter is in force/);
    assert.deepEqual(texts('6.8.0', { '/proc/self/status': 'Seccomp:\t2\n' }, null), [], 'a filter that has refused nothing');
    assert.match(texts('6.8.0', {}, 'io_uring_setup: Cannot allocate memory: RLIMIT_MEMLOCK is too low for the ring').join(), /memlock/);
    assert.match(texts('4.4.0', { '/proc/version': 'Linux version 4.4.0 (gVisor)' }).join(), /the kernel is 4\.4\.0.*the kernel is gVisor/);
  });
});

describe('limits', () => {
  const { limitsOf } = require('../dist/cjs/cli/doctor/limits.js');
  const { findingsOf } = require('../dist/cjs/cli/doctor/findings.js');
  const limits = (files) => limitsOf((path) => files[path]);

  it('are read of control groups of version 2, up to the root: the least counts', () => {
    const { cpuQuota, memoryBytes } = limits({
      '/proc/self/cgroup': '0::/a.slice/b.service\n',
      '/sys/fs/cgroup/a.slice/b.service/cpu.max': 'max 100000\n',
      '/sys/fs/cgroup/a.slice/cpu.max': '50000 100000\n',
      '/sys/fs/cgroup/a.slice/b.service/memory.max': 'max\n',
      '/sys/fs/cgroup/memory.max': '268435456\n',
    });
    assert.deepEqual([cpuQuota, memoryBytes], [0.5, 268435456]);
  });

  it('are read of control groups of version 1, also where the path is the host\'s', () => {
    const { cpuQuota, memoryBytes } = limits({
      '/proc/self/cgroup': '4:memory:/docker/abc\n1:cpu,cpuacct:/docker/abc\n',
      '/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us': '150000\n',
      '/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us': '100000\n',
      '/sys/fs/cgroup/memory/memory.limit_in_bytes': '536870912\n',
    });
    assert.deepEqual([cpuQuota, memoryBytes], [1.5, 536870912]);
  });

  it('are none where nothing is said, or as much as no machine has', () => {
    const { openFiles, lockedMemoryBytes, cpuQuota, memoryBytes } = limits({
      '/proc/self/limits': 'Max open files            1024                 1048576              files     \nMax locked memory         unlimited            unlimited            bytes     \n',
      '/proc/self/cgroup': '4:memory:/\n1:cpu:/\n',
      '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '-1\n',
      '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n',
      '/sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712\n',
    });
    assert.deepEqual({ openFiles, lockedMemoryBytes, cpuQuota, memoryBytes }, { openFiles: { soft: 1024, hard: 1048576 }, lockedMemoryBytes: { soft: null, hard: null }, cpuQuota: null, memoryBytes: null });
    assert.deepEqual([limits({}).openFiles, limits({}).cpuQuota], [null, null]);
  });

  it('that are low are noted, with what helps', () => {
    const low = { openFiles: null, lockedMemoryBytes: null, cpus: 8, cpuQuota: 0.5, memoryBytes: 134217728 };
    const findings = findingsOf({ addon: { error: null }, driver: { name: 'io_uring', reason: null }, limits: low, ports: [], calls: [] }, []);
    assert.deepEqual(findings.map(({ level, fix }) => [level, typeof fix]), [['note', 'string'], ['note', 'string']]);
    assert.match(findings[0].text, /0\.5 of a processor/);
    assert.match(findings[1].text, /128 MiB of memory/);
  });

  it('a call that fails on the driver that is used is a problem; one on io_uring where epoll is used is none', () => {
    const found = (name, failing) => findingsOf({ addon: { error: null }, driver: { name, reason: 'r' }, limits: limits({}), ports: [], calls: ['io_uring', 'epoll'].map((driver) => ({ driver, ok: driver !== failing, ms: null, error: 'lost' })) }, []).filter(({ level }) => level === 'problem').map(({ text }) => text);
    assert.deepEqual(found('epoll', 'io_uring'), []);
    assert.deepEqual(found('io_uring', 'io_uring'), ['a call over io_uring failed: lost']);
    assert.deepEqual(found('epoll', 'epoll'), ['a call over epoll failed: lost']);
  });
});
