// Answers that are streams: of every kind, at the client's pace, and what becomes of them when one side fails.
import assert from 'node:assert/strict';
import { createReadStream, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable, Stream, Writable } from 'node:stream';
import { after, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { TaskError } from 'fasttunnel';
import { exchange, open, pattern, read, sha256 } from './support/byte-clients.mjs';
import { RawSocket, taskBytes } from './support/raw-socket.mjs';
import { callTask, E500, onBothDrivers, sleep, uncaught, until, withTunnel } from './support/tunnels.mjs';

const MIB = 1024 * 1024;
const folder = mkdtempSync(join(tmpdir(), 'fasttunnel-'));
after(() => rmSync(folder, { recursive: true }));
const BYTES = pattern(700_001);
const file = join(folder, 'bytes');
writeFileSync(file, BYTES);

function* pieces() {
  for (let at = 0; at < BYTES.length; at += 50_000) yield BYTES.subarray(at, at + 50_000);
}
async function* slowly(values) {
  for (const value of values) {
    await sleep(0);
    yield value;
  }
}
const web = (values) => new ReadableStream({ start(controller) { for (const value of values) controller.enqueue(value); controller.close(); } });
/** Streams from before Node 0.10: they flow at once and cannot be paused. */
const legacy = (values) => {
  const stream = new Stream();
  setTimeout(() => { for (const value of values) stream.emit('data', value); stream.emit('end'); });
  return stream;
};

/** Each gives BYTES. */
const SOURCES = {
  readable: () => Readable.from(pieces()),
  pulled: () => { const left = [...pieces()]; return new Readable({ read() { this.push(left.shift() ?? null); } }); },
  file: () => createReadStream(file),
  through: () => createReadStream(file).pipe(new PassThrough()),
  paused: () => createReadStream(file).pause(),
  legacy: () => legacy(pieces()),
  pipes: () => ({ pipe(to) { for (const piece of pieces()) to.write(piece); to.end(); return to; } }),
  web: () => web(pieces()),
  blob: () => new Blob([BYTES]),
  generator: () => slowly(pieces()),
  iterable: () => ({ [Symbol.asyncIterator]: () => { const left = pieces(); return { next: () => left.next() }; } }),
  oneChunk: () => Readable.from([BYTES]),
  views: () => slowly([new DataView(BYTES.buffer, BYTES.byteOffset, 400_000), new Uint16Array(Uint8Array.from(BYTES.subarray(400_000, 700_000)).buffer), BYTES.buffer.slice(BYTES.byteOffset + 700_000, BYTES.byteOffset + 700_001)]),
  bytewise: () => slowly([...Array.from({ length: 1000 }, (_, index) => BYTES.subarray(index, index + 1)), BYTES.subarray(1000)]),
  blanks: () => slowly([Buffer.alloc(0), '', BYTES, new Uint8Array(0)]),
};

onBothDrivers('downloads', (driver) => {
  it('come from every kind of source, bare and in a wrapper', () => withTunnel({
    driver,
    tasks: Object.fromEntries(Object.entries(SOURCES).flatMap(([name, source]) => [
      [name, source], [`${name}.later`, async () => { await sleep(1); return source(); }],
      [`${name}.wrapped`, () => ({ stream: source(), status: 206, contentType: 'text/plain', headers: { 'X-Total': 1, 'x-many': ['a', 'b'], 'Set-Cookie': 'a=b', 'X-Frame-Options': 'ALLOWALL' } })],
      [`${name}.length`, () => ({ stream: source(), headers: { 'Content-Length': BYTES.length } })],
    ])),
  }, async (tunnel) => {
    const hash = sha256(BYTES);
    for (const name of Object.keys(SOURCES)) {
      for (const form of ['', '.later', '.wrapped', '.length']) {
        const { status, headers, body, error } = await exchange(tunnel, name + form, { json: {} });
        assert.deepEqual([status, sha256(body), error], [form === '.wrapped' ? 206 : 200, hash, null], name + form);
        assert.equal(headers['content-type'], form === '.wrapped' ? 'text/plain' : 'application/octet-stream', name + form);
        const known = form === '.length' || name === 'blob';
        assert.deepEqual([headers['content-length'], headers['transfer-encoding']], known ? [`${BYTES.length}`, undefined] : [undefined, 'chunked'], name + form);
        assert.equal(headers['x-frame-options'], 'DENY');
        if (form === '.wrapped') assert.deepEqual([headers['x-total'], headers['x-many'], headers['set-cookie']], ['1', 'a, b', undefined]);
      }
    }
  }));

  it('as text are UTF-8; empty ones have a length of 0; a client of HTTP/1.0 sees the connection close', () => withTunnel({
    driver,
    tasks: {
      text: () => Readable.from(['h\u00e9', '\ud83d\ude00']), generator: async function* () { yield 'a'; yield 'b'; },
      empty: () => Readable.from([]), emptyWeb: () => web([]), ended: async () => { const stream = Readable.from([]).resume(); await new Promise((resolve) => stream.on('close', resolve)); return stream; },
      none: () => ({ stream: Readable.from(['dropped']), status: 204 }), typed: () => new Blob(['{}'], { type: 'application/json' }),
    },
  }, async (tunnel) => {
    assert.equal((await exchange(tunnel, 'text', { json: {} })).body.toString(), 'h\u00e9\ud83d\ude00');
    assert.equal((await exchange(tunnel, 'generator', { json: {} })).body.toString(), 'ab');
    for (const id of ['empty', 'emptyWeb', 'ended']) {
      const { status, headers } = await exchange(tunnel, id, { json: {} });
      assert.deepEqual([status, headers['content-length'], headers['content-type']], [200, '0', 'application/octet-stream'], id);
    }
    assert.equal((await exchange(tunnel, 'none', { json: {} })).status, 204);
    assert.equal((await exchange(tunnel, 'typed', { json: {} })).headers['content-type'], 'application/json');
    const socket = await RawSocket.connect(tunnel);
    await socket.write('POST /__runner/task/generator HTTP/1.0\r\n\r\n');
    await socket.end();
    assert.match(socket.rest, /^HTTP\/1\.1 200 OK\r\n(?!.*transfer-encoding)[^]*\r\n\r\nab$/i);
  }));

  it('that fail before their first byte fail the call', async () => {
    const told = [];
    let destroyed = 0;
    const counted = () => new Readable({ read() { this.push('never sent'); this.push(null); }, destroy(_error, done) { destroyed += 1; done(); } });
    const bad = (wrapper) => () => ({ stream: counted(), ...wrapper });
    const tasks = {
      readable: () => new Readable({ read() { this.destroy(new Error('readable')); } }),
      errored: async () => { const stream = new Readable({ read() {} }).on('error', () => {}); stream.destroy(new Error('errored')); await sleep(1); return stream; },
      destroyed: () => new Readable({ read() {} }).destroy(),
      generator: async function* () { throw new Error('generator'); },
      web: () => new ReadableStream({ pull() { throw new Error('web'); } }),
      locked: () => { const stream = new ReadableStream(); stream.getReader(); return stream; },
      noStep: () => ({ [Symbol.asyncIterator]: () => ({ next: () => undefined }) }),
      throwsAtOnce: () => ({ [Symbol.asyncIterator]: () => { throw new Error('no iterator'); } }),
      objects: () => Readable.from([{ an: 'object' }]), numbers: async function* () { yield 1; }, nothing: async function* () { yield null; },
      writable: () => new Writable({ write() {} }),
      status99: bad({ status: 99 }), status1000: bad({ status: 1000 }), statusText: bad({ status: 'OK' }), name: bad({ headers: { 'a b': '1' } }), value: bad({ headers: { a: 'x\r\nevil: 1' } }), wide: bad({ headers: { a: '\u03bb' } }),
      missing: bad({ headers: { a: undefined } }), type: bad({ contentType: 'a\nb' }), length: bad({ headers: { 'content-length': '-1' } }),
      getter: () => ({ stream: counted(), get status() { throw new Error('getter'); } }),
    };
    const errors = await uncaught(() => withTunnel({ driver, onError: (error, { id }) => told.push(id), tasks: { ...tasks, typed: async function* () { throw new TaskError('not there', { id: 'app.missing', data: 1, httpCode: 404 }); } } }, async (tunnel) => {
      for (const id of Object.keys(tasks)) {
        const { status, body, headers } = await exchange(tunnel, id, { json: {} });
        assert.deepEqual([status, body.toString(), headers['content-type']], [500, E500, 'application/json; charset=utf-8'], id);
      }
      const typed = await exchange(tunnel, 'typed', { json: {} });
      assert.deepEqual([typed.status, JSON.parse(typed.body).error.id], [404, 'app.missing']);
    }));
    assert.deepEqual(told, Object.keys(tasks));
    assert.equal(destroyed, 10);
    assert.deepEqual(errors, []);
  });

  it('that fail later cut the connection, and are told', async () => {
    const told = [];
    const errors = await uncaught(() => withTunnel({
      driver, onError: (error, { id, requestId }) => told.push([id, error.message, requestId]),
      tasks: {
        readable: () => { let first = true; return new Readable({ read() { if (first) { first = false; this.push('partial'); } else setTimeout(() => this.destroy(new Error('mid stream')), 20); } }); },
        generator: async function* () { yield 'partial'; await sleep(5); throw new Error('mid stream'); },
        web: () => { let first = true; return new ReadableStream({ async pull(controller) { if (!first) { await sleep(5); throw new Error('mid stream'); } first = false; controller.enqueue(Buffer.from('partial')); } }); },
        length: () => ({ stream: (async function* () { yield 'partial'; await sleep(5); throw new Error('mid stream'); })(), headers: { 'content-length': 100 } }),
        objects: async function* () { yield 'partial'; await sleep(5); yield {}; },
        closes: () => { const stream = new Readable({ read() {} }); stream.push('partial'); setTimeout(() => stream.destroy(), 20); return stream; },
      },
    }, async (tunnel) => {
      for (const id of ['readable', 'generator', 'web', 'length', 'objects', 'closes']) {
        const { status, body, error } = await exchange(tunnel, id, { json: {}, headers: { 'x-runner-request-id': `rid-${id}` } });
        assert.deepEqual([status, body.toString(), error], [200, 'partial', 'ECONNRESET'], id);
        await until(() => told.at(-1)?.[0] === id, 'it is told');
        assert.equal(told.at(-1)[2], `rid-${id}`);
        if (!['objects', 'closes'].includes(id)) assert.equal(told.at(-1)[1], 'mid stream');
      }
      assert.equal(tunnel.stats().live, 0);
    }));
    assert.deepEqual(errors, []);
  });

  it('of another length than they declare are cut so that their client notices, or get a 500, and are told', async () => {
    const told = [];
    const emoji = 'caf\u00e9 \ud83d\ude00'.repeat(3);
    const declared = (length, stream) => () => ({ stream: stream(), headers: { 'content-length': length } });
    const HEX = '0123456789ABCDEF';
    // What is declared, what is given, and what of it the client may see; undefined: a 500, since nothing was sent.
    const tasks = {
      oneChunk: [10, HEX, undefined], text: [emoji.length, emoji, undefined], nothing: [10, '', undefined], blob: [3, HEX, undefined],
      short: [10, ['0123', '45'], '012345'], pieces: [10, ['0123', '4567', '89AB'], '01234567'], exactFirst: [4, ['0123', '4'], ''],
      endless: [100_000, null, null],
    };
    const gives = { blob: () => new Blob([HEX]), endless: async function* () { for (;;) { yield Buffer.alloc(10_000); await sleep(0); } } };
    await withTunnel({
      driver, onError: (error, { kind, id, requestId }) => told.push({ kind, id, requestId, code: error.code, declared: error.declared, sent: error.sent, message: error.message }),
      tasks: Object.fromEntries(Object.entries(tasks).flatMap(([id, [length, given]]) => [
        [id, declared(length, gives[id] ?? (() => Readable.from([given].flat())))],
        [`${id}.later`, declared(length, gives[id] ?? (() => slowly([given].flat())))],
        [`${id}.web`, declared(length, gives[id] ?? (() => web([given].flat())))],
      ])),
    }, async (tunnel) => {
      for (const [id, [length, given, seen]] of Object.entries(tasks)) {
        for (const form of ['', '.later', '.web']) {
          const { status, body, error } = await exchange(tunnel, id + form, { json: {}, headers: { 'x-runner-request-id': `rid-${id}` } });
          if (seen === undefined) {
            assert.deepEqual([status, body.toString(), error], [500, E500, null], id + form);
          } else {
            assert.deepEqual([status, error], [200, 'ECONNRESET'], id + form);
            assert.ok(body.length < length, id + form);
            if (seen !== null) assert.equal(body.toString(), seen, id + form);
          }
          await until(() => told.length === 1, `${id}${form} is told`);
          const sent = given === null ? 110_000 : [given].flat().reduce((bytes, chunk) => bytes + Buffer.byteLength(chunk), 0);
          const [{ message, ...rest }] = told.splice(0);
          assert.deepEqual(rest, { kind: 'task', id: id + form, requestId: `rid-${id}`, code: 'FASTTUNNEL_ANSWER_LENGTH', declared: length, sent }, id + form);
          assert.match(message, new RegExp(`content-length of ${length} bytes, and its stream has (given|ended after) ${sent}\\.`), id + form);
        }
      }
      assert.equal(tunnel.stats().live, 0);
      // Clients of every kind notice.
      await assert.rejects(fetch(`${tunnel.url}/task/pieces`, { method: 'POST', body: '{}' }).then((response) => response.text()), /terminated|fetch failed/);
    });
  });

  it('of the length that they declare are whole before their source ends, when it has something else to do', async () => {
    let release;
    const busy = new Promise((resolve) => { release = resolve; });
    const tasks = { audits: () => ({ stream: (async function* () { yield 'all of it'; await busy; })(), headers: { 'content-length': '9' } }) };
    await withTunnel({ driver, onError: (error) => assert.fail(error), tasks }, async (tunnel) => {
      const { status, body, error } = await exchange(tunnel, 'audits', { json: {} });
      assert.deepEqual([status, body.toString(), error], [200, 'all of it', null]);
      assert.equal(tunnel.stats().live, 1);
      release();
      await until(() => tunnel.stats().live === 0, 'the call is over');
    });
  });

  it('of the length that they declare are whole, also when their source ends late, and where there is no content', () => withTunnel({
    driver, onError: (error) => assert.fail(error),
    tasks: {
      late: () => ({ stream: (async function* () { yield BYTES; await sleep(30); })(), headers: { 'content-length': BYTES.length } }),
      paused: () => ({ stream: (async function* () { yield BYTES.subarray(0, 10); await sleep(5); yield BYTES.subarray(10); await sleep(5); yield ''; })(), headers: { 'content-length': BYTES.length } }),
      zero: () => ({ stream: Readable.from([]), headers: { 'content-length': 0 } }),
      none: () => ({ stream: Readable.from(['dropped']), status: 204, headers: { 'content-length': 3 } }),
      same: () => ({ stream: Readable.from([]), status: 304, headers: { 'content-length': 1000 } }),
    },
  }, async (tunnel) => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    for (const [id, status, bytes] of [['late', 200, BYTES], ['paused', 200, BYTES], ['zero', 200, ''], ['none', 204, ''], ['same', 304, ''], ['late', 200, BYTES]]) {
      const answer = await exchange(tunnel, id, { json: {}, agent });
      assert.deepEqual([answer.status, sha256(answer.body), answer.error], [status, sha256(bytes), null], id);
    }
    assert.equal(tunnel.stats().shards.reduce((all, { connections }) => all + connections, 0), 1);
    agent.destroy();
  }));

  it('end with their client: the source is destroyed and the signal aborts once', async () => {
    const seen = [];
    const endless = (id, more) => new Readable({ read() { setTimeout(() => this.push(Buffer.alloc(20_000)), 1); }, destroy(_error, done) { seen.push(id); done(); }, ...more });
    const tasks = {
      readable: () => endless('readable'),
      silent: () => new Readable({ read() { if (!this.begun) { this.begun = true; this.push('begun'); } }, destroy(_error, done) { seen.push('silent'); done(); } }),
      throws: () => Object.assign(endless('not this'), { destroy() { seen.push('throws'); throw new Error('destroy throws'); } }),
      fails: () => endless('fails', { destroy(_error, done) { seen.push('fails'); done(new Error('destroy fails')); } }),
      wrapped: () => ({ stream: endless('wrapped'), status: 206 }),
      web: () => new ReadableStream({ async pull(controller) { await sleep(1); controller.enqueue(Buffer.alloc(20_000)); }, cancel() { seen.push('web'); throw new Error('cancel throws'); } }),
      generator: async function* () { try { for (;;) { await sleep(1); yield Buffer.alloc(20_000); } } finally { seen.push('generator'); } },
      never: () => ({ [Symbol.asyncIterator]: () => { let first = true; return { next: () => (first ? ((first = false), Promise.resolve({ value: 'begun' })) : new Promise(() => {})), return: () => { seen.push('never'); return Promise.reject(new Error('return rejects')); } }; } }),
      late: async (_input, { signal }) => { await new Promise((resolve) => signal.addEventListener('abort', resolve)); return endless('late'); },
    };
    const aborts = [];
    const errors = await uncaught(() => withTunnel({
      driver, onError: (error, { id }) => seen.push(`${id} told`),
      tasks: Object.fromEntries(Object.entries(tasks).map(([id, run]) => [id, (input, context) => { context.signal.addEventListener('abort', () => aborts.push(id)); return run(input, context); }])),
    }, async (tunnel) => {
      for (const id of Object.keys(tasks)) {
        const { request, response } = open(tunnel, id, { headers: { 'content-type': 'application/json' } });
        request.end();
        if (id === 'late') await until(() => tunnel.stats().live === 1, 'the task runs');
        else await new Promise((resolve) => response.then((answer) => answer.once('data', resolve)));
        request.destroy();
        await until(() => seen.at(-1) === id, `${id} ends; seen ${seen}`, 1000);
        await until(() => tunnel.stats().live === 0, 'its call is over', 1000);
      }
      await sleep(30);
    }));
    assert.deepEqual(seen, Object.keys(tasks));
    assert.deepEqual(aborts, Object.keys(tasks));
    assert.deepEqual(errors, []);
  });

  it('do not abort their signal when they end well', async () => {
    let aborted = 0;
    await withTunnel({ driver, tasks: { ok: async function* (_input, { signal }) { signal.addEventListener('abort', () => { aborted += 1; }); yield 'fine'; } } }, async (tunnel) => {
      for (let round = 0; round < 3; round += 1) assert.equal((await exchange(tunnel, 'ok', { json: {} })).error, null);
      await sleep(150);
    });
    assert.equal(aborted, 0);
  });

  for (const kind of ['readable', 'iterable', 'web']) {
    it(`are not read ahead of a client that does not read (${kind})`, async () => {
      let given = 0;
      const chunk = Buffer.alloc(32 * 1024, 'x');
      const sources = {
        readable: () => new Readable({ read() { given += chunk.length; this.push(chunk); } }),
        iterable: async function* () { for (;;) { given += chunk.length; yield chunk; } },
        web: () => new ReadableStream({ pull(controller) { given += chunk.length; controller.enqueue(chunk); } }),
      };
      const socketPath = join(folder, `ahead-${driver}-${kind}`);
      await withTunnel({ driver, socketPath, shards: 1, drainTimeoutMs: 0, tasks: { endless: sources[kind] } }, async (tunnel) => {
        const { request, response } = open(tunnel, 'endless');
        request.end();
        const answer = await response;
        await sleep(150);
        const before = given;
        await sleep(100);
        // A window, what the kernel and the client's own stream take in, and the source's own chunk or two.
        assert.ok(given === before && given < 3 * MIB, `${given} bytes were read for nobody`);
        let taken = 0;
        for await (const bytes of answer) {
          taken += bytes.length;
          if (taken > 20 * MIB) break;
        }
        assert.ok(given - taken < 3 * MIB, 'and it goes on at the client\'s pace');
        await until(() => tunnel.stats().live === 0, 'its call is over');
      });
    });
  }

  it('wait for their turn on one connection', () => withTunnel({
    driver, shards: 1, tasks: { slow: async function* () { await sleep(40); yield 'slow'; }, fast: () => Readable.from(['f'.repeat(100_000)]), json: () => 'value' },
  }, async (tunnel) => {
    const socket = await RawSocket.connect(tunnel);
    await socket.write(['slow', 'fast', 'json'].map((id) => taskBytes(id, {})).join(''));
    await until(() => socket.rest.endsWith('{"ok":true,"result":"value"}'), 'all have come');
    const [slow, fast, json] = socket.rest.split(/(?=HTTP\/1\.1 )/);
    assert.match(slow, /\r\n\r\n4\r\nslow\r\n0\r\n\r\n$/);
    assert.equal(fast.split('f').length - 1 >= 100_000, true);
    assert.match(json, /content-length: 28/);
    socket.destroy();
  }));

  it('that are under way when the tunnel closes are finished, or destroyed when its time is over', async () => {
    let destroyed = 0;
    const endless = () => new Readable({ read() { setTimeout(() => this.push('x'), 1); }, destroy(_error, done) { destroyed += 1; done(); } });
    let finished;
    await withTunnel({ driver, drainTimeoutMs: 300, tasks: { endless, short: async function* () { yield 'one,'; await sleep(60); yield 'two'; } } }, async (tunnel) => {
      const calls = ['endless', 'short'].map((id) => { const { request, response } = open(tunnel, id); request.end(); return response.then(read); });
      await until(() => tunnel.stats().live === 2, 'both run');
      await sleep(20);
      finished = Promise.all(calls);
    });
    const [cut, whole] = await finished;
    assert.equal(cut.error, 'ECONNRESET');
    assert.deepEqual([whole.body.toString(), whole.error], ['one,two', null]);
    await until(() => destroyed === 1, 'the source is destroyed');
  });

  it('are what a Response is: its status, its header lines and its body', async () => {
    const upstream = http.createServer((request, response) => {
      const bytes = gzipSync(BYTES);
      response.writeHead(207, 'Mine', { 'content-type': 'text/x', 'content-encoding': request.url === '/odd' ? 'x-odd' : 'gzip', 'content-length': bytes.length, 'x-upstream': 'yes', 'set-cookie': 'a=b', connection: 'close' });
      response.end(request.method === 'HEAD' ? undefined : bytes);
    });
    await new Promise((resolve) => upstream.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${upstream.address().port}`;
    const told = [];
    let cancelled = 0;
    const endless = () => new ReadableStream({ async pull(controller) { await sleep(1); controller.enqueue(new Uint8Array(1000)); }, cancel() { cancelled += 1; } });
    /** As packages have it: a Node stream for a body. */
    class Packaged {
      constructor(body) { Object.assign(this, { body, size: 0 }); }
      get [Symbol.toStringTag]() { return 'Response'; }
      get status() { return 201; }
      get headers() { return new Map([['X-Packaged', '1']]); }
      get bodyUsed() { return false; }
    }
    const tasks = {
      text: () => new Response('h\u00e9', { status: 202, headers: { 'x-a': '1', 'content-length': '3', 'set-cookie': 'a=b', 'access-control-allow-origin': 'https://evil' } }),
      later: async () => { await sleep(1); return Response.json({ a: 1 }, { status: 418 }); },
      coded: () => new Response(gzipSync('text'), { headers: { 'content-encoding': 'gzip' } }),
      empty: () => new Response(null, { status: 302, headers: { location: '/there' } }), none: () => new Response(null, { status: 204 }),
      fetched: () => fetch(url), fetchedHead: () => fetch(url, { method: 'HEAD' }), packaged: () => new Packaged(Readable.from(['packed'])),
      error: () => Response.error(), used: async () => { const response = new Response('x'); await response.text(); return response; }, odd: () => fetch(`${url}/odd`), wrong: () => new Response('four', { headers: { 'content-length': '9' } }),
      nested: async () => ({ answer: new Response('x') }), headers: () => new Headers(), endless: () => new Response(endless()),
    };
    try {
      await withTunnel({ driver, onError: (error, { id }) => told.push([id, error.message]), tasks }, async (tunnel) => {
        const ask = async (id) => { const { status, headers, body, error } = await exchange(tunnel, id, { json: {} }); return { status, headers, body: body.length === BYTES.length ? sha256(body) : body.toString(), error }; };
        for (const [id, status, body, lines] of [
          ['text', 202, 'h\u00e9', { 'content-type': 'text/plain;charset=UTF-8', 'x-a': '1', 'content-length': '3', 'set-cookie': undefined, 'access-control-allow-origin': '*', 'x-frame-options': 'DENY' }],
          ['later', 418, '{"a":1}', { 'content-type': 'application/json', 'transfer-encoding': 'chunked' }],
          ['empty', 302, '', { location: '/there', 'content-length': '0', 'content-type': undefined }], ['none', 204, '', { 'content-length': undefined }],
          ['fetched', 207, sha256(BYTES), { 'content-type': 'text/x', 'content-encoding': undefined, 'content-length': undefined, 'x-upstream': 'yes', 'set-cookie': undefined, connection: 'keep-alive' }],
          ['fetchedHead', 207, '', { 'content-length': '0', 'x-upstream': 'yes' }], ['packaged', 201, 'packed', { 'x-packaged': '1' }],
        ]) {
          const answer = await ask(id);
          assert.deepEqual([answer.status, answer.body, answer.error], [status, body, null], id);
          assert.deepEqual(Object.fromEntries(Object.keys(lines).map((name) => [name, answer.headers[name]])), lines, id);
        }
        const coded = await exchange(tunnel, 'coded', { json: {} });
        assert.deepEqual([coded.headers['content-encoding'], coded.body], ['gzip', gzipSync('text')]);
        assert.deepEqual(told, []);
        for (const [id, what] of [['error', /status from 200 to 599, not 0/], ['used', /body of the Response was read before/], ['odd', /content-encoding x-odd may be decoded or not/], ['nested', /a Response in a result has no JSON form/], ['headers', /a Headers in a result .* Object\.fromEntries/]]) {
          const answer = await ask(id);
          assert.deepEqual([answer.status, answer.body], [500, E500], id);
          const [[where, message]] = told.splice(0);
          assert.equal(where, id);
          assert.match(message, what);
        }
        assert.equal((await ask('wrong')).error, 'ECONNRESET');
        assert.match(told.splice(0)[0][1], /content-length of 9 bytes, and its stream has ended after 4/);
        const { request, response } = open(tunnel, 'endless', { headers: { 'content-type': 'application/json' } });
        request.end();
        await new Promise((resolve) => response.then((answer) => answer.once('data', resolve)));
        request.destroy();
        await until(() => cancelled === 1, 'its body is cancelled');
        // A form is answered like any other call.
        const form = new FormData();
        form.append('__manifest', '{"input":{}}');
        assert.equal(await (await fetch(`${tunnel.url}/task/text`, { method: 'POST', body: form })).text(), 'h\u00e9');
      });
    } finally {
      upstream.close();
    }
  });

  it('leave values with similar members alone', () => withTunnel({
    driver, tasks: { members: () => ({ pipe: 1, stream: { pipe: 'x' }, getReader: 2 }), alike: () => ({ status: 200, headers: {}, body: 'b', bodyUsed: false }), list: () => ['stream'], sync: () => new Set([1]), text: () => 'stream' },
  }, async (tunnel) => {
    assert.equal((await callTask(tunnel, 'members', {})).text, '{"ok":true,"result":{"pipe":1,"stream":{"pipe":"x"},"getReader":2}}');
    assert.equal((await callTask(tunnel, 'alike', {})).text, '{"ok":true,"result":{"status":200,"headers":{},"body":"b","bodyUsed":false}}');
    assert.equal((await callTask(tunnel, 'list', {})).text, '{"ok":true,"result":["stream"]}');
    assert.equal((await callTask(tunnel, 'sync', {})).text, '{"ok":true,"result":{}}');
    assert.equal((await callTask(tunnel, 'text', {})).text, '{"ok":true,"result":"stream"}');
  }));
});
