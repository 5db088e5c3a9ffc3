// The calling end against servers and users who mean it no good, and against clocks and loops that stand still.
import assert from 'node:assert/strict';
import { getEventListeners, once } from 'node:events';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { Readable } from 'node:stream';
import { describe, it } from 'node:test';
import { createClient } from 'fasttunnel/client';
import { scripted } from './support/scripted-client.mjs';
import { answerTo } from './support/scripted-server.mjs';
import { sleep, uncaught, until, withTunnel } from './support/tunnels.mjs';

const { hasFiles } = createRequire(import.meta.url)('../dist/cjs/client/file-form.js');

const echo = (request, socket) => socket.write(answerTo(request, request.input));
const never = (request, socket) => (request.task === 'never' ? undefined : echo(request, socket));
const times = (count, make) => Array.from({ length: count }, (_, index) => make(index));
const outcome = (promise) => promise.then((value) => value, ({ code }) => code);
const block = (ms) => { for (const end = performance.now() + ms; performance.now() < end;); };

describe('a server that means no good', () => {
  it('ends an answer to another request with its connection, and not our process', () => scripted((request, socket) => {
    if (request.task !== 'bad') return echo(request, socket);
    socket.end('HTTP/1.1 200 OK\r\nx-runner-request-id: another\r\n\r\n{"ok":true}');
  }, {}, async (client) => {
    assert.equal(await client.task('t', 1), 1);
    await assert.rejects(client.task('bad'), { code: 'FASTTUNNEL_BAD_ANSWER', maybeRan: true });
    assert.equal(await client.task('t', 2), 2);
  }));

  it('gets no further with interim answers without an end than with a head of that size', () => scripted((_request, socket) => socket.write('HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(10_000)), {}, async (client) => {
    await assert.rejects(client.task('t'), { code: 'FASTTUNNEL_BAD_ANSWER', message: /interim answers/ });
  }));

  it('gets no further with trailers without an end', () => scripted((_request, socket) => socket.write(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n${'x: y\r\n'.repeat(20_000)}`), {}, async (client) => {
    await assert.rejects(client.task('t'), { code: 'FASTTUNNEL_BAD_ANSWER', message: /trailers/ });
  }));

  it('that ends lines with LF alone is told from one that is slow', () => scripted((_request, socket) => socket.write('HTTP/1.1 200 OK\nContent-Length: 2\n\n{}'), {}, async (client) => {
    await assert.rejects(client.task('t'), { code: 'FASTTUNNEL_BAD_ANSWER' });
  }));

  it('gets no answer by that is larger than may be, though it looks as the last', () => scripted((request, socket) => socket.write(answerTo(request, 'x'.repeat(request.input))), { maxAnswerBytes: 1024 }, async (client) => {
    assert.equal(await client.task('t', 1), 'x');
    await assert.rejects(client.task('t', 2000), { code: 'FASTTUNNEL_BAD_ANSWER', message: /maxAnswerBytes/ });
  }));

  it('pays for an answer in chunks of one byte, and not our memory', () => scripted((_request, socket) => {
    const body = JSON.stringify({ ok: true, result: 'x'.repeat(1_000_000) });
    socket.write(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${Array.from(body, (unit) => `1\r\n${unit}\r\n`).join('')}`);
  }, {}, async (client) => {
    globalThis.gc?.();
    const before = process.memoryUsage().heapUsed;
    const call = client.task('t', undefined, { timeoutMs: 2000 });
    call.catch(() => {});
    await sleep(1200);
    globalThis.gc?.();
    const bytes = process.memoryUsage().heapUsed - before;
    assert.ok(bytes < 40e6, `${bytes / 1e6} MB`);
    client.destroy();
    await assert.rejects(call, { code: 'FASTTUNNEL_CLOSED' });
  }));

  it('that becomes another is treated as such: nothing is sent again that it may have begun with', () => scripted((request, socket) => {
    if (request.task === 'other') socket.write('HTTP/1.1 200 OK\r\nserver: other\r\ncontent-length: 22\r\n\r\n{"ok":true,"result":3}');
    else echo(request, socket);
  }, {}, async (client) => {
    await client.task('t', 1);
    await until(() => client.stats().servers[0].kind === 'fasttunnel', 'it is known');
    assert.equal(await client.task('other'), 3);
    assert.equal(client.stats().servers[0].kind, 'other');
  }));
});

describe('a connection that cannot be begun', () => {
  for (const [what, options] of Object.entries({
    'for its certificates': { url: 'https://127.0.0.1:1/', tls: { ca: 123 } },
    'for its path': { socketPath: `/tmp/${'x'.repeat(300)}` },
    'for its lookup': { url: 'https://127.0.0.1:1/', tls: { lookup: 1 } },
  })) {
    it(`${what} fails its calls, and throws nothing at the process`, async () => {
      const errors = await uncaught(() => assert.rejects(createClient({ ...options, retries: 0, timeoutMs: 500 }).task('t'), { code: 'FASTTUNNEL_CONNECT', maybeRan: false }));
      assert.deepEqual(errors, []);
    });
  }

  it('beside one that hangs is begun again', () => {
    return scripted(never, { connections: 2, pipelining: 1, timeoutMs: 0 }, async (client, server) => {
      await client.task('t', 1);
      await until(() => client.stats().servers[0].kind === 'fasttunnel', 'it is known');
      client.task('never').catch(() => {});
      await until(() => client.stats().outstanding === 1 && client.stats().queued === 0, 'it is sent');
      await server.pause();
      const call = client.task('t', 2);
      await until(() => client.stats().servers[0].failures > 0, 'a connection has failed');
      await server.resume();
      assert.equal(await Promise.race([call, sleep(2000).then(() => 'hangs')]), 2);
    });
  });
});

describe('calls', () => {
  it('of more text at a time than a string can hold are sent all the same', { timeout: 60_000 }, async () => {
    const serializer = { parse: JSON.parse, stringify: (value) => (typeof value === 'number' ? String(value) : value) };
    let bytes = 0;
    const server = createServer((socket) => socket.on('data', (chunk) => { bytes += chunk.length; }).on('error', () => {})).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const client = createClient({ url: `http://127.0.0.1:${server.address().port}/`, serializer, connections: 1, pipelining: 8, timeoutMs: 0 });
    // The same memory for each.
    const big = `"${'x'.repeat(100_000_000)}"`;
    const errors = await uncaught(async () => {
      const calls = times(6, () => outcome(client.task('t', big)));
      await until(() => bytes > 0, 'it is being sent');
      client.destroy();
      assert.deepEqual(new Set(await Promise.all(calls)), new Set(['FASTTUNNEL_CLOSED']));
    });
    server.close();
    assert.deepEqual(errors, []);
  });

  it('that have ended while they waited do not count as waiting', () => scripted(never, { connections: 1, pipelining: 1, maxQueued: 10, timeoutMs: 0 }, async (client) => {
    const stuck = client.task('never').catch(() => {});
    await sleep(20);
    const first = client.task('t', 'first');
    for (let round = 0; round < 5; round++) {
      const ended = await Promise.all(times(9, () => outcome(client.task('t', 1, { timeoutMs: 5 }))));
      assert.deepEqual(new Set(ended), new Set(['FASTTUNNEL_TIMEOUT']), `round ${round}`);
    }
    assert.equal(client.stats().queued, 1);
    client.destroy();
    assert.equal(await outcome(first), 'FASTTUNNEL_CLOSED');
    await stuck;
  }));

  it('with one signal in common cost the same, however many there are', () => scripted(never, {}, async (client) => {
    const { signal } = new AbortController();
    const begin = performance.now();
    const calls = times(30_000, () => outcome(client.task('never', 1, { signal })));
    const took = performance.now() - begin;
    client.destroy();
    await Promise.all(calls);
    assert.ok(took < 1000, `${took} ms`);
    assert.equal(getEventListeners(signal, 'abort').length, 0);
  }));

  it('with one signal in common end together when it aborts, but for those that have ended', () => scripted(never, {}, async (client) => {
    const controller = new AbortController();
    assert.equal(await client.task('t', 1, { signal: controller.signal }), 1);
    const calls = times(50, () => outcome(client.task('never', 1, { signal: controller.signal })));
    await sleep(20);
    controller.abort(Object.assign(new Error('enough'), { code: 'ENOUGH' }));
    assert.deepEqual(new Set(await Promise.all(calls)), new Set(['ENOUGH']));
    assert.equal(client.stats().aborted, 50);
    assert.equal(getEventListeners(controller.signal, 'abort').length, 0);
  }));

  it('that may have run say so while they wait for another attempt', () => scripted((_request, socket) => socket.destroy(), { retries: 10 }, async (client) => {
    const call = client.task('t', 1, { idempotent: true });
    call.catch(() => {});
    await until(() => client.stats().retries === 1, 'it has been sent');
    client.destroy();
    await assert.rejects(call, { code: 'FASTTUNNEL_CLOSED', maybeRan: true });
  }));

  it('that may have run say so when the server is gone then', () => {
    return scripted(async (_request, socket, connection) => { await connection.server().pause(); socket.destroy(); }, { retries: 1 }, async (client) => {
      await assert.rejects(client.task('t', 1, { idempotent: true }), { code: 'FASTTUNNEL_CONNECT', maybeRan: true });
    });
  });

  it('of events that ask for the payload fail where the server does not know of it', () => scripted((request, socket) => socket.write(answerTo(request, 0, { body: '{"ok":true}' })), {}, async (client) => {
    assert.equal(await client.event('e', 1), undefined);
    await assert.rejects(client.eventWithResult('e', 1), { name: 'RemoteError', code: 'INVALID_RESPONSE', message: /did not include result/ });
  }));

  it('replace header lines of their client, with streams or without', () => scripted((request, socket) => socket.write(answerTo(request, [request.headers['x-tenant'], request.headers['x-runner-token'], request.lines.filter((line) => !line.startsWith('connection:')).length])), { headers: { 'x-tenant': 'a', 'x-more': 'm' }, auth: { token: 'one' } }, async (client) => {
    const [tenant, token, lines] = await client.task('t', 1);
    assert.deepEqual([tenant, token], ['a', 'one']);
    const headers = { 'X-Tenant': 'b', 'x-runner-token': 'two' };
    assert.deepEqual(await client.task('t', 1, { headers }), ['b', 'two', lines]);
    assert.deepEqual((await client.task('t', undefined, { headers, body: '{}' })).slice(0, 2), ['b', 'two']);
    assert.deepEqual(await client.task('t', 1), ['a', 'one', lines]);
  }));

  it('with an id that is a step in a path are refused: it would lead elsewhere', () => scripted(echo, {}, async (client, server) => {
    for (const id of ['.', '..']) await assert.rejects(client.task(id, 1), { code: 'FASTTUNNEL_BAD_OPTION', message: /^id / });
    assert.equal(server.connections.length, 0);
  }));

  it('of events take no body and no files', () => scripted(echo, {}, async (client) => {
    await assert.rejects(client.event('e', 1, { files: true }), { code: 'FASTTUNNEL_BAD_OPTION', message: /^files / });
    await assert.rejects(client.event('e', undefined, { body: 'x' }), { code: 'FASTTUNNEL_BAD_OPTION', message: /^body / });
  }));
});

describe('an input', () => {
  it('whose parts hold each other in many ways is gone through once', () => {
    let shared = {};
    for (let level = 0; level < 24; level++) shared = { one: shared, other: [shared] };
    const begin = performance.now();
    assert.equal(hasFiles(shared), false);
    assert.ok(performance.now() - begin < 200);
    assert.equal(hasFiles([shared, new Blob(['x'])]), true);
  });

  it('that holds itself is refused, with files as well', () => scripted(echo, {}, async (client, server) => {
    const parent = { children: [] };
    for (let index = 0; index < 3; index++) parent.children.push({ parent, file: new Blob(['x']) });
    await assert.rejects(client.task('t', parent), TypeError);
    await assert.rejects(client.task('t', parent, { files: true }), TypeError);
    assert.equal(server.connections.length, 0);
  }));

  it('adds no lines to a form by the id of a file', () => withTunnel({ tasks: { store: async ({ file }) => { for await (const _ of file.stream()); return 1; } } }, async (tunnel) => {
    const client = createClient({ url: tunnel.url });
    const file = { $runnerFile: 'File', id: 'F1"\r\nx-more: 1\r\n\r\ny', meta: { name: 'a' }, _node: { buffer: Buffer.from('x') } };
    await assert.rejects(client.task('store', { file }, { files: true }), { code: 'FASTTUNNEL_BAD_OPTION', message: /id of a file/ });
    assert.equal(await client.task('store', { file: { ...file, id: 'F1' } }, { files: true }), 1);
    await client.close();
  }));
});

describe('a loop that stands still', () => {
  const echoAndBlock = (request, socket) => {
    echo(request, socket);
    // The answer is the system's: it waits for us to read it.
    if (request.task === 'block') block(request.input);
  };
  it('times out no call whose answer is there', () => scripted(echoAndBlock, { timeoutMs: 200 }, async (client) => {
    await client.task('t', 1);
    assert.equal(await client.task('block', 400), 400);
  }));

  it('times out no call with a stream whose answer is there', () => scripted((request, socket) => {
    socket.write(answerTo(request, 1));
    block(400);
  }, { timeoutMs: 200 }, async (client) => {
    assert.equal(await client.task('t', undefined, { body: '{}' }), 1);
  }));

  it('does not count for calls that are made meanwhile', () => scripted(echo, { timeoutMs: 200 }, async (client) => {
    await client.task('t', 1);
    const first = client.task('t', 2);
    block(400);
    const second = client.task('t', 3);
    assert.deepEqual(await Promise.all([outcome(first), outcome(second)]), [2, 3]);
  }));

  it('fails no connection that is there', () => scripted(echo, { connectTimeoutMs: 100, retries: 0 }, async (client) => {
    const call = client.task('t', 1);
    // Behind the attempt to connect, which the system brings to its end meanwhile.
    process.nextTick(block, 300);
    assert.equal(await call, 1);
  }));
});

describe('calls with streams', () => {
  const tasks = { rows: async function* () { yield 'a'; await sleep(50); yield 'b'; }, sink: async (_input, { body }) => { for await (const _ of body); return 1; } };

  it('are waited for by close() in the tick in which they are made', () => withTunnel({ tasks }, async (tunnel) => {
    const client = createClient({ url: tunnel.url });
    const call = client.task('sink', undefined, { body: 'x' });
    await client.close();
    assert.equal(client.stats().results, 1);
    assert.equal(await call, 1);
  }));

  it('end with destroy() in the tick in which they are made', () => withTunnel({ tasks }, async (tunnel) => {
    const client = createClient({ url: tunnel.url });
    const calls = [client.stream('rows'), client.task('sink', undefined, { body: Readable.from(['x']) })];
    client.destroy();
    assert.deepEqual(await Promise.all(calls.map(outcome)), ['FASTTUNNEL_CLOSED', 'FASTTUNNEL_CLOSED']);
  }));

  const stalls = (request, socket) => socket.write(answerTo(request, 1).slice(0, -3));
  it('that wait for a value are timed until it is there', () => scripted(stalls, { timeoutMs: 100 }, async (client) => {
    await assert.rejects(Promise.race([client.task('t', undefined, { body: '{}' }), sleep(1500)]), { code: 'FASTTUNNEL_TIMEOUT', maybeRan: true });
  }));

  it('tell rubbish from a connection that is lost', () => scripted((_request, socket) => socket.write('HTTP/1.1 200 OK\r\nx: \0\r\n\r\n'), {}, async (client) => {
    await assert.rejects(client.stream('t', 1), { code: 'FASTTUNNEL_BAD_ANSWER', maybeRan: true });
  }));

  it('take no value that is larger than an answer may be', () => scripted((request, socket) => socket.write(answerTo(request, 'x'.repeat(5000))), { maxAnswerBytes: 4096 }, async (client) => {
    await assert.rejects(client.task('t', undefined, { body: '{}' }), { code: 'FASTTUNNEL_BAD_ANSWER', maybeRan: true, message: /maxAnswerBytes/ });
  }));
});
