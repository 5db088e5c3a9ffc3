// The limits of what comes at once, and of what waits, each below, at and above its bound.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { afterwards, callBytes } from './support/bounds.mjs';
import { RawSocket, taskBytes } from './support/raw-socket.mjs';
import { onBothDrivers, sleep, until, withTunnel } from './support/tunnels.mjs';

const MEBIBYTE = 1024 * 1024;
const connect = (tunnel, count) => Promise.all(Array.from({ length: count }, () => RawSocket.connect(tunnel)));
const shard = (tunnel) => tunnel.stats().shards[0];

/** A tunnel whose task `hold` answers when the test says so. */
async function withHold({ tasks = {}, ...options }, body) {
  let release;
  const gate = new Promise((resolve) => { release = resolve; });
  let running = 0;
  const hold = async (input) => {
    running += 1;
    await gate;
    return input;
  };
  await withTunnel({ shards: 1, tasks: { echo: (input) => input, hold, ...tasks }, ...options }, async (tunnel) => {
    try {
      await body(tunnel, { release: () => release(), running: () => running });
    } finally {
      release();
    }
  });
}

/** Waits until `value()` is `expected`, and sees that it stays so. */
async function settles(value, expected, what) {
  await until(() => value() === expected, `${what} are ${expected}, not ${value()}`);
  await sleep(150);
  assert.equal(value(), expected, what);
}

onBothDrivers('limits of what comes at once', (driver) => {
  for (const maxPipelined of [1, 3, 32]) {
    for (const sent of [Math.max(1, maxPipelined - 1), maxPipelined, maxPipelined + 1, maxPipelined + 5]) {
      it(`maxPipelined ${maxPipelined}: of ${sent} requests the rest waits`, () => withHold({ driver, limits: maxPipelined === 32 ? {} : { maxPipelined } }, async (tunnel, { release, running }) => {
        const socket = await RawSocket.connect(tunnel);
        await socket.write(Array.from({ length: sent }, (_, index) => taskBytes('hold', index)).join(''));
        await settles(running, Math.min(sent, maxPipelined), 'calls');
        assert.equal(shard(tunnel).requests, Math.min(sent, maxPipelined), 'the others are not looked at');
        release();
        for (let index = 0; index < sent; index++) assert.equal((await socket.answer()).body, `{"ok":true,"result":${index}}`);
        assert.equal(running(), sent);
        socket.destroy();
      }));
    }
  }

  for (const most of [1, 2, 100]) {
    it(`maxRequestsPerConnection ${most}: the last answer says so, and the connection closes`, () => withHold({ driver, limits: { maxRequestsPerConnection: most } }, async (tunnel) => {
      const [single, ahead, other] = await connect(tunnel, 3);
      for (let index = 1; index <= most; index++) {
        await single.write(index % 2 === 0 ? callBytes('nonsense') : taskBytes('echo', index));
        const { status, headers } = await single.answer();
        assert.deepEqual([status, headers.connection], [index % 2 === 0 ? 400 : 200, index === most ? 'close' : 'keep-alive'], `${index}`);
      }
      assert.equal(await afterwards(single, 'done'), 'done, closed');
      // Ahead of their answers: what is behind the last one is not looked at.
      await ahead.write(taskBytes('echo', 1).repeat(most + 3));
      for (let index = 1; index <= most; index++) assert.equal((await ahead.answer()).headers.connection, index === most ? 'close' : 'keep-alive');
      await ahead.end();
      assert.equal(ahead.rest, '');
      assert.equal(shard(tunnel).requests, 2 * most);
      await other.write(taskBytes('echo', 1));
      assert.equal((await other.answer()).status, 200, 'each connection has its own count');
      for (const socket of [single, ahead, other]) socket.destroy();
    }));
  }

  it('maxRequestsPerConnection is none by default', () => withHold({ driver }, async (tunnel) => {
    const socket = await RawSocket.connect(tunnel);
    for (let round = 0; round < 100; round++) {
      await socket.write(taskBytes('echo', round).repeat(110));
      for (let index = 0; index < 110; index++) assert.equal((await socket.answer()).headers.connection, 'keep-alive');
    }
    assert.equal(shard(tunnel).requests, 11_000);
    socket.destroy();
  }));

  for (const maxCallsInFlight of [1, 3]) {
    it(`maxCallsInFlight ${maxCallsInFlight}: 503 with Retry-After, on any connection, and the connection stays`, () => withHold({ driver, limits: { maxCallsInFlight } }, async (tunnel, { release, running }) => {
      const sockets = await connect(tunnel, maxCallsInFlight + 2);
      for (const [index, socket] of sockets.entries()) {
        await socket.write(taskBytes('hold', index));
        if (index < maxCallsInFlight) {
          await settles(running, index + 1, 'calls');
          continue;
        }
        const { status, headers } = await socket.answer();
        assert.deepEqual([status, headers['retry-after'], headers.connection], [503, '1', 'keep-alive']);
      }
      assert.equal(shard(tunnel).overloaded, 2);
      release();
      for (const [index, socket] of sockets.entries()) {
        if (index < maxCallsInFlight) assert.equal((await socket.answer()).status, 200);
      }
      for (const socket of sockets) {
        await socket.write(taskBytes('hold', 1));
        assert.equal((await socket.answer()).status, 200, 'there is room again');
        socket.destroy();
      }
      assert.equal(running(), 2 * maxCallsInFlight + 2, 'what was refused has never run');
    }));
  }

  for (const maxConnections of [1, 4]) {
    it(`maxConnections ${maxConnections}: 503 and close`, () => withHold({ driver, limits: { maxConnections } }, async (tunnel) => {
      const sockets = [];
      for (let count = 1; count <= maxConnections; count++) {
        const socket = await RawSocket.connect(tunnel);
        sockets.push(socket);
        await socket.write(taskBytes('echo', count));
        assert.equal((await socket.answer()).status, 200);
      }
      for (let surplus = 1; surplus <= 2; surplus++) {
        const socket = await RawSocket.connect(tunnel);
        assert.equal((await socket.answer()).status, 503, 'before it asks');
        await socket.end();
        socket.destroy();
      }
      assert.deepEqual([shard(tunnel).connections, shard(tunnel).turnedAway], [maxConnections, 2]);
      sockets.pop().destroy();
      await until(() => shard(tunnel).connections === maxConnections - 1, 'one has left');
      const next = await RawSocket.connect(tunnel);
      sockets.push(next);
      for (const socket of sockets) {
        await socket.write(taskBytes('echo', 1));
        assert.equal((await socket.answer()).status, 200);
        socket.destroy();
      }
    }));
  }

  // What the kernel holds for a client that does not read is not known exactly, but it is the same whatever the bound.
  it('maxBufferedBytes: a client that does not read is not read either, once so much waits for it', async () => {
    const MOST_BUFFERED = 32 * MEBIBYTE;
    const runsWith = async (maxBufferedBytes) => {
      let runs = 0;
      const tasks = { large: () => { runs += 1; return 'x'.repeat(MEBIBYTE / 4); } };
      await withTunnel({ driver, shards: 1, tasks, limits: { maxPipelined: 1, maxBufferedBytes } }, async (tunnel) => {
        const socket = await RawSocket.connect(tunnel);
        socket.socket.pause();
        const count = 400;
        await socket.write(taskBytes('large', 1).repeat(count));
        let seen;
        do {
          seen = runs;
          await sleep(300);
        } while (seen !== runs);
        socket.socket.resume();
        for (let index = 0; index < count; index++) assert.equal((await socket.answer()).status, 200);
        assert.equal(runs, count, 'nothing is lost');
        socket.destroy();
        runs = seen;
      });
      return runs;
    };
    const [least, most] = [await runsWith(4096), await runsWith(MOST_BUFFERED)];
    const more = (most - least) * MEBIBYTE / 4;
    // Two answers: the one that passes the bound, and the one that is on its way.
    assert.ok(more >= MOST_BUFFERED - MEBIBYTE / 2 && more <= MOST_BUFFERED + MEBIBYTE * 2, `${least} and ${most} answers`);
  });
});
