// `fasttunnel/native`: running commands.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { CommandError, executeCommand, OptionError, UtilityError } from 'fasttunnel/native';
import { withFolder } from './support/folders.mjs';
import { sleep, until } from './support/tunnels.mjs';

const NATIVE = new URL('../dist/esm/utilities/index.mjs', import.meta.url).href;
const sh = (script, options) => executeCommand('sh', ['-c', script], options);
const failed = (details) => (error) => {
  for (const [name, value] of Object.entries(details)) assert.deepEqual(error[name], value, name);
  return error instanceof UtilityError;
};

/** Whether a process lives; one that nobody has reaped yet does not. */
function lives(pid) {
  try {
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

/** The numbers that a script has written into a file, all at once. */
const pidsIn = async (file) => (await until(() => existsSync(file) && readFileSync(file, 'utf8'), 'the command runs')).trim().split(/\s+/).map(Number);
const writePids = (file) => `> ${file}.new; mv ${file}.new ${file}`;

describe('executeCommand', () => {
  it('echoes hello', async () => {
    const { durationMs, ...result } = await executeCommand('echo', ['hello']);
    assert.deepEqual(result, { stdout: 'hello\n', stderr: '', exitCode: 0, signal: null, complete: true });
    assert.ok(durationMs > 0 && durationMs < 5000);
  });

  it('wakes a stopped child for the signal that ends it', async () => {
    await assert.rejects(sh('trap "echo bye; exit 3" TERM; kill -STOP $$; echo on', { timeoutMs: 100, killAfterMs: 20_000 }), failed({ code: 'ETIMEDOUT', stdout: 'bye\n', exitCode: 3 }));
  });

  it('refuses to keep more text than a text can have, before it runs', async () => {
    await assert.rejects(sh('true', { maxOutputBytes: 2 ** 30 }), /executeCommand\.maxOutputBytes must be an integer from 0 to 5\d{8} /);
    assert.equal((await sh('true', { maxOutputBytes: 2 ** 30, encoding: 'buffer' })).stdout.length, 0);
  });

  it('says that arguments stand apart when they do not', async () => {
    await assert.rejects(executeCommand('echo hello'), /spawn 'echo hello'\. Arguments stand apart: executeCommand\('git', \['status'\]\)/);
  });

  it('uses no shell', async () => {
    assert.equal((await executeCommand('echo', ['$HOME; ls', '*', ''])).stdout, '$HOME; ls * \n');
  });

  it('tells the exit status, and what was written to both outputs', async () => {
    const { stdout, stderr, exitCode, signal } = await sh('echo out; echo err >&2; exit 3');
    assert.deepEqual([stdout, stderr, exitCode, signal], ['out\n', 'err\n', 3, null]);
  });

  it('tells the signal that has ended it', async () => {
    for (const name of ['SIGKILL', 'SIGTERM', 'SIGSEGV', 'SIGABRT']) {
      const { exitCode, signal } = await sh(`kill -${name.slice(3)} $$`);
      assert.deepEqual([exitCode, signal], [null, name]);
    }
  });

  it('runs in a directory, for a time, also by position', () => withFolder(async (file, folder) => {
    assert.equal((await executeCommand('pwd', [], folder)).stdout, `${folder}\n`);
    assert.equal((await executeCommand('pwd', [], { cwd: Buffer.from(folder) })).stdout, `${folder}\n`);
    assert.equal((await executeCommand('pwd', [], null, 5000)).stdout, `${process.cwd()}\n`);
    await assert.rejects(executeCommand('sleep', ['10'], folder, 20), failed({ code: 'ETIMEDOUT' }));
    await assert.rejects(executeCommand('pwd', [], { cwd: folder }, 20), /timeoutMs must stand among the options/);
  }));

  it('gives it the environment that is meant, and finds it in the PATH of that', () => withFolder(async (file, folder) => {
    process.env.FASTTUNNEL_TEST_OF_ENV = 'there';
    assert.match((await executeCommand('env')).stdout, /^FASTTUNNEL_TEST_OF_ENV=there$/m);
    delete process.env.FASTTUNNEL_TEST_OF_ENV;
    assert.equal((await executeCommand('/usr/bin/env', [], { env: { A: 'ä', B: undefined } })).stdout, 'A=ä\n');
    writeFileSync(file('tool'), '#!/bin/sh\necho "$0 $1"\n', { mode: 0o755 });
    assert.equal((await executeCommand('tool', ['x'], { env: { PATH: folder } })).stdout, `${file('tool')} x\n`);
    assert.equal((await executeCommand('./tool', ['y'], folder)).stdout, `${file('tool')} y\n`);
  }));

  it('feeds it', async () => {
    assert.equal((await executeCommand('cat', [], { stdin: 'täxt' })).stdout, 'täxt');
    const large = Buffer.alloc(3_000_000, Buffer.from([0, 255, 10]));
    assert.ok((await executeCommand('cat', [], { stdin: large, encoding: 'buffer' })).stdout.equals(large));
    assert.equal((await executeCommand('true', [], { stdin: large })).exitCode, 0, 'it need not read');
    assert.equal((await executeCommand('cat')).stdout, '', 'nothing to read is an end at once');
  });

  it('says why it cannot start it', () => withFolder(async (file) => {
    await assert.rejects(executeCommand('no-such-command'), failed({ code: 'ENOENT', syscall: 'spawn', path: 'no-such-command', message: "ENOENT: no such file or directory, spawn 'no-such-command'" }));
    await assert.rejects(executeCommand('true', [], file('missing')), failed({ code: 'ENOENT', syscall: 'chdir', path: file('missing') }));
    writeFileSync(file('plain'), '');
    await assert.rejects(executeCommand('true', [], file('plain')), failed({ code: 'ENOTDIR', syscall: 'chdir' }));
    await assert.rejects(executeCommand(file('plain')), failed({ code: 'EACCES', syscall: 'spawn' }));
    mkdirSync(file('directory'));
    await assert.rejects(executeCommand(file('directory')), failed({ code: 'EACCES', syscall: 'spawn' }));
    writeFileSync(file('garbage'), 'no program', { mode: 0o755 });
    await assert.rejects(executeCommand(file('garbage')), failed({ code: 'ENOEXEC', syscall: 'spawn' }));
    await assert.rejects(executeCommand('true', ['x'.repeat(200_000)]), failed({ code: 'E2BIG', syscall: 'spawn' }));
  }));

  it('kills a child that ignores SIGTERM, and all of its group', () => withFolder(async (file) => {
    const started = performance.now();
    const running = sh(`trap '' TERM; sleep 1000 & echo begun; echo $$ $! ${writePids(file('pids'))}; while :; do sleep 0.05; done`, { timeoutMs: 150, killAfterMs: 100 });
    const pids = await pidsIn(file('pids'));
    await assert.rejects(running, (error) => error instanceof CommandError && failed({ code: 'ETIMEDOUT', signal: 'SIGKILL', exitCode: null, stdout: 'begun\n', path: 'sh' })(error));
    const took = performance.now() - started;
    assert.ok(took >= 240 && took < 5000, `${took} ms`);
    await until(() => !pids.some(lives), 'all have ended');
  }));

  it('lets a child clean up when it is asked to end', async () => {
    await assert.rejects(sh("trap 'echo cleaned; exit 7' TERM; echo begun; while :; do sleep 0.01; done", { timeoutMs: 100, killAfterMs: 5000 }), failed({ code: 'ETIMEDOUT', stdout: 'begun\ncleaned\n', exitCode: 7, signal: null }));
    await assert.rejects(sh("trap 'exit 9' INT; while :; do sleep 0.01; done", { timeoutMs: 100, killSignal: 'SIGINT' }), failed({ exitCode: 9 }));
  });

  it('ends a child that floods, and keeps what maxOutputBytes allows', async () => {
    for (const script of ['yes', 'yes >&2', 'yes & yes >&2']) {
      const error = await sh(script, { maxOutputBytes: 100_000 }).catch((thrown) => thrown);
      assert.equal(error.code, 'FASTTUNNEL_OUTPUT_LIMIT');
      assert.ok(error.stdout.length + error.stderr.length <= 100_000 && error.stdout.length + error.stderr.length >= 65_000, `${error.stdout.length} and ${error.stderr.length} bytes`);
    }
    assert.equal((await sh('head -c 100000 /dev/zero', { maxOutputBytes: 100_000 })).stdout.length, 100_000);
    await assert.rejects(sh('head -c 100001 /dev/zero', { maxOutputBytes: 100_000 }), failed({ code: 'FASTTUNNEL_OUTPUT_LIMIT' }));
  });

  it('does not wait for grandchildren that hold the outputs, which live on', () => withFolder(async (file) => {
    const { stdout, exitCode, complete, durationMs } = await sh(`echo out; sleep 1000 & echo $! ${writePids(file('pids'))}`);
    assert.deepEqual([stdout, exitCode, complete], ['out\n', 0, false]);
    assert.ok(durationMs < 5000);
    const [pid] = await pidsIn(file('pids'));
    assert.ok(lives(pid));
    process.kill(pid, 'SIGKILL');
    await assert.rejects(sh(`sleep 1000 & echo $! ${writePids(file('more'))}; sleep 1000`, { timeoutMs: 100 }), failed({ code: 'ETIMEDOUT' }));
    const [other] = await pidsIn(file('more'));
    await until(() => !lives(other), 'one of a child that was ended has ended');
  }));

  it('is aborted in every phase: before, as it starts, while it runs, while it is ended, and not afterwards', () => withFolder(async (file) => {
    await assert.rejects(executeCommand('touch', [file('touched')], { signal: AbortSignal.abort('before') }), failed({ name: 'AbortError', code: 'ABORT_ERR', cause: 'before' }));
    assert.equal(existsSync(file('touched')), false);
    const starts = new AbortController();
    const starting = executeCommand('sleep', ['1000'], { signal: starts.signal });
    starts.abort('starts');
    await assert.rejects(starting, failed({ name: 'AbortError', code: 'ABORT_ERR', cause: 'starts' }));
    const runs = new AbortController();
    const running = sh(`echo begun; echo $$ ${writePids(file('pids'))}; sleep 1000`, { signal: runs.signal });
    const pids = await pidsIn(file('pids'));
    runs.abort('runs');
    await assert.rejects(running, (error) => error instanceof CommandError && failed({ name: 'AbortError', code: 'ABORT_ERR', cause: 'runs', stdout: 'begun\n', signal: 'SIGTERM' })(error));
    assert.ok(!pids.some(lives), 'it had ended by then');
    const ends = new AbortController();
    const ending = sh("trap '' TERM; while :; do sleep 0.02; done", { signal: ends.signal, timeoutMs: 50, killAfterMs: 200 });
    await sleep(120);
    ends.abort('ends');
    await assert.rejects(ending, failed({ code: 'ETIMEDOUT', signal: 'SIGKILL' }));
    const over = new AbortController();
    assert.equal((await executeCommand('true', [], { signal: over.signal })).exitCode, 0);
    over.abort();
  }));

  it('runs fifty at a time', async () => {
    const started = performance.now();
    const all = await Promise.all(Array.from({ length: 50 }, (_, index) => sh(`sleep 0.3; echo ${index}`)));
    all.forEach(({ stdout }, index) => assert.equal(stdout, `${index}\n`));
    assert.ok(performance.now() - started < 10_000, 'side by side');
  });

  it('leaves no zombie and no descriptor', async () => {
    const children = () => readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').trim();
    const descriptors = () => readdirSync('/proc/self/fd').length;
    await executeCommand('true');
    const before = descriptors();
    for (let round = 0; round < 20; round += 1) await executeCommand('cat', [], { stdin: 'x' });
    assert.equal(children(), '');
    assert.equal(descriptors(), before);
  });

  it('ends its commands when the process ends', () => withFolder(async (file) => {
    const script = `import('${NATIVE}').then(({ executeCommand }) => { executeCommand('sh', ['-c', ${JSON.stringify(`trap '' TERM; sleep 1000 & echo $$ $! ${writePids(file('pids'))}; wait; sleep 1000`)}]); });
      setInterval(() => { if (require('node:fs').existsSync(${JSON.stringify(file('pids'))})) process.exit(5); }, 5);`;
    const { status } = spawnSync(process.execPath, ['-e', script], { timeout: 20_000 });
    assert.equal(status, 5);
    const pids = await pidsIn(file('pids'));
    await until(() => !pids.some(lives), 'all have ended');
  }));

  it('names the option, the value and the fix', async () => {
    for (const [args, message] of [
      [[''], /command must be the name or path of a program/],
      [['a\0'], /command must not have a zero/],
      [['true', 'x'], /args must be an array/],
      [['true', [7]], /args\[0\] must be a string, got 7/],
      [['true', [], { timeoutMs: '5' }], /executeCommand\.timeoutMs must be an integer.*Number\('5'\)/],
      [['true', [], { timeout: 5 }], /timeout is not an option/],
      [['true', [], { killSignal: 'TERM' }], /executeCommand\.killSignal must be one of/],
      [['true', [], { env: { 'A=B': 'c' } }], /names without = and zeros/],
      [['true', [], { env: { A: 7 } }], /executeCommand\.env\.A must be a string/],
      [['true', [], { stdin: Buffer.alloc(64 * 2 ** 20 + 1) }], /executeCommand\.stdin must have 67108864 bytes at most/],
    ]) await assert.rejects(executeCommand(...args), (error) => error instanceof OptionError && message.test(error.message), String(message));
  });
});
