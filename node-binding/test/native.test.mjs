// `fasttunnel/native`: what the build says of itself, sessions, logging, worker threads.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { describe, it } from 'node:test';
import { Worker } from 'node:worker_threads';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import * as native from 'fasttunnel/native';
import { withFolder } from './support/folders.mjs';
import { until } from './support/tunnels.mjs';

const { NativeSession, OptionError, UtilityError } = native;
const require = createRequire(import.meta.url);
const NATIVE = new URL('../dist/esm/utilities/index.mjs', import.meta.url).href;
const root = fileURLToPath(new URL('../../', import.meta.url));

/** Threads of this process that are the utilities'. */
const threads = () => readdirSync('/proc/self/task').filter((id) => {
  try {
    return /^fasttunnel-(?:util|wait)/.test(readFileSync(`/proc/self/task/${id}/comm`, 'utf8'));
  } catch {
    return false;
  }
}).length;

describe('the module', () => {
  it('is the same by import and by require', () => {
    assert.deepEqual(Object.keys(native).sort(), Object.keys(require('fasttunnel/native')).sort());
    assert.equal(require('fasttunnel/native').UtilityError, UtilityError);
    assert.equal(OptionError, require('fasttunnel').OptionError);
  });

  it('tells version, commit, time and compiler of its build', () => {
    const { version, gitHash, buildTime, rustVersion, ...rest } = native.getVersion();
    assert.deepEqual(rest, {});
    assert.equal(version, require('../package.json').version);
    assert.match(gitHash, /^(?:[0-9a-f]{40}|unknown)$/);
    assert.equal(new Date(buildTime).toISOString(), buildTime.replace('Z', '.000Z'));
    assert.match(rustVersion, /^\d+\.\d+\.\d+/);
    const compiler = spawnSync('rustc', ['--version'], { cwd: root, encoding: 'utf8' });
    if (compiler.status === 0) assert.equal(rustVersion, compiler.stdout.split(' ')[1]);
  });

  it('is initialised any number of times', () => {
    native.init();
    native.init({ logLevel: 'error' });
    native.init({ logLevel: 'off' });
    assert.throws(() => native.init({ logLevel: 'loud' }), /init\.logLevel must be one of 'off', 'error', 'warn', 'info', 'debug', got 'loud'/);
    assert.throws(() => native.init({ level: 'off' }), OptionError);
  });

  it('logs what its level allows, and nothing that may be secret', () => {
    const script = `import('${NATIVE}').then(async ({ executeCommand, init, readFile }) => {
      init({ logLevel: process.argv[1] });
      await readFile('/proc/self/comm');
      await executeCommand('true', ['secret'], { env: { TOKEN: 'secret' }, stdin: 'secret' });
      await readFile('/missing').catch(() => {});
      await executeCommand('sleep', ['9'], null, 10).catch(() => {});
    });`;
    const lines = (level) => spawnSync(process.execPath, ['-e', script, level], { encoding: 'utf8' }).stderr.trim().split('\n').map((line) => line.replace(/, [\d.]+ ms$/, ''));
    const of = { error: 'error: readFile "/missing": ENOENT', warn: 'warn: executeCommand "sleep": ETIMEDOUT', info: 'info: executeCommand "true": exit 0', debug: 'debug: readFile "/proc/self/comm": done' };
    const told = (...names) => names.map((name) => `fasttunnel/native ${of[name]}`);
    assert.deepEqual(lines('off'), ['']);
    assert.deepEqual(lines('error'), told('error'));
    assert.deepEqual(lines('warn'), told('error', 'warn'));
    assert.deepEqual(lines('info'), told('info', 'error', 'warn'));
    assert.deepEqual(lines('debug'), told('debug', 'info', 'error', 'warn'));
  });
});

it('is measured by a script that runs', () => {
  const table = execFileSync(process.execPath, [fileURLToPath(new URL('../bench/native.mjs', import.meta.url)), '--smoke'], { encoding: 'utf8' });
  assert.ok(table.split('\n').filter((line) => /^\| .* \| [\d.]+x \|/.test(line)).length >= 10, table);
});

describe('NativeSession', () => {
  it('is configured, gets messages, gives them back, and is cleared', () => {
    const session = new NativeSession();
    assert.deepEqual([session.getConfig(), session.getMessages()], [{}, []]);
    session.configure({ model: 'm', temperature: 0.5, stop: ['a'], nested: { null: null } });
    assert.deepEqual(session.getConfig(), { model: 'm', temperature: 0.5, stop: ['a'], nested: { null: null } });
    const before = Date.now();
    session.addMessage('user', 'hällo \u{1f600} \ud800');
    session.addMessage({ role: 'assistant', content: '' });
    const messages = session.getMessages();
    assert.deepEqual(messages.map(({ role, content }) => [role, content]), [['user', 'hällo \u{1f600} \ud800'], ['assistant', '']]);
    assert.ok(messages.every(({ timestamp }) => timestamp >= before && timestamp <= Date.now()));
    session.clear();
    assert.deepEqual([session.getMessages(), session.getConfig().model, session.stats().messages], [[], 'm', 0]);
  });

  it('keeps within its bounds: the oldest messages make room', () => {
    const session = new NativeSession({ maxMessages: 3, maxBytes: 1000 });
    for (let number = 0; number < 5; number += 1) session.addMessage('user', `${number}`);
    assert.deepEqual(session.getMessages().map(({ content }) => content), ['2', '3', '4']);
    assert.deepEqual([session.stats().messages, session.stats().dropped, session.stats().maxMessages], [3, 2, 3]);
    session.addMessage('user', 'x'.repeat(900));
    assert.equal(session.getMessages().length, 1);
    for (const much of [() => session.addMessage('user', 'x'.repeat(1000)), () => session.configure({ text: 'x'.repeat(1000) })]) {
      assert.throws(much, (error) => error instanceof UtilityError && error.code === 'FASTTUNNEL_TOO_LARGE');
    }
    assert.equal(session.getMessages().length, 1);
  });

  it('is shared by threads, and goes with the last that holds it', async () => {
    const session = new NativeSession({ maxMessages: 10_000 });
    const script = `const { parentPort, workerData } = require('node:worker_threads');
      import('${NATIVE}').then(({ NativeSession }) => {
        const session = NativeSession.attach(workerData.id);
        for (let number = 0; number < 500; number += 1) session.addMessage('worker ' + workerData.thread, String(number));
        parentPort.postMessage(session.getConfig());
      });`;
    session.configure({ shared: true });
    const workers = Array.from({ length: 4 }, (_, thread) => new Worker(script, { eval: true, workerData: { id: session.id, thread } }));
    for (const [config] of await Promise.all(workers.map((worker) => once(worker, 'message')))) assert.deepEqual(config, { shared: true });
    await Promise.all(workers.map((worker) => worker.terminate()));
    const messages = session.getMessages();
    assert.equal(messages.length, 2000);
    for (let thread = 0; thread < 4; thread += 1) {
      assert.deepEqual(messages.filter(({ role }) => role === `worker ${thread}`).map(({ content }) => Number(content)), Array.from({ length: 500 }, (_, number) => number), 'in the order of each');
    }
    assert.equal(NativeSession.attach(session.id).id, session.id);
    assert.throws(() => NativeSession.attach(2 ** 40), (error) => error instanceof UtilityError && error.code === 'ENOENT');
    assert.throws(() => NativeSession.attach('1'), OptionError);
  });

  it('names the option, the value and the fix', () => {
    const session = new NativeSession();
    const circle = {};
    circle.circle = circle;
    for (const config of [new Date(0), { toJSON: () => undefined }, { toJSON: () => 5 }, { toJSON() { throw null; } }]) assert.throws(() => session.configure(config), OptionError);
    assert.deepEqual(session.getConfig(), {}, 'it is an object in any case');
    assert.throws(() => new NativeSession({ maxBytes: 2 ** 30 - 1 }), /maxBytes must be an integer from 2 to \d{9} /, 'all of it could not be one text');
    assert.throws(() => NativeSession.attach(0), /id must be the id of a session, got 0\. Pass session\.id\./);
    for (const wrong of [() => new NativeSession({ maxMessages: 0 }), () => session.addMessage('user'), () => session.addMessage(7, 'a'), () => session.addMessage({ role: 'user', text: 'a' }), () => session.configure([]), () => session.configure(circle)]) {
      assert.throws(wrong, OptionError);
    }
  });
});

describe('worker threads', () => {
  it('have operations of their own, and those end with them', { timeout: 60_000 }, () => withFolder(async (file) => {
    execFileSync('mkfifo', [file('fifo')]);
    await native.executeCommand('true');
    const before = threads();
    const script = `const { parentPort, workerData } = require('node:worker_threads');
      import('${NATIVE}').then(async ({ executeCommand, init, listDirectory, readFile, writeFile }) => {
        init();
        await writeFile(workerData.own, 'own');
        parentPort.postMessage((await readFile(workerData.own)).toString());
        readFile(workerData.fifo);
        listDirectory('/proc', true).catch(() => {});
        readFile('/dev/zero', { maxBytes: 2 ** 28 }).catch(() => {});
        writeFile(workerData.large, Buffer.alloc(2 ** 28)).catch(() => {});
        executeCommand('sh', ['-c', "trap '' TERM; sleep 1000 & echo $$ $! > " + workerData.pids + ".new; mv " + workerData.pids + ".new " + workerData.pids + "; wait; sleep 1000"]);
      });`;
    const round = async (number) => {
      const workerData = { own: file(`own${number}`), fifo: file('fifo'), large: file(`large${number}`), pids: file(`pids${number}`) };
      const worker = new Worker(script, { eval: true, workerData });
      assert.deepEqual(await once(worker, 'message'), ['own']);
      await until(() => existsSync(workerData.pids), 'the command runs');
      assert.ok(threads() > before);
      const started = performance.now();
      await worker.terminate();
      assert.ok(performance.now() - started < 10_000, 'it was not held up');
      for (const pid of readFileSync(workerData.pids, 'utf8').trim().split(' ')) {
        await until(() => { try { return / Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8')); } catch { return true; } }, `${pid} has ended`);
      }
    };
    for (let number = 0; number < 6; number += 2) await Promise.all([round(number), round(number + 1)]);
    await until(() => threads() === before, 'their threads are gone');
    assert.deepEqual(readdirSync(file('.')).filter((name) => name.endsWith('.tmp')), [], 'nothing half written is left');
    assert.equal((await native.executeCommand('echo', ['on'])).stdout, 'on\n', 'those of this thread go on');
  }));
});
