// Opening, closing, ending: nothing hangs, nothing crashes, nothing is left.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import net from 'node:net';
import { createInterface } from 'node:readline';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { fastTunnel, TunnelServer } from 'fasttunnel';
import { startTraffic, terminateInTraffic } from './fixtures/traffic.mjs';
import { RawSocket, taskBytes } from './support/raw-socket.mjs';
import { callTask, onBothDrivers, sleep, until, withTunnel } from './support/tunnels.mjs';

const auth = { allowAnonymous: true };
const add = { 'app.tasks.add': ({ a, b }) => a + b };
const ok = (result) => JSON.stringify({ ok: true, result });
const ENDING = fileURLToPath(new URL('fixtures/ending.mjs', import.meta.url));
const WORKER = new URL('fixtures/worker.mjs', import.meta.url);
/** More rounds for a long run: FASTTUNNEL_TEST_ROUNDS=10. */
const ROUNDS = Number(process.env.FASTTUNNEL_TEST_ROUNDS ?? 1);

const threads = () => readdirSync('/proc/self/task').length;
const fileDescriptors = () => readdirSync('/proc/self/fd').length;

/** Starts a process that listens; `ended` resolves to its exit code or signal and what it wrote. */
async function startProcess(way, options) {
  const child = spawn(process.execPath, [ENDING, way, JSON.stringify(options)], { stdio: ['ignore', 'pipe', 'pipe'] });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text) => { stderr += text; });
  const ended = once(child, 'exit').then(([code, signal]) => ({ code, signal, stderr }));
  const line = once(createInterface({ input: child.stdout }), 'line').then(([text]) => JSON.parse(text));
  const first = await Promise.race([line, ended.then(({ stderr: text }) => { throw new Error(`it ended before it listened: ${text}`); })]);
  return { child, ended, ...first };
}

async function endsWithin(started, ms) {
  const timer = setTimeout(() => started.child.kill('SIGKILL'), ms);
  const outcome = await started.ended;
  clearTimeout(timer);
  assert.notEqual(outcome.signal, 'SIGKILL', `the process did not end within ${ms} ms`);
  return outcome;
}

onBothDrivers('lifecycle', (driver) => {
  it('tells where it listens and how', () => withTunnel({ driver, tasks: add }, async (tunnel) => {
    assert.ok(tunnel.port > 0);
    assert.equal(tunnel.host, '127.0.0.1');
    assert.equal(tunnel.url, `http://127.0.0.1:${tunnel.port}/__runner`);
    assert.equal(tunnel.socketPath, undefined);
    assert.equal(tunnel.driver, driver);
    const stats = tunnel.stats();
    assert.equal(stats.driver, driver);
    assert.ok(stats.shards.length >= 1);
  }));

  it('close() is idempotent and concurrent-safe', async () => {
    const tunnel = await fastTunnel({ auth, driver, tasks: add });
    const { port } = tunnel;
    assert.equal((await callTask(tunnel, 'app.tasks.add', { a: 1, b: 2 })).text, ok(3));
    await Promise.all([tunnel.close(), tunnel.close(), tunnel[Symbol.asyncDispose]()]);
    await tunnel.close();
    await assert.rejects(RawSocket.connect({ port, host: '127.0.0.1' }), { code: 'ECONNREFUSED' });
    assert.throws(() => tunnel.registerTask('late', () => {}), { code: 'FASTTUNNEL_CLOSED' });
  });

  it('close() answers what is in flight, and waits no longer than drainTimeoutMs', async () => {
    const tunnel = await fastTunnel({ auth, driver, drainTimeoutMs: 3000, tasks: { wait: async (ms) => { await sleep(ms); return ms; } } });
    const socket = await RawSocket.connect(tunnel);
    await socket.write(taskBytes('wait', 300));
    const idle = await RawSocket.connect(tunnel);
    await sleep(50);
    const began = performance.now();
    const closing = tunnel.close();
    const { status, headers, body } = await socket.answer();
    assert.deepEqual([status, headers.connection, body], [200, 'close', ok(300)]);
    await closing;
    await idle.end();
    assert.ok(performance.now() - began < 2000, 'silent connections do not delay it');

    const stuck = await fastTunnel({ auth, driver, drainTimeoutMs: 200, tasks: { never: () => new Promise(() => {}) } });
    const caller = await RawSocket.connect(stuck);
    await caller.write(taskBytes('never', 1));
    await sleep(50);
    const start = performance.now();
    await stuck.close();
    const tookMs = performance.now() - start;
    assert.ok(tookMs >= 150 && tookMs < 2000, `close took ${tookMs} ms`);
    await caller.end();
  });

  it('close() inside a handler does not dead-lock', async () => {
    const tunnel = await fastTunnel({ auth, driver, drainTimeoutMs: 2000, tasks: { stop: () => { void tunnel.close(); return 'closing'; } } });
    assert.equal((await callTask(tunnel, 'stop', {})).text, ok('closing'));
    await tunnel.close();
  });

  it('reports EADDRINUSE and may be tried again', async () => {
    const blocker = net.createServer().listen(0, '127.0.0.1');
    await once(blocker, 'listening');
    const { port } = blocker.address();
    const server = new TunnelServer({ auth, driver, port, tasks: add });
    await assert.rejects(server.listen(), (error) => {
      assert.equal(error.name, 'ListenError');
      assert.equal(error.code, 'EADDRINUSE');
      assert.ok(error.message.includes(`127.0.0.1:${port}`), error.message);
      return true;
    });
    blocker.close();
    await once(blocker, 'close');
    await server.listen();
    assert.equal(server.port, port);
    await assert.rejects(server.listen(), { code: 'FASTTUNNEL_ALREADY_LISTENING' });
    // Another tunnel of this process must not slip in beside it.
    await assert.rejects(fastTunnel({ auth, driver, port }), { code: 'EADDRINUSE' });
    await server.close();
  });

  it('reports an address that is not ours and a directory that is not there', async () => {
    await assert.rejects(fastTunnel({ auth, driver, host: '192.0.2.1' }), { name: 'ListenError', code: 'EADDRNOTAVAIL' });
    await assert.rejects(fastTunnel({ auth, driver, socketPath: '/nowhere/at/all.sock' }), { name: 'ListenError', code: 'ENOENT' });
  });

  it('the same port can be used again at once, with connections left over', async () => {
    let port = 0;
    for (let round = 0; round < 10; round++) {
      const tunnel = await fastTunnel({ auth, driver, port, tasks: add });
      port = tunnel.port;
      const socket = await RawSocket.connect(tunnel);
      await socket.write(taskBytes('app.tasks.add', { a: round, b: 0 }));
      assert.equal((await socket.answer()).body, ok(round));
      await tunnel.close();
      socket.destroy();
    }
  });

  it('two tunnels in one process do not know of each other', () => withTunnel({ driver, tasks: { who: () => 'one' } }, (one) =>
    withTunnel({ driver, tasks: { who: () => 'two', only: () => 2 } }, async (two) => {
      for (let round = 0; round < 20; round++) {
        const [a, b] = await Promise.all([callTask(one, 'who', {}), callTask(two, 'who', {})]);
        assert.deepEqual([a.text, b.text], [ok('one'), ok('two')]);
      }
      assert.equal((await callTask(one, 'only', {})).status, 403);
      await two.close();
      assert.equal((await callTask(one, 'who', {})).text, ok('one'));
    })));

  it('100 start/stop cycles leave no thread, no file descriptor and no memory', async () => {
    const cycle = async () => {
      const tunnel = await fastTunnel({ auth, driver, shards: 2, tasks: add });
      const socket = await RawSocket.connect(tunnel);
      await socket.write(taskBytes('app.tasks.add', { a: 1, b: 2 }));
      assert.equal((await socket.answer()).body, ok(3));
      if (Math.random() < 0.5) socket.destroy();
      await tunnel.close();
      socket.destroy();
    };
    for (let round = 0; round < 20; round++) await cycle();
    await sleep(100);
    globalThis.gc?.();
    const before = { threads: threads(), fileDescriptors: fileDescriptors(), rss: process.memoryUsage.rss() };
    for (let round = 0; round < 100 * ROUNDS; round++) await cycle();
    await until(() => threads() <= before.threads && fileDescriptors() <= before.fileDescriptors, `threads ${threads()} and descriptors ${fileDescriptors()} are back to ${before.threads} and ${before.fileDescriptors}`);
    globalThis.gc?.();
    const grownBytes = process.memoryUsage.rss() - before.rss;
    // A leaked shard would cost its buffers and stack each time, far more than this in 200 of them.
    assert.ok(grownBytes < 32 * 2 ** 20, `memory grew by ${Math.round(grownBytes / 1024)} KiB`);
  });

  it('the process ends by itself after close()', async () => {
    const started = await startProcess('close', { driver });
    assert.equal((await callTask(started, 'app.tasks.end', {})).text, ok('closing'));
    assert.deepEqual(await endsWithin(started, 5000), { code: 0, signal: null, stderr: '' });
  });

  it('listening keeps the process alive, unref() lets it go', async () => {
    assert.equal((await endsWithin(await startProcess('unref', { driver }), 5000)).code, 0);
    for (const way of ['listen', 'unref-ref']) {
      const started = await startProcess(way, { driver });
      await sleep(300);
      assert.equal(started.child.exitCode, null, way);
      started.child.kill('SIGTERM');
      assert.equal((await endsWithin(started, 5000)).signal, 'SIGTERM');
    }
  });

  for (const [way, code] of [['exit', 0], ['reallyExit', 0], ['throw', 1]]) {
    it(`${way} in traffic ends the process without a crash`, async () => {
      for (let round = 0; round < 5 * ROUNDS; round++) {
        const started = await startProcess(way, { driver });
        const traffic = await startTraffic(started);
        await until(() => traffic.answers > 100, 'traffic flows');
        const trigger = await RawSocket.connect(started);
        await trigger.write(taskBytes('app.tasks.end', {}));
        const outcome = await endsWithin(started, 5000);
        assert.deepEqual([outcome.code, outcome.signal], [code, null], outcome.stderr);
        trigger.destroy();
        await traffic.stop();
      }
    });
  }

  it('a worker thread terminated in traffic takes everything with it', async () => {
    const round = () => terminateInTraffic(new Worker(WORKER, { workerData: { driver } }));
    for (let count = 0; count < 3; count++) await round();
    await sleep(100);
    const before = { threads: threads(), fileDescriptors: fileDescriptors() };
    for (let count = 0; count < 25 * ROUNDS; count++) await round();
    await until(() => threads() <= before.threads && fileDescriptors() <= before.fileDescriptors, `threads ${threads()} and descriptors ${fileDescriptors()} are back to ${before.threads} and ${before.fileDescriptors}`);
  });

  it('a worker thread can close its tunnel and end by itself', async () => {
    const worker = new Worker(WORKER, { workerData: { driver } });
    const [where] = await once(worker, 'message');
    await withTunnel({ driver, tasks: add }, async (tunnel) => {
      const traffic = await startTraffic(where, 2);
      await until(() => traffic.answers > 20, 'traffic flows');
      // Both before the request: a worker's last message and its exit may come in one turn.
      const closed = once(worker, 'message');
      const exited = once(worker, 'exit');
      worker.postMessage('close');
      assert.deepEqual(await closed, ['closed']);
      assert.deepEqual(await exited, [0]);
      await traffic.stop();
      assert.equal((await callTask(tunnel, 'app.tasks.add', { a: 1, b: 2 })).text, ok(3));
    });
  });

  it('closes under load without losing an answer', async () => {
    const tunnel = await fastTunnel({ auth, driver, tasks: { ...add, 'app.tasks.addAsync': async ({ a, b }) => a + b } });
    const traffic = await startTraffic(tunnel, 16);
    await until(() => traffic.answers > 500, 'traffic flows');
    const began = performance.now();
    await tunnel.close();
    assert.ok(performance.now() - began < 3000, 'well within the drain time');
    await traffic.stop();
  });
});
