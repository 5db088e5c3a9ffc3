// More calls than JavaScript can run: what it runs is answered in time, the rest is refused, its own timers stay on time.
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openLoop } from './support/open-loop.mjs';
import { INLINE } from './support/placed.mjs';
import { postBytes, RawSocket, taskBytes } from './support/raw-socket.mjs';
import { callTask, onBothDrivers, sleep, until, withTunnel } from './support/tunnels.mjs';

const SERVER = fileURLToPath(new URL('fixtures/overloaded.mjs', import.meta.url));

/** Tasks that compute at once, behind an await, and behind a timer. One is enough to see that a turn of the shard sheds as well. */
const KINDS = INLINE ? ['spin'] : ['spin', 'spinAfterAwait', 'sleepAndSpin'];

/** A tunnel in another process; `facts()` tells of it, and begins to count anew. */
async function withServer(options, body) {
  const child = fork(SERVER, { env: { ...process.env, OPTIONS: JSON.stringify({ shards: 1, ...options }) } });
  try {
    const [{ port }] = await once(child, 'message');
    const facts = async () => {
      const told = once(child, 'message');
      child.send('tell');
      return (await told)[0];
    };
    return await body({ host: '127.0.0.1', port, url: `http://127.0.0.1:${port}/__runner`, facts });
  } finally {
    if (child.connected) child.disconnect();
  }
}

const connect = (server, count) => Promise.all(Array.from({ length: count }, () => RawSocket.connect(server)));

/** Calls a second that are answered when there are always some to answer. */
async function capacity(server, bytes) {
  const sockets = await connect(server, 32);
  const end = performance.now() + 1000;
  let answered = 0;
  await Promise.all(sockets.map(async (socket) => {
    while (performance.now() < end) {
      await socket.write(bytes);
      assert.equal((await socket.answer()).status, 200);
      answered += 1;
    }
    socket.destroy();
  }));
  return answered;
}

onBothDrivers('overload', (driver) => {
  for (const id of KINDS) {
    it(`at three times the capacity, ${id} is answered as often as before and the rest is refused`, () => withServer({ driver }, async (server) => {
      const bytes = taskBytes(id, 2);
      const most = await capacity(server, bytes);
      const before = await server.facts();
      const { answers, startMs } = await openLoop(server, bytes, most * 3, 3500);
      const { runs, p99Ms, rss, shed, inFlight, live } = await server.facts();
      const good = answers.filter(({ status }) => status === 200);
      const refused = answers.filter(({ status }) => status === 503);
      assert.equal(good.length + refused.length, answers.length);
      assert.ok(refused.every(({ retry }) => retry === '1'));
      assert.equal(runs, good.length, 'what was refused has never run');
      // The bounds are wide: the machine may have other work. `make overload` measures.
      const inTime = good.filter(({ latencyMs, sentMs }) => latencyMs < 1000 && sentMs - startMs > 1000 && sentMs - startMs < 3000).length / 2;
      assert.ok(inTime > 0.5 * most, `${inTime} of ${most} a second in time`);
      assert.ok(p99Ms < 150, `timers were late by ${p99Ms} ms`);
      assert.ok(shed > 0 && shed === refused.length, `${shed} shed`);
      assert.ok(rss - before.rss < 100 * 2 ** 20, `${(rss - before.rss) / 2 ** 20} MiB more`);
      assert.deepEqual([inFlight, live], [0, 0]);
      assert.ok(await capacity(server, bytes) > 0.5 * most, 'all is as before');
    }));
  }

  it('while JavaScript is blocked calls wait, up to the bound, and all of them are answered afterwards', () => withServer({ driver, limits: { maxCallsInFlight: 101 } }, async (server) => {
    const blocker = await RawSocket.connect(server);
    const sockets = await connect(server, 150);
    await blocker.write(taskBytes('block', 2000));
    await sleep(100);
    const answers = sockets.map(async (socket, index) => {
      const sentMs = performance.now();
      await socket.write(taskBytes('echo', index));
      const { status, headers, body } = await socket.answer();
      return { index, status, retry: headers['retry-after'], body, ms: performance.now() - sentMs };
    });
    const settled = await Promise.all(answers);
    const [good, refused] = [200, 503].map((wanted) => settled.filter(({ status }) => status === wanted));
    assert.deepEqual(INLINE ? good.length + refused.length : [good.length, refused.length], INLINE ? 150 : [100, 50]);
    for (const { index, body, ms } of good) assert.ok(body === JSON.stringify({ ok: true, result: index }) && ms > 1000, `${index}: ${body} after ${ms}`);
    for (const { retry, ms } of refused) assert.ok(retry === '1' && (ms < 500) !== INLINE, `refused after ${ms}`);
    assert.equal((await blocker.answer()).status, 200);
    const { runs, overloaded, shed, inFlight } = await server.facts();
    assert.deepEqual({ runs, overloaded, shed, inFlight }, { runs: good.length, overloaded: refused.length, shed: 0, inFlight: 0 });
    assert.ok(settled.every(({ status }) => status !== 500));
    assert.equal((await callTask(server, 'echo', 'after')).text, '{"ok":true,"result":"after"}');
    for (const socket of [blocker, ...sockets]) socket.destroy();
  }));

  it('the calls of clients that leave while they wait are not run', () => withServer({ driver, limits: { maxPipelined: 100 } }, async (server) => {
    const [blocker, stayer, ...leavers] = await connect(server, 42);
    await blocker.write(taskBytes('block', 800));
    await sleep(100);
    for (const [index, leaver] of leavers.entries()) {
      await leaver.write(taskBytes('echo', 'gone').repeat(3));
      if (index % 10 === 0) await stayer.write(taskBytes('echo', index));
    }
    await sleep(100);
    for (const leaver of leavers) leaver.socket.resetAndDestroy();
    for (let index = 0; index < 40; index += 10) assert.equal((await stayer.answer()).body, JSON.stringify({ ok: true, result: index }));
    await blocker.answer();
    const { runs, inFlight, live } = await server.facts();
    assert.deepEqual({ runs, inFlight, live }, { runs: 4, inFlight: 0, live: 0 });
    for (const socket of [blocker, stayer]) socket.destroy();
  }));

  // Their calls are in the same slot of the shard, of which only the last leaving used to be remembered.
  it('the calls of clients that leave one after the other while they wait are not run', () => withServer({ driver }, async (server) => {
    const [blocker, ...leavers] = await connect(server, 6);
    await blocker.write(taskBytes('block', 800));
    await sleep(100);
    for (const leaver of leavers) {
      await leaver.write(taskBytes('echo', 'gone'));
      await sleep(40);
      leaver.socket.resetAndDestroy();
      await sleep(40);
    }
    await blocker.answer();
    const { runs, inFlight, live } = await server.facts();
    assert.deepEqual({ runs, inFlight, live }, { runs: 0, inFlight: 0, live: 0 });
    blocker.destroy();
  }));

  for (const [queueTimeoutMs, least, most] of [[100, 10, 30], [5000, 0, 0], [0, 0, 0]]) {
    it(`with a queue timeout of ${queueTimeoutMs} ms ${least} to ${most} of 40 calls that take a second together are refused`, () => withServer({ driver, limits: { queueTimeoutMs } }, async (server) => {
      const sockets = await connect(server, 40);
      const bytes = taskBytes('spin', 25);
      // What a call takes has to be known: a first drain brings up to a hundred that nothing is known of.
      for (const socket of sockets.slice(0, 3)) {
        await socket.write(bytes);
        await socket.answer();
      }
      for (const socket of sockets) void socket.write(bytes);
      const statuses = await Promise.all(sockets.map(async (socket) => (await socket.answer()).status));
      const refused = statuses.filter((status) => status === 503).length;
      assert.ok(refused >= least && refused <= most, statuses.join(' '));
      const { runs, shed } = await server.facts();
      assert.deepEqual([runs, shed], [3 + 40 - refused, refused]);
      for (const socket of sockets) socket.destroy();
    }));
  }

  it('a drain that takes long is interrupted, and goes on where it was', () => withTunnel({
    driver,
    shards: 1,
    limits: { maxPipelined: 500 },
    tasks: {
      spin: (input) => { const end = performance.now() + 1; while (performance.now() < end); return input; },
      length: async (_input, { body }) => { let length = 0; for await (const chunk of body) length += chunk.length; return length; },
    },
  }, async (tunnel) => {
    const [busy, upload] = await connect(tunnel, 2);
    let latest = performance.now();
    let longestMs = 0;
    const ticker = setInterval(() => {
      longestMs = Math.max(longestMs, performance.now() - latest);
      latest = performance.now();
    }, 1);
    const numbers = Array.from({ length: 200 }, (_, index) => index);
    // The calls and the body arrive together, in the tick of an idle bridge that expects small calls.
    await Promise.all([
      busy.write(numbers.map((number) => taskBytes('spin', number)).join('')),
      upload.write(postBytes('/__runner/task/length', 'x'.repeat(50_000), { 'content-type': 'application/octet-stream' })),
    ]);
    for (const number of numbers) assert.equal((await busy.answer()).body, JSON.stringify({ ok: true, result: number }));
    assert.equal((await upload.answer()).body, '{"ok":true,"result":50000}');
    clearInterval(ticker);
    // Not interrupted, it would be 200 ms.
    assert.ok(longestMs < 150, `a timer was late by ${longestMs} ms`);
    await until(() => tunnel.stats().live === 0, 'no call is left behind');
    for (const socket of [busy, upload]) socket.destroy();
  }));
});
