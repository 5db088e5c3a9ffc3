// HTTP/2 in clear on the tunnel's port: the same contract on another wire.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import { Readable } from 'node:stream';
import { it } from 'node:test';
import { fastTunnel } from 'fasttunnel';
import { callTask, CODES, data, Frames, goaway, headers, ping, POST, PREFACE, request, reset, settings, TYPES, withSession } from './support/http2.mjs';
import { RawSocket, taskBytes } from './support/raw-socket.mjs';
import { onBothDrivers, post, sleep, until, withTunnel } from './support/tunnels.mjs';

const OCTETS = { 'content-type': 'application/octet-stream' };
const path = (id) => `/__runner/task/${id}`;

const tasks = {
  echo: (input) => input,
  slow: async (ms) => { await sleep(ms); return ms; },
  big: (bytes) => 'x'.repeat(bytes),
  count: async (_, { body }) => { let bytes = 0; for await (const chunk of body) bytes += chunk.length; return bytes; },
  pieces: async function* ({ pieces, bytes }) { for (let piece = 0; piece < pieces; piece += 1) yield Buffer.alloc(bytes, 'p'); },
  mirror: (_, { body }) => body,
};

onBothDrivers('HTTP/2', (driver) => {
  const withHttp2 = (options, body) => withTunnel({ driver, tasks, ...options }, (tunnel) => withSession(tunnel, (session) => body(session, tunnel)));

  it('gives the answers of HTTP/1.1, but for what is about the connection', () => withHttp2({ auth: { token: 's3cret' }, cors: { origin: ['http://a.example'] } }, async (session, tunnel) => {
    const given = { 'x-runner-token': 's3cret', 'x-runner-request-id': 'same', 'content-type': 'application/json' };
    for (const [what, method, target, more, body] of [
      ['a result', 'POST', path('echo'), {}, '{"input":{"a":[1,"ü"]}}'],
      ['no token', 'POST', path('echo'), { 'x-runner-token': 'wrong' }, '{}'],
      ['an unknown task', 'POST', path('nobody'), {}, '{}'],
      ['an unknown path', 'POST', '/elsewhere', {}, '{}'],
      ['a wrong method', 'GET', path('echo'), {}, undefined],
      ['broken JSON', 'POST', path('echo'), {}, '{"input":'],
      ['a preflight', 'OPTIONS', path('echo'), { origin: 'http://a.example', 'access-control-request-method': 'POST' }, undefined],
      ['an origin', 'POST', path('echo'), { origin: 'http://a.example' }, '{}'],
      ['a foreign origin', 'POST', path('echo'), { origin: 'http://b.example' }, '{}'],
      ['discovery', 'GET', '/__runner/discovery', {}, undefined],
      ['an unknown media type', 'POST', path('echo'), { 'content-type': 'text/plain' }, 'x'],
    ]) {
      const one = await fetch(`${tunnel.url.replace(/\/__runner$/, '')}${target}`, { method, headers: { ...given, ...more }, body });
      const two = await request(session, { ':method': method, ':path': target, ...given, ...more }, body);
      const fields = Object.fromEntries(Object.entries(two.headers).filter(([name]) => ![':status', 'date'].includes(name)));
      const expected = Object.fromEntries([...one.headers].filter(([name]) => !['connection', 'keep-alive', 'date'].includes(name)));
      assert.deepEqual([two.status, two.text, fields], [one.status, await one.text(), expected], what);
    }
  }));

  it('answers a HEAD with the length and no content', () => withHttp2({}, async (session) => {
    const { status, headers: fields, text } = await request(session, { ':method': 'HEAD', ':path': '/__runner/discovery' });
    assert.equal(text, '');
    assert.ok([200, 405].includes(status), `${status}`);
    assert.ok(Number(fields['content-length']) > 0);
  }));

  it('answers streams as their handlers do, not in their order', () => withHttp2({}, async (session) => {
    const order = [];
    await Promise.all([200, 20, 1].map(async (ms) => { await callTask(session, 'slow', ms); order.push(ms); }));
    assert.deepEqual(order, [1, 20, 200]);
  }));

  it('tells the handler which version it was, and who was asked', () => withTunnel({ driver, tasks: { seen: (_, call) => [call.httpVersion, call.headers.host, call.headers.cookie] } }, (tunnel) => withSession(tunnel, async (session) => {
    const { text } = await request(session, { ':path': path('seen'), cookie: ['a=1', 'b=2'] });
    assert.deepEqual(JSON.parse(text).result, ['2.0', `${tunnel.host}:${tunnel.port}`, 'a=1; b=2']);
  })));

  it('takes and gives bodies larger than every window', () => withHttp2({ limits: { maxBodyBytes: 8 << 20 } }, async (session) => {
    const large = 'y'.repeat(3 << 20);
    const [echoed, big, counted, pieces] = await Promise.all([
      callTask(session, 'echo', large),
      callTask(session, 'big', 2 << 20),
      request(session, { ':path': path('count'), ...OCTETS }, Buffer.alloc(5 << 20)),
      callTask(session, 'pieces', { pieces: 200, bytes: 20_000 }),
    ]);
    assert.equal(JSON.parse(echoed.text).result, large);
    assert.equal(JSON.parse(big.text).result.length, 2 << 20);
    assert.equal(JSON.parse(counted.text).result, 5 << 20);
    assert.equal(pieces.text.length, 200 * 20_000);
  }));

  it('frames may come byte by byte', () => withTunnel({ driver, tasks }, async (tunnel) => {
    const frames = await Frames.connect(tunnel);
    const bytes = Buffer.concat([headers(1, POST(path('echo'), ['content-type', 'application/json']), { end: false }), data(1, '{"input":', { end: false }), data(1, '"whole"}', { end: true })]);
    for (const byte of bytes) {
      frames.write(Buffer.from([byte]));
      await new Promise(setImmediate);
    }
    const answer = await frames.frame(({ type, stream }) => type === TYPES.data && stream === 1);
    assert.equal(answer.payload.toString(), '{"ok":true,"result":"whole"}');
    frames.destroy();
  }));

  it('tells what is wrong also when it comes with the preface', () => withTunnel({ driver, tasks }, async (tunnel) => {
    const socket = await RawSocket.connect(tunnel);
    const frames = new Frames(socket.socket);
    socket.write(Buffer.concat([PREFACE, settings(), headers(1, POST(path('echo'))), data(1, 'more')]));
    assert.equal(await frames.goaway(), CODES.STREAM_CLOSED);
    await frames.ended();
  }));

  it('streams both ways at once', () => withHttp2({}, async (session) => {
    const stream = session.request({ ':method': 'POST', ':path': path('mirror'), ...OCTETS });
    for (const text of ['one', 'two', 'three']) {
      stream.write(text);
      const [chunk] = await once(stream, 'data');
      assert.equal(chunk.toString(), text);
    }
    stream.end();
    stream.resume();
    await once(stream, 'end');
  }));

  it('refuses a body that is too long, and the connection goes on', () => withHttp2({ limits: { maxBodyBytes: 1000 } }, async (session) => {
    const declared = await request(session, { ':path': path('echo'), 'content-type': 'application/json', 'content-length': '2000' }, 'x'.repeat(2000));
    assert.equal(declared.status, 413);
    const stream = session.request({ ':method': 'POST', ':path': path('echo'), 'content-type': 'application/json' });
    stream.on('error', () => {});
    stream.write('x'.repeat(999));
    await sleep(20);
    stream.write('xx');
    const [fields] = await once(stream, 'response');
    assert.equal(fields[':status'], 413);
    stream.destroy();
    assert.equal((await callTask(session, 'echo', 1)).status, 200);
  }));

  it('uploads files of a form', () => withTunnel({ driver, tasks: { size: async ({ file }) => { let bytes = 0; for await (const chunk of file.stream()) bytes += chunk.length; return bytes; } } }, (tunnel) => withSession(tunnel, async (session) => {
    const part = (name, type, text, more = '') => `--b\r\nContent-Disposition: form-data; name="${name}"${more}\r\nContent-Type: ${type}\r\n\r\n${text}\r\n`;
    const manifest = JSON.stringify({ input: { file: { $runnerFile: 'File', id: 'F', meta: { name: 'a.bin' } } } });
    const body = `${part('__manifest', 'application/json; charset=utf-8', manifest)}${part('file:F', 'application/octet-stream', 'z'.repeat(300_000), '; filename="a.bin"')}--b--\r\n`;
    const { status, text } = await request(session, { ':path': path('size'), 'content-type': 'multipart/form-data; boundary=b' }, body);
    assert.deepEqual([status, text], [200, '{"ok":true,"result":300000}']);
  })));

  it('a stream that its client resets aborts its handler, and no other', async () => {
    const aborted = [];
    const wait = (name, { signal }) => new Promise((resolve) => { signal.addEventListener('abort', () => { aborted.push(name); resolve(); }); });
    await withTunnel({ driver, tasks: { ...tasks, wait } }, (tunnel) => withSession(tunnel, async (session) => {
      const [one, two] = ['one', 'two'].map((input) => {
        const stream = session.request({ ':method': 'POST', ':path': path('wait'), 'content-type': 'application/json' });
        stream.on('error', () => {});
        stream.end(JSON.stringify({ input }));
        return stream;
      });
      await until(() => tunnel.stats().pendingCalls === 2 || tunnel.stats().shards?.[0]?.inFlight === 2, 'both calls').catch(() => sleep(200));
      one.close(CODES.CANCEL);
      await until(() => aborted.length > 0, 'the abort');
      await sleep(50);
      assert.deepEqual(aborted, ['one']);
      assert.equal((await callTask(session, 'echo', 2)).status, 200, 'the connection goes on');
      session.destroy();
      await until(() => aborted.length === 2, 'the abort of all that there are');
      assert.ok(two.destroyed);
    }));
  });

  it('a body that its client breaks off fails in the handler', async () => {
    let failed;
    const read = async (_, { body }) => { try { for await (const _chunk of body); } catch (error) { failed = error.code; } };
    await withTunnel({ driver, tasks: { read } }, async (tunnel) => {
      const frames = await Frames.connect(tunnel);
      // By hand: Node's client ends a body before it resets its stream.
      frames.write(headers(1, POST(path('read'), ...Object.entries(OCTETS)), { end: false }), data(1, 'some'));
      await sleep(50);
      frames.write(reset(1));
      await until(() => failed !== undefined, 'the failure');
      assert.equal(failed, 'ECONNRESET');
      frames.destroy();
    });
  });

  it('a stream that fails behind its head is reset', () => withTunnel({ driver, tasks: { breaks: async function* () { yield 'some'; throw new Error('no more'); } } }, async (tunnel) => {
    const frames = await Frames.connect(tunnel);
    frames.write(headers(1, POST(path('breaks'))));
    assert.equal(await frames.reset(1), 2, 'INTERNAL_ERROR');
    frames.destroy();
  }));

  it('a streamed answer of another length than it declares is a 500 or reset, and told', async () => {
    const declared = (length, ...pieces) => () => ({ stream: Readable.from(pieces), headers: { 'content-length': String(length) } });
    const told = [];
    await withTunnel({
      driver, onError: (error, { id }) => told.push([id, error.name, error.declared, error.sent]),
      tasks: { whole: declared(10, '0123456789ABCDEF'), more: declared(10, '01234', '56789AB'), fewer: declared(10, '01234', '567') },
    }, (tunnel) => withSession(tunnel, async (session) => {
      assert.equal((await callTask(session, 'whole', 0)).status, 500);
      for (const id of ['more', 'fewer']) await assert.rejects(callTask(session, id, 0), /NGHTTP2_INTERNAL_ERROR/, id);
      assert.deepEqual(told, [['whole', 'AnswerLengthError', 10, 16], ['more', 'AnswerLengthError', 10, 12], ['fewer', 'AnswerLengthError', 10, 8]]);
    }));
  });

  it('a client that takes nothing holds its own stream up, and what is not taken is not made', async () => {
    let made = 0;
    const endless = async function* () { for (;;) { made += 65_536; yield Buffer.alloc(65_536); } };
    await withTunnel({ driver, tasks: { ...tasks, endless } }, async (tunnel) => {
      const frames = await Frames.connect(tunnel, { 4: 0 });
      frames.write(headers(1, POST(path('endless'))), headers(3, POST(path('echo'))));
      await frames.frame(({ type, stream }) => type === TYPES.headers && stream === 3);
      await sleep(300);
      assert.ok(made > 0 && made <= 4 << 20, `${made} bytes`);
      frames.destroy();
    });
  });

  it('a slow reader is told to go, and nobody else', () => withTunnel({ driver, tasks, limits: { writeTimeoutMs: 300 } }, async (tunnel) => {
    const frames = await Frames.connect(tunnel, { 4: 0 });
    frames.write(headers(1, POST(path('pieces'), ['content-type', 'application/json']), { end: false }), data(1, '{"input":{"pieces":9,"bytes":9999}}', { end: true }));
    assert.equal(await frames.reset(1), CODES.CANCEL);
    assert.ok(!frames.closed);
    frames.destroy();
  }));

  it('a body that stops coming is answered with 408', () => withTunnel({ driver, tasks, limits: { bodyTimeoutMs: 200 } }, async (tunnel) => {
    for (const type of ['application/json', 'application/octet-stream']) {
      await withSession(tunnel, async (session) => {
        const stream = session.request({ ':method': 'POST', ':path': path(type === 'application/json' ? 'echo' : 'count'), 'content-type': type });
        stream.on('error', () => {});
        stream.write('{');
        const [fields] = await once(stream, 'response');
        assert.equal(fields[':status'], 408, type);
        assert.equal((await callTask(session, 'echo', 1)).status, 200, 'the connection goes on');
      });
    }
  }));

  it('what is malformed ends its stream, not the connection', () => withTunnel({ driver, tasks }, async (tunnel) => {
    const frames = await Frames.connect(tunnel);
    const json = ['content-type', 'application/json'];
    const bad = [
      ['userinfo', [[':method', 'POST'], [':scheme', 'http'], [':path', '/'], [':authority', 'a@localhost']]],
      ['another Host', POST('/', ['host', 'elsewhere'])],
      ['a connection field', POST('/', ['connection', 'close'])],
      ['a transfer coding', POST('/', ['transfer-encoding', 'chunked'])],
      ['te', POST('/', ['te', 'gzip'])],
      ['a blank in front', POST('/', ['x-a', ' b'])],
      ['a blank behind', POST('/', ['x-a', 'b '])],
      ['an absolute path', POST('http://elsewhere/x')],
      ['no path', [[':method', 'POST'], [':scheme', 'http'], [':authority', 'localhost']]],
      ['a pseudo-header behind', [...POST('/').slice(0, 3), ['a', 'b'], [':authority', 'localhost']]],
      ['more content than declared', POST(path('echo'), json, ['content-length', '1']), '{}'],
      ['less content than declared', POST(path('echo'), json, ['content-length', '3']), '{}'],
      ['none of the declared content', POST(path('echo'), json, ['content-length', '3'])],
    ];
    for (const [at, [what, fields, content]] of bad.entries()) {
      const stream = 1 + 2 * at;
      frames.write(headers(stream, fields, { end: content === undefined }), ...(content === undefined ? [] : [data(stream, content, { end: true })]));
      assert.equal(await frames.reset(stream), CODES.PROTOCOL_ERROR, what);
    }
    frames.write(headers(1001, POST(path('echo'))));
    await frames.frame(({ type, stream }) => type === TYPES.headers && stream === 1001);
    frames.destroy();
  }));

  it('what HTTP/1.1 refuses, it refuses with the same status', () => withTunnel({ driver, tasks }, async (tunnel) => {
    for (const [what, fields, status] of [
      ['CONNECT', { ':method': 'CONNECT', ':authority': 'localhost:1' }, 501],
      ['a target that is too long', { ':path': `/${'x'.repeat(9000)}` }, 414],
      ['fields that are too long', { ':path': '/', 'x-long': 'x'.repeat(20_000) }, 431],
      ['an unknown expectation', { ':path': '/', expect: 'magic' }, 417],
    ]) {
      await withSession(tunnel, async (session) => {
        const stream = session.request({ ':method': 'POST', ...fields });
        stream.on('error', () => {});
        const [head] = await once(stream, 'response');
        assert.equal(head[':status'], status, what);
      });
    }
    const frames = await Frames.connect(tunnel);
    frames.write(headers(1, [[':method', 'POST'], [':scheme', 'http'], [':path', path('echo')]]));
    const answered = await frames.frame(({ type, stream }) => type === TYPES.headers && stream === 1);
    assert.ok(answered.payload.includes(0x8c) || answered.payload.length > 0, 'no host: answered, not served');
    frames.destroy();
  }));

  it('a client that says GOAWAY is answered what it sends behind that, and has a short time to leave', () => withTunnel({ driver, tasks }, async (tunnel) => {
    const frames = await Frames.connect(tunnel);
    frames.write(goaway(255));
    await sleep(50);
    frames.write(ping());
    assert.ok(await frames.frame(({ type, flags }) => type === TYPES.ping && flags === 1), 'a PING in a packet of its own');
    frames.write(headers(1, POST(path('echo'))), goaway(0).subarray(0, 4));
    await sleep(50);
    frames.write(goaway(0).subarray(4));
    assert.ok(await frames.frame(({ type, stream }) => type === TYPES.headers && stream === 1), 'a request before one in two packets');
    frames.write(ping());
    await frames.ended();
  }));

  it('too many streams are refused, to be tried again', () => withTunnel({ driver, tasks, limits: { maxStreams: 2 } }, async (tunnel) => {
    const frames = await Frames.connect(tunnel);
    const call = (stream) => [headers(stream, POST(path('slow'), ['content-type', 'application/json']), { end: false }), data(stream, '{"input":200}', { end: true })];
    frames.write(...call(1), ...call(3), ...call(5));
    assert.equal(await frames.reset(5), CODES.REFUSED_STREAM);
    for (const stream of [1, 3]) await frames.frame((frame) => frame.type === TYPES.headers && frame.stream === stream);
    frames.destroy();
  }));

  it('ends without losing a call: GOAWAY first, then the answers', async () => {
    const tunnel = await fastTunnel({ driver, auth: { allowAnonymous: true }, tasks });
    const session = http2.connect(`http://${tunnel.host}:${tunnel.port}`);
    const goaway = once(session, 'goaway');
    await once(session, 'remoteSettings');
    const calls = Array.from({ length: 50 }, (_, at) => callTask(session, 'slow', 100 + at));
    await sleep(30);
    const closed = tunnel.close();
    const [code] = await goaway;
    const answers = await Promise.all(calls);
    assert.deepEqual([code, answers.map(({ status }) => status)], [0, Array(50).fill(200)]);
    await closed;
    session.destroy();
  });

  it('an idle connection is told to go', () => withTunnel({ driver, tasks, limits: { idleTimeoutMs: 200 } }, (tunnel) => withSession(tunnel, async (session) => {
    assert.equal((await callTask(session, 'echo', 1)).status, 200);
    const [code] = await once(session, 'goaway');
    assert.equal(code, 0);
  })));

  it('a connection serves as many requests as it may', () => withTunnel({ driver, tasks, limits: { maxRequestsPerConnection: 3 } }, (tunnel) => withSession(tunnel, async (session) => {
    const goaway = once(session, 'goaway');
    for (let request = 0; request < 3; request += 1) assert.equal((await callTask(session, 'echo', 1)).status, 200);
    await goaway;
  })));

  it('statistics tell the versions apart', () => withHttp2({}, async (session, tunnel) => {
    const sum = (name) => tunnel.stats().shards.reduce((total, shard) => total + shard[name], 0);
    const [one, slow] = [await post(tunnel, '/task/echo', {}), callTask(session, 'slow', 200)];
    assert.equal(one.status, 200);
    await until(() => sum('http2Streams') === 1, 'the stream');
    assert.equal(sum('http2Connections'), 1);
    await slow;
    await until(() => sum('http2Streams') === 0, 'its end');
    session.destroy();
    await until(() => sum('http2Connections') === 0, 'the end of the connection');
  }));

  it('is not spoken where it is switched off, and HTTP/1.1 is as ever', () => withTunnel({ driver, tasks, http2: false }, async (tunnel) => {
    const socket = await RawSocket.connect(tunnel);
    await socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    assert.equal((await socket.answer()).status, 505);
  }));

  it('an upgrade from HTTP/1.1 is not taken up', () => withTunnel({ driver, tasks }, async (tunnel) => {
    const socket = await RawSocket.connect(tunnel);
    await socket.write(taskBytes('echo', 1, { connection: 'upgrade, http2-settings', upgrade: 'h2c', 'http2-settings': 'AAMAAABkAAQAAP__' }));
    assert.equal((await socket.answer()).status, 200);
    // And a preface is one only at the beginning.
    await socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    assert.equal((await socket.answer()).status, 505);
  }));

  it('a preface may come byte by byte, and one that is none ends the connection', () => withTunnel({ driver, tasks }, async (tunnel) => {
    const frames = await Frames.connect(tunnel);
    frames.destroy();
    const slow = await RawSocket.connect(tunnel);
    for (const byte of 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n') await slow.write(byte);
    await slow.write(Buffer.concat([settings(), headers(1, POST(path('echo')))]));
    await sleep(100);
    assert.ok(!slow.closed);
    slow.socket.destroy();
    const wrong = await RawSocket.connect(tunnel);
    await wrong.write('PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n');
    await until(() => wrong.closed, 'the end');
  }));
});
