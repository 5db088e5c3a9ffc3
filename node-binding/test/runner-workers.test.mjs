// The option `engine.workers` of the Runner resource: one app in each worker, one listener for all.
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, it } from 'node:test';
import { boundSocket } from '../../loadtest/restarts/bound-socket.mjs';
import { exposuresFor, QUIET, R, withApp } from './support/runner-apps.mjs';
import { shutDown } from './support/shut-down.mjs';
import { post, onBothDrivers, until } from './support/tunnels.mjs';

const require = createRequire(import.meta.url);
const folder = mkdtempSync(join(tmpdir(), 'fasttunnel-runner-workers-'));
after(() => rmSync(folder, { recursive: true }));

/** Runs the app of the fixtures: `body(tunnel)`; then what it has written down. */
async function withFixture(driver, env, body) {
  const log = join(folder, `log-${driver}-${readdirSync(folder).length}`);
  writeFileSync(log, '');
  Object.assign(process.env, { FASTTUNNEL_DRIVER: driver, WORKERS_LOG: log, ...env });
  const file = require.resolve('./fixtures/workers/app.cjs');
  delete require.cache[file];
  const runtime = await R.run(require(file).app, QUIET);
  try {
    await body(runtime.value, () => readFileSync(log, 'utf8'));
  } finally {
    await runtime.dispose();
    for (const name of Object.keys(env)) delete process.env[name];
  }
  return readFileSync(log, 'utf8');
}

onBothDrivers('workers of a Runner app', (driver) => {
  it('run the app once each, answer for all of it, and dispose of it', async () => {
    const written = await withFixture(driver, {}, async (tunnel, log) => {
      const call = async (id, input, headers = { 'x-runner-token': 'secret' }) => {
        const { status, text } = await post(tunnel, `/task/${id}`, { input }, { headers });
        return status === 200 ? JSON.parse(text).result : `${status} ${JSON.parse(text).error.code}`;
      };
      const threads = new Set(await Promise.all(Array.from({ length: 8 }, () => call('app.tasks.spin', { ms: 20 }))));
      assert.deepEqual([threads.size, threads.has(0)], [2, false]);
      assert.deepEqual(await call('app.tasks.date', { at: { __type: 'Date', value: '2026-01-01T00:00:00.000Z' } }), { __type: 'Date', value: '2026-01-01T00:00:01.000Z' });
      const statuses = [
        await call('hidden.task', {}), await call('app.tasks.fail', {}), await call('app.tasks.thread', {}, { 'x-runner-token': 'wrong' }),
        typeof await call('app.tasks.thread', {}, { 'x-key': 'let me in' }),
      ];
      assert.deepEqual(statuses, ['403 FORBIDDEN', '500 INTERNAL_ERROR', '401 UNAUTHORIZED', 'number']);
      const noted = await post(tunnel, '/event/app.events.note', { payload: { text: 'hello' } }, { headers: { 'x-runner-token': 'secret' } });
      assert.equal(noted.status, 200);
      assert.match(log(), /^note hello false\n$/);

      assert.equal(await call('app.tasks.exit', {}), '503 HANDLER_LOST');
      await until(() => tunnel.stats().workers.every(({ state }) => state === 'running'), 'another has taken its place');
      await tunnel.reload();
      assert.ok(tunnel.stats().workers.every(({ threadId }) => !threads.has(threadId)));
      assert.equal(typeof await call('app.tasks.thread', {}), 'number');
    });
    const closed = written.match(/^closed .*$/gm).sort();
    // Three of the workers (one has exited) that were there before the reload and after it, and the thread that listens.
    assert.deepEqual(closed, [...Array(4).fill('closed false'), 'closed true']);
  });

  it('end when a shard is given up: they keep no process that serves nobody', async () => {
    const socket = boundSocket();
    const written = await withFixture(driver, { WORKERS_ADMIN_FD: String(socket.fd) }, async (tunnel, log) => {
      await until(() => tunnel.stats().workers.every(({ state }) => state === 'running'), 'they run');
      shutDown(socket.fd);
      await until(() => tunnel.stats().failedShards === 1, 'the shard is given up');
      await until(() => log().match(/^closed false$/gm)?.length === 2, 'both apps are disposed of');
    });
    socket.close();
    assert.match(written, /^closed true$/m);
  });

  it('whose app cannot start keep the app from starting', async () => {
    const broken = (text) => {
      const app = join(folder, `broken-${driver}.cjs`);
      writeFileSync(app, text);
      return withApp(exposuresFor(driver).fastTunnel, { engine: { workers: 2, app } }, () => assert.fail('it runs'));
    };
    await assert.rejects(broken('throw new Error("no database");'), /no database/);
    await assert.rejects(broken('exports.other = 1;'), /exports no app/);
    await assert.rejects(withApp(exposuresFor(driver).fastTunnel, { engine: { workers: 2 } }, () => {}), /engine\.app must name the module/);
    await assert.rejects(withApp(exposuresFor(driver).fastTunnel, { engine: { app: '/x' } }, () => {}), /engine\.workers is not set/);
  });
});
