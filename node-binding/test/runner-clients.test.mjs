// The clients of @bluelibs/runner, unchanged, and ours in their place, against nodeExposure and against fastTunnel: the same outcomes.
// The list is CLIENTS.md, section 5, without what needs streams or files.
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { createClient } from 'fasttunnel/runner';
import { exposuresFor, openApp, R, TOKEN } from './support/runner-apps.mjs';
import { onBothDrivers, until } from './support/tunnels.mjs';

const { createHttpClient, createHttpMixedClient, createHttpSmartClient, globals, r, RunnerError, Serializer, useExposureContext } = R;

const conflict = r.error('app.errors.conflict').httpCode(409).format(({ key }) => `Conflict on ${key}`).build();
const unknown = r.error('app.errors.unknownToTheClient').httpCode(422).format(() => 'only the server knows').build();
const user = r.asyncContext('app.ctx.user').build();
const seen = [];
const notify = r.event('app.events.notify').build();
const mutate = r.event('app.events.mutate').build();
const silent = r.event('app.events.silent').build();
const failing = r.event('app.events.failing').build();
const task = (id, run) => r.task(id).run(run).build();

const items = [
  task('app.tasks.add', async ({ a, b }) => a + b),
  task('app.tasks.echo', async (input) => input),
  task('app.tasks.inputType', async (input) => (input === undefined ? 'undefined' : input === null ? 'null' : typeof input)),
  task('app.tasks.nothing', async () => undefined),
  task('app.tasks.conflict', async ({ key }) => conflict.throw({ key })),
  task('app.tasks.unknownError', async () => unknown.throw({ n: 1 })),
  task('app.tasks.broken', async () => { throw new Error('secret detail'); }),
  task('app.tasks.user', async () => { try { return user.use(); } catch { return 'none'; } }),
  task('app.tasks.requestId', async () => useExposureContext().headers['x-runner-request-id']),
  task('app.tasks.slow', async () => {
    const { signal } = useExposureContext();
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    seen.push(['aborted', signal.reason.id, signal.reason.data]);
  }),
  task('app.tasks/odd id \u00fc', async () => 'odd id'),
  task('hidden.task', async () => 'never'),
  conflict, unknown, user, notify, mutate, silent, failing,
  r.hook('app.hooks.notify').on(notify).run(async ({ data }) => { seen.push(['notify', data]); }).build(),
  r.hook('app.hooks.mutate').on(mutate).run(async (event) => { event.data = { ...event.data, seen: true, at: new Date(0) }; }).build(),
  r.hook('app.hooks.failing').on(failing).run(async () => conflict.throw({ key: 'hook' })).build(),
];

/** What a caller learns of a failure. */
const failureOf = async (promise) => {
  try {
    return ['resolved', await promise];
  } catch (error) {
    const { name, message, code, id, data, httpCode } = error;
    return { runnerError: error instanceof RunnerError, conflict: conflict.is(error), name, message, code, id, data, httpCode };
  }
};

const CLIENTS = {
  universal: createHttpClient,
  smart: createHttpSmartClient,
  mixed: createHttpMixedClient,
  'fasttunnel/runner': createClient,
  'mixed, always smart': (config) => createHttpMixedClient({ ...config, forceSmart: true }),
};

const VALUES = {
  map: new Map([['k', 1], [{ o: 1 }, new Set([1, undefined, 'x'])]]),
  date: new Date(86_400_000),
  bigint: 12345678901234567890n,
  list: [undefined, NaN, -Infinity, /a+/gi, Symbol.for('k')],
  bytes: new Uint8Array([1, 255]),
  marks: { __type: 'Date', value: 'x', __graph: true },
  missing: undefined,
};

const CHECKS = {
  'add': (client) => client.task('app.tasks.add', { a: 1, b: 2 }),
  'typed values both ways': (client) => client.task('app.tasks.echo', VALUES),
  'plain values both ways': (client) => client.task('app.tasks.echo', { a: [1, 'x', null, { deep: [true] }], '\u2028': '\ud83d\ude00' }),
  'undefined result': (client) => client.task('app.tasks.nothing', {}),
  'no input': (client) => client.task('app.tasks.inputType'),
  'null input': (client) => client.task('app.tasks.inputType', null),
  'typed error': (client) => failureOf(client.task('app.tasks.conflict', { key: 'k1' })),
  'typed error that the client does not know': (client) => failureOf(client.task('app.tasks.unknownError', {})),
  'plain error': (client) => failureOf(client.task('app.tasks.broken', {})),
  'hidden task': (client) => failureOf(client.task('hidden.task', {})),
  'task that does not exist': (client) => failureOf(client.task('app.tasks.nope', {})),
  'id with a slash, a blank and an umlaut': (client) => client.task('app.tasks/odd id \u00fc', {}),
  'event': async (client) => [await client.event('app.events.notify', { m: new Date(0) }), seen.splice(0)],
  'event with result': (client) => client.eventWithResult('app.events.mutate', { n: 1 }),
  'event with result and without hooks': (client) => client.eventWithResult('app.events.silent', new Map([[1, 2]])),
  'event with an undefined result': (client) => client.eventWithResult('app.events.silent'),
  'event whose hook fails': (client) => failureOf(client.event('app.events.failing', {})),
  'event that does not exist': (client) => failureOf(client.event('app.events.nope', {})),
  'many at once': async (client) => (await Promise.all(Array.from({ length: 100 }, (_, n) => client.task('app.tasks.add', { a: n, b: 1 })))).reduce((sum, one) => sum + one),
  'a megabyte': async (client) => (await client.task('app.tasks.echo', 'x'.repeat(2 ** 20))).length,
};

onBothDrivers('runner clients', (driver) => {
  // One app behind each for all checks: they leave nothing in it, and a start takes longer than a check.
  const apps = {};
  before(async () => {
    for (const [name, exposure] of Object.entries(exposuresFor(driver))) apps[name] = await openApp(exposure, { items });
  });
  after(() => Promise.all(Object.values(apps).map(({ close }) => close())));
  const both = async (run) => {
    const outcomes = {};
    for (const name of ['nodeExposure', 'fastTunnel']) {
      seen.length = 0;
      outcomes[name] = await run(apps[name]);
    }
    assert.deepEqual(outcomes.fastTunnel, outcomes.nodeExposure);
    return outcomes.fastTunnel;
  };

  for (const [kind, create] of Object.entries(CLIENTS)) {
    const config = (url, more) => ({ baseUrl: url, auth: { token: TOKEN }, serializer: new Serializer(), errorRegistry: new Map([[conflict.id, conflict]]), ...more });

    for (const [what, check] of Object.entries(CHECKS)) {
      it(`${kind}: ${what}`, () => both(({ url }) => check(create(config(url)))));
    }

    it(`${kind}: knows what it should`, async () => {
      assert.deepEqual(await both(async ({ url }) => {
        const client = create(config(url));
        const error = await failureOf(client.task('app.tasks.conflict', { key: 'k1' }));
        return [await client.task('app.tasks.add', { a: 1, b: 2 }), error.conflict, error.httpCode, (await failureOf(client.task('hidden.task', {}))).code];
      }), [3, true, 409, 'FORBIDDEN']);
    });

    it(`${kind}: wrong token`, () => both(({ url }) => failureOf(create(config(url, { auth: { token: 'wrong' } })).task('app.tasks.add', { a: 1, b: 2 }))));

    it(`${kind}: async contexts travel`, async () => {
      assert.deepEqual(await both(({ url }) => {
        const client = create(config(url, { contexts: [user] }));
        return user.provide({ u: 1, since: new Date(0) }, () => client.task('app.tasks.user', {}));
      }), { u: 1, since: new Date(0) });
    });

    it(`${kind}: request ids of the caller's`, async () => {
      assert.equal(await both(({ url }) => create(config(url, { onRequest: ({ headers }) => { headers['x-runner-request-id'] = 'mine-1'; } })).task('app.tasks.requestId', {})), 'mine-1');
    });

    it(`${kind}: a time-out aborts the task's signal`, async () => {
      const aborted = await both(async ({ url }) => {
        const { name, code } = await create(config(url, { timeoutMs: 150 })).task('app.tasks.slow', {}).then(() => assert.fail('it answered'), (error) => error);
        await until(() => seen.length > 0, 'the task heard of it');
        return [name, code, seen.splice(0)];
      });
      assert.deepEqual(aborted[2], [['aborted', 'runner.errors.cancellation', { reason: 'Client Closed Request' }]]);
    });
  }

  it('fasttunnel/runner: outcomes are those of the smart client', async () => {
    const of = async (create) => {
      const { url } = apps.fastTunnel;
      const client = create({ baseUrl: url, auth: { token: TOKEN }, serializer: new Serializer(), errorRegistry: new Map([[conflict.id, conflict]]) });
      const outcomes = {};
      for (const [what, check] of Object.entries(CHECKS)) {
        seen.length = 0;
        outcomes[what] = await check(client);
      }
      return outcomes;
    };
    assert.deepEqual(await of(createClient), await of(createHttpSmartClient));
  });

  it('fasttunnel/runner: a tunnel in client mode changes one line', async () => {
    const { url } = apps.fastTunnel;
    const remote = r.task('app.tasks.add').run(async () => assert.fail('it ran here')).build();
    const tunnel = r.resource('app.clientTunnel').tags([globals.tags.tunnel]).dependencies({ serializer: globals.resources.serializer }).init(async (_config, { serializer }) => {
      const client = createClient({ url, auth: { token: TOKEN }, serializer });
      return { mode: 'client', transport: 'http', tasks: [remote.id], run: (task, input) => client.task(task.id, input) };
    }).build();
    const app = r.resource('app').register([remote, tunnel]).dependencies({ add: remote }).init(async (_config, { add }) => add({ a: 1, b: 2 })).build();
    const runtime = await R.run(app, { logs: { printThreshold: null }, errorBoundary: false, shutdownHooks: false });
    assert.equal(runtime.value, 3);
    await runtime.dispose();
  });

  it('globals.tunnels.http.createClient', () => both(async ({ url }) => {
    const client = globals.tunnels.http.createClient({ url, auth: { token: TOKEN }, serializer: new Serializer() });
    return [await client.task('app.tasks.add', { a: 1, b: 2 }), await client.event('app.events.notify', { m: 1 }), seen.splice(0)];
  }));

  it('httpClientFactory, with the serializer and the errors of its app', () => both(({ url, runtime }) => {
    const client = runtime.getResourceValue(globals.resources.httpClientFactory)({ baseUrl: url, auth: { token: TOKEN } });
    return Promise.all([client.task('app.tasks.echo', VALUES), failureOf(client.task('app.tasks.conflict', { key: 'k' }))]);
  }));
});
