// Those who do not play along with TLS: they cost themselves a connection, and nobody else anything.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { it } from 'node:test';
import tls from 'node:tls';
import { certificate } from './support/certificates.mjs';
import { expectTime } from './support/bounds.mjs';
import { RawSocket, taskBytes } from './support/raw-socket.mjs';
import { onBothDrivers, sleep, until, withTunnel } from './support/tunnels.mjs';

const { pem: OWN } = certificate();
const BOUND_MS = 600;
/** The beginning of a ClientHello: a record of 512 bytes, of which 5 come. */
const HALF_HELLO = Buffer.from([22, 3, 1, 2, 0, 1, 0, 1, 252, 3]);

const sum = (tunnel, name) => tunnel.stats().shards.reduce((total, shard) => total + shard[name], 0);

/** A connection of TLS over a socket of its own, which is `beneath`. */
async function connect(tunnel) {
  const beneath = net.connect(tunnel.port, tunnel.host);
  beneath.on('error', () => {});
  const socket = tls.connect({ socket: beneath, ca: OWN.cert, servername: 'localhost' });
  await once(socket, 'secureConnect');
  return { socket: new RawSocket(socket), beneath };
}

async function expectServed(tunnel) {
  const { socket } = await connect(tunnel);
  await socket.write(taskBytes('echo', 'x'));
  assert.equal((await socket.answer()).status, 200);
  socket.socket.end();
  await socket.end();
}

onBothDrivers('faults of TLS', (driver) => {
  const signals = [];
  const tasks = {
    echo: (input) => input,
    hang: (_input, { signal }) => new Promise((_, reject) => { signals.push(signal); signal.addEventListener('abort', () => reject(signal.reason)); }),
    length: async (_input, { body }) => { let bytes = 0; for await (const chunk of body) bytes += chunk.length; ends.push(bytes); return bytes; },
  };
  const ends = [];
  const withTls = (body, limits = {}, options = {}) => withTunnel({ driver, shards: 1, tasks, tls: OWN, limits, ...options }, async (tunnel) => {
    await body(tunnel);
    await expectServed(tunnel);
    await until(() => sum(tunnel, 'connections') === 0 && sum(tunnel, 'heldBytes') === 0, 'all is given back');
    assert.equal(sum(tunnel, 'panics'), 0);
  });

  it('plain HTTP gets 400 in plain text, and the end', () => withTls(async (tunnel) => {
    for (const bytes of [taskBytes('echo', 1), 'GET / HTTP/1.1\r\nHost: x\r\n\r\n', `PUT /${'x'.repeat(60_000)} HTTP/1.1\r\n\r\n`]) {
      const socket = await RawSocket.connect(tunnel);
      await socket.write(bytes);
      const answer = await socket.answer();
      assert.deepEqual([answer.status, answer.headers['content-type'], answer.headers.connection], [400, 'text/plain; charset=utf-8', 'close']);
      assert.match(answer.body, /https:\/\//);
      await socket.end();
    }
  }));

  it('plain HTTP without an end is cut', () => withTls(async (tunnel) => {
    const socket = await RawSocket.connect(tunnel);
    const flood = setInterval(() => socket.socket.write(Buffer.alloc(100_000, 'x')), 1);
    await once(socket.socket, 'close');
    clearInterval(flood);
  }));

  it('what is no TLS gets an alert, and the end', () => withTls(async (tunnel) => {
    for (const bytes of [Buffer.alloc(64, 0), Buffer.alloc(600, 255), Buffer.from([22, 3, 1, 255, 255, 0, 0]), Buffer.from([22, 3, 1, 0, 4, 2, 0, 0, 0]), Buffer.from([23, 3, 3, 0, 1, 0])]) {
      const socket = net.connect(tunnel.port, tunnel.host);
      const chunks = [];
      socket.on('data', (chunk) => chunks.push(chunk)).on('error', () => {});
      socket.write(bytes);
      await once(socket, 'close');
      // Type 21, fatal.
      if (chunks.length > 0) assert.deepEqual([chunks[0][0], chunks[0][5]], [21, 2], bytes.toString('hex'));
    }
    assert.ok(sum(tunnel, 'protocolErrors') >= 5);
  }));

  it('handshakeTimeoutMs: a handshake has so long from its beginning, whatever comes of it', () => withTls(async (tunnel) => {
    for (const hello of ['', HALF_HELLO]) {
      await expectTime(BOUND_MS, async () => {
        const socket = await RawSocket.connect(tunnel);
        await socket.write(hello);
        for (let part = 0; part < 10 && hello !== ''; part++) {
          await sleep(20);
          await socket.write(Buffer.from([part]));
        }
        await socket.end();
        assert.equal(socket.rest, '');
      });
    }
    // The time of the handshake does not count for what follows.
    const { socket } = await connect(tunnel);
    await sleep(BOUND_MS + 300);
    await socket.write(taskBytes('echo', 1));
    assert.equal((await socket.answer()).status, 200);
    socket.destroy();
  }, { handshakeTimeoutMs: BOUND_MS }));

  it('maxHandshakes: of more than that the oldest is cut, and who makes haste gets in', () => withTls(async (tunnel) => {
    const halves = [];
    const half = async () => {
      const socket = await RawSocket.connect(tunnel);
      await socket.write(HALF_HELLO);
      await until(() => sum(tunnel, 'accepted') === halves.length + 1, 'it is accepted');
      halves.push(socket);
    };
    for (let count = 0; count < 4; count++) await half();
    await sleep(100);
    assert.deepEqual(halves.map(({ closed }) => closed), [false, false, false, false]);
    await half();
    await halves[0].end();
    await sleep(50);
    assert.deepEqual(halves.map(({ closed }) => closed), [true, false, false, false, false]);
    assert.equal(sum(tunnel, 'turnedAway'), 1);
    await expectServed(tunnel);
    for (const socket of halves) socket.destroy();
  }, { maxHandshakes: 4 }));

  it('a crowd of half-open handshakes keeps nobody out, and little memory', () => withTls(async (tunnel) => {
    const crowd = [];
    for (let count = 0; count < 1500; count++) {
      const socket = net.connect(tunnel.port, tunnel.host);
      socket.on('error', () => {});
      socket.write(HALF_HELLO);
      crowd.push(socket);
      if (count % 300 === 0) await expectServed(tunnel);
    }
    await until(() => sum(tunnel, 'accepted') >= 1500, 'all are accepted');
    await until(() => sum(tunnel, 'connections') <= 1000, 'no more than a thousand stay');
    assert.ok(sum(tunnel, 'heldBytes') <= 1000 * 17 * 1024, `${sum(tunnel, 'heldBytes')} bytes`);
    for (const socket of crowd) socket.destroy();
  }));

  it('clients that leave in the middle of a handshake leave nothing behind', () => withTls(async (tunnel) => {
    for (let round = 0; round < 30; round++) {
      const beneath = net.connect(tunnel.port, tunnel.host);
      beneath.on('error', () => {});
      const socket = tls.connect({ socket: beneath, ca: OWN.cert, servername: 'localhost' });
      socket.on('error', () => {});
      await once(beneath, 'connect');
      const closed = once(beneath, 'close');
      // Before the answer of the server, at it, behind it.
      if (round % 2 === 0) setTimeout(() => beneath.destroy(), round % 6);
      else socket.once('secureConnect', () => beneath.destroy());
      await closed;
    }
    const half = net.connect(tunnel.port, tunnel.host);
    half.end(HALF_HELLO);
    half.resume();
    await once(half, 'close');
  }));

  it('a request that is cut short is not answered: the end without close_notify is none', () => withTls(async (tunnel) => {
    ends.length = 0;
    const { socket, beneath } = await connect(tunnel);
    await socket.write('POST /__runner/task/length HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n');
    await until(() => sum(tunnel, 'inFlight') === 1, 'it has begun');
    // FIN, and nothing of TLS before it.
    beneath.end();
    await socket.end();
    assert.equal(socket.rest, '');
    await until(() => sum(tunnel, 'inFlight') === 0, 'the call is over');
    assert.deepEqual(ends, []);
  }));

  it('a call whose client is cut off aborts', () => withTls(async (tunnel) => {
    const { socket, beneath } = await connect(tunnel);
    await socket.write(taskBytes('hang', 1));
    await until(() => signals.length > 0, 'it runs');
    beneath.destroy();
    const signal = signals.pop();
    if (!signal.aborted) await once(signal, 'abort');
  }));

  it('a record that was changed on its way ends its connection with an alert', () => withTls(async (tunnel) => {
    const { socket, beneath } = await connect(tunnel);
    await socket.write(taskBytes('echo', 1));
    await socket.answer();
    const closed = once(beneath, 'close');
    beneath.write(Buffer.from([23, 3, 3, 0, 32, ...Array(32).fill(7)]));
    await closed;
    assert.equal(sum(tunnel, 'calls'), 1);
  }));

  it('a part of a record counts as held, and has the time that silence has', () => withTls(async (tunnel) => {
    const { socket, beneath } = await connect(tunnel);
    await socket.write(taskBytes('echo', 1));
    await socket.answer();
    const closed = once(beneath, 'close');
    beneath.write(Buffer.from([23, 3, 3, 64, 0, ...Array(9000).fill(7)]));
    await until(() => sum(tunnel, 'heldBytes') >= 9000, 'it is held');
    await closed;
  }, { idleTimeoutMs: 500 }));

  it('a client that takes nothing is cut, however much is encrypted for it', () => withTls(async (tunnel) => {
    const { socket, beneath } = await connect(tunnel);
    beneath.pause();
    socket.socket.pause();
    const closed = once(beneath, 'close');
    for (let count = 0; count < 20; count++) beneath.writable && socket.socket.write(taskBytes('echo', 'x'.repeat(1_000_000)));
    await until(() => sum(tunnel, 'connections') === 0, 'it is cut', 10_000);
    beneath.resume();
    await closed;
  }, { writeTimeoutMs: 500 }));

  it('a stop waits for no handshake', () => withTunnel({ driver, shards: 1, tls: OWN }, async (tunnel) => {
    const socket = await RawSocket.connect(tunnel);
    await socket.write(HALF_HELLO);
    await until(() => sum(tunnel, 'connections') === 1, 'it is accepted');
    const start = Date.now();
    await tunnel.close();
    assert.ok(Date.now() - start < 2000, `${Date.now() - start} ms`);
    await socket.end();
  }));
});
