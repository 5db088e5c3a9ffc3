// Calls share a batch, a turn of the event loop and one string of answers: none may see or spoil another's.
import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { createRequire } from 'node:module';
import { it } from 'node:test';
import { TaskError } from 'fasttunnel';
import { RawSocket, taskBytes } from './support/raw-socket.mjs';
import { callTask, E500, onBothDrivers, sleep, until, withTunnel } from './support/tunnels.mjs';

const require = createRequire(import.meta.url);
const { AnswerBatch } = require('../dist/cjs/bridge/answer-batch.js');
const { plainCodec } = require('../dist/cjs/values/codec.js');
const ok = (result) => JSON.stringify({ ok: true, result });

/** Sends all calls in one write and returns the bodies of their answers. */
async function pipelined(tunnel, ids) {
  const socket = await RawSocket.connect(tunnel);
  await socket.write(ids.map((id) => taskBytes(id, {})).join(''));
  const bodies = [];
  for (const _ of ids) bodies.push((await socket.answer()).body);
  socket.destroy();
  return bodies;
}

onBothDrivers('isolation', (driver) => {
  it('a result is what it was when its handler returned it', () => {
    const counter = { n: 0 };
    return withTunnel({ driver, shards: 1, tasks: { next: () => { counter.n += 1; return counter; } } }, async (tunnel) => {
      assert.deepEqual(await pipelined(tunnel, Array(10).fill('next')), Array.from({ length: 10 }, (_, index) => ok({ n: index + 1 })));
    });
  });

  it('what enterWith sets in one call is not seen in another, nor for ever after', () => {
    const storage = new AsyncLocalStorage();
    const store = () => storage.getStore() ?? 'none';
    const tasks = {
      enter: () => { storage.enterWith('one caller'); return store(); },
      enterLater: async () => { storage.enterWith('one caller'); await sleep(1); return store(); },
      look: store,
      lookLater: async () => { await sleep(1); return store(); },
    };
    return withTunnel({ driver, shards: 1, tasks }, async (tunnel) => {
      const ids = ['enter', 'look', 'enterLater', 'lookLater', 'look', 'enter'];
      const expected = ['one caller', 'none', 'one caller', 'none', 'none', 'one caller'].map(ok);
      for (let round = 0; round < 3; round++) {
        assert.deepEqual(await pipelined(tunnel, ids), expected);
        await sleep(20);
      }
    });
  });

  it('onError and listeners of the signal run in the context of their call', async () => {
    const storage = new AsyncLocalStorage();
    const seen = [];
    const tasks = {
      fail: () => { storage.enterWith('failed'); throw new Error('x'); },
      wait: (_input, { signal }) => {
        storage.enterWith('left');
        return new Promise((resolve) => { signal.addEventListener('abort', () => { seen.push(storage.getStore()); resolve(); }); });
      },
    };
    await withTunnel({ driver, tasks, onError: () => { seen.push(storage.getStore()); } }, async (tunnel) => {
      await callTask(tunnel, 'fail', {});
      const socket = await RawSocket.connect(tunnel);
      await socket.write(taskBytes('wait', {}));
      await until(() => tunnel.stats().live === 1, 'the handler runs');
      socket.destroy();
      await until(() => seen.length === 2, 'the signal aborts');
      assert.deepEqual(seen, ['failed', 'left']);
    });
  });

  it('a serializer that writes no JSON spoils only the answer that it wrote', () => {
    const broken = { two: '1,2', close: ']', open: '[', quote: '"', brace: '}{' };
    const refused = { empty: '', zero: '1\u00002', nothing: undefined };
    const texts = { ...broken, ...refused };
    const serializer = { parse: JSON.parse, stringify: (value) => (Object.hasOwn(texts, value) ? texts[value] : JSON.stringify(value)) };
    const tasks = Object.fromEntries(['before', 'after', 'last', ...Object.keys(texts)].map((id) => [id, () => id]));
    return withTunnel({ driver, shards: 1, serializer, tasks }, async (tunnel) => {
      for (const id of Object.keys(texts)) {
        const [before, bad, after, last] = await pipelined(tunnel, ['before', id, 'after', 'last']);
        assert.deepEqual([before, after, last], [ok('before'), ok('after'), ok('last')], id);
        assert.equal(bad, id in refused ? E500 : `{"ok":true,"result":${texts[id]}}`);
      }
    });
  });

  it('a TaskError that cannot be written is told to onError', async () => {
    const heard = [];
    const data = {};
    data.self = data;
    const thrown = new TaskError('Conflict', { id: 'app.errors.conflict', data, httpCode: 409 });
    const tasks = { bad: () => { throw thrown; }, good: () => { throw new TaskError('Conflict', { httpCode: 409 }); } };
    await withTunnel({ driver, tasks, onError: (error) => { heard.push(error); } }, async (tunnel) => {
      assert.deepEqual((await callTask(tunnel, 'bad', {})).text, E500);
      assert.equal((await callTask(tunnel, 'good', {})).status, 409);
      assert.deepEqual(heard, [thrown]);
    });
  });

  it('an onError that rejects does not end the process', async () => {
    const rejections = [];
    const listen = (reason) => { rejections.push(reason); };
    process.on('unhandledRejection', listen);
    const { error: write } = console;
    const written = [];
    console.error = (text) => { written.push(text); };
    try {
      await withTunnel({ driver, tasks: { bad: () => { throw new Error('first'); } }, onError: async () => { throw new Error('second'); } }, async (tunnel) => {
        assert.equal((await callTask(tunnel, 'bad', {})).text, E500);
        await until(() => written.length === 2, 'both errors are reported');
      });
      await sleep(20);
    } finally {
      console.error = write;
      process.off('unhandledRejection', listen);
    }
    assert.deepEqual(rejections, []);
    assert.match(written[0], /task bad failed.*first/);
    assert.match(written[1], /onError failed as well.*second/);
  });
});

it('results that together are longer than a string can be leave one after another', () => {
  const unwritable = [];
  const answers = new AnswerBatch(plainCodec, (error) => { unwritable.push(error); });
  const call = (ticket) => ({ ticket, end() {} });
  const large = 'x'.repeat(270 * 1024 * 1024);
  answers.result(call(1), 'small');
  answers.result(call(2), large);
  answers.result(call(3), { small: true });
  answers.result(call(4), large);
  const sent = new Map();
  for (let rounds = 0; !answers.empty; rounds++) {
    assert.ok(rounds < 4);
    const [values, ...others] = answers.take().split('\0');
    const texts = [...JSON.parse(values).map((value) => JSON.stringify(value)), ...others];
    for (let row = 0; row < answers.count; row++) sent.set(answers.rows[row * 2], [answers.rows[row * 2 + 1], texts[row]]);
  }
  assert.deepEqual(unwritable, []);
  assert.deepEqual([...sent.keys()].sort(), [1, 2, 3, 4]);
  assert.deepEqual(sent.get(1), [0, '"small"']);
  assert.deepEqual(sent.get(3), [0, '{"small":true}']);
  for (const ticket of [2, 4]) {
    assert.equal(sent.get(ticket)[0], 0);
    assert.equal(sent.get(ticket)[1].length, large.length + 2);
  }
});
