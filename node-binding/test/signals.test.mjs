// gracefulSignals: what has been accepted is answered, then the process ends as the signal would have ended it.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { fastTunnel } from 'fasttunnel';
import { restarts } from '../../loadtest/restarts/restarts.mjs';
import { probe } from './support/probes.mjs';
import { withProgram } from './support/processes.mjs';
import { RawSocket, taskBytes } from './support/raw-socket.mjs';
import { callTask, onBothDrivers, sleep, until } from './support/tunnels.mjs';

const FIXTURE = fileURLToPath(new URL('fixtures/graceful.mjs', import.meta.url));

const withServer = (options, body, { way = '', command = [process.execPath] } = {}) =>
  withProgram(command[0], [...command.slice(1), FIXTURE], { WAY: way, OPTIONS: JSON.stringify({ admin: {}, gracefulSignals: true, ...options }) }, body);

/** Whether a process can be the first one of a namespace here. */
function maySpawnFirst() {
  try {
    execFileSync('unshare', ['--pid', '--fork', '--kill-child', 'true'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Sends a call and waits until its handler runs, most likely. */
async function call(server, id, input) {
  const socket = await RawSocket.connect(server);
  await socket.write(taskBytes(id, input));
  await sleep(100);
  return socket;
}

onBothDrivers('graceful signals', (driver) => {
  for (const [gracefulSignals, signal] of [[true, 'SIGTERM'], [true, 'SIGINT'], [['SIGINT'], 'SIGINT']]) {
    it(`on ${signal} (${JSON.stringify(gracefulSignals)}) readiness goes, the call under way is answered, and the process ends by the signal`, () => withServer({ driver, gracefulSignals }, async (server) => {
      const socket = await call(server, 'wait', 700);
      assert.equal((await probe(server.admin, '/readyz')).text, 'ok');
      server.child.kill(signal);
      await until(async () => (await probe(server.admin, '/readyz')).text === 'closing', 'readiness has gone', 500);
      assert.equal((await probe(server.admin, '/livez')).text, 'ok');
      const refused = () => RawSocket.connect(server).then((late) => { late.destroy(); return false; }, ({ code }) => code === 'ECONNREFUSED');
      await until(refused, 'nobody is let in any more', 500);
      const { status, headers, body } = await socket.answer();
      assert.deepEqual([status, headers.connection, body], [200, 'close', '{"ok":true,"result":700}']);
      assert.deepEqual(await server.ended, { code: null, signal, stderr: '' });
    }));
  }

  it('serves on for readinessDelayMs', () => withServer({ driver, readinessDelayMs: 800 }, async (server) => {
    const began = performance.now();
    server.child.kill('SIGTERM');
    await until(async () => (await probe(server.admin, '/readyz')).text === 'closing', 'readiness has gone', 500);
    const socket = await call(server, 'echo', 1);
    const { status, headers } = await socket.answer();
    assert.deepEqual([status, headers.connection], [200, 'keep-alive']);
    assert.equal((await server.ended).signal, 'SIGTERM');
    const tookMs = performance.now() - began;
    assert.ok(tookMs >= 780, `it ended after ${tookMs} ms`);
  }));

  it('leaves other signals alone, and everything by default', async () => {
    for (const gracefulSignals of [['SIGINT'], false]) {
      await withServer({ driver, gracefulSignals }, async (server) => {
        const socket = await call(server, 'wait', 5000);
        const began = performance.now();
        server.child.kill('SIGTERM');
        assert.equal((await server.ended).signal, 'SIGTERM');
        assert.ok(performance.now() - began < 2000);
        socket.destroy();
      });
    }
  });

  for (const way of ['own', 'own once']) {
    it(`only closes where the application listens (${way})`, () => withServer({ driver }, async (server) => {
      const socket = await call(server, 'wait', 300);
      server.child.kill('SIGTERM');
      assert.equal((await socket.answer()).body, '{"ok":true,"result":300}');
      assert.deepEqual(await server.ended, { code: 7, signal: null, stderr: '' });
    }, { way }));
  }

  it('ends at once by a second signal', () => withServer({ driver, drainTimeoutMs: 30_000 }, async (server) => {
    const socket = await call(server, 'never', 1);
    server.child.kill('SIGTERM');
    await until(async () => (await probe(server.admin, '/readyz')).text === 'closing', 'readiness has gone');
    await sleep(300);
    const began = performance.now();
    server.child.kill('SIGTERM');
    assert.equal((await server.ended).signal, 'SIGTERM');
    assert.ok(performance.now() - began < 2000);
    await socket.end();
  }));

  it('waits for calls no longer than drainTimeoutMs', () => withServer({ driver, drainTimeoutMs: 400 }, async (server) => {
    const socket = await call(server, 'never', 1);
    const began = performance.now();
    server.child.kill('SIGTERM');
    assert.equal((await server.ended).signal, 'SIGTERM');
    const tookMs = performance.now() - began;
    assert.ok(tookMs >= 350 && tookMs < 3000, `it took ${tookMs} ms`);
    await socket.end();
  }));

  it('two tunnels of a process wait for each other', () => withServer({ driver }, async (server) => {
    const [quick, slow] = [await call(server, 'wait', 300), await call({ host: server.host, port: server.secondPort }, 'wait', 900)];
    server.child.kill('SIGTERM');
    assert.equal((await quick.answer()).body, '{"ok":true,"result":300}');
    assert.equal((await slow.answer()).body, '{"ok":true,"result":900}');
    assert.equal((await server.ended).signal, 'SIGTERM');
  }, { way: 'two' }));

  it('the first process of a container, whom no such signal ends, exits with 143', { skip: !maySpawnFirst() && 'no namespaces here' }, () => withServer({ driver }, async (server) => {
    const [child] = execFileSync('pgrep', ['-P', String(server.child.pid)], { encoding: 'utf8' }).split('\n');
    process.kill(Number(child), 'SIGTERM');
    assert.deepEqual(await server.ended, { code: 143, signal: null, stderr: '' });
  }, { command: ['unshare', '--pid', '--fork', '--kill-child', process.execPath] }));

  it('listens for signals only while it listens for calls, once for all tunnels', async () => {
    const count = () => ['SIGTERM', 'SIGINT'].map((signal) => process.listenerCount(signal)).join();
    const before = count();
    const options = { driver, auth: { allowAnonymous: true } };
    const [first, second] = [await fastTunnel({ ...options, gracefulSignals: true }), await fastTunnel({ ...options, gracefulSignals: ['SIGTERM'] })];
    const [terms, ints] = before.split(',').map(Number);
    assert.equal(count(), `${terms + 1},${ints + 1}`);
    await first.close();
    assert.equal(count(), `${terms + 1},${ints}`);
    await second.close();
    assert.equal(count(), before);
  });

  it('cannot be asked for in a worker thread', async () => {
    const code = "const { fastTunnel } = require('fasttunnel'); fastTunnel({ auth: { allowAnonymous: true }, gracefulSignals: true }).catch(({ option, message }) => require('node:worker_threads').parentPort.postMessage({ option, message }));";
    const worker = new Worker(`require('node:module').createRequire(${JSON.stringify(fileURLToPath(import.meta.url))}); ${code}`, { eval: true });
    const [{ option, message }] = await new Promise((resolve, reject) => worker.once('message', (told) => resolve([told])).once('error', reject));
    assert.equal(option, 'gracefulSignals');
    assert.match(message, /worker thread/);
    await worker.terminate();
  });

  for (const [where, options] of [['threads', { restarts: 4, calls: 8000 }], ['inline', { restarts: 2, calls: 3000, placement: 'inline' }], ['workers', { restarts: 2, calls: 3000, workers: 2 }]]) it(`restarts under load lose no call: each is answered, or was never run (${where})`, { timeout: 120_000 }, async () => {
    const { counts, wrong } = await restarts({ driver, ...options });
    console.log(counts);
    assert.deepEqual(wrong, []);
    assert.ok(counts.sent >= options.calls && counts.answered + counts.refused + counts.unread === counts.sent);
    assert.ok(counts.answered > counts.sent * 0.9, JSON.stringify(counts));
  });
});
