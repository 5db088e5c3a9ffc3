// The option `engine.workers` of the Runner resource: one app in each worker, one listener for all.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, it } from 'node:test';
import { post, onBothDrivers, until } from './support/tunnels.mjs';
import { exposuresFor, QUIET, R, withApp } from './support/runner-apps.mjs';

const require = createRequire(import.meta.url);
const folder = mkdtempSync(join(tmpdir(), 'fasttunnel-runner-workers-'));
after(() => rmSync(folder, { recursive: true }));

onBothDrivers('workers of a Runner app', (driver) => {
  it('run the app once each, answer for all of it, and dispose of it', async () => {
    process.env.FASTTUNNEL_DRIVER = driver;
    process.env.WORKERS_LOG = join(folder, `log-${driver}`);
    const file = require.resolve('./fixtures/workers/app.cjs');
    delete require.cache[file];
    const runtime = await R.run(require(file).app, QUIET);
    const tunnel = runtime.value;
    const call = async (id, input, headers = { 'x-runner-token': 'secret' }) => {
      const { status, text } = await post(tunnel, `/task/${id}`, { input }, { headers });
      return status === 200 ? JSON.parse(text).result : `${status} ${JSON.parse(text).error.code}`;
    };
    try {
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
      assert.match(readFileSync(process.env.WORKERS_LOG, 'utf8'), /^note hello false\n$/);

      assert.equal(await call('app.tasks.exit', {}), '503 HANDLER_LOST');
      await until(() => tunnel.stats().workers.every(({ state }) => state === 'running'), 'another has taken its place');
      await tunnel.reload();
      assert.ok(tunnel.stats().workers.every(({ threadId }) => !threads.has(threadId)));
      assert.equal(typeof await call('app.tasks.thread', {}), 'number');
    } finally {
      await runtime.dispose();
    }
    const closed = readFileSync(process.env.WORKERS_LOG, 'utf8').match(/^closed .*$/gm).sort();
    // Three of the workers (one has exited) that were there before the reload and after it, and the thread that listens.
    assert.deepEqual(closed, [...Array(4).fill('closed false'), 'closed true']);
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
