// What the golden corpus cannot see, or sees too little of: contexts, responses, isolation, values, logs, validators.
import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { EventEmitter, once } from 'node:events';
import { Readable, Writable } from 'node:stream';
import { it } from 'node:test';
import { call, exposuresFor, post, R, TOKEN, withApp } from './support/runner-apps.mjs';
import { onBothDrivers, sleep, until } from './support/tunnels.mjs';

const { cancellationError, globals, hasExposureContext, r, useExposureContext } = R;
const task = (id, run, more = (builder) => builder) => more(r.task(id)).run(run).build();
const E500 = '{"ok":false,"error":{"message":"Internal Error","code":"INTERNAL_ERROR"}}';

onBothDrivers('runner tasks', (driver) => {
  const { fastTunnel, nodeExposure } = exposuresFor(driver);
  /** Asks both the same questions; what they answer must be the same. Dates and request ids aside. */
  const same = async (options, ask) => {
    const outcomes = [];
    for (const exposure of [nodeExposure, fastTunnel]) outcomes.push(await withApp(exposure, options, ask));
    assert.deepEqual(outcomes[1], outcomes[0]);
    return outcomes[1];
  };
  const visible = ({ status, headers, text }) => [status, text, Object.fromEntries([...headers].filter(([name]) => !['date', 'x-runner-request-id', 'transfer-encoding', 'content-length'].includes(name)))];

  it('run with their middleware, schemas and interceptors', async () => {
    const trace = [];
    const around = r.middleware.task('app.around').run(async ({ task: { input }, next }) => { trace.push('in'); const result = await next({ ...input, b: 10 }); trace.push('out'); return result + 1; }).build();
    const add = task('app.add', async ({ a, b }) => a + b, (builder) => builder.middleware([around]).inputSchema({ parse: (input) => ({ ...input, a: Number(input.a) }) }));
    const observer = r.resource('app.observer').dependencies({ add }).init(async (_config, { add: dependency }) => { dependency.intercept((next, input) => { trace.push('intercepted'); return next(input); }); }).build();
    const [status, text] = (await same({ items: [around, add, observer] }, async ({ url }) => visible(await post(url, '/task/app.add', { input: { a: '5', b: 1 } })))).slice(0, 2);
    assert.deepEqual([status, text], [200, '{"ok":true,"result":16}']);
    assert.deepEqual(trace.slice(3), ['in', 'intercepted', 'out']);
  });

  const inner = task('app.inner', async () => { await sleep(1); return useExposureContext().url.pathname; });
  it('see the exposure context, also in what they call', () => same({
    items: [
      task('app.context', async () => {
        const context = useExposureContext();
        const { req, url, headers } = context;
        const chunks = [];
        for await (const chunk of req) chunks.push(chunk);
        return {
          keys: Object.keys(context).sort(), same: useExposureContext().req === req, spread: Object.keys({ ...context }).length, has: ['req' in context, 'nope' in context],
          req: [req.method, req.url, req.httpVersion, req.complete, req instanceof Readable, req.headers['x-a'], typeof req.headers.host, req.rawHeaders.includes('one'), chunks],
          url: [url.href, url.searchParams.get('q')], headers: [headers['x-a'], headers['x-runner-request-id'], Object.hasOwn(headers, 'x-a')], hasExposure: hasExposureContext(),
          res: [context.res.headersSent, context.res.writableEnded, context.res.statusCode, context.res.getHeader('X-Runner-Request-Id'), context.res instanceof EventEmitter, context.res.hasHeader('x-nope')],
        };
      }),
      inner,
      r.task('app.outer').dependencies({ inner }).run(async (_input, dependencies) => dependencies.inner()).build(),
    ],
  }, async ({ url }) => [
    (await call(url, '/task/app.context?q=1%202&x', {}, { 'x-a': 'one', 'x-runner-request-id': 'r-1' })).result,
    (await call(url, '/task/app.outer', {})).result,
  ]));

  it('may answer by themselves', () => same({
    items: [
      task('app.end', async () => { const { res } = useExposureContext(); res.statusCode = 202; res.setHeader('Content-Type', 'text/plain'); res.setHeader('Set-Cookie', ['a=1', 'b=2']); res.end('custom \u00fc'); return 'ignored'; }),
      task('app.head', async () => { const { res } = useExposureContext(); res.writeHead(418, 'Tea', { 'X-A': 'one', 'content-type': 'text/plain' }).end(Buffer.from([1, 2, 255])); }),
      task('app.later', async () => { const { res } = useExposureContext(); res.write('one,'); setTimeout(() => res.end('two'), 30); return 'ignored'; }),
      task('app.headers', async () => { const { res } = useExposureContext(); res.setHeader('X-From-Task', 1); res.setHeader('x-gone', '1'); res.removeHeader('X-Gone'); res.setHeader('set-cookie', 'a=b'); res.statusCode = 299; return { json: [1] }; }),
      task('app.headersThenTyped', async () => { useExposureContext().res.setHeader('x-from-task', '1'); return { at: new Date(0), missing: undefined }; }),
      task('app.headersThenFails', async () => { useExposureContext().res.setHeader('x-from-task', '1'); throw new Error('secret'); }),
      task('app.empty', async () => { useExposureContext().res.writeHead(204).end(); }),
      task('app.pipes', async () => { const { res } = useExposureContext(); res.setHeader('content-type', 'text/plain'); Readable.from([Buffer.from('a'), Buffer.from('b')]).pipe(res); await once(res, 'finish'); }),
      task('app.tooLate', async () => { const { res } = useExposureContext(); res.end('x'); try { res.setHeader('a', 'b'); } catch (error) { assert.equal(error.code, 'ERR_HTTP_HEADERS_SENT'); } }),
      task('app.looksOnly', async () => { const { res } = useExposureContext(); return [res.statusCode, res.headersSent, res instanceof Writable || typeof res.write === 'function']; }),
      task('app.statusOnly', async () => { useExposureContext().res.statusCode = 404; return 1; }),
    ],
  }, async ({ url }) => {
    const answers = {};
    for (const id of ['end', 'head', 'later', 'headers', 'headersThenTyped', 'headersThenFails', 'empty', 'pipes', 'tooLate', 'looksOnly', 'statusOnly']) answers[id] = visible(await post(url, `/task/app.${id}`, {}));
    return answers;
  }));

  it('that end the response are answered before they end themselves', async () => {
    let finish;
    const events = [];
    const early = task('app.early', async () => {
      const { res, signal } = useExposureContext();
      for (const name of ['finish', 'close']) res.on(name, () => events.push(name));
      res.end('early');
      await new Promise((resolve) => { finish = resolve; });
      events.push(['aborted', signal.aborted, res.writableEnded]);
      throw new Error('nobody hears of it');
    });
    await withApp(fastTunnel, { items: [early] }, async ({ url, logs, value }) => {
      assert.equal((await post(url, '/task/app.early', {})).text, 'early');
      finish();
      await until(() => value.stats().live === 0 && events.length === 3, 'the task has ended');
      assert.deepEqual(events, ['finish', 'close', ['aborted', false, true]]);
      assert.deepEqual(logs.filter(({ level }) => level === 'error').map(({ message, error }) => [message, error]), [['exposure.task.error', 'nobody hears of it'], ['exposure.http.unhandled', 'Cannot set headers after they are sent to the client']]);
    });
  });

  it('do not see each other\'s storages, nor the contexts of calls before', async () => {
    const storage = new AsyncLocalStorage();
    const user = r.asyncContext('app.user').build();
    const userOr = () => { try { return user.use(); } catch { return 'none'; } };
    const enters = task('app.enters', async (name) => {
      const before = storage.getStore();
      storage.enterWith(name);
      const context = userOr();
      await sleep(1);
      return [before ?? 'clean', storage.getStore(), context, userOr()];
    });
    const event = r.event('app.event').build();
    const hook = r.hook('app.hook').on(event).run(async (emission) => { emission.data = [hasExposureContext(), storage.getStore() ?? 'clean', userOr()]; }).build();
    await withApp(fastTunnel, { items: [enters, user, event, hook] }, async ({ url }) => {
      const answers = await Promise.all(Array.from({ length: 100 }, (_, n) => (n % 3 === 2
        ? call(url, '/event/app.event', { returnPayload: true })
        : call(url, '/task/app.enters', { input: `call ${n}` }, n % 3 === 1 ? { 'x-runner-context': JSON.stringify({ 'app.user': String(n) }) } : {}))));
      for (const [n, { result }] of answers.entries()) {
        assert.deepEqual(result, n % 3 === 2 ? [false, 'clean', 'none'] : ['clean', `call ${n}`, n % 3 === 1 ? n : 'none', n % 3 === 1 ? n : 'none'], `call ${n}`);
      }
    });
  });

  it('abort when their client goes, with Runner\'s error, and not after an answer (D9)', async () => {
    const seen = [];
    const wait = task('app.wait', async () => {
      const { signal, req, res } = useExposureContext();
      req.on('aborted', () => seen.push('req aborted'));
      res.on('close', () => seen.push(`res closed, ended ${res.writableEnded}`));
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      seen.push([signal.reason.id, cancellationError.is(signal.reason), signal.reason.data.reason]);
      throw signal.reason;
    });
    let kept;
    const quick = task('app.quick', async () => { kept = useExposureContext().signal; return 1; });
    await withApp(fastTunnel, { items: [wait, quick] }, async ({ url, logs, value }) => {
      const controller = new AbortController();
      const gone = post(url, '/task/app.quick', {}).then(() => fetch(`${url}/task/app.wait`, { method: 'POST', headers: { 'x-runner-token': TOKEN }, signal: controller.signal }));
      await until(() => value.stats().live === 1, 'it waits');
      controller.abort();
      await assert.rejects(gone);
      await until(() => seen.length === 3 && value.stats().live === 0, 'it heard of it');
      assert.deepEqual(new Set(seen.map(String)), new Set(['req aborted', 'res closed, ended false', 'runner.errors.cancellation,true,Client Closed Request']));
      assert.equal(kept.aborted, false);
      assert.deepEqual(logs.filter(({ level }) => level === 'error'), []);
    });
  });

  it('fail as registered errors say, whatever is thrown', () => {
    const typed = r.error('app.typed').format(({ why }) => why ?? '').httpCode(409).build();
    const plain = r.error('app.plain').format(() => 'plain').build();
    const throwing = {
      typed: () => typed.throw({ why: 'because', when: new Date(0) }),
      noMessage: () => typed.throw({}),
      plain: () => plain.throw({ a: undefined }),
      unserialisable: () => typed.throw({ why: 'w', f() {} }),
      noData: () => { const error = plain.new({}); Object.defineProperty(error, 'data', { value: undefined }); throw error; },
      noDataTyped: () => { const error = typed.new({ why: 'w' }); Object.defineProperty(error, 'data', { value: undefined }); throw error; },
      null: () => { throw null; },
      number: () => { throw 7; },
      object: () => { throw { message: 'secret', id: 'app.typed', httpCode: 400 }; },
      cancelled: () => cancellationError.throw({ reason: 'mine' }),
    };
    const ids = Object.keys(throwing);
    const bound = r.event('app.bound').build();
    return same({
      items: [typed, plain, bound, ...ids.map((id) => task(`app.fails.${id}`, async () => throwing[id]())), r.hook('app.fails').on(bound).run(async ({ data }) => throwing[data]()).build()],
    }, async ({ url, logs }) => {
      const answers = [];
      for (const id of ids) answers.push(visible(await post(url, `/task/app.fails.${id}`, {})), visible(await post(url, '/event/app.bound', { payload: id })));
      return [answers, logs.filter(({ level }) => level === 'error').map(({ context, ...log }) => [log, Object.keys(context)])];
    });
  });

  it('a logger that fails does no harm', async () => {
    const { warn, error } = R.Logger.prototype;
    Object.assign(R.Logger.prototype, { warn() { throw new Error('logger'); }, error: async () => { throw new Error('logger'); } });
    try {
      await withApp(fastTunnel, { items: [task('app.fails', async () => { throw new Error('secret'); })] }, async ({ url }) => {
        assert.equal((await post(url, '/task/app.fails', {})).text, E500);
        assert.equal((await post(url, '/task/app.fails', {}, { 'x-runner-token': 'wrong' })).status, 401);
        await sleep(20);
      });
    } finally {
      Object.assign(R.Logger.prototype, { warn, error });
    }
  });

  it('validators that fail vouch for nobody; they see the request, in their order', async () => {
    const asked = [];
    const validator = (id, run) => task(`app.auth.${id}`, async (input) => { asked.push([id, input.method, input.url, input.path, input.headers['x-runner-request-id'], input.headers['x-a']]); return run(input); }, (builder) => builder.tags([globals.tags.authValidator]));
    const items = [
      validator('first', () => { throw new Error('crashed'); }), validator('second', () => null), validator('third', ({ headers }) => ({ ok: headers['x-a'] })),
      task('app.ok', async () => 'ok'), task('app.fails', async () => { throw new Error('secret'); }),
    ];
    const { asked: seen } = await same({ items }, async ({ url }) => {
      asked.length = 0;
      const headers = (more) => ({ 'x-runner-token': 'wrong', 'x-runner-request-id': 'r-1', ...more });
      return {
        answers: [
          visible(await post(url, '/task/app.ok?q=1', {}, headers({ 'x-a': 'yes' }))), visible(await post(url, '/task/app.ok', {}, headers({}))), visible(await post(url, '/task/app.ok', {})),
          visible(await post(url, '/task/app.fails', {}, headers({ 'x-a': 'yes' }))), visible(await post(url, '/task/nope', {}, headers({ 'x-a': 'yes' }))),
        ],
        asked: asked.slice(0, 3),
      };
    });
    assert.deepEqual(seen[0], ['first', 'POST', '/__runner/task/app.ok?q=1', '/__runner/task/app.ok', 'r-1', 'yes']);
  });

  it('origins by pattern and function: no state, and a throw is a no (D10)', async () => {
    const ok = task('app.ok', async () => 1);
    const allowed = (cors, origins) => withApp(fastTunnel, { items: [ok], http: { cors } }, async ({ url }) => {
      const seen = [];
      for (const origin of origins) {
        const { status, headers } = await post(url, '/task/app.ok', {}, origin === undefined ? {} : { origin });
        seen.push([status, headers.get('access-control-allow-origin'), headers.get('vary')]);
      }
      return seen;
    });
    const yes = [200, 'https://a.test', 'Origin'];
    assert.deepEqual(await allowed({ origin: /^https:\/\/a\.test$/g }, ['https://a.test', 'https://a.test', 'https://b.test', 'https://a.test']), [yes, yes, [200, null, 'Origin'], yes]);
    assert.deepEqual(await allowed({ origin: (origin) => { if (origin === undefined) throw new Error('no origin'); return origin; } }, [undefined, 'https://a.test']), [[200, null, 'Origin'], yes]);
  });
});
