// Tunnels whose shard the event loop turns. What holds on every placement is in the other files, which `make test-js` runs a
// second time for some of them (FASTTUNNEL_TEST_PLACEMENT=inline); here is what is different, and what only this could break.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { it } from 'node:test';
import { Worker } from 'node:worker_threads';
import { fastTunnel } from 'fasttunnel';
import { boundSocket } from '../../loadtest/restarts/bound-socket.mjs';
import { startTraffic, terminateInTraffic } from './fixtures/traffic.mjs';
import { probe } from './support/probes.mjs';
import { RawSocket, taskBytes } from './support/raw-socket.mjs';
import { cannotSabotage, sabotage } from './support/sabotage.mjs';
import { shutDown } from './support/shut-down.mjs';
import { callTask, onBothDrivers, sleep, uncaught, until, withTunnel } from './support/tunnels.mjs';

const WORKER = new URL('fixtures/worker.mjs', import.meta.url);
const ok = (result) => JSON.stringify({ ok: true, result });
const add = { 'app.tasks.add': ({ a, b }) => a + b, 'app.tasks.addAsync': async ({ a, b }) => a + b };
const names = () => readdirSync('/proc/self/task').map((id) => { try { return readFileSync(`/proc/self/task/${id}/comm`, 'utf8').trim(); } catch { return ''; } });
const shardThreads = () => names().filter((name) => /^fasttunnel-\d+$/.test(name)).length;
const descriptors = () => readdirSync('/proc/self/fd').length;

/** Keeps this thread busy. */
function block(ms) {
  for (const end = performance.now() + ms; performance.now() < end;);
}

onBothDrivers('inline', (driver) => {
  const inline = { driver, placement: 'inline' };

  it('says where its shard is, which has no thread, nor one that follows from it', () =>
    withTunnel({ ...inline, tasks: add }, async (tunnel) => {
      const { placement, placementReason, shards } = tunnel.stats();
      assert.deepEqual([tunnel.placement, placement, placementReason, shards.length, shardThreads()], ['inline', 'inline', undefined, 1, 0]);
      assert.equal((await callTask(tunnel, 'app.tasks.add', { a: 1, b: 2 })).text, ok(3));
    }));

  it('calls of one turn enter JavaScript together, and their answers leave with one turn', () =>
    withTunnel({ ...inline, tasks: add }, async (tunnel) => {
      const socket = await RawSocket.connect(tunnel);
      await socket.write(taskBytes('app.tasks.addAsync', { a: 1, b: 2 }).repeat(50));
      for (let count = 0; count < 50; count++) assert.equal((await socket.answer()).body, ok(3));
      const { drains, shards: [{ calls, wakes }] } = tunnel.stats();
      assert.equal(calls, 50);
      assert.ok(drains <= 5, `${drains} entries`);
      assert.ok(wakes <= 2, `nothing of that needs the eventfd: ${wakes} wakes`);
      socket.destroy();
    }));

  it('answers that come by themselves, of timers and immediates, leave at once', () => {
    const later = (wait) => () => new Promise((resolve) => { wait(() => resolve('late')); });
    const tasks = { timer: later((done) => setTimeout(done, 5)), immediate: later(setImmediate), tick: later(process.nextTick) };
    return withTunnel({ ...inline, tasks }, async (tunnel) => {
      for (const id of ['timer', 'immediate', 'tick', 'timer', 'immediate']) {
        const began = performance.now();
        assert.equal((await callTask(tunnel, id)).text, ok('late'));
        assert.ok(performance.now() - began < 1000, `${id}: ${performance.now() - began} ms`);
      }
    });
  });

  it("neither starves the application's timers and I/O under load, nor is starved by its immediates", () =>
    withTunnel({ ...inline, tasks: add }, async (tunnel) => {
      let running = true;
      let immediates = 0;
      (function spin() { immediates += 1; if (running) setImmediate(spin); })();
      const traffic = await startTraffic(tunnel, 8);
      let [timers, worst, last] = [0, 0, performance.now()];
      const timer = setInterval(() => { timers += 1; const now = performance.now(); worst = Math.max(worst, now - last); last = now; }, 5);
      await sleep(700);
      running = false;
      clearInterval(timer);
      await traffic.stop();
      assert.ok(traffic.answers > 200 && immediates > 20 && timers > 20, `${traffic.answers} answers, ${immediates} immediates, ${timers} timers`);
      assert.ok(worst < 400, `a timer was ${worst} ms late`);
    }));

  it('a crowd that is refused does not keep the event loop either', () =>
    withTunnel({ ...inline, tasks: add }, async (tunnel) => {
      const sockets = await Promise.all(Array.from({ length: 8 }, () => RawSocket.connect(tunnel)));
      let timers = 0;
      const timer = setInterval(() => { timers += 1; }, 5);
      for (const end = performance.now() + 300; performance.now() < end;) {
        for (const socket of sockets) await socket.write(taskBytes('nobody', {}).repeat(400));
        for (const socket of sockets) for (let count = 0; count < 400; count++) assert.equal((await socket.answer()).status, 403);
      }
      clearInterval(timer);
      assert.ok(timers > 0);
      for (const socket of sockets) socket.destroy();
    }));

  it('with admin, probes are answered while JavaScript is blocked, and tell', async () => {
    await withTunnel({ ...inline, admin: {}, tasks: add }, async (tunnel) => {
      assert.equal((await callTask(tunnel, 'app.tasks.add', { a: 1, b: 2 })).text, ok(3));
      // Another process asks: this one is blocked.
      const script = `const ask = async (path) => (await fetch('${tunnel.admin.url}' + path)).status; const out = [];
        (async () => { for (let n = 0; n < 6; n++) { out.push([await ask('/livez'), await ask('/readyz')]); await new Promise((r) => setTimeout(r, 300)); } console.log(JSON.stringify(out)); })();`;
      const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
      let text = '';
      child.stdout.setEncoding('utf8').on('data', (piece) => { text += piece; });
      const exit = once(child, 'exit');
      block(3000);
      await exit;
      const answers = JSON.parse(text);
      assert.deepEqual(answers.map(([live]) => live), Array(6).fill(200));
      assert.equal(answers.at(-1)[1], 503, text);
      await until(async () => (await fetch(`${tunnel.admin.url}/readyz`)).status === 200, 'it is ready again');
      assert.equal(tunnel.stats().shards.length, 1);
    });
    assert.equal(shardThreads(), 0);
  });

  it('what came while JavaScript was blocked is answered afterwards', () =>
    withTunnel({ ...inline, tasks: add }, async (tunnel) => {
      const calls = Array.from({ length: 30 }, (_, n) => callTask(tunnel, 'app.tasks.add', { a: n, b: 1 }));
      block(300);
      assert.deepEqual((await Promise.all(calls)).map(({ text }) => text), Array.from({ length: 30 }, (_, n) => ok(n + 1)));
    }));

  it('time for which JavaScript was blocked makes no client late; one that is late all the same hears of it afterwards', () =>
    withTunnel({ ...inline, limits: { headTimeoutMs: 700 }, tasks: add }, async (tunnel) => {
      const [slow, silent] = [await RawSocket.connect(tunnel), await RawSocket.connect(tunnel)];
      const bytes = taskBytes('app.tasks.add', { a: 1, b: 2 });
      for (const socket of [slow, silent]) await socket.write(bytes.slice(0, 30));
      await until(() => tunnel.stats().shards[0].connections === 2, 'both are in');
      block(1500);
      await slow.write(bytes.slice(30));
      assert.equal((await slow.answer()).body, ok(3));
      assert.equal((await silent.answer()).status, 408);
      for (const socket of [slow, silent]) socket.destroy();
    }));

  it('closes in traffic without losing an answer, also from a handler, and answers what is under way', async () => {
    const tunnel = await fastTunnel({ ...inline, auth: { allowAnonymous: true }, tasks: { ...add, slow: () => sleep(200).then(() => 'slow'), close: () => void closing() } });
    let closed;
    const closing = () => { closed ??= tunnel.close(); };
    const traffic = await startTraffic(tunnel, 8);
    const slow = callTask(tunnel, 'slow');
    await until(() => traffic.answers > 200, 'traffic flows');
    await callTask(tunnel, 'close');
    assert.equal((await slow).text, ok('slow'));
    await closed;
    await traffic.stop();
    await assert.rejects(callTask(tunnel, 'slow'));
  });

  it('two in one process call each other', () =>
    withTunnel({ ...inline, tasks: add }, (one) =>
      withTunnel({ ...inline, tasks: { through: async (input) => JSON.parse((await callTask(one, 'app.tasks.add', input)).text).result } }, async (two) => {
        const calls = Array.from({ length: 40 }, (_, n) => callTask(two, 'through', { a: n, b: 1 }));
        assert.deepEqual((await Promise.all(calls)).map(({ text }) => text), Array.from({ length: 40 }, (_, n) => ok(n + 1)));
      })));

  it('100 starts and stops leave no descriptor, no thread and no memory', async () => {
    const round = () => withTunnel({ ...inline, tasks: add }, (tunnel) => callTask(tunnel, 'app.tasks.add', { a: 1, b: 2 }, { headers: { connection: 'close' } }));
    for (let count = 0; count < 20; count++) await round();
    global.gc?.();
    const [before, rss] = [descriptors(), process.memoryUsage.rss()];
    for (let count = 0; count < 100; count++) await round();
    await until(() => descriptors() <= before, `${descriptors()} descriptors are ${before} again`);
    assert.equal(shardThreads(), 0);
    global.gc?.();
    const grown = (process.memoryUsage.rss() - rss) / 2 ** 20;
    assert.ok(grown < 32, `${grown.toFixed(0)} MiB more`);
  });

  it('a worker thread terminated in traffic takes everything with it', async () => {
    const round = () => terminateInTraffic(new Worker(WORKER, { workerData: { ...inline, shards: 1 } }));
    for (let count = 0; count < 2; count++) await round();
    await sleep(100);
    const before = descriptors();
    for (let count = 0; count < 8; count++) await round();
    await until(() => descriptors() <= before, `${descriptors()} descriptors are ${before} again`);
  });

  it('a worker thread can close its tunnel and end by itself', async () => {
    const worker = new Worker(WORKER, { workerData: { ...inline, shards: 1 } });
    await once(worker, 'message');
    const [closed, exited] = [once(worker, 'message'), once(worker, 'exit')];
    worker.postMessage('close');
    assert.deepEqual([await closed, await exited], [['closed'], [0]]);
  });

  it('a shard that fails begins again in the same event loop', { skip: cannotSabotage }, async () => {
    const errors = [];
    await withTunnel({ ...inline, tasks: { echo: (input) => input }, onError: (error) => errors.push(error.code) }, async (tunnel) => {
      for (let count = 0; count < 3; count++) {
        const socket = await RawSocket.connect(tunnel);
        sabotage(0);
        await socket.write(taskBytes('echo', 1));
        assert.deepEqual(await uncaught(() => socket.end()), []);
        assert.equal((await callTask(tunnel, 'echo', count, { headers: { connection: 'close' } })).text, ok(count));
      }
      assert.deepEqual(errors, Array(3).fill('FASTTUNNEL_SHARD_RESTARTED'));
    });
  });

  it('of the thread of the admin listener that can go on no more onError hears, and stats() say it', async () => {
    const errors = [];
    const socket = boundSocket();
    await withTunnel({ ...inline, admin: { fd: socket.fd }, tasks: add, onError: (error, { id }) => errors.push(`${error.code} ${id}`) }, async (tunnel) => {
      assert.deepEqual([(await probe(tunnel.admin, '/livez')).status, tunnel.stats().failedShards], [200, 0]);
      shutDown(socket.fd);
      await until(() => errors.at(-1) === 'FASTTUNNEL_SHARD_FAILED (shard)', 'it says so');
      const before = errors.slice(0, -1);
      assert.ok(before.length > 0 && before.every((error) => error === 'FASTTUNNEL_SHARD_RESTARTED (shard)'), errors.join());
      await until(() => callTask(tunnel, 'app.tasks.add', { a: 1, b: 2 }, { headers: { connection: 'close' } }).then(() => false, () => true), 'the tunnel has closed');
      await tunnel.close();
      assert.deepEqual([tunnel.stats().failedShards, errors.length], [1, before.length + 1]);
    });
    socket.close();
  });

  it('does not keep a process alive that unrefs it, and does one that does not', async () => {
    const run = async (way) => {
      const child = spawn(process.execPath, [new URL('fixtures/ending.mjs', import.meta.url).pathname, way, JSON.stringify(inline)], { stdio: ['ignore', 'pipe', 'inherit'] });
      const exit = once(child, 'exit');
      await once(child.stdout, 'data');
      const first = await Promise.race([exit, sleep(600)]);
      child.kill('SIGKILL');
      return first?.[0];
    };
    assert.equal(await run('unref'), 0);
    assert.equal(await run('unref-ref'), undefined);
  });

  it('without a loop of libuv it is threads, and says why', () =>
    withTunnel({ ...inline, shards: 0, tasks: add }, async () => {
      const { startBridge } = await import('../dist/cjs/bridge/bridge.js').then((module) => module.default ?? module);
      const { checkOptions } = await import('../dist/cjs/options/options.js').then((module) => module.default ?? module);
      const { plainCodec } = await import('../dist/cjs/values/codec.js').then((module) => module.default ?? module);
      const { engine } = checkOptions({ ...inline, auth: { allowAnonymous: true } });
      const bridge = await startBridge({ ...engine, ring: 'threadsafe' }, [], plainCodec, () => {});
      try {
        assert.equal(bridge.placement, 'threads');
        assert.match(bridge.placementReason, /libuv/);
        assert.equal(bridge.stats().placementReason, bridge.placementReason);
      } finally {
        await bridge.close();
      }
    }));
});

it('one event loop turns one shard', async () => {
  await assert.rejects(fastTunnel({ auth: { allowAnonymous: true }, placement: 'inline', shards: 2 }), /shards must be 0 or 1 where placement is 'inline', got 2\. Leave it out, or set placement: 'threads'\./);
  await assert.rejects(fastTunnel({ auth: { allowAnonymous: true }, placement: 'inline', workers: 2, handlers: WORKER }), /placement cannot be given with workers/);
  await assert.rejects(fastTunnel({ auth: { allowAnonymous: true }, placement: 'outside' }), /placement must be one of 'auto', 'threads', 'inline', got 'outside'/);
});
