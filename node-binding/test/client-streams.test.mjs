// The calling end with streams and files: answers and requests as streams, both at a time, and what becomes of them when they end early.
import assert from 'node:assert/strict';
import { File } from 'node:buffer';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { Readable, Transform } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import { TaskError } from 'fasttunnel';
import { createClient, fileFrom } from 'fasttunnel/client';
import { sleep, uncaught, until, withTunnel } from './support/tunnels.mjs';

const MIB = 2 ** 20;
const signals = [];
const tasks = {
  rows: async function* ({ count }) { for (let row = 0; row < count; row++) yield `row ${row}\n`; },
  rowsOf: ({ count }) => Readable.from((async function* () { for (let row = 0; row < count; row++) yield `row ${row}\n`; })()),
  endless: (_input, { signal }) => { signals.push(signal); return Readable.from((async function* () { for (;;) { yield Buffer.alloc(10_000); await sleep(5); } })()); },
  breaks: () => Readable.from((async function* () { yield 'a'; await sleep(20); throw new Error('broken'); })()),
  sink: async (_input, { body }) => { let bytes = 0; for await (const chunk of body) bytes += chunk.length; return bytes; },
  upper: (_input, { body }) => body.pipe(new Transform({ transform: (chunk, _encoding, done) => done(null, chunk.toString().toUpperCase()) })),
  value: (input) => ({ input }),
  refused: () => { throw new TaskError('no', { id: 'app.errors.no', data: {}, httpCode: 422 }); },
  typed: () => ({ stream: Readable.from(['x']), status: 206, contentType: 'text/csv', headers: { 'x-rows': '1' } }),
  store: async ({ title, files, at }) => {
    const stored = [];
    for (const file of files) stored.push({ name: file.name, type: file.type, size: file.size, extra: file.extra, sha: createHash('sha1').update(await buffer(file.stream())).digest('hex') });
    return { title, at, stored };
  },
};
const sha = (bytes) => createHash('sha1').update(bytes).digest('hex');

async function withClient(body, clientOptions = {}) {
  const errors = await uncaught(() => withTunnel({ tasks, auth: { token: 'secret' } }, async (tunnel) => {
    const client = createClient({ url: tunnel.url, auth: { token: 'secret' }, ...clientOptions });
    try {
      await body(client, tunnel);
    } finally {
      client.destroy();
    }
    const { calls, results, errors: refused, failed, timedOut, aborted } = client.stats();
    assert.equal(results + refused + failed + timedOut + aborted, calls, 'each call has ended once');
  }));
  assert.deepEqual(errors, []);
}

describe('an answer as a stream', () => {
  it('comes in pieces, with its status and header lines', () => withClient(async (client) => {
    let rows = '';
    for await (const chunk of await client.stream('rows', { count: 1000 })) rows += chunk;
    assert.equal(rows, Array.from({ length: 1000 }, (_, row) => `row ${row}\n`).join(''));
    const answer = await client.stream('typed');
    assert.deepEqual([answer.statusCode, answer.headers['content-type'], answer.headers['x-rows'], await text(answer)], [206, 'text/csv', '1', 'x']);
  }));

  it('is of no use where there is a value, and the other way round', () => withClient(async (client) => {
    await assert.rejects(client.stream('value', 1), { name: 'RemoteError', code: 'INVALID_RESPONSE', message: /use client\.task/ });
    await assert.rejects(client.task('rows', { count: 1 }), { code: 'INVALID_RESPONSE', message: /client\.stream/ });
    await assert.rejects(client.task('upper', undefined, { body: 'x' }), { code: 'INVALID_RESPONSE', message: /use client\.stream/ });
  }));

  it('that the server refuses is a RemoteError', () => withClient(async (client) => {
    await assert.rejects(client.stream('refused'), { name: 'RemoteError', status: 422, id: 'app.errors.no' });
    await assert.rejects(client.stream('nope'), { name: 'RemoteError', code: 'FORBIDDEN' });
  }));

  it('that breaks fails its reader', () => withClient(async (client) => {
    await assert.rejects(async () => text(await client.stream('breaks')), { code: 'ECONNRESET' });
    assert.equal(client.stats().failed, 1);
  }));

  it('that nobody reads on ends at the server as well', () => withClient(async (client) => {
    for await (const chunk of await client.stream('endless')) if (chunk.length > 0) break;
    await until(() => signals.at(-1).aborted, 'the handler\'s signal aborts');
    const controller = new AbortController();
    const answer = await client.stream('endless', undefined, { signal: controller.signal });
    answer.on('error', () => {}).resume();
    controller.abort();
    await until(() => signals.at(-1).aborted, 'the handler\'s signal aborts');
    await assert.rejects(client.stream('endless', undefined, { signal: AbortSignal.abort(new Error('before')) }), { message: 'before' });
  }));
});

describe('a request as a stream', () => {
  const CHUNK = Buffer.alloc(64 * 1024, 'x');
  const bodies = {
    'a Readable': () => Readable.from((function* () { for (let left = 64; left > 0; left--) yield CHUNK; })()),
    'a web stream': () => new Blob(Array(64).fill(CHUNK)).stream(),
    'a Blob': () => new Blob(Array(64).fill(CHUNK)),
    'an async generator': () => (async function* () { for (let left = 64; left > 0; left--) yield CHUNK; })(),
    'bytes': () => Buffer.alloc(4 * MIB),
    'text': () => 'x'.repeat(4 * MIB),
  };
  for (const [what, make] of Object.entries(bodies)) {
    it(`may be ${what}`, () => withClient(async (client) => {
      assert.equal(await client.task('sink', undefined, { body: make() }), 4 * MIB);
    }));
  }

  it('and an answer as one go at a time', () => withClient(async (client) => {
    let release;
    const second = new Promise((resolve) => { release = resolve; });
    const answer = await client.stream('upper', undefined, { body: (async function* () { yield 'first '; await second; yield 'second'; })() });
    const [first] = await Promise.all([new Promise((resolve) => { answer.once('data', resolve); })]);
    assert.equal(first.toString(), 'FIRST ');
    release();
    assert.equal(await text(answer), 'SECOND');
  }));

  it('that breaks fails its call with its own error', () => withClient(async (client) => {
    await assert.rejects(client.task('sink', undefined, { body: (async function* () { yield 'a'; throw new RangeError('of the source'); })() }), { name: 'RangeError', message: 'of the source' });
  }));

  it('cannot be combined with an input', () => withClient(async (client) => {
    await assert.rejects(client.task('sink', 1, { body: 'x' }), { name: 'OptionError', option: 'body' });
    assert.equal(client.stats().calls, 0);
  }));

  it('times out, and says whether it was sent', () => withClient(async (client) => {
    await assert.rejects(client.task('sink', undefined, { body: (async function* () { yield 'a'; await sleep(2000); })(), timeoutMs: 50 }), { name: 'CallError', code: 'FASTTUNNEL_TIMEOUT', maybeRan: true });
    assert.equal(client.stats().timedOut, 1);
    const nobody = createClient({ url: 'http://127.0.0.1:1/' });
    await assert.rejects(nobody.task('sink', undefined, { body: 'x' }), { code: 'FASTTUNNEL_CONNECT', maybeRan: false, message: /ECONNREFUSED/ });
  }));
});

describe('files', () => {
  it('go with the input that holds them', () => withClient(async (client) => {
    const large = Buffer.alloc(3 * MIB, 'abc');
    const result = await client.task('store', {
      title: 'caf\u00e9',
      at: null,
      files: [
        new File(['hello'], 'h\u00e9 "q".txt', { type: 'text/plain' }),
        new Blob([large]),
        fileFrom(Readable.from([large, large]), { name: 'two.bin', type: 'application/x-two', extra: { part: 2 } }),
        fileFrom(Buffer.from('bytes'), { name: 'b' }),
      ],
    }, { files: true });
    assert.deepEqual(result, {
      title: 'caf\u00e9',
      at: null,
      stored: [
        { name: 'h\u00e9 "q".txt', type: 'text/plain', size: 5, extra: undefined, sha: sha('hello') },
        { name: 'upload', type: 'application/octet-stream', size: large.length, extra: undefined, sha: sha(large) },
        { name: 'two.bin', type: 'application/x-two', size: undefined, extra: { part: 2 }, sha: sha(Buffer.concat([large, large])) },
        { name: 'b', type: 'application/octet-stream', size: undefined, extra: undefined, sha: sha('bytes') },
      ],
    });
  }));

  it('none is a form as well', () => withClient(async (client) => {
    assert.deepEqual(await client.task('store', { title: 't', at: undefined, files: [] }, { files: true }), { title: 't', at: undefined, stored: [] });
  }));

  it('too large are refused, and the client goes on', () => withClient(async (client) => {
    await assert.rejects(client.task('store', { files: [new Blob([Buffer.alloc(21 * MIB)])] }, { files: true }), { name: 'RemoteError', code: 'PAYLOAD_TOO_LARGE' });
    assert.deepEqual(await client.task('value', 1), { input: 1 });
  }));
});
