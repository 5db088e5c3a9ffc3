// The option `workers`: handlers on event loops of their own, which come and go while calls go on.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import { fastTunnel, metricsText, OptionError, StateError, WorkerError } from 'fasttunnel';
import { boundSocket } from '../../loadtest/restarts/bound-socket.mjs';
import { shutDown } from './support/shut-down.mjs';
import { callTask, onBothDrivers, post, sleep, until, withTunnel } from './support/tunnels.mjs';

const TASKS = new URL('fixtures/workers/tasks.mjs', import.meta.url);
const OWN = new URL('fixtures/workers/own-errors.cjs', import.meta.url);
const folder = mkdtempSync(join(tmpdir(), 'fasttunnel-workers-'));
after(() => rmSync(folder, { recursive: true }));

const withWorkers = (driver, options, body) => withTunnel({ driver, workers: 2, handlers: TASKS, ...options }, body);
const result = async (answer) => {
  const { status, text } = await answer;
  assert.equal(status, 200, text);
  return JSON.parse(text).result;
};
const call = (tunnel, id, input = {}) => result(callTask(tunnel, id, input));
const running = (tunnel) => tunnel.stats().workers.every(({ state }) => state === 'running');
const LOST = '{"ok":false,"error":{"message":"The worker that ran the handler has ended: it may have run","code":"HANDLER_LOST"}}';

onBothDrivers('workers', (driver) => {
  it('share the calls, in threads of their own', () => withWorkers(driver, {}, async (tunnel) => {
    assert.deepEqual([tunnel.getTaskIds().includes('add'), tunnel.getEventIds()], [true, ['note']]);
    const threads = new Set(await Promise.all(Array.from({ length: 8 }, () => call(tunnel, 'spin', { ms: 20 }))));
    assert.equal(threads.size, 2);
    assert.ok(!threads.has(0), 'not the thread of the tunnel');
    const { workers, live, shards } = tunnel.stats();
    assert.deepEqual(workers.map(({ worker, state, restarts, waiting, running: now }) => [worker, state, restarts, waiting, now]), [[0, 'running', 0, 0, 0], [1, 'running', 0, 0, 0]]);
    assert.deepEqual([workers[0].calls + workers[1].calls, live], [8, 0]);
    assert.deepEqual(workers.map(({ threadId }) => threads.has(threadId)), [true, true]);
    assert.equal(shards.reduce((sum, { phases }) => sum + phases.js.count, 0), 8);
    assert.match(metricsText(tunnel.stats()), /fasttunnel_worker_calls_total\{worker="1"\} [1-7]\n/);
  }));

  it('have events, streams, files, task errors and async contexts', () => withWorkers(driver, { workers: 1 }, async (tunnel) => {
    assert.equal((await post(tunnel, '/event/note', { payload: { text: 'ab' } })).status, 200);
    assert.deepEqual(await call(tunnel, 'heard'), ['ab', 'AB']);
    assert.equal(await call(tunnel, 'stored', { text: 'kept' }), 'kept');
    const { status, text } = await callTask(tunnel, 'refuse', {});
    assert.deepEqual([status, JSON.parse(text).error.data], [409, { key: 1 }]);
    const bytes = Buffer.alloc(300_000, 'x');
    const streamed = await post(tunnel, '/task/count', '', { body: bytes, headers: { 'content-type': 'application/octet-stream' } });
    assert.equal(JSON.parse(streamed.text).result.bytes, bytes.length);
    const form = new FormData();
    form.append('__manifest', JSON.stringify({ input: { file: { $runnerFile: 'File', id: 'F', meta: { name: 'a.bin' } } } }));
    form.append('file:F', new Blob([bytes]), 'a.bin');
    const answer = await fetch(`${tunnel.url}/task/size`, { method: 'POST', body: form });
    assert.equal((await answer.json()).result, bytes.length);
  }));

  it('keep a streamed answer, and a streamed body, on one event loop', () => withWorkers(driver, {}, async (tunnel) => {
    const texts = await Promise.all(Array.from({ length: 10 }, async () => (await callTask(tunnel, 'stream', {})).text));
    for (const text of texts) assert.match(text, /^(\d+),\1$/);
    const init = { body: Buffer.alloc(500_000, 'x'), headers: { 'content-type': 'application/octet-stream' } };
    const counted = await Promise.all(Array.from({ length: 6 }, () => result(post(tunnel, '/task/count', '', init))));
    assert.deepEqual(counted.map(({ bytes }) => bytes), Array(6).fill(500_000));
  }));

  it('tell onError of the tunnel what a handler throws', async () => {
    const heard = [];
    await withWorkers(driver, { onError: (...told) => heard.push(told) }, async (tunnel) => {
      assert.equal((await callTask(tunnel, 'fail', {})).status, 500);
      await until(() => heard.length === 1, 'it is told');
    });
    const [[error, origin]] = heard;
    assert.deepEqual([error.name, error.message, error.code, error.cause.message, origin.kind, origin.id], ['TypeError', 'a fault of the handler', 'E_HANDLER', 'deeper', 'task', 'fail']);
    assert.match(error.stack, /tasks\.mjs/);
    assert.match(origin.requestId, /^[0-9a-f-]{36}$/);
  });

  it('tell the onError of their module instead, use its serializer, and run its close', async () => {
    const log = join(folder, `log-${driver}`);
    process.env.WORKERS_LOG = log;
    const heard = [];
    const started = performance.now();
    await withWorkers(driver, { workers: 1, handlers: fileURLToPath(OWN), onError: (error) => heard.push(error) }, async (tunnel) => {
      assert.equal((await callTask(tunnel, 'fail', {})).status, 500);
      assert.equal((await callTask(tunnel, 'kind', 'x')).text, '{"ok":true,"result":{"wrapped":"string"}}');
      const waits = callTask(tunnel, 'wait', { ms: 200 });
      await until(() => tunnel.stats().live === 1, 'it is begun');
      await tunnel.close();
      assert.equal((await waits).text, '{"ok":true,"result":{"wrapped":"done"}}', 'a stop waits for what was begun');
    });
    assert.deepEqual([readFileSync(log, 'utf8'), heard], ['fail: told at home\nanswered\nclosed\n', []]);
    assert.ok(performance.now() - started < 5000);
  });

  for (const [how, input, code, reason] of [
    ['exit', {}, 'FASTTUNNEL_WORKER_ENDED', /ended with code 3/],
    ['crash', {}, 'FASTTUNNEL_WORKER_ENDED', /thrown outside of a handler/],
    ['eat', {}, 'FASTTUNNEL_WORKER_ENDED', /memory limit/],
    ['spin', { ms: 60_000 }, 'FASTTUNNEL_WORKER_BLOCKED', /has not turned for \d+ ms/],
  ]) {
    it(`that end lose what they have begun, and nothing else: ${how}`, async () => {
      const heard = [];
      const options = { workers: { count: 2, blockedTimeoutMs: 500, resourceLimits: { maxOldGenerationSizeMb: 32 } }, onError: (error) => heard.push(error) };
      await withWorkers(driver, options, async (tunnel) => {
        await Promise.all(Array.from({ length: 4 }, () => call(tunnel, 'spin', { ms: 10 })));
        const dies = callTask(tunnel, how, input);
        await sleep(20);
        const others = await Promise.all(Array.from({ length: 20 }, () => callTask(tunnel, 'spin', { ms: 5 })));
        assert.deepEqual(others.filter(({ status, text }) => status !== 200 && text !== LOST), []);
        const { status, text, headers } = await dies;
        assert.deepEqual([status, text, headers.get('retry-after')], [503, LOST, null]);
        // Of one batch that was handed to JavaScript, some may have been begun with it.
        assert.ok(others.filter(({ status }) => status === 200).length >= 15, others.map(({ status }) => status).join());
        await until(() => running(tunnel), 'another has taken its place');
        assert.equal(tunnel.stats().workers.reduce((sum, { restarts }) => sum + restarts, 0), 1);
        assert.equal(new Set(await Promise.all(Array.from({ length: 8 }, () => call(tunnel, 'spin', { ms: 20 })))).size, 2);
      });
      assert.equal(heard.length, 1);
      assert.ok(heard[0] instanceof WorkerError);
      assert.equal(heard[0].code, code);
      assert.match(heard[0].message, reason);
    });
  }

  it('get no calls while they compute and another is free', () => withWorkers(driver, {}, async (tunnel) => {
    // The first calls take longer: code is loaded and compiled.
    for (let round = 0; round < 20; round++) await Promise.all(Array.from({ length: 4 }, () => call(tunnel, 'spin', { ms: 1 })));
    const computes = call(tunnel, 'spin', { ms: 1500 });
    await sleep(200);
    const threads = await Promise.all(Array.from({ length: 20 }, () => call(tunnel, 'spin', { ms: 1 })));
    assert.deepEqual([new Set(threads).size, threads.includes(await computes)], [1, false]);
  }));

  it('that are blocked by a call which has waited for them end as well', async () => {
    const heard = [];
    const options = { workers: { count: 1, blockedTimeoutMs: 500 }, limits: { queueTimeoutMs: 0 }, onError: (error) => heard.push(error.code) };
    await withWorkers(driver, options, async (tunnel) => {
      await callTask(tunnel, 'exit', {});
      await until(() => heard.length === 1, 'it has ended');
      const { status, text } = await callTask(tunnel, 'spin', { ms: 20_000 });
      assert.deepEqual([status, text], [503, LOST]);
      await until(() => heard.length === 2, 'it is told');
    });
    assert.deepEqual(heard, ['FASTTUNNEL_WORKER_ENDED', 'FASTTUNNEL_WORKER_BLOCKED']);
  });

  it('are exchanged one at a time under load, and no call is lost', async () => {
    const module = join(folder, `reloaded-${driver}.mjs`);
    const write = (version, more = '') => writeFileSync(module, `export const tasks = { version: () => ${version}, ${more} slow: () => new Promise((resolve) => setTimeout(resolve, 150, ${version})) };`);
    write(1, 'old: () => 1,');
    await withWorkers(driver, { handlers: module }, async (tunnel) => {
      const seen = [];
      let stop = false;
      const load = Promise.all(Array.from({ length: 8 }, async () => {
        while (!stop) seen.push(await callTask(tunnel, 'version'));
      }));
      const slow = callTask(tunnel, 'slow');
      assert.equal((await callTask(tunnel, 'new')).status, 403);
      write(2, 'new: () => 2,');
      const threads = tunnel.stats().workers.map(({ threadId }) => threadId);
      await tunnel.reload();
      stop = true;
      await load;
      assert.deepEqual(seen.filter(({ status }) => status !== 200).map(({ text }) => text), []);
      assert.equal(await result(slow), 1, 'what was begun ends where it was begun');
      assert.deepEqual([await call(tunnel, 'version'), await call(tunnel, 'new'), (await callTask(tunnel, 'old')).status], [2, 2, 403]);
      assert.deepEqual(tunnel.getTaskIds(), ['version', 'new', 'slow']);
      assert.ok(tunnel.stats().workers.every(({ threadId, restarts }) => !threads.includes(threadId) && restarts === 0));

      writeFileSync(module, 'export const tasks = {');
      await assert.rejects(tunnel.reload(), { name: 'SyntaxError' });
      assert.equal(await call(tunnel, 'version'), 2, 'those that are there go on');
      assert.ok(running(tunnel));
    });
  });

  it('obey the bounds of the tunnel', () => withWorkers(driver, { shards: 1, limits: { maxCallsInFlight: 4, queueTimeoutMs: 100 } }, async (tunnel) => {
    const statuses = (await Promise.all(Array.from({ length: 12 }, () => callTask(tunnel, 'wait', { ms: 200 })))).map(({ status }) => status);
    assert.deepEqual([statuses.filter((status) => status === 200).length, statuses.filter((status) => status === 503).length], [4, 8]);
    assert.equal((await callTask(tunnel, 'nothing', {})).status, 403);
  }));

  it('shed what has waited too long for them: it has not run, and its caller may try again', () => withWorkers(driver, { shards: 1, workers: 1, limits: { queueTimeoutMs: 100 } }, async (tunnel) => {
    // What a call takes has to be known.
    for (let count = 0; count < 3; count++) await call(tunnel, 'spin', { ms: 25 });
    const answers = await Promise.all(Array.from({ length: 40 }, () => callTask(tunnel, 'spin', { ms: 25 })));
    const refused = answers.filter(({ status }) => status === 503);
    assert.ok(refused.length >= 10 && refused.every(({ text, headers }) => JSON.parse(text).error.code === 'SERVICE_UNAVAILABLE' && headers.get('retry-after') === '1'), answers.map(({ status }) => status).join());
    const { shards: [{ shed, answered }] } = tunnel.stats();
    assert.deepEqual([shed, answered], [refused.length, 43]);
  }));

  it('of two tunnels in one process keep to their own', () => withWorkers(driver, { workers: 1 }, (one) => withWorkers(driver, { workers: 1 }, async (two) => {
    const threads = await Promise.all([one, two].flatMap((tunnel) => [call(tunnel, 'thread'), call(tunnel, 'thread')]));
    assert.deepEqual([threads[0] === threads[1], threads[2] === threads[3], threads[0] === threads[2]], [true, true, false]);
    await one.close();
    assert.equal(await call(two, 'add', { a: 1, b: 2 }), 3);
  })));

  it('leave nothing behind when the tunnel closes', async () => {
    const held = () => ({ threads: readdirSync('/proc/self/task').length, descriptors: readdirSync('/proc/self/fd').length });
    const cycle = () => withWorkers(driver, { workers: 2 }, (tunnel) => call(tunnel, 'add', { a: 1, b: 2 }));
    for (let warm = 0; warm < 3; warm++) await cycle();
    const before = held();
    for (let round = 0; round < 5; round++) await cycle();
    await until(() => held().threads <= before.threads && held().descriptors <= before.descriptors, `${JSON.stringify(held())} are back to ${JSON.stringify(before)}`);
  });
});

onBothDrivers('workers whose tunnel closes by itself', (driver) => {
  it('end when a shard is given up', async () => {
    const held = () => readdirSync('/proc/self/task').length;
    const [socket, errors, before] = [boundSocket(), [], held()];
    await withWorkers(driver, { fd: socket.fd, onError: ({ code }) => errors.push(code) }, async (tunnel) => {
      assert.equal(await call(tunnel, 'add', { a: 1, b: 2 }), 3);
      shutDown(socket.fd);
      await until(() => errors.includes('FASTTUNNEL_SHARD_FAILED'), 'it is told');
      await until(() => tunnel.stats().workers.every(({ threadId }) => threadId === undefined), 'they have ended');
      await until(() => held() <= before, `${held()} threads are ${before} again`);
    });
    socket.close();
  });
});

onBothDrivers('processes with workers', (driver) => {
  const PROCESS = fileURLToPath(new URL('fixtures/workers/process.mjs', import.meta.url));
  const ending = (how) => promisify(execFile)(process.execPath, [PROCESS, how, driver], { timeout: 20_000 }).then(({ stdout }) => [0, null, stdout], ({ code, signal, stdout, stderr }) => [code, signal, stdout, stderr]);

  for (const [how, code, signal, stdout] of [['close', 0, null, '3\n'], ['unref', 0, null, '3\n'], ['exit', 5, null, '3\n'], ['throw', 1, null, '3\n'], ['signal', null, 'SIGTERM', '3\n200\n']]) {
    it(`end as others: ${how}`, async () => {
      const [gotCode, gotSignal, gotStdout, stderr] = await ending(how);
      assert.deepEqual([gotCode, gotSignal, gotStdout], [code, signal, stdout], stderr);
    });
  }

  it('may open their tunnels in worker threads, which may be terminated', async () => {
    const held = () => readdirSync('/proc/self/task').length;
    const before = held();
    for (const end of [(worker) => worker.postMessage('close'), (worker) => worker.terminate()]) {
      const worker = new Worker(new URL('fixtures/workers/nested.mjs', import.meta.url), { workerData: { driver } });
      const [url] = await once(worker, 'message');
      const threads = new Set(await Promise.all(Array.from({ length: 6 }, () => call({ url }, 'spin', { ms: 20 }))));
      assert.equal(threads.size, 2);
      const ended = once(worker, 'exit');
      end(worker);
      await ended;
    }
    await until(() => held() <= before, 'no thread is left');
  });
});

describe('workers', () => {
  const open = (options) => fastTunnel({ auth: { allowAnonymous: true }, workers: 2, onError: () => {}, ...options });
  const broken = (name, text) => {
    writeFileSync(join(folder, name), text);
    return open({ handlers: join(folder, name) });
  };

  it('that cannot start make fastTunnel() reject with the error of their module, and nothing is left', async () => {
    const threads = () => readdirSync('/proc/self/task').length;
    const before = threads();
    await assert.rejects(broken('throws.mjs', 'throw Object.assign(new Error("no database"), { code: "E_DB" });'), { message: 'no database', code: 'E_DB' });
    await assert.rejects(broken('syntax.mjs', 'export const tasks = {'), { name: 'SyntaxError' });
    await assert.rejects(broken('empty.mjs', 'export const other = 1;'), (error) => error instanceof OptionError && error.option === 'handlers' && /exports neither tasks nor events/.test(error.message));
    await assert.rejects(broken('wrong.mjs', 'export const tasks = { a: 1 };'), { option: 'tasks["a"]', message: /It is exported by file:.*wrong\.mjs\.$/ });
    await assert.rejects(broken('heard.mjs', 'export const tasks = { a() {} }, onError = 1;'), { option: 'onError', message: /\(error, \{ kind, id \}\) =>/ });
    await assert.rejects(broken('exits.mjs', 'process.exit(7);'), (error) => error instanceof WorkerError && error.code === 'FASTTUNNEL_WORKER_START' && /code 7/.test(error.message));
    await until(() => threads() <= before, 'no thread is left');
  });

  it('come and go a hundred times, and nothing is left of them', { timeout: 120_000 }, async () => {
    const held = () => ({ threads: readdirSync('/proc/self/task').length, descriptors: readdirSync('/proc/self/fd').length });
    const cycle = async () => {
      const tunnel = await open({ workers: 1, handlers: TASKS, shards: 1 });
      assert.equal(await call(tunnel, 'add', { a: 1, b: 2 }), 3);
      await tunnel.close();
    };
    for (let warm = 0; warm < 20; warm++) await cycle();
    globalThis.gc?.();
    const [before, rss] = [held(), process.memoryUsage.rss()];
    for (let round = 0; round < 100; round++) await cycle();
    await until(() => held().threads <= before.threads && held().descriptors <= before.descriptors, `${JSON.stringify(held())} are back to ${JSON.stringify(before)}`);
    globalThis.gc?.();
    // A worker that stayed would cost several MiB each time.
    const grown = (process.memoryUsage.rss() - rss) / 2 ** 20;
    assert.ok(grown < 100, `${grown.toFixed(0)} MiB more`);
  });

  it('that cannot listen reject as without workers', async () => {
    const tunnel = await open({ handlers: TASKS });
    await assert.rejects(open({ handlers: TASKS, port: tunnel.port }), { code: 'EADDRINUSE' });
    assert.equal(await call(tunnel, 'add', { a: 1, b: 1 }), 2);
    await tunnel.close();
  });

  it('need the files of the package, which a bundle does not have', async () => {
    const { entryFile, folderOf } = await import('../dist/cjs/workers/entry-file.js');
    const refused = (error) => error instanceof OptionError && error.option === 'workers' && /Mark fasttunnel external/.test(error.message);
    assert.throws(() => entryFile(folder, 'entry.js'), refused);
    assert.throws(() => entryFile(folderOf(() => nowhereDefined), 'entry.js'), refused);
    for (const [room, name] of [['workers', 'entry.js'], ['runner', 'worker-entry.js']]) {
      const place = fileURLToPath(new URL(`../dist/cjs/${room}`, import.meta.url));
      assert.equal(entryFile(place, name), join(place, name));
    }
  });

  it('are started again after ever longer times', async () => {
    const { Backoff } = await import('../dist/cjs/workers/backoff.js');
    const backoff = new Backoff();
    assert.deepEqual([1, 2, 3, 4].map(() => backoff.failed(0)), [100, 200, 400, 800]);
    for (let more = 0; more < 50; more++) backoff.failed(0);
    assert.deepEqual([backoff.failed(0), backoff.failed(60_000), backoff.failed(0)], [30_000, 100, 200]);
  });

  it('have handlers of their module only', async () => {
    const tunnel = await open({ handlers: TASKS });
    const act = (name, ...rest) => () => tunnel[name](...rest);
    for (const refused of [act('registerTask', 'x', () => {}), act('registerEvent', 'x', () => {}), act('unregisterTask', 'add'), act('unregisterEvent', 'note')]) {
      assert.throws(refused, (error) => error instanceof StateError && error.code === 'FASTTUNNEL_NOT_OFFERED' && /call reload\(\)/.test(error.message));
    }
    await tunnel.close();
    await assert.rejects(tunnel.reload(), { code: 'FASTTUNNEL_CLOSED' });
    await withTunnel({}, (plain) => assert.rejects(plain.reload(), { code: 'FASTTUNNEL_NOT_OFFERED' }));
  });

  it('are asked for with options that fit', async () => {
    for (const [options, option, problem] of [
      [{ workers: 2 }, 'handlers', /must name the module that workers load/],
      [{ workers: 2, handlers: './tasks.mjs' }, 'handlers', /must be a file: URL or an absolute path/],
      [{ workers: 2, handlers: new URL('https://example.com/x.js') }, 'handlers', /must be a file: URL/],
      [{ workers: 2, handlers: '/nowhere/x.mjs' }, 'handlers', /names no file/],
      [{ handlers: TASKS }, 'handlers', /workers is not set/],
      [{ workers: 0, handlers: TASKS }, 'workers', /from 1 to 60/],
      [{ workers: 'all', handlers: TASKS }, 'workers', /must be 'auto' or an integer/],
      [{ workers: 61, handlers: TASKS }, 'workers', /from 1 to 60/],
      [{ workers: {}, handlers: TASKS }, 'workers.count', /must be 'auto'/],
      [{ workers: { count: 1, blockedTimeoutMs: -1 }, handlers: TASKS }, 'workers.blockedTimeoutMs', /from 0 to/],
      [{ workers: { count: 1, resourceLimits: { maxOldGenerationSizeMb: 0 } }, handlers: TASKS }, 'workers.resourceLimits.maxOldGenerationSizeMb', /above 0/],
      [{ workers: { counts: 1 }, handlers: TASKS }, 'workers.counts', /Did you mean workers.count/],
      [{ workers: 1, handlers: TASKS, tasks: {} }, 'tasks', /functions do not cross threads/],
      [{ workers: 1, handlers: TASKS, events: {} }, 'events', /Export events from the module/],
      [{ workers: 1, handlers: TASKS, serializer: JSON }, 'serializer', /Export serializer/],
    ]) {
      await assert.rejects(async () => await fastTunnel({ auth: { allowAnonymous: true }, ...options }), (error) => error instanceof OptionError && error.option === option && problem.test(error.message), `${option} ${problem}`);
    }
    const tunnel = await open({ workers: 'auto', handlers: TASKS });
    assert.ok(tunnel.stats().workers.length >= 1);
    await tunnel.close();
  });
});
