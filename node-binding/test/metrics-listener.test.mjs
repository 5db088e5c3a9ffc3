// /metrics and /stats of the admin listener: what is told there, in which formats, whatever JavaScript does.
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { metricsContentType, metricsText } from 'fasttunnel';
import { answers } from './support/metrics.mjs';
import { RawSocket, taskBytes } from './support/raw-socket.mjs';
import { callTask, onBothDrivers, post, sleep, until, withTunnel } from './support/tunnels.mjs';

const OVERLOADED = fileURLToPath(new URL('fixtures/overloaded.mjs', import.meta.url));
const WORKER_TASKS = new URL('fixtures/workers/tasks.mjs', import.meta.url);
/** Figures are read anew when they are older. */
const HELD_MS = 110;

const tasks = { add: ({ a, b }) => a + b, fails: () => { throw new Error('on purpose'); }, 'a "quoted"\\id\nof two lines': () => 1 };

async function scrape({ admin }, accept = metricsContentType.openmetrics) {
  const answer = await fetch(`${admin.url}/metrics`, { headers: { accept } });
  const type = answer.headers.get('content-type');
  const format = Object.keys(metricsContentType).find((name) => metricsContentType[name] === type);
  const text = await answer.text();
  assert.ok(answer.status === 200 && format !== undefined, `${answer.status} ${type}`);
  return { text, format, samples: answers(text, format) };
}

/** The lines that say what a family is. */
const said = (text) => text.split('\n').filter((line) => /^# (HELP|TYPE|UNIT)/.test(line));
const sumOf = (samples, name) => [...samples].reduce((sum, [key, value]) => (key.startsWith(`${name}{`) ? sum + value : sum), 0);

onBothDrivers('the admin listener', (driver) => {
  it('tells all that stats() tells, by the same names, in the format that is asked for', () => withTunnel({ driver, tasks, shards: 2, admin: {}, log: { info: () => {} } }, async (tunnel) => {
    for (let call = 0; call < 20; call++) await callTask(tunnel, 'add', { a: call, b: 1 });
    assert.equal((await callTask(tunnel, 'unknown', 1)).status, 403);
    await until(() => tunnel.stats().log.written === 21, 'lines are given to the logger');
    await sleep(HELD_MS);
    for (const format of ['openmetrics', 'prometheus']) {
      const scraped = await scrape(tunnel, metricsContentType[format]);
      assert.equal(scraped.format, format);
      const stats = tunnel.stats();
      const told = new Set(said(scraped.text));
      assert.deepEqual(said(metricsText(stats, format)).filter((line) => !told.has(line)), []);
      const own = answers(metricsText(stats, format), format);
      // Shards turn on, and time passes: all else is at rest.
      const rests = ([name]) => !/_(ticks|wakes)_total\{|phase="write"/.test(name);
      const others = [...own].filter(rests).filter(([name, value]) => scraped.samples.get(name) !== value);
      assert.deepEqual(others, []);
      assert.equal(sumOf(scraped.samples, 'fasttunnel_refusals_total'), 1);
    }
    assert.equal((await scrape(tunnel, '*/*')).format, 'prometheus');
    assert.equal((await scrape(tunnel, 'application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5')).format, 'openmetrics');
    for (const path of ['/metrics', '/stats']) {
      const head = await fetch(`${tunnel.admin.url}${path}`, { method: 'HEAD' });
      assert.deepEqual([head.status, Number(head.headers.get('content-length')) > 1000, head.headers.get('cache-control')], [200, true, 'no-store']);
      assert.equal((await fetch(`${tunnel.admin.url}${path}`, { method: 'POST' })).status, 405);
      assert.equal((await fetch(`http://127.0.0.1:${tunnel.port}${path}`)).status, 404);
    }
  }));

  it('tells of each task and event how often, how long and how often in vain', () => withTunnel({ driver, tasks, events: { add: () => {} }, admin: {} }, async (tunnel) => {
    for (let call = 0; call < 6; call++) await callTask(tunnel, 'add', { a: call, b: 1 });
    for (let call = 0; call < 2; call++) assert.equal((await callTask(tunnel, 'fails', 1)).status, 500);
    await callTask(tunnel, 'a "quoted"\\id\nof two lines', 1);
    await post(tunnel, '/event/add', { payload: 1 });
    await sleep(HELD_MS);
    const { samples } = await scrape(tunnel);
    const of = (kind, id) => ['fasttunnel_task_duration_seconds_count', 'fasttunnel_task_failures_total'].map((name) => samples.get(`${name}{kind="${kind}",id="${id}"}`));
    assert.deepEqual([of('task', 'add'), of('task', 'fails'), of('event', 'add'), of('task', 'a \\"quoted\\"\\\\id\\nof two lines')], [[6, 0], [2, 2], [1, 0], [1, 0]]);
    const { tasks: told, process: own, loops } = await (await fetch(`${tunnel.admin.url}/stats`)).json();
    assert.deepEqual(told.map(({ id, count, failed }) => [id, count, failed]).sort(), [['a "quoted"\\id\nof two lines', 1, 0], ['add', 1, 0], ['add', 6, 0], ['fails', 2, 2]]);
    assert.ok(own.residentMemoryBytes > 1e7 && own.openFds > 3 && own.cpuSeconds > 0 && Math.abs(own.startTimeSeconds - (Date.now() / 1000 - process.uptime())) < 5, JSON.stringify(own));
    assert.deepEqual(loops.map(({ loop, calls }) => [loop, calls]), [['main', 10]]);
    assert.equal(samples.get('process_max_fds') >= own.openFds, true);
  }));

  it('has figures of 200 ids, and of all others together', () => {
    const many = Object.fromEntries(Array.from({ length: 210 }, (_, index) => [`task.${index}`, () => index]));
    many['x'.repeat(201)] = () => 1;
    return withTunnel({ driver, tasks: many, shards: 1, admin: {} }, async (tunnel) => {
      const socket = await RawSocket.connect(tunnel);
      for (const id of Object.keys(many)) {
        await socket.write(taskBytes(id, 1));
        assert.equal((await socket.answer()).status, 200);
      }
      socket.destroy();
      await sleep(HELD_MS);
      const { samples } = await scrape(tunnel);
      const counts = [...samples].filter(([name]) => name.startsWith('fasttunnel_task_duration_seconds_count'));
      assert.deepEqual([counts.length, samples.get('fasttunnel_task_duration_seconds_count{kind="other",id=""}')], [201, 11]);
      // Handlers that come and go change nothing about that, and keep the figures of their ids.
      tunnel.unregisterTask('task.0');
      tunnel.registerTask('task.0', () => 'another');
      tunnel.registerTask('task.new', () => 'new');
      for (const id of ['task.0', 'task.1', 'task.new']) assert.equal((await callTask(tunnel, id, 1)).status, 200);
      await sleep(HELD_MS);
      const after = (await scrape(tunnel)).samples;
      const of = (kind, id) => after.get(`fasttunnel_task_duration_seconds_count{kind="${kind}",id="${id}"}`);
      assert.deepEqual([of('task', 'task.0'), of('task', 'task.1'), of('other', '')], [2, 2, 12]);
    });
  });

  it('answers while JavaScript is blocked, and says for how long that has been', { timeout: 30_000 }, async () => {
    const child = fork(OVERLOADED, { env: { ...process.env, OPTIONS: JSON.stringify({ driver, shards: 1, admin: {} }) } });
    try {
      const [{ port, admin }] = await once(child, 'message');
      const server = { admin, host: '127.0.0.1', port, url: `http://127.0.0.1:${port}/__runner` };
      assert.equal((await scrape(server)).samples.get('fasttunnel_ready'), 1);
      const [blocker, waiting] = [await RawSocket.connect(server), await RawSocket.connect(server)];
      await blocker.write(taskBytes('block', 3000));
      await sleep(100);
      await waiting.write(taskBytes('echo', 1));
      const { samples } = await until(async () => {
        const scraped = await scrape(server);
        return scraped.samples.get('fasttunnel_event_loop_delay_seconds{loop="main"}') > 1.2 && scraped;
      }, 'the delay is told');
      const of = (name) => samples.get(`fasttunnel_event_loop_${name}{loop="main"}`);
      assert.ok(of('age_seconds') > 1.7 && of('delay_max_seconds') >= of('delay_seconds'));
      assert.deepEqual([samples.get('fasttunnel_ready'), samples.get('fasttunnel_live')], [0, 1]);
      for (const socket of [blocker, waiting]) {
        assert.equal((await socket.answer({ timeoutMs: 10_000 })).status, 200);
        socket.destroy();
      }
      const rested = await until(async () => {
        const scraped = await scrape(server);
        return scraped.samples.get('fasttunnel_event_loop_delay_seconds{loop="main"}') < 0.5 && scraped;
      }, 'it has come back');
      assert.ok(rested.samples.get('fasttunnel_event_loop_delay_max_seconds{loop="main"}') > 1.2);
      assert.equal(rested.samples.get('fasttunnel_task_duration_seconds_count{kind="task",id="block"}'), 1);
    } finally {
      child.disconnect();
    }
  });

  it('tells of workers and their event loops, and keeps what was measured of a task when one is reloaded', () => withTunnel({ driver, workers: 2, handlers: WORKER_TASKS, admin: {} }, async (tunnel) => {
    for (let call = 0; call < 10; call++) assert.equal((await callTask(tunnel, 'add', { a: call, b: 1 })).status, 200);
    await sleep(HELD_MS);
    const { text, samples } = await scrape(tunnel);
    const told = new Set(said(text));
    assert.deepEqual(said(metricsText(tunnel.stats())).filter((line) => !told.has(line)), []);
    const loops = [...samples.keys()].filter((name) => name.startsWith('fasttunnel_event_loop_age_seconds'));
    assert.deepEqual(loops, ['main', '0', '1'].map((name) => `fasttunnel_event_loop_age_seconds{loop="${name}"}`));
    assert.deepEqual([sumOf(samples, 'fasttunnel_worker_calls_total'), sumOf(samples, 'fasttunnel_worker_restarts_total')], [10, 0]);
    const count = 'fasttunnel_task_duration_seconds_count{kind="task",id="add"}';
    assert.equal(samples.get(count), 10);
    await tunnel.reload();
    assert.equal((await callTask(tunnel, 'add', { a: 1, b: 1 })).status, 200);
    await sleep(HELD_MS);
    const after = (await scrape(tunnel)).samples;
    assert.deepEqual([after.get(count), sumOf(after, 'fasttunnel_worker_calls_total'), after.get('fasttunnel_drains_total') >= 2], [11, 1, true]);
  }));
});

it('the thread that the admin listener has beside a shard in the event loop tells the same', () => withTunnel({ placement: 'inline', tasks, admin: {} }, async (tunnel) => {
  for (let call = 0; call < 3; call++) await callTask(tunnel, 'add', { a: call, b: 1 });
  await sleep(HELD_MS);
  const { samples } = await scrape(tunnel);
  assert.deepEqual(['fasttunnel_answered_total{shard="0"}', 'fasttunnel_task_duration_seconds_count{kind="task",id="add"}'].map((name) => samples.get(name)), [3, 3]);
  assert.equal((await (await fetch(`${tunnel.admin.url}/stats`)).json()).placement, tunnel.placement);
}));
