// Streams of a Runner app, in and out, through `req`, `res` and results: as nodeExposure has them, where it has.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { PassThrough, Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { it } from 'node:test';
import { exchange, open, pattern, read, sha256 } from './support/byte-clients.mjs';
import { exposuresFor, R, TOKEN, withApp } from './support/runner-apps.mjs';
import { onBothDrivers, sleep, uncaught, until } from './support/tunnels.mjs';

const { createHttpMixedClient, createHttpSmartClient, r, Serializer, useExposureContext } = R;
const task = (id, run) => r.task(id).run(run).build();
const E500 = '{"ok":false,"error":{"message":"Internal Error","code":"INTERNAL_ERROR"}}';
const auth = { 'x-runner-token': TOKEN };
const json = { ...auth, 'content-type': 'application/json' };
const MIB = 1024 * 1024;

onBothDrivers('runner streams', (driver) => {
  const { fastTunnel, nodeExposure } = exposuresFor(driver);
  /** What both answer to a list of calls must be the same. Dates and request ids aside. */
  const same = async (items, calls) => {
    const outcomes = [];
    for (const exposure of [nodeExposure, fastTunnel]) {
      outcomes.push(await withApp(exposure, { items }, async (app) => {
        const answers = {};
        for (const [id, init] of Object.entries(calls)) {
          const { status, headers: { date, 'x-runner-request-id': requestId, ...headers }, body, error } = await exchange(app, id, { headers: auth, ...init });
          answers[id] = { status, headers, body: body.toString(), error };
        }
        return answers;
      }));
    }
    assert.deepEqual(outcomes[1], outcomes[0]);
    return outcomes[1];
  };

  it('are answered as the reference answers them', () => {
    const upper = () => new Transform({ transform: (chunk, _encoding, done) => done(null, String(chunk).toUpperCase()) });
    const items = {
      readable: async () => Readable.from(['a', Buffer.from('b')]),
      wrapped: async () => ({ stream: Readable.from(['a,b']), status: 203, contentType: 'text/csv', headers: { 'X-Mixed': 'Case', 'x-mixed': 'last', 'set-cookie': 'a=b', 'Cache-Control': 'no-store' } }),
      headersFirst: async () => {
        const { res } = useExposureContext();
        res.statusCode = 299;
        for (const [name, value] of [['x-from-task', '1'], ['set-cookie', 'kept=1'], ['content-type', 'text/plain'], ['access-control-allow-origin', 'https://mine'], ['x-mixed', 'task']]) res.setHeader(name, value);
        return { stream: Readable.from(['body']), headers: { 'X-Mixed': 'wrapper' } };
      },
      lengthFirst: async () => { useExposureContext().res.setHeader('content-length', '4'); return Readable.from(['body']); },
      through: async () => useExposureContext().req.pipe(upper()),
      pipes: async () => { const { req, res } = useExposureContext(); res.setHeader('content-type', 'text/plain'); req.pipe(res); await once(res, 'finish'); },
      pipelines: async () => { const { req, res } = useExposureContext(); await pipeline(req, upper(), res); return 'ignored'; },
      iterates: async () => { const { req } = useExposureContext(); let text = ''; for await (const chunk of req) text += chunk; return { text, complete: req.complete, aborted: req.aborted, ended: req.readableEnded, type: req.headers['content-type'] }; },
      written: async () => { const { res } = useExposureContext(); res.write('one,'); res.write(Buffer.from('two,')); setTimeout(() => res.end('three'), 20); return 'ignored'; },
      head: async () => { const { res } = useExposureContext(); res.writeHead(202, 'Mine', { 'x-a': 'b', 'content-length': 3 }); res.write('ab'); setTimeout(() => res.end('c'), 5); },
      flushed: async () => { const { res } = useExposureContext(); res.flushHeaders(); await sleep(5); res.end(); },
      endOnly: async () => { const { res } = useExposureContext(); res.end('whole'); return Readable.from(['ignored']); },
      empty: async () => Readable.from([]),
    };
    const octets = { body: 'some text', headers: { ...auth, 'content-type': 'application/octet-stream' } };
    return same(Object.entries(items).map(([id, run]) => task(`app.${id}`, run)), Object.fromEntries(Object.keys(items).map((id) => [`app.${id}`, ['through', 'pipes', 'pipelines', 'iterates'].includes(id) ? octets : { json: {} }])));
  });

  it('of others than Node: bytes here, {} there', async () => {
    const items = [
      task('app.web', async () => new ReadableStream({ start(controller) { controller.enqueue(Buffer.from('web')); controller.close(); } })),
      task('app.generator', async () => (async function* () { yield 'gen'; yield 'erator'; })()),
      task('app.wrapped', async () => ({ stream: (async function* () { yield 'wrapped'; })(), contentType: 'text/plain' })),
    ];
    await withApp(fastTunnel, { items }, async (app) => {
      for (const [id, text] of [['web', 'web'], ['generator', 'generator'], ['wrapped', 'wrapped']]) assert.equal((await exchange(app, `app.${id}`, { json: {}, headers: auth })).body.toString(), text);
    });
  });

  it('leave a Response and its kin to the serializer, as the reference does', () => same(
    [task('app.response', async () => new Response('text')), task('app.headers', async () => ({ headers: new Headers([['a', 'b']]) }))],
    { 'app.response': { json: {} }, 'app.headers': { json: {} } },
  ));

  it('keep their bytes, both ways at once and at the reader\'s pace', async () => {
    const written = [];
    const items = [
      task('app.echo', async () => { const { req, res } = useExposureContext(); await pipeline(req, res); }),
      task('app.echoed', async () => useExposureContext().req.pipe(new PassThrough())),
      task('app.writes', async () => {
        const { res } = useExposureContext();
        const chunk = pattern(100_000);
        for (let index = 0; index < 100; index += 1) {
          const more = res.write(chunk);
          written.push(more);
          if (!more) await once(res, 'drain');
        }
        res.end();
      }),
    ];
    await withApp(fastTunnel, { items }, async (app) => {
      const bytes = pattern(6 * MIB + 1);
      for (const id of ['echo', 'echoed']) {
        const { body, error } = await exchange(app, `app.${id}`, { body: bytes, headers: auth });
        assert.deepEqual([sha256(body), error], [sha256(bytes), null], id);
      }
      const { request, response } = open(app, 'app.writes', { headers: json });
      request.end('{}');
      const answer = await response;
      await sleep(50);
      const { body } = await read(answer);
      assert.equal(sha256(body), sha256(Buffer.concat(Array.from({ length: 100 }, () => pattern(100_000)))));
      assert.ok(written.includes(false), 'write() said that it is enough');
    });
  });

  it('tell of their end: finish and close of res, end of req', async () => {
    const seen = [];
    const watch = (name, stream, events) => { for (const event of events) stream.on(event, () => seen.push(`${name} ${event}`)); };
    const items = [
      task('app.written', async () => { const { res, signal } = useExposureContext(); watch('res', res, ['finish', 'close']); watch('signal', { on: (event, listener) => signal.addEventListener(event, listener) }, ['abort']); res.write('a'); seen.push(`sent ${res.headersSent}`); res.end('b'); }),
      task('app.returned', async () => { const { res } = useExposureContext(); watch('res', res, ['finish', 'close']); return Readable.from(['a']); }),
      task('app.read', async () => { const { req } = useExposureContext(); watch('req', req, ['end', 'close']); seen.push(`complete ${req.complete}`); await req.resume().toArray(); seen.push(`complete ${req.complete}`); }),
    ];
    await withApp(fastTunnel, { items }, async (app) => {
      for (const [id, wanted] of [['written', ['sent true', 'res finish', 'res close']], ['returned', ['res finish', 'res close']], ['read', ['complete false', 'req end', 'req close', 'complete true']]]) {
        seen.length = 0;
        const { request, response } = open(app, `app.${id}`, { headers: auth });
        request.write('x');
        await sleep(20);
        request.end('y');
        assert.equal((await read(await response)).status, 200);
        await until(() => seen.length >= wanted.length, `${id}: ${seen}`);
        assert.deepEqual([...seen].sort(), [...wanted].sort(), id);
      }
    });
  });

  it('that break are cut and logged, or answered 500 while they can be', async () => {
    const typed = r.error('app.conflict').format(() => 'typed').httpCode(409).build();
    const fails = (bytes, error) => new Readable({ read() { if (bytes !== undefined) { this.push(bytes); bytes = undefined; } else setTimeout(() => this.destroy(error), 10); } });
    const items = [
      typed,
      task('app.midway', async () => fails('partial', new Error('mid stream'))),
      task('app.before', async () => fails(undefined, new Error('no byte'))),
      task('app.typed', async () => fails(undefined, typed.new({ a: 1 }))),
      task('app.objects', async () => Readable.from([{ no: 'bytes' }])),
      task('app.status', async () => ({ stream: Readable.from(['x']), status: 1000 })),
      task('app.header', async () => ({ stream: Readable.from(['x']), headers: { 'bad name': '1' } })),
      task('app.lateStream', async () => { const { res } = useExposureContext(); res.write('begun;'); setTimeout(() => res.end('done'), 20); return fails('x'); }),
      // The reference's process hears of it as an unhandled rejection (CONTRACT D6).
      task('app.throwsLate', async () => { const { res } = useExposureContext(); res.write('begun;'); setTimeout(() => res.end('closed'), 20); throw new Error('after headers'); }),
      task('app.destroys', async () => { const { res } = useExposureContext(); res.write('begun;'); await sleep(20); res.destroy(new Error('by the task')); }),
      task('app.returnsRes', async () => { const { req, res } = useExposureContext(); return req.pipe(res); }),
    ];
    const errors = await uncaught(() => withApp(fastTunnel, { items }, async (app) => {
      const ask = (id, init) => exchange(app, `app.${id}`, { json: {}, ...init, headers: { ...(init === undefined ? auth : { ...auth, 'content-type': 'application/octet-stream' }), 'x-runner-request-id': `rid-${id}` } });
      const logged = () => app.logs.splice(0).filter(({ level }) => level === 'error').map(({ message, error, context }) => [message, error, context?.requestId]);
      for (const [id, status, body, error, logs] of [
        ['midway', 200, 'partial', 'ECONNRESET', [['exposure.stream.error', 'mid stream', 'rid-midway']]],
        ['before', 500, E500, null, [['exposure.task.error', 'no byte', 'rid-before']]],
        ['typed', 409, '{"ok":false,"error":{"message":"typed","code":"INTERNAL_ERROR","id":"app.conflict","data":{"a":1},"httpCode":409}}', null, [['exposure.task.error', 'typed', 'rid-typed']]],
        ['objects', 500, E500, null, undefined], ['status', 500, E500, null, undefined], ['header', 500, E500, null, undefined],
        ['lateStream', 200, 'begun;done', null, [['exposure.http.unhandled', 'Cannot set headers after they are sent to the client', undefined]]],
        ['throwsLate', 200, 'begun;closed', null, [['exposure.task.error', 'after headers', 'rid-throwsLate'], ['exposure.http.unhandled', 'Cannot set headers after they are sent to the client', undefined]]],
        ['destroys', 200, 'begun;', 'ECONNRESET', [['exposure.task.error', 'by the task', 'rid-destroys']]],
      ]) {
        const answer = await ask(id);
        assert.deepEqual([answer.status, answer.body.toString(), answer.error], [status, body, error], id);
        await sleep(5);
        const told = logged();
        if (logs === undefined) assert.deepEqual([told.length, told[0][0], told[0][2]], [1, 'exposure.task.error', `rid-${id}`], id);
        else assert.deepEqual(told, logs, id);
      }
      assert.equal((await ask('returnsRes', { json: undefined, body: 'back' })).body.toString(), 'back');
      await until(() => app.value.stats().live === 0, 'all calls are over');
    }));
    assert.deepEqual(errors, []);
  });

  it('of another length than they declare are cut so that their client notices, and are logged with both', async () => {
    const declares = (length, chunks) => async () => ({ stream: Readable.from(chunks), headers: { 'content-length': length } });
    const items = [
      task('app.more', declares(10, ['0123', '456789', 'AB'])),
      task('app.fewer', declares(10, ['0123'])),
      task('app.atOnce', declares(10, ['0123456789AB'])),
      task('app.setFirst', async () => { useExposureContext().res.setHeader('content-length', '3'); return Readable.from(['01', '23']); }),
      task('app.writesMore', async () => { const { res } = useExposureContext(); res.setHeader('content-length', '6'); res.write('012'); await sleep(5); res.write('345'); await sleep(5); res.end('6'); }),
      task('app.writesFewer', async () => { const { res } = useExposureContext(); res.writeHead(200, { 'content-length': 6 }); res.write('012'); await sleep(5); res.end(); }),
      task('app.pipes', async () => { const { res } = useExposureContext(); res.setHeader('content-length', '6'); Readable.from(['012', '34', '56', '7']).pipe(res); }),
      // Whole answers have the length that they have.
      task('app.whole', async () => { const { res } = useExposureContext(); res.setHeader('content-length', '3'); res.end('whole'); }),
    ];
    const errors = await uncaught(() => withApp(fastTunnel, { items }, async (app) => {
      for (const [id, status, body, error, message, declared, sent] of [
        ['more', 200, '0123', 'ECONNRESET', 'exposure.stream.error', 10, 12], ['fewer', 200, '0123', 'ECONNRESET', 'exposure.stream.error', 10, 4],
        ['atOnce', 500, E500, null, 'exposure.task.error', 10, 12], ['setFirst', 200, '01', 'ECONNRESET', 'exposure.stream.error', 3, 4],
        ['writesMore', 200, '012', 'ECONNRESET', 'exposure.task.error', 6, 7], ['writesFewer', 200, '012', 'ECONNRESET', 'exposure.task.error', 6, 3],
        ['pipes', 200, '01234', 'ECONNRESET', 'exposure.task.error', 6, 7], ['whole', 200, 'whole', null],
      ]) {
        const answer = await exchange(app, `app.${id}`, { json: {}, headers: { ...auth, 'x-runner-request-id': `rid-${id}` } });
        assert.deepEqual([answer.status, answer.body.toString(), answer.error], [status, body, error], id);
        if (message !== undefined) await until(() => app.logs.some(({ level }) => level === 'error'), `${id} is logged`);
        const told = app.logs.splice(0).filter(({ level }) => level === 'error').map((log) => [log.message, log.context?.requestId, String(log.error).match(/\d+/g).map(Number)]);
        assert.deepEqual(told, message === undefined ? [] : [[message, `rid-${id}`, [declared, sent]]], id);
      }
      await until(() => app.value.stats().live === 0, 'all calls are over');
    }));
    assert.deepEqual(errors, []);
  });

  it('end with their client, once and for all', async () => {
    let seen = [];
    const watch = ({ signal, req, res }) => {
      signal.addEventListener('abort', () => seen.push(`signal ${signal.reason.id}`));
      req.on('aborted', () => seen.push('req aborted')).on('error', ({ code }) => seen.push(`req ${code}`));
      res.on('close', () => seen.push('res close'));
    };
    const endless = () => new Readable({ read() { setTimeout(() => this.push(Buffer.alloc(1000)), 1); }, destroy(_error, done) { seen.push('source'); done(); } });
    const items = [
      task('app.reads', async () => { const context = useExposureContext(); watch(context); for await (const chunk of context.req) void chunk; }),
      task('app.sends', async () => { watch(useExposureContext()); return endless(); }),
      task('app.writes', async () => { const context = useExposureContext(); watch(context); await pipeline(endless(), context.res); }),
    ];
    const all = ['signal runner.errors.cancellation', 'req aborted', 'req ECONNRESET', 'res close'];
    const errors = await uncaught(() => withApp(fastTunnel, { items }, async (app) => {
      for (const [id, wanted] of [['reads', all], ['sends', [...all, 'source']], ['writes', [...all, 'source']]]) {
        seen = [];
        const { request, response } = open(app, `app.${id}`, { headers: { ...auth, 'content-length': 100 } });
        request.write('begin');
        if (id === 'reads') await until(() => app.value.stats().live === 1, 'it runs');
        else await new Promise((resolve) => response.then((answer) => answer.once('data', resolve)));
        await sleep(20);
        request.destroy();
        await until(() => seen.length >= wanted.length && app.value.stats().live === 0, `${id}: ${seen}`, 1000);
        await sleep(20);
        assert.deepEqual([...seen].sort(), [...wanted].sort(), id);
      }
    }));
    assert.deepEqual(errors, []);
  });

  it('work with Runner\'s clients: upload, download, duplex', async () => {
    const items = [
      task('app.count', async () => { const chunks = await useExposureContext().req.toArray(); return sha256(Buffer.concat(chunks)); }),
      task('app.down', async () => Readable.from([pattern(1_000_000)])),
      task('app.duplex', async () => useExposureContext().req.pipe(new Transform({ transform: (chunk, _encoding, done) => done(null, String(chunk).toUpperCase()) }))),
    ];
    await withApp(fastTunnel, { items }, async ({ url }) => {
      const options = { baseUrl: url, auth: { token: TOKEN }, serializer: new Serializer() };
      const smart = createHttpSmartClient(options);
      const mixed = createHttpMixedClient({ ...options, forceSmart: true });
      const bytes = pattern(5 * MIB);
      for (const client of [smart, mixed]) {
        assert.equal(await client.task('app.count', Readable.from([bytes])), sha256(bytes));
        assert.equal(sha256(Buffer.concat(await (await client.task('app.down', Readable.from(['any']))).toArray())), sha256(pattern(1_000_000)));
        assert.equal(Buffer.concat(await (await client.task('app.duplex', Readable.from(['one ', 'two']))).toArray()).toString(), 'ONE TWO');
      }
    });
  });
});
