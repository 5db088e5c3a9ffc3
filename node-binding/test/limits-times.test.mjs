// The limits of time, each below its bound and beyond it. What is too late ends at the bound: never before, and soon after.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { fastTunnel } from 'fasttunnel';
import { afterwards, expectTime } from './support/bounds.mjs';
import { RawSocket, taskBytes } from './support/raw-socket.mjs';
import { onBothDrivers, sleep, until, withTunnel } from './support/tunnels.mjs';

const MEBIBYTE = 1024 * 1024;
const BOUND_MS = 600;
/** Well within the bound, on a busy machine as well. */
const BELOW_MS = 250;
const ECHO = taskBytes('echo', 'x');
const HEAD = (length) => `POST /__runner/task/echo HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}\r\n\r\n`;

const tasks = {
  echo: (input) => input,
  sleep: async (ms) => { await sleep(ms); return ms; },
  hang: () => new Promise(() => {}),
  large: () => 'x'.repeat(16 * MEBIBYTE),
  length: async (_input, { body }) => { let bytes = 0; for await (const chunk of body) bytes += chunk.length; return bytes; },
};

onBothDrivers('limits of time', (driver) => {
  const limited = (limits, body) => withTunnel({ driver, shards: 1, tasks, limits }, async (tunnel) => {
    const socket = await RawSocket.connect(tunnel);
    try {
      await body(socket, tunnel);
    } finally {
      socket.destroy();
    }
  });

  it('headTimeoutMs: a head has so long from its first byte, then 408 and close', () => limited({ headTimeoutMs: BOUND_MS }, async (socket) => {
    for (let round = 0; round < 2; round++) {
      await socket.write(ECHO.slice(0, 30));
      await sleep(BELOW_MS);
      await socket.write(ECHO.slice(30));
      assert.equal((await socket.answer()).status, 200);
    }
    await expectTime(BOUND_MS, async () => {
      await socket.write(ECHO.slice(0, 30));
      // More of it does not start the clock anew.
      await sleep(BELOW_MS);
      await socket.write(ECHO.slice(30, 40));
      assert.equal((await socket.answer()).status, 408);
    });
    await socket.end();
  }));

  it('headTimeoutMs: a connection that says nothing is closed without a word', () => withTunnel({ driver, shards: 1, tasks, limits: { headTimeoutMs: BOUND_MS } }, (tunnel) => expectTime(BOUND_MS, async () => {
    const socket = await RawSocket.connect(tunnel);
    await socket.end();
    assert.equal(socket.rest, '');
  })));

  it('bodyTimeoutMs: a body has so long, then 408 and close', () => limited({ bodyTimeoutMs: BOUND_MS }, async (socket) => {
    await socket.write(HEAD(3));
    await sleep(BELOW_MS);
    await socket.write('"x"');
    assert.equal((await socket.answer()).status, 200);
    await expectTime(BOUND_MS, async () => {
      await socket.write(HEAD(3));
      assert.equal((await socket.answer()).status, 408);
    });
    await socket.end();
  }));

  it('bodyTimeoutMs: a body that a task streams may take longer, but not be silent for so long', () => limited({ bodyTimeoutMs: BOUND_MS }, async (socket) => {
    const head = HEAD(6).replace('echo', 'length').replace('Host', 'Content-Type: application/octet-stream\r\nHost');
    await socket.write(head);
    for (let index = 0; index < 6; index++) {
      await sleep(BELOW_MS);
      await socket.write('x');
    }
    assert.equal((await socket.answer()).body, '{"ok":true,"result":6}');
    await expectTime(BOUND_MS, async () => {
      await socket.write(`${head}x`);
      assert.equal((await socket.answer()).status, 408);
    });
    await socket.end();
  }));

  it('minBodyBytesPerS: so fast a body has to be when it takes longer than bodyTimeoutMs, else 408 and close', () => limited({ bodyTimeoutMs: 100, minBodyBytesPerS: 1000 }, async (socket) => {
    // 4000 bytes a second.
    const text = `"${'x'.repeat(3998)}"`;
    await socket.write(HEAD(text.length));
    for (let at = 0; at < text.length; at += 400) {
      await socket.write(text.slice(at, at + 400));
      await sleep(100);
    }
    assert.equal((await socket.answer()).status, 200);
    // 500 bytes, and no more: half a second beyond the 100 ms. In a packet of their own, which alone counts.
    await expectTime(BOUND_MS, async () => {
      await socket.write(HEAD(text.length));
      await sleep(20);
      await socket.write(text.slice(0, 500));
      assert.equal((await socket.answer()).status, 408);
    });
    await socket.end();
  }));

  it('maxBodyTimeMs: so long a body may take however fast it is, then 408 and close', () => limited({ bodyTimeoutMs: 100, maxBodyTimeMs: BOUND_MS }, async (socket) => {
    const text = `"${'x'.repeat(1998)}"`;
    await socket.write(HEAD(text.length));
    for (let at = 0; at < text.length; at += 400) {
      await sleep(50);
      await socket.write(text.slice(at, at + 400));
    }
    assert.equal((await socket.answer()).status, 200);
    await expectTime(BOUND_MS, async () => {
      await socket.write(HEAD(1_000_000));
      const answer = socket.answer();
      let answered = false;
      void answer.then(() => { answered = true; }, () => {});
      while (!answered) {
        await socket.write('1'.repeat(1000));
        await sleep(20);
      }
      assert.equal((await answer).status, 408);
    });
    await socket.end();
  }));

  it('maxBodyTimeMs says nothing of a body that a task streams', () => limited({ bodyTimeoutMs: BOUND_MS, maxBodyTimeMs: 1 }, async (socket) => {
    await socket.write(HEAD(8).replace('echo', 'length').replace('Host', 'Content-Type: application/octet-stream\r\nHost'));
    for (let index = 0; index < 8; index++) {
      await sleep(100);
      await socket.write('x');
    }
    assert.equal((await socket.answer()).body, '{"ok":true,"result":8}');
  }));

  it('discardTimeoutMs: what nobody wants of a body may be late by so much, then the connection is closed', () => limited({ discardTimeoutMs: BOUND_MS, minBodyBytesPerS: 1000 }, async (socket) => {
    const refused = async (length) => {
      await socket.write(HEAD(length).replace('echo', 'unknown'));
      assert.equal((await socket.answer()).status, 403);
    };
    // 4000 bytes a second, for twice as long.
    await refused(4800);
    for (let sent = 0; sent < 4800; sent += 400) {
      await sleep(100);
      await socket.write('x'.repeat(400));
    }
    await socket.write(ECHO);
    assert.equal((await socket.answer()).status, 200);
    await refused(4800);
    await socket.write('x'.repeat(4000));
    // However fast it was before.
    await expectTime(BOUND_MS, () => socket.end());
    assert.equal(socket.rest, '');
  }));

  it('idleTimeoutMs: so long may be between two requests, then the connection is closed without a word', () => limited({ idleTimeoutMs: BOUND_MS }, async (socket) => {
    for (let round = 0; round < 4; round++) {
      await socket.write(ECHO);
      assert.equal((await socket.answer()).status, 200);
      await sleep(BELOW_MS);
    }
    // A call under way is not idle.
    await socket.write(taskBytes('sleep', 2 * BOUND_MS));
    assert.equal((await socket.answer()).status, 200);
    await expectTime(BOUND_MS, async () => {
      await socket.write(ECHO);
      await socket.answer();
      await socket.end();
    });
    assert.equal(socket.rest, '');
  }));

  it('writeTimeoutMs: who takes nothing for so long is cut', () => limited({ writeTimeoutMs: BOUND_MS }, async (socket, tunnel) => {
    const connections = () => tunnel.stats().shards[0].connections;
    socket.socket.pause();
    await socket.write(taskBytes('large', 1));
    await sleep(BELOW_MS);
    socket.socket.resume();
    assert.equal((await socket.answer()).status, 200);
    await expectTime(BOUND_MS, async () => {
      socket.socket.pause();
      await socket.write(taskBytes('large', 1));
      await until(() => connections() === 0, 'it is cut');
    });
    socket.socket.resume();
    await assert.rejects(socket.answer(), /closed/, 'not all of it can have come');
  }));

  for (const [where, options] of [['limits.handlerTimeoutMs', { limits: { handlerTimeoutMs: BOUND_MS } }], ['handlerTimeoutMs', { handlerTimeoutMs: BOUND_MS }]]) {
    it(`${where}: 504, and the connection stays`, () => withTunnel({ driver, shards: 1, tasks, ...options }, async (tunnel) => {
      const socket = await RawSocket.connect(tunnel);
      await socket.write(taskBytes('sleep', BELOW_MS));
      assert.equal((await socket.answer()).status, 200);
      await expectTime(BOUND_MS, async () => {
        await socket.write(taskBytes('hang', 1));
        assert.equal(await afterwards(socket, (await socket.answer()).status), '504, open');
      });
      socket.destroy();
    }));
  }

  // A time that began between two turns of the engine's timer used to count from the first of them.
  it('a short handlerTimeoutMs is no shorter', () => limited({ handlerTimeoutMs: 100 }, async (socket) => {
    for (let round = 0; round < 20; round++) {
      await expectTime(100, async () => {
        await socket.write(taskBytes('hang', 1));
        assert.equal((await socket.answer()).status, 504);
      });
      await sleep(round * 7);
    }
  }));

  for (const [where, options] of [['limits.drainTimeoutMs', { limits: { drainTimeoutMs: BOUND_MS } }], ['drainTimeoutMs', { drainTimeoutMs: BOUND_MS }]]) {
    it(`${where}: close() waits so long for calls under way`, async () => {
      for (const [task, expected, boundMs] of [['sleep', '200', BELOW_MS], ['hang', 'cut', BOUND_MS]]) {
        const tunnel = await fastTunnel({ auth: { allowAnonymous: true }, driver, shards: 1, tasks, onError: () => {}, ...options });
        const socket = await RawSocket.connect(tunnel);
        // The call begins a little before the closing does.
        await socket.write(taskBytes(task, BELOW_MS + 50));
        await until(() => tunnel.stats().live === 1, 'it runs', 5000);
        const answer = socket.answer().then(({ status }) => String(status), () => 'cut');
        const began = performance.now();
        await tunnel.close();
        const tookMs = performance.now() - began;
        assert.equal(await answer, expected);
        assert.ok(tookMs < boundMs + 1000 && (expected === '200' || tookMs >= BOUND_MS), `${tookMs} ms`);
        socket.destroy();
      }
    });
  }
});
