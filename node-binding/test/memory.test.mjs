// What is over is let go: bodies of calls that wait, handlers that were removed.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { fastTunnel } from 'fasttunnel';
import { RawSocket, taskBytes } from './support/raw-socket.mjs';
import { callTask, onBothDrivers, sleep, until, withTunnel } from './support/tunnels.mjs';

const auth = { allowAnonymous: true };
const MIB = 1024 * 1024;

onBothDrivers('memory', (driver) => {
  it('calls that wait do not keep the text of their bodies', async () => {
    const tunnel = await fastTunnel({ auth, driver, shards: 1, drainTimeoutMs: 0, tasks: { wait: () => new Promise(() => {}) } });
    const sockets = [];
    const call = taskBytes('wait', 'x'.repeat(1.9 * MIB));
    const send = async (count) => {
      for (let index = 0; index < count; index++) {
        const socket = await RawSocket.connect(tunnel);
        sockets.push(socket);
        await socket.write(call);
        await until(() => tunnel.stats().live === sockets.length, 'the handler runs');
      }
      global.gc();
      await sleep(20);
      return process.memoryUsage().rss;
    };
    const before = await send(5);
    const after = await send(60);
    for (const socket of sockets) socket.destroy();
    await tunnel.close();
    assert.ok(after - before < 60 * MIB, `60 waiting calls of 1.9 MiB took ${Math.round((after - before) / MIB)} MiB`);
  });

  it('removed handlers are let go, and a handler that stays keeps answering', async () => {
    const { now } = performance;
    let shiftMs = 0;
    performance.now = () => now.call(performance) + shiftMs;
    try {
      await withTunnel({ driver, tasks: { stays: () => 'here' } }, async (tunnel) => {
        let held;
        const register = async (id, payload) => {
          tunnel.registerTask(id, () => payload.length);
          await null;
          tunnel.unregisterTask(id);
          await null;
        };
        const started = process.memoryUsage().heapUsed;
        for (let index = 0; index < 100; index++) {
          const payload = new Array(1000).fill(index);
          held ??= new WeakRef(payload);
          await register(`app.tasks.t${index}`, payload);
        }
        await sleep(10);
        shiftMs = 11_000;
        await register('app.tasks.last', []);
        assert.equal((await callTask(tunnel, 'stays', {})).text, '{"ok":true,"result":"here"}');
        await until(() => { global.gc(); return held.deref() === undefined; }, `the removed handlers are collected (heap ${started})`);
        assert.equal((await callTask(tunnel, 'stays', {})).text, '{"ok":true,"result":"here"}');
        assert.equal((await callTask(tunnel, 'app.tasks.t5', {})).status, 403);
      });
    } finally {
      performance.now = now;
    }
  });

  it('thousands of handlers can be registered while it serves', () => withTunnel({ driver }, async (tunnel) => {
    const started = performance.now();
    for (let index = 0; index < 5000; index++) tunnel.registerTask(`app.tasks.t${index}`, () => index);
    const tookMs = performance.now() - started;
    assert.equal((await callTask(tunnel, 'app.tasks.t4999', {})).text, '{"ok":true,"result":4999}');
    assert.ok(tookMs < 500, `it took ${Math.round(tookMs)} ms`);
  }));
});
