// metricsText: a pure function, held to the rules of its formats.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { metricsContentType, metricsText } from 'fasttunnel';
import { answers } from './support/metrics.mjs';

const LE_US = Array.from({ length: 27 }, (_, index) => 2 ** (10 + index) / 1000);
const LE = Array.from({ length: 15 }, (_, index) => 2 ** index);
const durations = (count, sumUs, us) => ({ count, sumUs, p50Us: us, p90Us: us, p99Us: us, maxUs: us, buckets: LE_US.map((leUs) => ({ leUs, count: us <= leUs ? count : 0 })) });
const sizes = (count, size) => ({ count, sum: count * size, p50: size, p90: size, p99: size, max: size, buckets: LE.map((le) => ({ le, count: size <= le ? count : 0 })) });

const COUNTERS = [
  'connections', 'accepted', 'turnedAway', 'requests', 'refused', 'protocolErrors', 'calls', 'answered', 'dropped', 'overloaded', 'abandoned', 'shed', 'restarts', 'heldBytes', 'discardedAnswers', 'evicted', 'handlerTimeouts', 'inFlight', 'asks', 'noticesDropped',
  'streamedBodies', 'streamedAnswers', 'cutAnswers', 'frames', 'hostErrors', 'batches', 'wakes', 'hostWakes', 'queueDepth', 'queueDepthMax', 'ticks', 'panics',
  'http2Connections', 'http2Streams', 'http2Floods', 'denied', 'limited', 'callersForgotten',
];
const shard = (first) => ({
  ...Object.fromEntries(COUNTERS.map((name, index) => [name, first + index])),
  refusals: { 401: first, 503: 7 },
  callsPerBatch: sizes(4, 3),
  answersPerBatch: sizes(2, 6),
  phases: { parse: durations(12, 24, 2), queue: durations(12, 1200, 100), js: durations(12, 600_000, 50_000), write: durations(11, 220_000_000, 100_000_000) },
});
const stats = { driver: 'epoll', driverReason: 'because', shards: [shard(100), shard(2 ** 60)], failedShards: 1, live: 7, drains: 5 };

for (const format of ['openmetrics', 'prometheus']) {
  it(`${format}: every number, under a name that says what it is`, () => {
    const samples = answers(metricsText(stats, format), format);
    assert.equal(samples.get('fasttunnel_info{driver="epoll"}'), 1);
    assert.deepEqual(['fasttunnel_live', 'fasttunnel_failed_shards', 'fasttunnel_drains_total'].map((name) => samples.get(name)), [7, 1, 5]);
    assert.deepEqual(['401', '503'].map((status) => samples.get(`fasttunnel_refusals_total{shard="0",status="${status}"}`)), [100, 7]);
    const gauges = ['connections', 'http2Connections', 'http2Streams', 'inFlight', 'heldBytes', 'queueDepth', 'queueDepthMax'];
    for (const [index, counter] of COUNTERS.entries()) {
      const name = `fasttunnel_${counter.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}${gauges.includes(counter) ? '' : '_total'}`;
      assert.deepEqual([0, 1].map((at) => samples.get(`${name}{shard="${at}"}`)), [100 + index, 2 ** 60 + index], name);
    }
  });

  it(`${format}: histograms in seconds, cumulative, complete`, () => {
    const text = metricsText(stats, format);
    const samples = answers(text, format);
    const phase = (name, suffix, le = '') => samples.get(`fasttunnel_phase_duration_seconds_${suffix}{shard="0",phase="${name}"${le}}`);
    assert.deepEqual([phase('parse', 'count'), phase('parse', 'sum')], [12, 0.000024]);
    assert.deepEqual(['0.000001024', '0.000002048', '+Inf'].map((le) => phase('parse', 'bucket', `,le="${le}"`)), [0, 12, 12]);
    assert.deepEqual(['0.033554432', '0.067108864', '68.719476736'].map((le) => phase('js', 'bucket', `,le="${le}"`)), [0, 12, 12]);
    assert.deepEqual(['68.719476736', '+Inf'].map((le) => phase('write', 'bucket', `,le="${le}"`)), [0, 11], 'what exceeds every bound');
    assert.deepEqual([phase('write', 'count'), phase('write', 'sum')], [11, 220]);
    assert.deepEqual(['1.0', '2.0', '4.0', '16384.0', '+Inf'].map((le) => samples.get(`fasttunnel_calls_per_batch_bucket{shard="1",le="${le}"}`)), [0, 0, 4, 4, 4]);
    assert.equal(samples.get('fasttunnel_answers_per_batch_sum{shard="0"}'), 12);
    assert.equal(text.match(/_bucket\{shard="0"/g).length, 4 * 28 + 2 * 16);
  });
}

it('the formats differ in what the counters are called, and in the end', () => {
  const [open, plain] = ['openmetrics', 'prometheus'].map((format) => metricsText(stats, format));
  assert.equal(metricsText(stats), open);
  assert.match(open, /^# TYPE fasttunnel_calls counter$/m);
  assert.match(plain, /^# TYPE fasttunnel_calls_total counter$/m);
  assert.match(open, /^# UNIT fasttunnel_phase_duration_seconds seconds$/m);
  assert.doesNotMatch(plain, /# UNIT|# EOF/);
  const samplesOf = (text) => text.split('\n').filter((line) => !line.startsWith('#'));
  assert.deepEqual(samplesOf(open), samplesOf(plain));
  assert.deepEqual(Object.keys(metricsContentType), ['openmetrics', 'prometheus']);
});

it('a format that nobody knows is an OptionError', () => {
  for (const format of ['json', 'toString', '', null, 5]) assert.throws(() => metricsText(stats, format), { code: 'FASTTUNNEL_BAD_OPTION' });
});
