// What stats() says of calls, batches and phases adds up.
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { it } from 'node:test';
import { metricsText } from 'fasttunnel';
import { http, task, withBridge } from './support/bridges.mjs';
import { answers } from './support/metrics.mjs';
import { RawSocket, taskBytes } from './support/raw-socket.mjs';
import { callTask, onBothDrivers, post, sleep, until, withTunnel } from './support/tunnels.mjs';

const PHASES = ['parse', 'queue', 'js', 'write'];
const total = (tunnel, pick) => tunnel.stats().shards.reduce((sum, shard) => sum + pick(shard), 0);
const counts = (tunnel) => PHASES.map((phase) => total(tunnel, (shard) => shard.phases[phase].count));
/** Sends are recorded a moment after their bytes have come. */
const untilCounts = (tunnel, wanted) => until(() => counts(tunnel).join() === wanted.join(), `the phases count ${wanted}`).catch((error) => {
  throw new Error(`${error.message}: ${counts(tunnel)}`);
});

const tasks = {
  add: ({ a, b }) => a + b,
  nap: async (ms) => { await sleep(ms); return ms; },
  spin: (ms) => { const end = performance.now() + ms; while (performance.now() < end); return ms; },
  fails: () => { throw new Error('on purpose'); },
  stream: () => Readable.from(['a', 'b']),
  slowStream: async function* () { yield 'a'; await sleep(400); yield 'b'; },
  reads: async (_input, { body }) => { let bytes = 0; for await (const chunk of body) bytes += chunk.length; return bytes; },
};

/** A histogram that contradicts itself is of no use. */
function assertSound(histogram, unit = '') {
  const { count, buckets } = histogram;
  const [sum, p50, p90, p99, max] = ['sum', 'p50', 'p90', 'p99', 'max'].map((name) => histogram[name + unit]);
  assert.ok(p50 <= p90 && p90 <= p99 && p99 <= max && max <= sum && sum <= max * count + 1, JSON.stringify(histogram));
  const bounds = buckets.map((bucket) => bucket[`le${unit}`]);
  assert.deepEqual(bounds, bounds.map((_, index) => bounds[0] * 2 ** index));
  for (const [index, bucket] of buckets.entries()) {
    assert.ok(bucket.count <= count && bucket.count >= (buckets[index - 1]?.count ?? 0));
    if (max <= bucket[`le${unit}`]) assert.equal(bucket.count, count);
  }
}

onBothDrivers('stats', (driver) => {
  it('counts every call once in every phase, and nothing else', () => withTunnel({ driver, tasks, events: { heard: () => {} } }, async (tunnel) => {
    await untilCounts(tunnel, [0, 0, 0, 0]);
    for (let call = 0; call < 20; call++) await callTask(tunnel, 'add', { a: call, b: 1 });
    await Promise.all(Array.from({ length: 40 }, () => callTask(tunnel, 'nap', 1)));
    const socket = await RawSocket.connect(tunnel);
    await socket.write(taskBytes('add', { a: 1, b: 2 }).repeat(30));
    for (let call = 0; call < 30; call++) await socket.answer();
    await post(tunnel, '/event/heard', { payload: 1 });
    assert.equal((await callTask(tunnel, 'fails', 1)).status, 500);
    await untilCounts(tunnel, [92, 92, 92, 92]);
    // Refusals and what is not HTTP at all are no calls.
    assert.equal((await callTask(tunnel, 'unknown', 1)).status, 403);
    assert.equal((await post(tunnel, '/task/add', 'no json')).status, 400);
    await callTask(tunnel, 'add', { a: 1, b: 1 });
    await untilCounts(tunnel, [93, 93, 93, 93]);
    const { shards, live } = tunnel.stats();
    assert.equal(live, 0);
    for (const shard of shards) {
      for (const phase of PHASES) assertSound(shard.phases[phase], 'Us');
      assertSound(shard.callsPerBatch);
      assertSound(shard.answersPerBatch);
      assert.equal(shard.callsPerBatch.sum, shard.calls);
      assert.equal(shard.phases.js.count, shard.answered);
      assert.equal(shard.answersPerBatch.sum, shard.answered);
      assert.ok(shard.callsPerBatch.count <= shard.batches);
      assert.equal(shard.queueDepth, 0);
      assert.ok(shard.queueDepthMax <= shard.batches && (shard.calls === 0 || shard.queueDepthMax > 0));
      assert.ok(shard.hostWakes <= shard.batches + 1, `${shard.hostWakes} wakes for ${shard.batches} batches`);
    }
    assert.ok(total(tunnel, (shard) => shard.hostWakes) > 0);
    // Where the event loop turns the shard, there is no thread to be woken.
    assert.equal(total(tunnel, (shard) => shard.wakes) > 0, tunnel.placement === 'threads');
  }));

  it('time is in the phase that takes it', () => withTunnel({ driver, tasks, shards: 1 }, async (tunnel) => {
    for (let call = 0; call < 5; call++) await callTask(tunnel, 'nap', 50);
    await untilCounts(tunnel, [5, 5, 5, 5]);
    const { parse, queue, js, write } = tunnel.stats().shards[0].phases;
    assert.ok(js.p50Us >= 49_000 && js.p50Us < 500_000 && js.sumUs >= 5 * 49_000, `js p50: ${js.p50Us} µs`);
    for (const other of [parse, queue, write]) assert.ok(other.p50Us < 45_000, `${other.p50Us} µs`);
  }));

  it('waiting for a busy thread is queueing, and fills the queue', () => withTunnel({ driver, tasks, shards: 1 }, async (tunnel) => {
    const busy = await RawSocket.connect(tunnel);
    const others = await Promise.all(Array.from({ length: 5 }, () => RawSocket.connect(tunnel)));
    await callTask(tunnel, 'add', { a: 1, b: 1 });
    // One of them keeps the thread busy, the others' bytes are in the kernel by then or come to the shard meanwhile.
    await Promise.all([busy, ...others].map((socket) => socket.write(taskBytes('spin', 60))));
    for (const socket of [busy, ...others]) await socket.answer();
    await untilCounts(tunnel, [7, 7, 7, 7]);
    const { js, queue } = tunnel.stats().shards[0].phases;
    assert.ok(js.maxUs + queue.maxUs > 5 * 60_000, `the last has waited for all: ${js.maxUs}, ${queue.maxUs}`);
    assert.ok(js.sumUs >= 6 * 59_000);
  }));

  it('streams count until their head, and not as sent', () => withTunnel({ driver, tasks, shards: 1 }, async (tunnel) => {
    for (const id of ['stream', 'slowStream']) assert.equal((await callTask(tunnel, id, 1)).text, 'ab');
    const read = await fetch(`${tunnel.url}/task/reads`, { method: 'POST', headers: { 'content-type': 'application/octet-stream' }, body: Buffer.alloc(300_000) });
    assert.equal(await read.text(), '{"ok":true,"result":300000}');
    await untilCounts(tunnel, [3, 3, 3, 1]);
    const { js, write } = tunnel.stats().shards[0].phases;
    assert.ok(js.maxUs < 300_000 && write.maxUs < 300_000, `${js.maxUs}, ${write.maxUs}`);
  }));

  it('calls whose clients have left count when their handler ends, but for the answer', () => withTunnel({ driver, tasks }, async (tunnel) => {
    const socket = await RawSocket.connect(tunnel);
    await socket.write(taskBytes('nap', 600));
    await until(() => tunnel.stats().live === 1, 'it runs');
    socket.destroy();
    await until(() => total(tunnel, ({ connections }) => connections) === 0, 'the client is gone');
    assert.deepEqual(counts(tunnel), [1, 1, 0, 0]);
    await until(() => tunnel.stats().live === 0, 'the handler ends');
    assert.deepEqual(counts(tunnel), [1, 1, 1, 0]);
    assert.ok(total(tunnel, (shard) => shard.phases.js.maxUs) >= 599_000);
  }));

  it('questions of hooks are in no phase', () => withBridge({
    driver, auth: { header: 'x-runner-token', tokens: undefined, allowAnonymous: false, validators: true },
    entries: [task('one', () => 1)], hooks: { authenticate: async () => { await sleep(200); return true; } },
  }, async (bridge) => {
    for (let call = 0; call < 2; call++) assert.equal((await http(bridge)('POST', '/__runner/task/one', { body: '1' })).status, 200);
    await untilCounts(bridge, [2, 2, 2, 2]);
    const [shard] = bridge.stats().shards;
    assert.deepEqual([shard.asks, shard.calls, shard.callsPerBatch.sum, shard.answersPerBatch.sum], [2, 4, 2, 2]);
    assert.ok(shard.phases.js.maxUs < 150_000 && shard.phases.write.maxUs < 150_000, JSON.stringify(shard.phases.js));
  }));

  it('is a text for metrics systems, also when closed', async () => {
    let closed;
    await withTunnel({ driver, tasks, shards: 2 }, async (tunnel) => {
      closed = tunnel;
      await callTask(tunnel, 'add', { a: 1, b: 1 });
      await untilCounts(tunnel, [1, 1, 1, 1]);
      for (const format of ['openmetrics', 'prometheus']) {
        const samples = answers(metricsText(tunnel.stats(), format), format);
        assert.equal(samples.get(`fasttunnel_info{driver="${driver}"}`), 1);
        const calls = [0, 1].map((shard) => samples.get(`fasttunnel_phase_duration_seconds_count{shard="${shard}",phase="js"}`));
        assert.deepEqual(calls.sort(), [0, 1]);
      }
    });
    assert.deepEqual(closed.stats().shards, []);
    assert.equal(answers(metricsText(closed.stats()), 'openmetrics').get('fasttunnel_live'), 0);
  });
});
