// Bodies that a task reads byte by byte: all of them arrive, at the reader's pace, or fail with their client.
import assert from 'node:assert/strict';
import http from 'node:http';
import net from 'node:net';
import { it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Transform } from 'node:stream';
import { exchange, open, pattern, read, sha256 } from './support/byte-clients.mjs';
import { RawSocket } from './support/raw-socket.mjs';
import { callTask, E500, onBothDrivers, post, sleep, uncaught, until, withTunnel } from './support/tunnels.mjs';

const MIB = 1024 * 1024;
const digest = async (_input, { body }) => {
  const chunks = [];
  for await (const chunk of body) chunks.push(chunk);
  return { length: Buffer.concat(chunks).length, hash: sha256(Buffer.concat(chunks)) };
};
onBothDrivers('uploads', (driver) => {
  it('arrive byte by byte, with a length and in chunks', () => withTunnel({ driver, tasks: { digest } }, async (tunnel) => {
    for (const length of [0, 1, 4095, 16_384, 65_535, 65_537, 262_144, 1_000_003, 5 * MIB]) {
      const bytes = pattern(length);
      const wanted = JSON.stringify({ ok: true, result: { length, hash: sha256(bytes) } });
      const whole = await exchange(tunnel, 'digest', { body: bytes });
      assert.equal(whole.body.toString(), wanted, `${length} with a length`);
      const { request, response } = open(tunnel, 'digest', { headers: { 'transfer-encoding': 'chunked' } });
      for (let at = 0, size = 1; at < length; at += size, size = (size * 7) % 100_003) request.write(bytes.subarray(at, at + size));
      request.end();
      assert.equal((await read(await response)).body.toString(), wanted, `${length} in chunks`);
    }
  }));

  it('many at once do not mix', () => withTunnel({ driver, shards: 2, tasks: { digest } }, async (tunnel) => {
    const answers = await Promise.all(Array.from({ length: 60 }, async (_, index) => {
      const bytes = pattern(200_000 + index * 1000).fill(index, 0, 50_000);
      return [(await exchange(tunnel, 'digest', { body: bytes })).body.toString(), sha256(bytes)];
    }));
    for (const [answer, hash] of answers) assert.equal(JSON.parse(answer).result.hash, hash);
  }));

  it('answer before they end, in turns', () => withTunnel({
    driver, tasks: { upper: (_input, { body }) => body.pipe(new Transform({ transform: (chunk, _encoding, done) => done(null, String(chunk).toUpperCase()) })) },
  }, async (tunnel) => {
    const { request, response } = open(tunnel, 'upper');
    request.write('first,');
    const answer = await response;
    const next = () => new Promise((resolve) => answer.once('data', (chunk) => resolve(String(chunk))));
    assert.equal(await next(), 'FIRST,');
    for (const word of ['second,', 'third,', 'fourth']) {
      const echo = next();
      request.write(word);
      assert.equal(await echo, word.toUpperCase());
    }
    request.end();
    assert.equal((await read(answer)).error, null);
  }));

  it('nobody reads are thrown away, and the connection is used again', () => withTunnel({
    driver, tasks: { ignore: async (input, { body }) => [input === undefined, body !== undefined], early: (_input, { body }) => { body.destroy(); return 'early'; } },
  }, async (tunnel) => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    for (const [index, id] of ['ignore', 'early', 'ignore'].entries()) {
      const { request, response } = open(tunnel, id, { agent });
      // No more than is drained after an early answer.
      request.end(pattern(60_000));
      const answer = await response;
      assert.equal((await read(answer)).status, 200);
      assert.equal(request.reusedSocket, index > 0, `call ${index}`);
    }
    agent.destroy();
  }));

  it('are no one else\'s: JSON calls and events have no body', () => {
    const seen = [];
    return withTunnel({ driver, tasks: { json: (_input, context) => { seen.push(context.body); } }, events: { octets: (_payload, context) => { seen.push(context.body); } } }, async (tunnel) => {
      await callTask(tunnel, 'json', 1);
      const event = await post(tunnel, '/event/octets', { payload: 1 }, { headers: { 'content-type': 'application/octet-stream' } });
      assert.equal(event.status, 200);
      assert.deepEqual(seen, [undefined, undefined]);
    });
  });

  it('are not taken in ahead of a task that does not read', async () => {
    let go;
    const started = new Promise((resolve) => { go = resolve; });
    let finish;
    const slow = async (_input, { body }) => {
      go();
      await new Promise((resolve) => { finish = resolve; });
      let length = 0;
      for await (const chunk of body) length += chunk.length;
      return length;
    };
    await withTunnel({ driver, shards: 1, tasks: { slow } }, async (tunnel) => {
      const length = 32 * MIB;
      const chunk = pattern(64 * 1024);
      const socket = await RawSocket.connect(tunnel);
      global.gc();
      const before = process.memoryUsage().arrayBuffers;
      await socket.write(`POST /__runner/task/slow HTTP/1.1\r\nHost: a\r\ncontent-type: application/octet-stream\r\ncontent-length: ${length}\r\n\r\n`);
      // One Buffer, written again and again: it counts once.
      for (let sent = 0; sent < length; sent += chunk.length) socket.socket.write(chunk);
      await started;
      await sleep(200);
      const held = process.memoryUsage().arrayBuffers - before;
      // One window, and what has just been let go.
      assert.ok(held < 2 * MIB, `${held} bytes wait for a task that reads nothing`);
      assert.ok(socket.socket.writableLength > 8 * MIB, 'most of it is still with the client');
      finish();
      assert.equal((await socket.answer({ timeoutMs: 30_000 })).body, `{"ok":true,"result":${length}}`);
      socket.destroy();
    });
  });

  it('reach a slow reader whole', () => withTunnel({
    driver, tasks: { slow: async (_input, { body }) => { const chunks = []; for await (const chunk of body) { chunks.push(chunk); await delay(1); } return sha256(Buffer.concat(chunks)); } },
  }, async (tunnel) => {
    const bytes = pattern(3 * MIB);
    assert.equal((await exchange(tunnel, 'slow', { body: bytes })).body.toString(), JSON.stringify({ ok: true, result: sha256(bytes) }));
  }));

  it('fail with their client, and abort the call once', async () => {
    const seen = [];
    const errors = await uncaught(() => withTunnel({
      driver,
      tasks: {
        reads: async (_input, { body, signal }) => {
          signal.addEventListener('abort', () => seen.push('reads: signal'));
          try {
            for await (const chunk of body) void chunk;
          } catch (error) {
            seen.push(`reads: ${error.code}`);
          }
        },
        // Nobody listens to the body.
        waits: (_input, { body, signal }) => new Promise((resolve) => signal.addEventListener('abort', () => { seen.push('waits: signal', `waits: ${body.destroyed} ${body.complete}`); resolve(); })),
        flows: (_input, { body, signal }) => new Promise((resolve) => { body.resume(); signal.addEventListener('abort', () => { seen.push('flows: signal'); setTimeout(resolve, 10); }); }),
      },
    }, async (tunnel) => {
      for (const id of ['reads', 'waits', 'flows']) {
        const { request } = open(tunnel, id, { headers: { 'content-length': 1_000_000 } });
        request.write('some of it');
        await until(() => tunnel.stats().live === 1, 'the task runs');
        request.destroy();
        await until(() => tunnel.stats().live === 0, 'the task has ended');
      }
    }));
    assert.deepEqual(seen.sort(), ['flows: signal', 'reads: ECONNRESET', 'reads: signal', 'waits: signal', 'waits: true false']);
    assert.deepEqual(errors, []);
  });

  it('end for readers that go on after the answer', async () => {
    let outcome;
    await withTunnel({
      driver,
      tasks: { answers: (_input, { body }) => { outcome = (async () => { for await (const chunk of body) void chunk; })().then(() => 'all', (error) => error.code); return 'first'; } },
    }, async (tunnel) => {
      const { request, response } = open(tunnel, 'answers', { headers: { 'content-length': 100_000 } });
      request.write('a part');
      assert.equal((await response).statusCode, 200);
      assert.equal(await outcome, 'ERR_STREAM_PREMATURE_CLOSE');
      request.destroy();
    });
  });

  it('survive listeners that throw', async () => {
    const told = [];
    const errors = await uncaught(() => withTunnel({
      driver, onError: (error) => told.push(error.message),
      tasks: { throws: (_input, { body }) => new Promise((_resolve, reject) => { body.on('data', () => { throw new Error('thrown by a listener'); }).on('error', reject); }), fine: () => 1 },
    }, async (tunnel) => {
      const { request, response } = open(tunnel, 'throws', { headers: { 'content-length': 10 } });
      request.flushHeaders();
      await sleep(30);
      request.end('0123456789');
      const answer = await read(await response);
      assert.deepEqual([answer.status, answer.body.toString()], [500, E500]);
      assert.equal((await callTask(tunnel, 'fine', {})).status, 200);
    }));
    assert.deepEqual(told, ['thrown by a listener', 'thrown by a listener']);
    assert.deepEqual(errors, []);
  });

  it('over a chunked body that breaks the rules, 400 and an error in the body', async () => {
    let code;
    await withTunnel({ driver, tasks: { reads: async (_input, { body }) => { try { for await (const chunk of body) void chunk; } catch (error) { code = error.code; } } } }, async (tunnel) => {
      const socket = net.connect(tunnel.port, tunnel.host);
      let text = '';
      socket.on('data', (chunk) => { text += chunk; });
      socket.write('POST /__runner/task/reads HTTP/1.1\r\nHost: a\r\ncontent-type: application/octet-stream\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n');
      await sleep(30);
      socket.write('nonsense\r\n');
      await until(() => code !== undefined, 'the body fails');
      await until(() => text.startsWith('HTTP/1.1 400 '), `the client is told: ${text}`);
      assert.equal(code, 'ECONNRESET');
      socket.destroy();
    });
  });
});
