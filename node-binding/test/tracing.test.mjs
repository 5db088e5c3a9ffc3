// The tracing channel `fasttunnel.call`: what its subscribers see of calls, whatever becomes of them.
import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { tracingChannel } from 'node:diagnostics_channel';
import { Readable } from 'node:stream';
import { describe, it } from 'node:test';
import { fastTunnel, TaskError } from 'fasttunnel';
import { createClient } from 'fasttunnel/client';
import { RawAnswer, StreamAnswer } from './support/bridges.mjs';
import { placed } from './support/placed.mjs';
import { exposuresFor, post, R, withApp } from './support/runner-apps.mjs';
import { callTask, onBothDrivers, until, withTunnel } from './support/tunnels.mjs';

const EVENTS = ['start', 'end', 'asyncStart', 'asyncEnd', 'error'];
const OWN = { cors: true, security: true };
const EMPTY = { start: (outlet) => outlet.end(), resume: () => {}, destroy: () => {} };
const PARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

/** Writes down what a tracing channel publishes, while `body` runs. */
async function listening(name, body) {
  const channel = tracingChannel(name);
  const seen = [];
  const subscribers = Object.fromEntries(EVENTS.map((event) => [event, (message) => seen.push({ event, message, settled: message.settled })]));
  channel.subscribe(subscribers);
  try {
    await body(seen);
  } finally {
    channel.unsubscribe(subscribers);
  }
  return seen;
}

const names = (seen) => seen.map(({ event }) => event);
const over = (seen) => until(() => seen.some(({ event, settled }) => event === 'asyncEnd' || (event === 'end' && settled)), 'the call is over');

onBothDrivers('the tracing channel of calls', (driver) => {
  const outcomes = {
    'a value that is there at once': { handler: ({ a }) => a + 1, events: ['start', 'end'], status: 200, result: 2 },
    'a promise': { handler: async ({ a }) => a + 1, events: ['start', 'end', 'asyncStart', 'asyncEnd'], status: 200, result: 2 },
    'an error that is thrown at once': { handler: () => { throw new Error('no'); }, events: ['start', 'error', 'end'], status: 500, error: 'no' },
    'a promise that is rejected': { handler: async () => { throw new TaskError('full', { httpCode: 409 }); }, events: ['start', 'end', 'error', 'asyncStart', 'asyncEnd'], status: 409, error: 'full' },
    'a result that has no JSON form': { handler: () => { const a = {}; a.a = a; return a; }, events: ['start', 'error', 'end'], status: 500, error: /circular/i },
    'an answer that may not be written': { handler: () => new RawAnswer(199, [], '', OWN), events: ['start', 'error', 'end'], status: 500, error: /may not be sent/ },
    'an answer that may not be written, later': { handler: async () => new RawAnswer(200, [['a b', 'x']], '', OWN), events: ['start', 'end', 'error', 'asyncStart', 'asyncEnd'], status: 500, error: /may not be sent/ },
    'a stream whose head may not be written': { handler: async () => new StreamAnswer(200, [['a b', 'x']], EMPTY, OWN), events: ['start', 'end', 'error', 'asyncStart', 'asyncEnd'], status: 500, error: /may not be sent/ },
    'a stream, whose end is that of the call': { handler: () => Readable.from([Buffer.from('ab')]), events: ['start', 'end', 'asyncStart', 'asyncEnd'], status: 200, text: 'ab' },
  };
  for (const [what, { handler, events, status, result, error, text }] of Object.entries(outcomes)) {
    it(`tells of ${what}`, async () => {
      await withTunnel({ driver, tasks: { t: handler } }, async (tunnel) => {
        const seen = await listening('fasttunnel.call', async (log) => {
          const answer = await callTask(tunnel, 't', { a: 1 }, { headers: { 'x-runner-request-id': 'r-1' } });
          assert.equal(answer.status, status);
          if (text !== undefined) assert.equal(answer.text, text);
          await over(log);
        });
        assert.deepEqual(names(seen), events);
        assert.equal(new Set(seen.map(({ message }) => message)).size, 1, 'one object accompanies the call');
        const [{ message }] = seen;
        assert.deepEqual([message.kind, message.id, message.statusCode], ['task', 't', status]);
        if (result !== undefined) assert.equal(message.result, result);
        if (error !== undefined) assert.match(message.error.message, new RegExp(error));
        assert.equal(seen.find(({ event }) => event === 'end').settled, !events.includes('asyncEnd'));
      });
    });
  }

  it('has what the request says, its trace context among it', async () => {
    await withTunnel({ driver, tasks: { t: () => 1 } }, async (tunnel) => {
      const told = [];
      const onStart = (call) => told.push({ requestId: call.requestId, context: call.traceContext, method: call.method, path: call.path, version: call.httpVersion, encrypted: call.encrypted, agent: call.headers['user-agent'], queued: call.queuedMs });
      const channel = tracingChannel('fasttunnel.call');
      channel.start.subscribe(onStart);
      try {
        await callTask(tunnel, 't', 1, { headers: { 'x-runner-request-id': 'r-1', traceparent: PARENT, tracestate: 'a=1', 'user-agent': 'u' } });
        await callTask(tunnel, 't', 1, { headers: { traceparent: 'no' } });
      } finally {
        channel.start.unsubscribe(onStart);
      }
      const [{ queued, ...first }, second] = told;
      assert.deepEqual(first, {
        requestId: 'r-1', method: 'POST', path: '/__runner/task/t', version: '1.1', encrypted: false, agent: 'u',
        context: { traceparent: PARENT, tracestate: 'a=1', traceId: PARENT.slice(3, 35), parentId: PARENT.slice(36, 52), sampled: true },
      });
      assert.ok(queued >= 0 && queued < 10_000, String(queued));
      assert.equal(second.context, undefined);
    });
  });

  it('tells of the tasks of a Runner app, and of what they throw', async () => {
    const add = R.r.task('app.add').run(async ({ a }) => { if (a < 0) throw new Error('no'); return a; }).build();
    await withApp(exposuresFor(driver).fastTunnel, { items: [add] }, async ({ url }) => {
      const seen = await listening('fasttunnel.call', async (log) => {
        for (const a of [1, -1]) await post(url, '/task/app.add', { input: { a } });
        await until(() => log.filter(({ event }) => event === 'asyncEnd').length === 2, 'both are over');
      });
      assert.deepEqual(names(seen), ['start', 'end', 'asyncStart', 'asyncEnd', 'start', 'end', 'error', 'asyncStart', 'asyncEnd']);
      assert.deepEqual([seen[0], seen[4]].map(({ message }) => [message.id, message.statusCode]), [['app.add', 200], ['app.add', 500]]);
    });
  });

  it('ends a call whose handler has not settled when the tunnel closes', async () => {
    const tunnel = await fastTunnel({ driver, ...placed({}), auth: { allowAnonymous: true }, drainTimeoutMs: 1, onError: () => {}, tasks: { t: () => new Promise(() => {}) } });
    const seen = await listening('fasttunnel.call', async (log) => {
      const answer = callTask(tunnel, 't', 1).catch(() => {});
      await until(() => log.length >= 2, 'it runs');
      await tunnel.close();
      await answer;
    });
    assert.deepEqual(names(seen), ['start', 'end', 'error', 'asyncStart', 'asyncEnd']);
    assert.equal(seen[0].message.error.code, 'FASTTUNNEL_CLIENT_CLOSED');
  });

  it('runs a handler, and what reports its error, with the stores that are bound to it, and no other call', async () => {
    const storage = new AsyncLocalStorage();
    const reported = [];
    const channel = tracingChannel('fasttunnel.call');
    const tasks = { t: async ({ fail }) => {
      await new Promise(setImmediate);
      if (fail) throw new Error('no');
      return storage.getStore() ?? null;
    } };
    await withTunnel({ driver, tasks, onError: () => reported.push(storage.getStore()) }, async (tunnel) => {
      channel.start.bindStore(storage, (call) => call.requestId);
      try {
        const ids = ['a', 'b', 'c'];
        const answers = await Promise.all(ids.map((id) => callTask(tunnel, 't', {}, { headers: { 'x-runner-request-id': id } })));
        assert.deepEqual(answers.map(({ text }) => JSON.parse(text).result), ids);
        await callTask(tunnel, 't', { fail: true }, { headers: { 'x-runner-request-id': 'd' } });
      } finally {
        channel.start.unbindStore(storage);
      }
      assert.deepEqual(reported, ['d']);
      const { text } = await callTask(tunnel, 't', {});
      assert.equal(JSON.parse(text).result, null, 'nobody is bound any more');
    });
  });
});

describe('the trace context of a request', () => {
  const TRACE = '0af7651916cd43dd8448eb211c80319c';
  const SPAN = 'b7ad6b7169203331';
  const rows = [
    [`00-${TRACE}-${SPAN}-01`, true],
    [`00-${TRACE}-${SPAN}-00`, true],
    [`cc-${TRACE}-${SPAN}-01`, true],
    [`cc-${TRACE}-${SPAN}-01-what-the-future-adds`, true],
    [`00-${TRACE}-${SPAN}-01-x`, false],
    [`ff-${TRACE}-${SPAN}-01`, false],
    [`00-${'0'.repeat(32)}-${SPAN}-01`, false],
    [`00-${TRACE}-${'0'.repeat(16)}-01`, false],
    [`00-${TRACE.toUpperCase()}-${SPAN}-01`, false],
    [`00-${TRACE}-${SPAN}`, false],
    [`00-${TRACE}-${SPAN}-01.`, false],
    [`00-${TRACE}-${SPAN}-01, 00-${TRACE}-${SPAN}-01`, false],
    ['', false],
  ];
  it('is taken as W3C Trace Context says', async () => {
    const { traceContextOf } = await import('../dist/cjs/trace/context.js');
    for (const [traceparent, valid] of rows) assert.equal(traceContextOf({ traceparent }) !== undefined, valid, traceparent);
    assert.equal(traceContextOf({}), undefined);
    assert.deepEqual([traceContextOf({ traceparent: rows[0][0] }).sampled, traceContextOf({ traceparent: rows[1][0] }).sampled], [true, false]);
  });
});

describe('the tracing channel of clients', () => {
  it('tells how a call goes, and takes headers from its listeners', async () => {
    const tasks = { add: async ({ a, b }) => a + b, header: (_input, { headers }) => headers['x-added'] ?? null, bad: () => { throw new TaskError('no', { httpCode: 418 }); } };
    await withTunnel({ tasks, events: { e: () => {} } }, async (tunnel) => {
      const client = createClient({ url: tunnel.url });
      const add = (message) => { message.headers['x-added'] = 'listener'; };
      const channel = tracingChannel('fasttunnel.client.call');
      try {
        const seen = await listening('fasttunnel.client.call', async (log) => {
          assert.equal(await client.task('add', { a: 1, b: 2 }), 3);
          assert.deepEqual(names(log.splice(0)), ['start', 'end', 'asyncStart', 'asyncEnd']);
          await assert.rejects(client.task('bad'), { status: 418 });
          await client.event('e');
          channel.start.subscribe(add);
          assert.equal(await client.task('header'), 'listener');
          assert.equal(await client.task('header', undefined, { headers: { 'X-Added': 'caller' } }), 'caller', 'its caller has the last word');
          channel.start.unsubscribe(add);
        });
        const [first] = seen;
        assert.deepEqual(names(seen.slice(0, 5)), ['start', 'end', 'error', 'asyncStart', 'asyncEnd']);
        assert.deepEqual([first.message.id, first.message.statusCode, first.message.url, first.message.path], ['bad', 418, tunnel.url, '/task/bad']);
        assert.equal(seen[5].message.kind, 'event');
      } finally {
        await client.close();
      }
    });
  });
});
