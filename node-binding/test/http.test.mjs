// HTTP/1.1 as raw bytes: what a grown server does with them.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { postBytes, RawSocket, taskBytes } from './support/raw-socket.mjs';
import { onBothDrivers, post, sleep, withTunnel } from './support/tunnels.mjs';

const tasks = {
  add: ({ a, b }) => a + b,
  echo: (input) => input,
  sleep: async ({ ms }) => { await sleep(ms); return ms; },
};

async function withSocket(options, body) {
  await withTunnel({ tasks, ...options }, async (tunnel) => {
    const socket = await RawSocket.connect(tunnel);
    try {
      await body(socket, tunnel);
    } finally {
      socket.destroy();
    }
  });
}

const ok = (result) => JSON.stringify({ ok: true, result });

onBothDrivers('http', (driver) => {
  it('keeps a connection alive and answers with the headers of the contract', () => withSocket({ driver }, async (socket) => {
    for (let round = 0; round < 3; round++) {
      await socket.write(taskBytes('add', { a: round, b: 1 }));
      const { status, headers, body } = await socket.answer();
      assert.equal(status, 200);
      assert.equal(body, ok(round + 1));
      assert.equal(headers['content-type'], 'application/json; charset=utf-8');
      assert.equal(headers['content-length'], String(body.length));
      assert.equal(headers['x-content-type-options'], 'nosniff');
      assert.equal(headers['x-frame-options'], 'DENY');
      assert.equal(headers['access-control-allow-origin'], '*');
      assert.match(headers['x-runner-request-id'], /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
      assert.ok(Math.abs(Date.parse(headers.date) - Date.now()) < 3000, headers.date);
      assert.match(headers.date, /^[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/);
      assert.equal(headers['keep-alive'], 'timeout=5');
    }
  }));

  it('answers pipelined requests in order', () => withSocket({ driver }, async (socket) => {
    let bytes = taskBytes('sleep', { ms: 100 });
    for (let index = 0; index < 20; index++) bytes += taskBytes('add', { a: index, b: 0 });
    await socket.write(bytes);
    assert.equal((await socket.answer()).body, ok(100));
    for (let index = 0; index < 20; index++) assert.equal((await socket.answer()).body, ok(index));
  }));

  it('takes more pipelined requests than it works on at once', () => withSocket({ driver, limits: { maxPipelined: 2 } }, async (socket) => {
    await socket.write(Array.from({ length: 200 }, (_, index) => taskBytes('add', { a: index, b: 0 })).join(''));
    for (let index = 0; index < 200; index++) assert.equal((await socket.answer()).body, ok(index));
  }));

  it('a slow call on one connection delays no other', () => withSocket({ driver, shards: 1 }, async (slow, tunnel) => {
    await slow.write(taskBytes('sleep', { ms: 1500 }));
    const fast = await RawSocket.connect(tunnel);
    const began = performance.now();
    for (let index = 0; index < 50; index++) {
      await fast.write(taskBytes('add', { a: index, b: 0 }));
      assert.equal((await fast.answer()).body, ok(index));
    }
    assert.ok(performance.now() - began < 1000, `50 calls took ${performance.now() - began} ms`);
    fast.destroy();
    assert.equal((await slow.answer()).body, ok(1500));
  }));

  it('does not mind where the packets are cut', () => withSocket({ driver }, async (socket) => {
    const bytes = Buffer.from(taskBytes('echo', 'sn\u00f6w\u2603'));
    for (let cut = 1; cut < bytes.length; cut++) {
      await socket.write(bytes.subarray(0, cut));
      await new Promise(setImmediate);
      await socket.write(bytes.subarray(cut));
      assert.equal((await socket.answer()).body, ok('sn\u00f6w\u2603'), `cut at ${cut}`);
    }
    for (let index = 0; index < bytes.length; index++) {
      await socket.write(bytes.subarray(index, index + 1));
      if (index % 16 === 0) await new Promise(setImmediate);
    }
    assert.equal((await socket.answer()).body, ok('sn\u00f6w\u2603'), 'byte by byte');
  }));

  it('reads chunked bodies, with extensions and trailers', () => withSocket({ driver }, async (socket) => {
    const head = 'POST /__runner/task/add HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n';
    const text = '{"input":{"a":40,"b":2}}';
    const chunks = [...text].map((unit) => `1\r\n${unit}\r\n`).join('');
    for (const bytes of [`${head}${chunks}0\r\n\r\n`, `${head}${text.length.toString(16)}\r\n${text}\r\n0\r\n\r\n`, `${head}${text.length.toString(16)};a=b\r\n${text}\r\n0\r\nx-trailer: 1\r\n\r\n`]) {
      await socket.write(bytes);
      assert.equal((await socket.answer()).body, ok(42));
    }
    assert.equal(socket.rest, '');
  }));

  it('asks for a body that waits for it', () => withSocket({ driver }, async (socket) => {
    const [head, body] = taskBytes('add', { a: 1, b: 2 }, { expect: '100-continue' }).split('\r\n\r\n');
    await socket.write(`${head}\r\n\r\n`);
    assert.equal((await socket.answer()).status, 100);
    await socket.write(body);
    assert.equal((await socket.answer()).body, ok(3));
    await socket.write(taskBytes('add', { a: 1, b: 2 }, { expect: 'wonders' }));
    assert.equal((await socket.answer()).status, 417);
  }));

  it('answers HEAD, OPTIONS and other methods as the contract says', () => withSocket({ driver }, async (socket) => {
    await socket.write('HEAD /__runner/task/add HTTP/1.1\r\nHost: x\r\n\r\n');
    const head = await socket.answer({ head: true });
    assert.equal(head.status, 405);
    assert.equal(head.headers['content-length'], '81');
    assert.match(head.headers.allow, /\bPOST\b/);

    await socket.write('GET /__runner/task/add HTTP/1.1\r\nHost: x\r\n\r\n');
    const get = await socket.answer();
    assert.equal(get.status, 405);
    assert.equal(get.body, '{"ok":false,"error":{"message":"Method Not Allowed","code":"METHOD_NOT_ALLOWED"}}');
    assert.match(get.headers.allow, /\bPOST\b/);

    await socket.write('OPTIONS /__runner/task/nope HTTP/1.1\r\nHost: x\r\nAccess-Control-Request-Headers: x-a, x-b\r\n\r\n');
    const options = await socket.answer();
    assert.equal(options.status, 204);
    assert.equal(options.headers['content-length'], undefined);
    assert.equal(options.headers['access-control-allow-methods'], 'POST, OPTIONS');
    assert.equal(options.headers['access-control-allow-headers'], 'x-a, x-b');
    assert.equal(options.headers['x-runner-request-id'], undefined);
    assert.equal(options.headers['x-frame-options'], undefined);

    await socket.write('GET /__runner/discovery HTTP/1.1\r\nHost: x\r\n\r\n');
    assert.equal((await socket.answer()).body, ok({ allowList: { enabled: true, tasks: ['add', 'echo', 'sleep'], events: [] } }));
    await socket.write('POST /__runner/discovery HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n');
    const wrong = await socket.answer();
    assert.equal(wrong.status, 405);
    assert.match(wrong.headers.allow, /\bGET\b/);
  }));

  it('speaks HTTP/1.0', () => withSocket({ driver }, async (socket, tunnel) => {
    const text = '{"input":{"a":1,"b":2}}';
    await socket.write(`POST /__runner/task/add HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: ${text.length}\r\n\r\n${text}`);
    assert.equal((await socket.answer()).body, ok(3));
    await socket.write(`POST /__runner/task/add HTTP/1.0\r\nContent-Length: ${text.length}\r\n\r\n${text}`);
    assert.equal((await socket.answer()).headers.connection, 'close');
    await socket.end();
    const other = await RawSocket.connect(tunnel);
    await other.write(taskBytes('add', { a: 1, b: 1 }, { connection: 'close' }));
    assert.equal((await other.answer()).body, ok(2));
    await other.end();
  }));

  it('refuses what is malformed and closes', () => withTunnel({ driver, tasks }, async (tunnel) => {
    const head = 'POST /__runner/task/add HTTP/1.1\r\n';
    const cases = [
      [400, `${head}\r\n`],
      [400, `${head}Host: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
      [400, `${head}Host: x\r\nContent-Length: 5, 6\r\n\r\n`],
      [400, `${head}Host: x\r\nContent-Length: -1\r\n\r\n`],
      [400, `${head}Host : x\r\n\r\n`],
      [400, `${head}Host: x\r\n folded\r\n\r\n`],
      [400, `${head}Host: x\nX: y\n\n`],
      [400, `${head}Host: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n`],
      [431, `${head}Host: x\r\nX: ${'y'.repeat(20_000)}\r\n\r\n`],
      [501, `${head}Host: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`],
    ];
    for (const [status, bytes] of cases) {
      const socket = await RawSocket.connect(tunnel);
      await socket.write(bytes);
      assert.equal((await socket.answer()).status, status, bytes.slice(0, 90));
      await socket.end();
    }
  }));

  it('ends a head and a body that do not come', () => withTunnel({ driver, tasks, limits: { headTimeoutMs: 300, bodyTimeoutMs: 300, idleTimeoutMs: 600 } }, async (tunnel) => {
    for (const bytes of ['POST /__runner/ta', 'POST /__runner/task/add HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{']) {
      const socket = await RawSocket.connect(tunnel);
      await socket.write(bytes);
      assert.equal((await socket.answer({ timeoutMs: 5000 })).status, 408, bytes);
      await socket.end();
    }
    const idle = await RawSocket.connect(tunnel);
    await idle.write(taskBytes('add', { a: 1, b: 2 }));
    await idle.answer();
    await idle.end(5000);
    assert.equal(idle.rest, '');
  }));

  it('limits the body, and the connection stays usable', () => withSocket({ driver, limits: { maxBodyBytes: 100 } }, async (socket) => {
    const exactly = (bytes) => JSON.stringify({ input: 'x'.repeat(bytes - 12) });
    assert.equal(exactly(100).length, 100);
    await socket.write(postBytes('/__runner/task/echo', exactly(100)));
    assert.equal((await socket.answer()).status, 200);
    await socket.write(postBytes('/__runner/task/echo', exactly(101)));
    const refused = await socket.answer();
    assert.equal(refused.status, 413);
    assert.equal(refused.body, '{"ok":false,"error":{"message":"Payload too large","code":"PAYLOAD_TOO_LARGE"}}');
    await socket.write(taskBytes('add', { a: 1, b: 2 }));
    assert.equal((await socket.answer()).body, ok(3));
  }));

  it('takes the input from the body as the contract says', () => withSocket({ driver }, async (socket) => {
    const undefinedRecord = '{"__type":"Undefined","value":null}';
    const cases = [
      ['{"input":{"input":{"input":5}}}', '{"input":{"input":5}}'], ['{"input": [1] }', '[1]'], ['{"input":1,"input":2}', '2'], [' {"input":3}', '3'], ['{"\\u0069nput":4}', '4'],
      ['', undefinedRecord], ['{}', '{}'], ['5', '5'], ['null', 'null'], ['[1]', '[1]'], ['{"input":1,"other":2}', '1'], ['{"other":2}', '{"other":2}'],
      [undefinedRecord, undefinedRecord], [`{"input":${undefinedRecord}}`, undefinedRecord], [`{"input":{"a":${undefinedRecord},"b":[${undefinedRecord}]}}`, `{"a":${undefinedRecord},"b":[${undefinedRecord}]}`],
      ['{"input":{"__proto__":{"x":1},"a":{"constructor":1}}}', '{"a":{}}'], ['"\\ud800"', '"\\ud800"'], ['{"input":1e999}', 'null'], ['{"input":"\u2028\ud83d\ude00"}', '"\u2028\ud83d\ude00"'],
    ];
    for (const [body, result] of cases) {
      await socket.write(postBytes('/__runner/task/echo', body));
      assert.equal((await socket.answer()).body, `{"ok":true,"result":${result}}`, body);
    }
    for (const body of [' ', '{', '{"a":1,}', '\ufeff{}', '[1]]', 'nope', "{'a':1}"]) {
      await socket.write(postBytes('/__runner/task/echo', body));
      const { status, body: text } = await socket.answer();
      assert.equal(status, 400, body);
      assert.equal(text, '{"ok":false,"error":{"message":"Invalid JSON body","code":"INVALID_JSON"}}');
    }
  }));

  it('refuses a body that is coded, before it is read, and hands it to a task that reads bytes', () => withTunnel({
    driver, auth: { token: 's' }, limits: { maxBodyBytes: 100 }, events: { told: () => {} },
    tasks: { ...tasks, bytes: async (_input, { body, headers }) => { const chunks = []; for await (const chunk of body) chunks.push(chunk); return [headers['content-encoding'], Buffer.concat(chunks).toString('hex')]; } },
  }, async (tunnel) => {
    const socket = await RawSocket.connect(tunnel);
    const gzip = gzipSync('{"input":5}');
    const send = async (path, coding, body, more = {}) => {
      const lines = Object.entries({ host: 'h', 'x-runner-token': 's', 'content-type': 'application/json', 'content-length': body.length, ...(coding === undefined ? {} : { 'content-encoding': coding }), ...more });
      await socket.write(Buffer.concat([Buffer.from(`POST /__runner/${path} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`), Buffer.from(body)]));
      return socket.answer();
    };
    for (const [path, coding, more] of [
      ['task/echo', 'gzip'], ['task/echo', 'br, identity'], ['event/told', 'x-gzip'], ['event/told', 'gzip', { 'content-type': 'application/octet-stream' }],
      ['task/echo', 'gzip', { 'content-type': 'multipart/form-data; boundary=x' }],
    ]) {
      const { status, headers, body } = await send(path, coding, gzip, more);
      assert.deepEqual([status, headers['accept-encoding'], JSON.parse(body).error], [415, 'identity', { message: 'Content-Encoding is not supported; send the body as it is', code: 'UNSUPPORTED_MEDIA_TYPE' }], `${path} ${coding}`);
    }
    // Who may not call is told nothing of it; of a body that is too large besides, the coding is told.
    assert.equal((await send('task/echo', 'gzip', gzip, { 'x-runner-token': 'no' })).status, 401);
    assert.equal((await send('task/nope', 'gzip', gzip)).status, 403);
    assert.equal((await send('task/echo', 'gzip', Buffer.alloc(200))).status, 415);
    assert.equal((await send('task/echo', undefined, Buffer.alloc(200))).status, 413);
    for (const coding of ['identity', 'Identity, identity', '']) assert.equal((await send('task/echo', coding, '{"input":5}')).body, ok(5), coding);
    const bytes = await send('task/bytes', 'gzip', gzip, { 'content-type': 'application/octet-stream' });
    assert.deepEqual(JSON.parse(bytes.body).result, ['gzip', gzip.toString('hex')]);
    socket.destroy();
  }));

  it('works with node:http agents that send everything chunked', () => withTunnel({ driver, tasks }, async (tunnel) => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 2 });
    const call = (value) => new Promise((resolve, reject) => {
      const request = http.request(`${tunnel.url}/task/echo`, { method: 'POST', agent }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk) => { text += chunk; }).on('end', () => resolve(JSON.parse(text).result));
      });
      request.on('error', reject);
      request.write('{"input":');
      request.end(`${JSON.stringify(value)}}`);
    });
    const answers = await Promise.all(Array.from({ length: 40 }, (_, index) => call(index)));
    assert.deepEqual(answers, Array.from({ length: 40 }, (_, index) => index));
    agent.destroy();
  }));

  it('a client that closes its half has 0.1 s for its answer, whenever in a turn of the timer it does', () => withTunnel({ driver, tasks }, async (tunnel) => {
    await Promise.all(Array.from({ length: 40 }, async (_, index) => {
      const socket = await RawSocket.connect(tunnel);
      await sleep(index * 5);
      await socket.write(taskBytes('sleep', { ms: 40 }));
      socket.socket.end();
      assert.equal((await socket.answer()).body, ok(40), `the ${index}th`);
    }));
    // Later it counts as gone.
    const late = await RawSocket.connect(tunnel);
    await late.write(taskBytes('sleep', { ms: 1000 }));
    late.socket.end();
    await late.end();
    assert.equal(late.rest, '');
  }));

  it('listens on a Unix domain socket', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'fasttunnel-'));
    const socketPath = join(folder, 'tunnel.sock');
    try {
      await withSocket({ driver, socketPath }, async (socket, tunnel) => {
        assert.equal(tunnel.socketPath, socketPath);
        assert.equal(tunnel.url, `unix:${socketPath}:/__runner`);
        await socket.write(taskBytes('add', { a: 1, b: 2 }));
        assert.equal((await socket.answer()).body, ok(3));
      });
      // The path is free again.
      await withSocket({ driver, socketPath }, async (socket) => {
        await socket.write(taskBytes('add', { a: 2, b: 2 }));
        assert.equal((await socket.answer()).body, ok(4));
      });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('echoes a good request id and replaces a bad one', () => withTunnel({ driver, tasks }, async (tunnel) => {
    const idFor = async (given) => (await post(tunnel, '/task/add', {}, { headers: { 'x-runner-request-id': given } })).headers.get('x-runner-request-id');
    assert.equal(await idFor('abc-1.2:3_4'), 'abc-1.2:3_4');
    for (const bad of ['a b', 'x'.repeat(129), 'a/b']) assert.match(await idFor(bad), /^[0-9a-f-]{36}$/);
  }));

  it('compares origins', () => withTunnel({ driver, tasks, cors: { origin: ['https://app.example'], credentials: true, exposedHeaders: ['x-a'] } }, async (tunnel) => {
    const from = async (origin) => (await post(tunnel, '/task/add', {}, { headers: { origin } })).headers;
    const good = await from('https://app.example');
    assert.equal(good.get('access-control-allow-origin'), 'https://app.example');
    assert.equal(good.get('access-control-allow-credentials'), 'true');
    assert.equal(good.get('access-control-expose-headers'), 'x-a');
    assert.equal(good.get('vary'), 'Origin');
    const bad = await from('https://evil.example');
    assert.equal(bad.get('access-control-allow-origin'), null);
    assert.equal(bad.get('vary'), 'Origin');
  }));

  it('serves under the root as well', async () => {
    for (const basePath of ['/', '']) {
      await withTunnel({ driver, tasks, basePath }, async (tunnel) => {
        const at = (path, init) => fetch(`${tunnel.url}${path}`, init);
        assert.equal(await (await at('/task/add', { method: 'POST', body: '{"input":{"a":1,"b":2}}' })).text(), ok(3));
        assert.equal((await at('/nope')).status, 404);
      });
    }
  });
});
