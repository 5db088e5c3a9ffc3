// What can be seen of a client: its statistics, and what it publishes.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import diagnostics from 'node:diagnostics_channel';
import { describe, it } from 'node:test';
import { fastTunnel, TaskError } from 'fasttunnel';
import { createClient } from 'fasttunnel/client';
import { sleep, withTunnel } from './support/tunnels.mjs';

const { Histogram } = createRequire(import.meta.url)('../dist/cjs/client/histogram.js');
const tasks = { echo: (input) => input, slow: async (ms) => { await sleep(ms); return ms; }, fails: () => { throw new TaskError('no', { httpCode: 409 }); } };

describe('a histogram', () => {
  it('has the buckets that a tunnel has', async () => {
    const tunnel = await fastTunnel({ auth: { allowAnonymous: true } });
    const ours = tunnel.stats().shards[0].phases.js.buckets.map(({ leUs }) => leUs);
    await tunnel.close();
    assert.deepEqual(new Histogram().snapshot().buckets.map(({ leUs }) => leUs), ours);
  });

  it('counts each duration in the bucket that it belongs to, and has quantiles that are at most an eighth too high', () => {
    for (let us = 1; us < 30e6; us = Math.ceil(us * 1.37)) {
      const histogram = new Histogram();
      for (let times = 0; times < 9; times++) histogram.note(us);
      histogram.note(68e6);
      const { count, sumUs, p50Us, p90Us, maxUs, buckets } = histogram.snapshot();
      assert.equal(count, 10);
      assert.ok(Math.abs(sumUs - 9 * us - 68e6) < 1);
      assert.equal(maxUs, 68e6);
      assert.equal(p50Us, p90Us);
      assert.ok(p50Us >= us && p50Us <= Math.max(us * 1.1251, 1.024), `${us} has a quantile of ${p50Us}`);
      const bucket = buckets.find((one) => one.count === 9);
      assert.ok(us <= bucket.leUs && (us > bucket.leUs / 2 || bucket.leUs === 1.024), `${us} is in ${bucket.leUs}`);
      assert.equal(buckets.at(-1).count, 10);
    }
  });
});

describe('a client', () => {
  it('tells where the time of its calls goes', () => withTunnel({ tasks }, async (tunnel) => {
    const client = createClient({ url: tunnel.url, connections: 1, pipelining: 1 });
    await Promise.all([client.task('slow', 60), client.task('slow', 60)]);
    const { queue, answer } = client.stats().phases;
    assert.deepEqual([queue.count, answer.count], [2, 2]);
    assert.ok(queue.maxUs >= 59_000, `one has waited for the other: ${queue.maxUs}`);
    assert.ok(answer.p50Us >= 59_000, `${answer.p50Us}`);
    assert.equal(answer.buckets.at(-1).count, 2);
    await client.close();
  }));

  it('publishes when a call is made and how it ends', () => withTunnel({ tasks }, async (tunnel) => {
    const heard = [];
    const start = (message) => heard.push(['start', message]);
    const end = (message) => heard.push(['end', message]);
    diagnostics.subscribe('fasttunnel.client.start', start);
    diagnostics.subscribe('fasttunnel.client.end', end);
    const client = createClient({ url: tunnel.url });
    try {
      await client.task('echo', 1);
      const error = await client.task('fails').catch((reason) => reason);
      await client.event('nope').catch(() => {});
      await client.task('slow', 500, { timeoutMs: 20 }).catch(() => {});
      await client.task('slow', 500, { signal: AbortSignal.timeout(20) }).catch(() => {});
      const calls = heard.filter(([, { kind }]) => kind !== 'probe');
      assert.deepEqual(calls.filter(([what]) => what === 'start').map(([, { kind, id }]) => [kind, id]), [['task', 'echo'], ['task', 'fails'], ['event', 'nope'], ['task', 'slow'], ['task', 'slow']]);
      const ends = calls.filter(([what]) => what === 'end').map(([, message]) => message);
      assert.deepEqual(ends.map(({ end: how }) => how), ['result', 'error', 'error', 'timedOut', 'aborted']);
      assert.equal(ends[1].error, error);
      assert.ok(ends[3].ms >= 19 && ends[3].ms < 400 && ends[3].attempts === 1);
      assert.equal(ends[1].requestId, error.requestId);
    } finally {
      diagnostics.unsubscribe('fasttunnel.client.start', start);
      diagnostics.unsubscribe('fasttunnel.client.end', end);
      client.destroy();
    }
  }));
});
