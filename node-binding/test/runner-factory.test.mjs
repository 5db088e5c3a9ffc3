// The factory of clients that every Runner app has, and ours in its place: what depends on it sees no difference.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { httpClientFactory } from 'fasttunnel/runner';
import { Clients } from '../dist/cjs/runner/client-factory.js';
import { exposuresFor, QUIET, R, TOKEN, withApp } from './support/runner-apps.mjs';
import { until, withTunnel } from './support/tunnels.mjs';

const { globals, r, Serializer } = R;
const conflict = r.error('app.errors.conflict').httpCode(409).format(({ key }) => `Conflict on ${key}`).build();
const user = r.asyncContext('app.ctx.user').build();
const mutate = r.event('app.events.mutate').build();
const task = (id, run) => r.task(id).run(run).build();
const ours = (client) => 'stats' in client;

const items = [
  conflict, user, mutate,
  task('app.tasks.echo', async (input) => input),
  task('app.tasks.conflict', async ({ key }) => conflict.throw({ key })),
  task('app.tasks.user', async () => { try { return user.use(); } catch { return 'none'; } }),
  r.hook('app.hooks.mutate').on(mutate).run(async (event) => { event.data = { ...event.data, seen: true }; }).build(),
];

/** Runs an app that calls, with our factory or with its own; `body` gets a client of the factory. */
async function withCaller(overridden, url, body, config) {
  const caller = r
    .resource('app.caller')
    .dependencies({ make: globals.resources.httpClientFactory })
    .init(async (_config, { make }) => make({ baseUrl: url, auth: { token: TOKEN }, ...config }))
    .build();
  const app = r.resource('app').register([caller, conflict, user]).overrides(overridden ? [httpClientFactory] : []).dependencies({ caller }).init(async (_config, { caller: client }) => client).build();
  const runtime = await R.run(app, QUIET);
  try {
    assert.equal(ours(runtime.value), overridden);
    return await body(runtime.value, runtime);
  } finally {
    await runtime.dispose();
  }
}

describe("the factory in the place of Runner's", () => {
  const { fastTunnel: exposure } = exposuresFor('epoll');

  it('makes clients with the serializer, the errors and the contexts of the app', () => withApp(exposure, { items }, async ({ url }) => {
    const seen = [];
    const outcome = async (client) => [
      await client.task('app.tasks.echo', { at: new Date(0), map: new Map([['k', 1n]]) }),
      await client.task('app.tasks.conflict', { key: 'k1' }).catch((error) => [conflict.is(error), error.message, error.httpCode]),
      await user.provide({ name: 'a' }, () => client.task('app.tasks.user')),
      await client.task('app.tasks.user'),
      await client.eventWithResult('app.events.mutate', { n: 1 }),
      await client.event('app.events.mutate', { n: 1 }),
    ];
    const onRequest = ({ url: where }) => { seen.push(where.slice(url.length)); };
    const theirs = await withCaller(false, url, outcome, { onRequest, timeoutMs: 5000 });
    const others = seen.splice(0);
    assert.deepEqual(await withCaller(true, url, outcome, { onRequest, timeoutMs: 5000 }), theirs);
    assert.deepEqual(seen, others);
    assert.deepEqual(theirs.slice(1, 4), [[true, 'Conflict on k1', 409], { name: 'a' }, 'none']);
  }));

  it('can be depended on itself, and takes what Runner has no word for', () => withApp(exposure, { items }, async ({ url }) => {
    const app = r.resource('app').register([httpClientFactory]).overrides([]).dependencies({ make: httpClientFactory }).init(async (_config, { make }) => make({ baseUrl: url, auth: { token: TOKEN }, engine: { connections: 1 } })).build();
    // Registered beside Runner's own it would be a second resource with that id.
    await assert.rejects(R.run(app, QUIET), /httpClientFactory/);
    const overriding = r.resource('app').overrides([httpClientFactory]).dependencies({ make: httpClientFactory }).init(async (_config, { make }) => make({ baseUrl: url, auth: { token: TOKEN }, engine: { connections: 1 } })).build();
    const runtime = await R.run(overriding, QUIET);
    const answers = await Promise.all([1, 2, 3].map((n) => runtime.value.task('app.tasks.echo', n)));
    assert.deepEqual([answers, runtime.value.stats().servers[0].opened], [[1, 2, 3], 1]);
    await runtime.dispose();
  }));

  it('closes its clients when the app is disposed of', () => withApp(exposure, { items }, async ({ url, value }) => {
    await withCaller(true, url, (client) => client.task('app.tasks.echo', 1));
    await until(() => value.stats().shards.reduce((sum, { connections }) => sum + connections, 0) === 0, 'no connection is left');
  }));

  it('refuses a client after that', async () => {
    const client = await withCaller(true, 'http://127.0.0.1:1/__runner', async (one) => one);
    await assert.rejects(client.task('t'), { code: 'FASTTUNNEL_CLOSED' });
  });

  it('waits for calls that are under way, but not for ever', () => withTunnel({ auth: { allowAnonymous: true }, tasks: { wait: (ms) => new Promise((resolve) => { setTimeout(resolve, ms, ms); }), never: () => new Promise(() => {}) } }, async ({ url }) => {
    const serializer = new Serializer();
    const clients = new Clients();
    const done = clients.make({ baseUrl: url, serializer }).task('wait', 50);
    await clients.end();
    assert.equal(await done, 50);
    const hangs = assert.rejects(clients.make({ baseUrl: url, serializer }).task('never'), { code: 'FASTTUNNEL_CLOSED', maybeRan: true });
    const hook = clients.make({ baseUrl: url, serializer, onRequest: () => new Promise(() => {}) });
    void hook.task('wait', 1);
    await clients.end(50);
    await hangs;
  }));
});
