// One bad call harms no other: every way in which a handler can misbehave, in a batch with good ones.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { RawSocket, taskBytes } from './support/raw-socket.mjs';
import { callTask, E500, onBothDrivers, post, sleep, until, withTunnel } from './support/tunnels.mjs';

const trap = () => { throw new Error('trap'); };
const evilProxy = () => new Proxy({}, { get: trap, has: trap, ownKeys: trap, getPrototypeOf: trap, getOwnPropertyDescriptor: trap });
const cycle = () => { const value = {}; value.self = value; return value; };
const deep = (depth) => { let value = []; for (let level = 1; level < depth; level++) value = [value]; return value; };

/** Each answers 500 "Internal Error", exactly. */
const BAD = {
  throwsError: () => { throw new Error('secret'); },
  throwsString: () => { throw 'secret'; },
  throwsNull: () => { throw null; },
  throwsUndefined: () => { throw undefined; },
  throwsSymbol: () => { throw Symbol('secret'); },
  throwsProxy: () => { throw evilProxy(); },
  throwsFrozen: () => { throw Object.freeze({ toString: trap }); },
  throwsLookAlike: () => { throw Object.assign(new Error('secret'), { httpCode: 200, id: 'x', data: {} }); },
  rejectsError: async () => { throw new Error('secret'); },
  rejectsLater: async () => { await sleep(5); throw 'secret'; },
  rejectsUndefined: () => Promise.reject(),
  rejectsProxy: async () => { throw evilProxy(); },
  returnsCycle: cycle,
  resolvesCycle: async () => cycle(),
  returnsBigInt: () => 1n,
  returnsNestedBigInt: () => ({ a: [1n] }),
  returnsFunction: () => () => {},
  returnsSymbol: () => Symbol('x'),
  returnsBadToJson: () => ({ toJSON: trap }),
  returnsNestedBadToJson: () => [{ a: { toJSON: trap } }],
  returnsBadGetter: () => ({ get a() { throw new Error('secret'); } }),
  returnsProxy: evilProxy,
  resolvesNestedProxy: async () => [evilProxy()],
  returnsBadThenable: () => ({ get then() { throw new Error('secret'); } }),
  returnsThrowingThenable: () => ({ then: trap }),
  returnsRejectingThenable: () => ({ then: (_resolve, reject) => reject('secret') }),
  returnsDeep: () => deep(1500),
  returnsVeryDeep: () => deep(100_000),
  overflowsTheStack: function overflow() { return overflow() + 1; },
};

const tasks = {
  add: ({ a, b }) => a + b,
  addLater: async ({ a, b }) => { await null; return a + b; },
  ...BAD,
};
const good = (index) => (index % 2 === 0 ? 'add' : 'addLater');
const ok = (result) => JSON.stringify({ ok: true, result });

onBothDrivers('bad calls', (driver) => {
  it('every bad call answers 500, its neighbours in the batch are answered (pipelined)', () => withTunnel({ driver, shards: 1, tasks }, async (tunnel) => {
    const names = Object.keys(BAD);
    // One write, so that many of them enter JavaScript in one batch.
    const expected = [];
    let bytes = '';
    for (let round = 0; round < 3; round++) {
      for (const [index, name] of names.entries()) {
        bytes += taskBytes(good(index), { a: index, b: round }) + taskBytes(name, {});
        expected.push([200, ok(index + round), 'good'], [500, E500, name]);
      }
    }
    const socket = await RawSocket.connect(tunnel);
    await socket.write(bytes);
    for (const [status, body, name] of expected) {
      const answer = await socket.answer();
      assert.equal(answer.status, status, name);
      assert.equal(answer.body, body, name);
    }
    socket.destroy();
  }));

  it('the same over many connections at once', () => withTunnel({ driver, tasks }, async (tunnel) => {
    const calls = Object.keys(BAD).flatMap((name, index) => [
      callTask(tunnel, name, {}).then(({ status, text }) => assert.deepEqual([status, text], [500, E500], name)),
      callTask(tunnel, good(index), { a: index, b: 1 }).then(({ status, text }) => assert.deepEqual([status, text], [200, ok(index + 1)])),
    ]);
    await Promise.all(calls);
  }));

  it('each kind alone, next to one good call', () => withTunnel({ driver, shards: 1, tasks }, async (tunnel) => {
    const socket = await RawSocket.connect(tunnel);
    for (const name of Object.keys(BAD)) {
      await socket.write(taskBytes('add', { a: 1, b: 2 }) + taskBytes(name, {}) + taskBytes('add', { a: 3, b: 4 }));
      assert.equal((await socket.answer()).body, ok(3), name);
      assert.equal((await socket.answer()).body, E500, name);
      assert.equal((await socket.answer()).body, ok(7), name);
    }
    socket.destroy();
  }));

  it('bad events harm nobody either', () => withTunnel({
    driver,
    events: { bad: trap, rejects: async () => trap(), weird: () => ({ get then() { throw new Error('secret'); } }), second: [() => {}, trap], good: () => cycle() },
  }, async (tunnel) => {
    const emit = async (id, body = {}) => { const { status, text } = await post(tunnel, `/event/${id}`, body); return [status, text]; };
    for (const id of ['bad', 'rejects', 'weird', 'second']) assert.deepEqual(await emit(id), [500, E500], id);
    assert.deepEqual(await emit('good'), [200, '{"ok":true}']);
    assert.deepEqual(await emit('good', { payload: { a: 1 }, returnPayload: 1 }), [200, ok({ a: 1 })]);
  }));

  it('tells onError what was thrown, and survives an onError that throws', async () => {
    const heard = [];
    const onError = (error, origin) => { heard.push([error, origin]); };
    await withTunnel({ driver, tasks, onError }, async (tunnel) => {
      await callTask(tunnel, 'throwsError', {}, { headers: { 'x-runner-request-id': 'r-1' } });
      await until(() => heard.length === 1, 'onError has heard of it');
      assert.equal(heard[0][0].message, 'secret');
      assert.deepEqual(heard[0][1], { kind: 'task', id: 'throwsError', requestId: 'r-1' });
    });
    await withTunnel({ driver, tasks, onError: trap }, async (tunnel) => {
      assert.deepEqual((await callTask(tunnel, 'throwsError', {})).text, E500);
      assert.deepEqual((await callTask(tunnel, 'add', { a: 1, b: 2 })).text, ok(3));
    });
  });

  it('a handler that blocks the loop for 2 s delays answers, and loses none', () => withTunnel({
    driver,
    tasks: { ...tasks, block: () => { const end = Date.now() + 2000; while (Date.now() < end); return 'blocked'; } },
  }, async (tunnel) => {
    const calls = [callTask(tunnel, 'add', { a: 1, b: 1 }), callTask(tunnel, 'block', {})];
    for (let index = 0; index < 50; index++) calls.push(callTask(tunnel, good(index), { a: index, b: 0 }));
    const texts = (await Promise.all(calls)).map(({ text }) => text);
    assert.deepEqual(texts, [ok(2), ok('blocked'), ...Array.from({ length: 50 }, (_, index) => ok(index))]);
  }));

  it('a handler that never settles gets 504, its signal aborts, and a late answer is dropped', async () => {
    const signals = [];
    let settle;
    await withTunnel({
      driver,
      handlerTimeoutMs: 200,
      tasks: { ...tasks, never: (_input, { signal }) => { signals.push(signal); return new Promise(() => {}); }, late: () => new Promise((resolve) => { settle = resolve; }) },
    }, async (tunnel) => {
      const socket = await RawSocket.connect(tunnel);
      await socket.write(taskBytes('never', {}) + taskBytes('add', { a: 1, b: 2 }));
      const timedOut = await socket.answer();
      assert.equal(timedOut.status, 504);
      assert.equal(JSON.parse(timedOut.body).ok, false);
      assert.equal((await socket.answer()).body, ok(3));
      await until(() => signals[0].aborted, 'the signal aborts');
      await socket.write(taskBytes('late', {}));
      assert.equal((await socket.answer()).status, 504);
      settle('too late');
      await socket.write(taskBytes('add', { a: 2, b: 2 }));
      assert.equal((await socket.answer()).body, ok(4));
      assert.equal(socket.rest, '');
      socket.destroy();
    });
  });

  it('without a time limit a handler may wait, and the others go on', () => withTunnel({
    driver, drainTimeoutMs: 100, tasks: { ...tasks, never: () => new Promise(() => {}) },
  }, async (tunnel) => {
    const stuck = callTask(tunnel, 'never', {}).then(() => 'answered', () => 'closed');
    await sleep(50);
    for (let index = 0; index < 20; index++) assert.equal((await callTask(tunnel, good(index), { a: index, b: 0 })).text, ok(index));
    assert.equal(await Promise.race([stuck, sleep(10).then(() => 'waiting')]), 'waiting');
    await tunnel.close();
    await stuck;
  }));

  it('the signal aborts when the client goes, not after a normal answer', async () => {
    const signals = [];
    let settled = 0;
    await withTunnel({
      driver,
      tasks: {
        ...tasks,
        keep: (_input, { signal }) => { signals.push(signal); return 1; },
        wait: async (_input, { signal }) => {
          signals.push(signal);
          await new Promise((resolve) => { signal.addEventListener('abort', resolve, { once: true }); });
          settled++;
          return 'nobody hears this';
        },
      },
    }, async (tunnel) => {
      const socket = await RawSocket.connect(tunnel);
      await socket.write(taskBytes('wait', {}));
      await until(() => signals.length === 1, 'the handler runs');
      assert.equal(signals[0].aborted, false);
      socket.destroy();
      await until(() => settled === 1, 'the handler has seen its client go');
      assert.equal(signals[0].aborted, true);
      assert.ok(signals[0].reason instanceof Error);

      assert.equal((await callTask(tunnel, 'keep', {})).text, ok(1));
      await sleep(50);
      assert.equal(signals[1].aborted, false);
      assert.equal((await callTask(tunnel, 'add', { a: 1, b: 2 })).text, ok(3));
    });
  });

  it('the signal aborts although the next call takes the place of the one that was given up', () => {
    const signals = [];
    return withTunnel({
      driver,
      shards: 1,
      tasks: {
        ...tasks,
        wait: (_input, { signal }) => { signals.push(signal); return new Promise((resolve) => { signal.addEventListener('abort', resolve); }); },
      },
    }, async (tunnel) => {
      for (let round = 1; round <= 150; round++) {
        const [leaver, caller] = await Promise.all([RawSocket.connect(tunnel), RawSocket.connect(tunnel)]);
        await leaver.write(taskBytes('wait', {}));
        await until(() => signals.length === round, 'the handler runs');
        // Both at once: in about every fourth round the shard hears of them in one tick.
        leaver.socket.resetAndDestroy();
        await caller.write(taskBytes('add', { a: round, b: 0 }));
        assert.equal((await caller.answer()).body, ok(round));
        caller.destroy();
      }
      await until(() => signals.every(({ aborted }) => aborted), 'every signal has aborted');
      await until(() => tunnel.stats().live === 0, 'no call is left behind');
    });
  });

  it('the context stays usable after an await', () => withTunnel({
    driver,
    tasks: {
      context: async (_input, context) => {
        await sleep(20);
        const { id, requestId, headers, signal } = context;
        return { id, requestId, custom: headers['x-custom'], host: typeof headers.host, own: headers['x-runner-request-id'], aborted: signal.aborted };
      },
    },
  }, async (tunnel) => {
    const calls = Array.from({ length: 30 }, async (_, index) => {
      const { text } = await callTask(tunnel, 'context', {}, { headers: { 'x-custom': `c-${index}`, 'x-runner-request-id': `r-${index}` } });
      assert.deepEqual(JSON.parse(text).result, { id: 'context', requestId: `r-${index}`, custom: `c-${index}`, host: 'string', own: `r-${index}`, aborted: false });
    });
    await Promise.all(calls);
    const generated = JSON.parse((await callTask(tunnel, 'context', {})).text).result;
    assert.match(generated.requestId, /^[0-9a-f-]{36}$/);
    assert.equal(generated.own, generated.requestId);
  }));

  it('says 503 when too many calls are in flight, and recovers', async () => {
    let release;
    const gate = new Promise((resolve) => { release = resolve; });
    await withTunnel({ driver, limits: { maxCallsInFlight: 4 }, tasks: { ...tasks, hold: () => gate } }, async (tunnel) => {
      const calls = Array.from({ length: 12 }, () => callTask(tunnel, 'hold', {}));
      const statuses = [];
      for (const call of calls) void call.then(({ status, headers }) => { statuses.push(status); if (status === 503) assert.ok(headers.get('retry-after')); });
      await until(() => statuses.length === 8, 'eight calls were refused');
      assert.ok(statuses.every((status) => status === 503), statuses.join(' '));
      release('held');
      assert.equal((await Promise.all(calls)).filter(({ status }) => status === 200).length, 4);
      assert.equal((await callTask(tunnel, 'add', { a: 1, b: 2 })).text, ok(3));
    });
  });
});
