// The main job on real input: the three clients of @bluelibs/runner 5.5.0, and ours in their place, call a tunnel.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { it } from 'node:test';
import { TaskError } from 'fasttunnel';
import { createClient } from 'fasttunnel/runner';
import { RawSocket, taskBytes } from './support/raw-socket.mjs';
import { onBothDrivers, sleep, until, withTunnel } from './support/tunnels.mjs';

// Its ES module build does not load in Node.
const require = createRequire(import.meta.url);
const { createHttpClient, r, Serializer } = require('@bluelibs/runner');
const { createHttpMixedClient, createHttpSmartClient } = require('@bluelibs/runner/node');

const conflict = r.error('app.errors.conflict').httpCode(409).format(({ key }) => `Conflict on ${key}`).build();
const errorRegistry = new Map([[conflict.id, conflict]]);

const CLIENTS = { createHttpClient, createHttpSmartClient, createHttpMixedClient, 'createClient of fasttunnel/runner': createClient };
const TOKEN = 't0ken';

const seen = [];
const tasks = {
  'app.tasks.add': async ({ a, b }) => a + b,
  'app.tasks.echo': (input) => input,
  'app.tasks.nothing': () => {},
  'app.tasks.sparse': () => ({ here: 1, missing: undefined, list: [undefined, 2] }),
  'app.tasks.conflict': ({ key }) => { throw new TaskError(`Conflict on ${key}`, { id: 'app.errors.conflict', data: { key }, httpCode: 409 }); },
  'app.tasks.untyped': () => { throw new TaskError('Out of stock', { id: 'app.errors.stock', data: { left: 0 }, httpCode: 422 }); },
  'app.tasks.broken': async () => { throw new Error('secret detail'); },
  'app.tasks.slow': async (ms) => { await sleep(ms); return ms; },
  'a/b \u00fc': () => 'odd id',
};
const events = {
  'app.events.notify': [async (payload) => { await sleep(5); seen.push(['first', payload]); }, (payload) => { seen.push(['second', payload]); }],
  'app.events.mark': (payload) => { payload.marked = true; },
  'app.events.broken': async () => { throw new Error('secret detail'); },
};

onBothDrivers('clients', (driver) => {
  for (const [name, create] of Object.entries(CLIENTS)) {
    const withClient = (body, options = {}) => withTunnel({ driver, auth: { token: TOKEN }, tasks, events, ...options }, (tunnel) =>
      body(create({ baseUrl: tunnel.url, auth: { token: TOKEN }, serializer: new Serializer(), errorRegistry }), tunnel));

    it(`${name}: results`, () => withClient(async (client) => {
      assert.equal(await client.task('app.tasks.add', { a: 1, b: 2 }), 3);
      assert.equal(await client.task('app.tasks.nothing'), undefined);
      assert.equal(await client.task('app.tasks.echo'), undefined);
      assert.equal(await client.task('a/b \u00fc'), 'odd id');
      assert.deepEqual(await client.task('app.tasks.sparse'), { here: 1, missing: undefined, list: [undefined, 2] });
      for (const value of [null, 0, '', 'text \u2603 \ud83d\ude00', [1, [2]], { a: { b: null } }, [undefined], { a: undefined }, true]) {
        assert.deepEqual(await client.task('app.tasks.echo', value), value);
      }
    }));

    it(`${name}: typed errors by code`, () => withClient(async (client) => {
      await assert.rejects(client.task('app.tasks.conflict', { key: 'k1' }), (error) => {
        assert.ok(conflict.is(error), `${error}`);
        assert.equal(error.message, 'Conflict on k1');
        assert.deepEqual(error.data, { key: 'k1' });
        assert.equal(error.httpCode, 409);
        return true;
      });
      await assert.rejects(client.task('app.tasks.untyped'), (error) => {
        assert.equal(error.code, 'INTERNAL_ERROR');
        assert.equal(error.message, 'Out of stock');
        assert.equal(error.id, 'app.errors.stock');
        assert.deepEqual(error.data, { left: 0 });
        assert.equal(error.httpCode, 422);
        return true;
      });
      await assert.rejects(client.task('app.tasks.broken'), { code: 'INTERNAL_ERROR', message: 'Internal Error' });
      await assert.rejects(client.event('app.events.broken'), { code: 'INTERNAL_ERROR', message: 'Internal Error' });
    }));

    it(`${name}: events`, () => withClient(async (client) => {
      seen.length = 0;
      assert.equal(await client.event('app.events.notify', { message: 'hi' }), undefined);
      assert.deepEqual(seen, [['first', { message: 'hi' }], ['second', { message: 'hi' }]]);
      assert.equal(await client.event('app.events.notify'), undefined);
      assert.deepEqual(seen[3], ['second', undefined]);
    }));

    it(`${name}: events with result`, () => withClient(async (client) => {
      assert.deepEqual(await client.eventWithResult('app.events.mark', { n: 1 }), { n: 1, marked: true });
      assert.equal(await client.eventWithResult('app.events.notify'), undefined);
    }));

    it(`${name}: a wrong token and an unknown id`, () => withClient(async (client, tunnel) => {
      for (const token of ['wrong', undefined]) {
        const stranger = create({ baseUrl: tunnel.url, auth: token && { token }, serializer: new Serializer() });
        await assert.rejects(stranger.task('app.tasks.add', { a: 1, b: 2 }), { code: 'UNAUTHORIZED', message: 'Unauthorized' });
        await assert.rejects(stranger.event('nope'), { code: 'UNAUTHORIZED' });
      }
      await assert.rejects(client.task('nope'), { code: 'FORBIDDEN', message: 'Task nope not exposed' });
      await assert.rejects(client.event('nope'), { code: 'FORBIDDEN', message: 'Event nope not exposed' });
    }));

    it(`${name}: bodies of 1 MiB`, () => withClient(async (client) => {
      const text = 'x\u00e9\u2603"\\'.repeat(Math.ceil(2 ** 20 / 8));
      assert.equal(await client.task('app.tasks.echo', text), text);
      const list = Array.from({ length: 40_000 }, (_, index) => ({ index, name: `item ${index}` }));
      assert.deepEqual(await client.task('app.tasks.echo', list), list);
      await assert.rejects(client.task('app.tasks.echo', 'x'.repeat(2 * 2 ** 20 + 1)), { code: 'PAYLOAD_TOO_LARGE' });
      assert.equal(await client.task('app.tasks.add', { a: 1, b: 2 }), 3);
    }));

    it(`${name}: 200 concurrent calls`, () => withClient(async (client) => {
      const answers = await Promise.all(Array.from({ length: 200 }, (_, index) => (index % 10 === 0 ? client.task('app.tasks.slow', index) : client.task('app.tasks.add', { a: index, b: 0 }))));
      assert.deepEqual(answers, Array.from({ length: 200 }, (_, index) => index));
    }));

    it(`${name}: typed values with a serializer`, () => withClient(async (client) => {
      const value = { at: new Date(0), map: new Map([['k', new Set([1])]]), big: 12n, nothing: undefined };
      assert.deepEqual(await client.task('app.tasks.echo', value), value);
      assert.equal(await client.task('app.tasks.add', { a: 1, b: 2 }), 3);
    }, { serializer: new Serializer() }));
  }

  it('handlers come and go while it serves', () => withTunnel({ driver, auth: { token: TOKEN } }, async (tunnel) => {
    const client = createHttpClient({ baseUrl: tunnel.url, auth: { token: TOKEN }, serializer: new Serializer() });
    await assert.rejects(client.task('late'), { code: 'FORBIDDEN' });
    tunnel.registerTask('late', () => 1).registerEvent('late', () => {});
    assert.equal(await client.task('late'), 1);
    await client.event('late');
    assert.equal(tunnel.unregisterTask('late'), true);
    assert.equal(tunnel.unregisterEvent('late'), true);
    await assert.rejects(client.task('late'), { code: 'FORBIDDEN' });
    await assert.rejects(client.event('late'), { code: 'FORBIDDEN' });
    tunnel.registerTask('late', () => 2);
    assert.equal(await client.task('late'), 2);
  }));

  it('a handler counts for the very next request, and no longer when it was removed', () => withTunnel({ driver, shards: 2 }, async (tunnel) => {
    const sockets = [await RawSocket.connect(tunnel), await RawSocket.connect(tunnel)];
    for (let round = 0; round < 200; round++) {
      const socket = sockets[round % 2];
      tunnel.registerTask('late', () => round);
      // Not awaited: the bytes leave before anything else happens in this process.
      void socket.write(taskBytes('late', {}));
      assert.equal((await socket.answer()).body, `{"ok":true,"result":${round}}`);
      tunnel.unregisterTask('late');
      void socket.write(taskBytes('late', {}));
      assert.equal((await socket.answer()).status, 403);
    }
    for (const socket of sockets) socket.destroy();
  }));

  it('a handler keeps its call when its task is removed meanwhile', () => withTunnel({ driver, auth: { token: TOKEN } }, async (tunnel) => {
    const client = createHttpClient({ baseUrl: tunnel.url, auth: { token: TOKEN }, serializer: new Serializer() });
    let started = false;
    tunnel.registerTask('slow', async () => { started = true; await sleep(100); return 'done'; });
    const call = client.task('slow');
    await until(() => started, 'the handler runs');
    tunnel.unregisterTask('slow');
    assert.equal(await call, 'done');
  }));
});
