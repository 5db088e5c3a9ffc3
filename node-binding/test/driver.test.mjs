// io_uring forbidden, as in Docker's default profile: the tunnel runs on epoll, serves, and says why, once.
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url));
/** Installs a seccomp filter that refuses the given calls, then runs a program. */
const DENY = path('../../../shared/http/tools/seccomp_deny.py');
const skip = existsSync(DENY) ? false : `no seccomp tool at ${DENY}`;
const PROGRAM = path('fixtures/forbidden.mjs');

async function runDenied(errno, calls, driver) {
  const args = [DENY, '--errno', errno, '--calls', calls, '--', process.execPath, PROGRAM, driver];
  const { stdout, stderr } = await promisify(execFile)('python3', args, { timeout: 20_000 });
  return { said: JSON.parse(stdout), stderr };
}

const strace = spawnSync('strace', ['-f', '-qq', '-o', '/dev/null', 'true']).status === 0 ? false : 'no strace here';

describe('io_uring that is not enough for every shard', { skip: strace }, () => {
  it('the third ring fails: epoll for all, and the reason', async () => {
    const args = ['-f', '-qq', '-o', '/dev/null', '-e', 'trace=io_uring_setup', '-e', 'inject=io_uring_setup:error=ENOMEM:when=3+', process.execPath, PROGRAM, 'auto', '4'];
    const { stdout } = await promisify(execFile)('strace', args, { timeout: 20_000 });
    const said = JSON.parse(stdout);
    assert.equal(said.driver, 'epoll', stdout);
    assert.match(said.reason, /io_uring_setup: .*RLIMIT_MEMLOCK.*ring 3 of 4/);
    assert.deepEqual(said.answers, [3, 3]);
  });
});

describe('io_uring forbidden', { skip }, () => {
  for (const [errno, calls, hint] of [
    ['EPERM', 'io_uring_setup', 'seccomp'],
    ['EPERM', 'io_uring_register', 'seccomp'],
    ['EPERM', 'io_uring_enter', 'seccomp'],
    ['ENOSYS', 'io_uring_setup', 'kernel'],
    ['ENOMEM', 'io_uring_setup', 'RLIMIT_MEMLOCK'],
  ]) {
    it(`${calls} fails with ${errno}: epoll, and the reason`, async () => {
      const { said, stderr } = await runDenied(errno, calls, 'auto');
      assert.equal(said.driver, 'epoll');
      assert.ok(said.reason.startsWith(calls) && said.reason.includes(hint), said.reason);
      assert.deepEqual(said.stats, { driver: 'epoll', driverReason: said.reason });
      assert.deepEqual(said.answers, [3, 3], 'both tunnels serve');
      assert.equal(stderr.split('FASTTUNNEL_EPOLL').length - 1, 1, `two tunnels, one warning: ${stderr}`);
    });
  }

  it('asked for by name, it is an error that says why', async () => {
    const { said } = await runDenied('EPERM', 'io_uring_setup', 'io_uring');
    assert.match(said.error, /io_uring does not work here: io_uring_setup.*seccomp/);
  });
});
