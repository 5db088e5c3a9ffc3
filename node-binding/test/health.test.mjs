// /livez and /readyz: answered by the shards, whatever JavaScript does.
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { fastTunnel } from 'fasttunnel';
import { INLINE } from './support/placed.mjs';
import { probe, startProbes } from './support/probes.mjs';
import { RawSocket, taskBytes } from './support/raw-socket.mjs';
import { callTask, onBothDrivers, sleep, until, withTunnel } from './support/tunnels.mjs';

const fixture = (name) => fileURLToPath(new URL(`fixtures/${name}.mjs`, import.meta.url));

/** A tunnel with an admin listener in another process. */
async function withServer(name, options, env, body) {
  const child = fork(fixture(name), { env: { ...process.env, ...env, OPTIONS: JSON.stringify({ shards: 1, admin: {}, ...options }) } });
  try {
    const [{ port, admin }] = await once(child, 'message');
    return await body({ child, admin, host: '127.0.0.1', port, url: `http://127.0.0.1:${port}/__runner` });
  } finally {
    if (child.connected) child.disconnect();
  }
}

/** Every answer of `/livez` was ok, and none of either took longer than `mostMs`. */
function checkProbes(answers, leastCount, mostMs) {
  const alive = answers.filter(({ path }) => path === '/livez');
  assert.ok(alive.length >= leastCount, `only ${alive.length} probes`);
  assert.ok(alive.every(({ status, text }) => status === 200 && text === 'ok'), JSON.stringify(alive.find(({ status }) => status !== 200)));
  const slowest = answers.reduce((most, answer) => (answer.ms > most.ms ? answer : most));
  assert.ok(slowest.ms <= mostMs, `the slowest of ${answers.length}: ${JSON.stringify(slowest)}`);
  return answers.filter(({ path }) => path === '/readyz');
}

onBothDrivers('health', (driver) => {
  it('while JavaScript is blocked for 10 s health answers come, calls wait up to the bound and get 503 beyond, and afterwards all is as before', { timeout: 60_000 }, () =>
    withServer('overloaded', { driver, limits: { maxCallsInFlight: 101 } }, {}, async (server) => {
      const blocker = await RawSocket.connect(server);
      const sockets = await Promise.all(Array.from({ length: 150 }, () => RawSocket.connect(server)));
      const kept = await RawSocket.connect(server.admin);
      assert.equal((await probe(server.admin, '/readyz')).text, 'ok');
      await blocker.write(taskBytes('block', 10_000));
      await sleep(100);
      const probes = startProbes(server.admin);
      const settled = Promise.all(sockets.map(async (socket, index) => {
        const sentMs = performance.now();
        await socket.write(taskBytes('echo', index));
        const { status, headers, body } = await socket.answer({ timeoutMs: 30_000 });
        return { index, status, retry: headers['retry-after'], body, ms: performance.now() - sentMs };
      }));
      await sleep(3000);
      await kept.write('GET /livez HTTP/1.1\r\nhost: test\r\n\r\n');
      assert.deepEqual([(await kept.answer()).body, (await probe(server.admin, '/readyz')).text], ['ok', 'javascript is behind']);
      const malformed = await RawSocket.connect(server);
      await malformed.write('GET / HTTP/1.1\r\nhost : test\r\n\r\n');
      if (!INLINE) assert.equal((await malformed.answer()).status, 400);

      const calls = await settled;
      const [good, refused] = [200, 503].map((wanted) => calls.filter(({ status }) => status === wanted));
      assert.deepEqual(INLINE ? good.length + refused.length : [good.length, refused.length], INLINE ? 150 : [100, 50]);
      assert.ok(good.every(({ index, body, ms }) => body === JSON.stringify({ ok: true, result: index }) && ms > 9000));
      assert.ok(refused.every(({ retry, ms }) => retry === '1' && (ms < 1000) !== INLINE), JSON.stringify(refused));
      if (INLINE) assert.equal((await malformed.answer()).status, 400);
      assert.equal((await blocker.answer()).status, 200);
      await until(async () => (await probe(server.admin, '/readyz')).status === 200, 'it is ready again');
      const ready = checkProbes(await probes.stop(), 150, 250);
      const unready = ready.filter(({ status }) => status === 503);
      assert.ok(unready.length > 120 && unready.every(({ text }) => text === 'javascript is behind'), `${unready.length} of ${ready.length}`);
      for (const socket of sockets) {
        await socket.write(taskBytes('echo', 'after'));
        assert.equal((await socket.answer()).body, '{"ok":true,"result":"after"}');
      }
      for (const socket of [blocker, kept, malformed, ...sockets]) socket.destroy();
    }));

  it('while a debugger halts JavaScript the same holds', { timeout: 30_000 }, () => {
    const halted = join(tmpdir(), `fasttunnel-halted-${process.pid}-${driver}`);
    return withServer('halted', { driver }, { HALT_MS: '4000', HALTED: halted }, async (server) => {
      server.child.send('halt');
      await until(() => existsSync(halted), 'the debugger is there');
      rmSync(halted);
      const probes = startProbes(server.admin);
      const began = performance.now();
      assert.equal((await callTask(server, 'echo', 1)).text, '{"ok":true,"result":1}');
      const waitedMs = performance.now() - began;
      assert.ok(waitedMs > 1000, `it was halted: the call took ${waitedMs} ms`);
      await until(async () => (await probe(server.admin, '/readyz')).status === 200, 'it is ready again');
      const ready = checkProbes(await probes.stop(), 20, 250);
      assert.ok(ready.some(({ text }) => text === 'javascript is behind'));
    });
  });

  it('tells where it is, answers there only, and goes with the tunnel', async () => {
    const tunnel = await fastTunnel({ driver, admin: { port: 0 }, auth: { allowAnonymous: true }, tasks: { wait: async (ms) => { await sleep(ms); return ms; } } });
    const { admin } = tunnel;
    assert.deepEqual({ ...admin, port: 0, url: '' }, { host: '127.0.0.1', port: 0, socketPath: undefined, url: '' });
    assert.ok(admin.port > 0 && admin.port !== tunnel.port);
    assert.equal(admin.url, `http://127.0.0.1:${admin.port}`);
    const response = await fetch(`${admin.url}/readyz`);
    assert.deepEqual([response.status, await response.text(), response.headers.get('content-type')], [200, 'ok', 'text/plain; charset=utf-8']);
    assert.equal((await fetch(`${admin.url}/readyz`, { method: 'POST', body: 'x' })).status, 405);
    assert.equal((await fetch(`${admin.url}/__runner/discovery`)).status, 404);
    assert.equal((await fetch(`http://127.0.0.1:${tunnel.port}/readyz`)).status, 404);
    const socket = await RawSocket.connect(tunnel);
    await socket.write(taskBytes('wait', 600));
    await sleep(100);
    const closing = tunnel.close();
    await sleep(100);
    assert.deepEqual([(await probe(admin, '/readyz')).text, (await probe(admin, '/livez')).text], ['closing', 'ok']);
    assert.equal((await socket.answer()).status, 200);
    await closing;
    assert.equal((await probe(admin, '/livez')).status, 0);
  });

  it('listens on a unix socket, and reports an address that is taken', async () => {
    const socketPath = join(tmpdir(), `fasttunnel-admin-${process.pid}-${driver}.sock`);
    await withTunnel({ driver, admin: { socketPath } }, async ({ admin, port }) => {
      assert.deepEqual(admin, { url: `unix:${socketPath}:`, host: '127.0.0.1', port: 0, socketPath });
      assert.equal((await probe(admin, '/livez')).text, 'ok');
      const auth = { allowAnonymous: true };
      await assert.rejects(fastTunnel({ driver, auth, admin: { socketPath } }), { name: 'ListenError', code: 'EADDRINUSE', address: `${socketPath} (admin)` });
      await assert.rejects(fastTunnel({ driver, auth, admin: { port } }), { code: 'EADDRINUSE', address: `127.0.0.1:${port} (admin)` });
      await assert.rejects(fastTunnel({ driver, auth, port, admin: {} }), { code: 'EADDRINUSE', address: `127.0.0.1:${port}` });
    });
    assert.ok(!existsSync(socketPath));
    await withTunnel({ driver }, async ({ admin }) => assert.equal(admin, undefined));
  });
});
