// Answers that the Runner layer makes itself: raw ones, failures in words, and entries that see the whole body.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { CallFailure, CORS, DONE, http, plainCodec, RawAnswer, StreamAnswer, task, withBridge } from './support/bridges.mjs';
import { postBytes, RawSocket, taskBytes } from './support/raw-socket.mjs';
import { E500, onBothDrivers, sleep, until } from './support/tunnels.mjs';

const ALL = { cors: true, security: true };
const raw = (status, headers, body, own = ALL, reason) => () => new RawAnswer(status, headers, body, own, reason);

/** What may not be written: name of the case, answer. Each is a 500 "Internal Error". */
const REFUSED = {
  status199: raw(199, [], ''),
  status100: raw(100, [], ''),
  status600: raw(600, [], ''),
  statusFraction: raw(200.5, [], ''),
  statusNaN: raw(NaN, [], ''),
  statusNegative: raw(-1, [], ''),
  statusHuge: raw(2 ** 32 + 200, [], ''),
  statusText: raw('200', [], ''),
  nameEmpty: raw(200, [['', 'x']], ''),
  nameBlank: raw(200, [['a b', 'x']], ''),
  nameColon: raw(200, [['a:', 'x']], ''),
  nameBreak: raw(200, [['a\r\nevil: 1\r\nb', 'x']], ''),
  nameLatin: raw(200, [['é', 'x']], ''),
  valueBreak: raw(200, [['a', 'x\r\nevil: 1']], ''),
  valueLf: raw(200, [['a', 'x\nevil: 1']], ''),
  valueCr: raw(200, [['a', 'x\revil: 1']], ''),
  valueNul: raw(200, [['a', 'x\0']], ''),
  valueSplit: raw(200, [['a', 'x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n']], ''),
  valueWide: raw(200, [['a', 'λ']], ''),
  valueFolded: raw(200, [['a', '\u010a\u010devil: 1']], ''),
  valueSurrogate: raw(200, [['a', '\ud800']], ''),
  valueNumber: raw(200, [['a', 5]], ''),
  framingBreak: raw(200, [['connection', 'close\r\nevil: 1']], ''),
  reasonBreak: raw(200, [], '', ALL, 'OK\r\nevil: 1'),
  reasonWide: raw(200, [], '', ALL, 'λ'),
  headersNull: raw(200, null, ''),
  headersFlat: raw(200, ['a', 'b'], ''),
  headersPairs: raw(200, [[]], ''),
  bodyNumber: raw(200, [], 5),
  bodyNull: raw(200, [], null),
  bodyArray: raw(200, [], [1, 2]),
  ownNull: raw(200, [], '', null),
};

onBothDrivers('raw answers', (driver) => {
  it('bytes, lines and reason arrive as they are', () => {
    const every = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
    const large = Buffer.alloc(3_000_000, 'ab');
    const pool = Buffer.from('0123456789');
    return withBridge({
      driver, cors: { ...CORS, origin: ['https://a'], credentials: true },
      entries: [
        task('bytes', raw(202, [['content-type', 'application/x'], ['X-Case', 'Kept'], ['x-latin', 'é\tü'], ['x-empty', '']], every)),
        task('later', async () => { await sleep(2); return new RawAnswer(418, [], 'é', ALL); }),
        task('large', raw(200, [], large)),
        task('view', raw(200, [], new Uint8Array(pool.buffer, pool.byteOffset + 2, 3))),
        task('shared', raw(200, [], Object.assign(new Uint8Array(new SharedArrayBuffer(3)).fill(65)))),
        task('detached', () => { const bytes = new Uint8Array(8); structuredClone(bytes.buffer, { transfer: [bytes.buffer] }); return new RawAnswer(200, [], bytes, ALL); }),
        task('bare', raw(299, [['content-type', 'text/plain']], 'custom body', { cors: false, security: false }, 'My Reason')),
        task('cookies', raw(200, [['set-cookie', 'a=1'], ['set-cookie', 'b=2'], ['vary', 'Accept'], ['date', 'today'], ['x-runner-request-id', 'mine']], '')),
        task('framing', raw(200, [['Connection', 'close'], ['Keep-Alive', 'timeout=99'], ['Transfer-Encoding', 'chunked'], ['Content-Length', '999']], 'four')),
        task('secure', raw(200, [['x-frame-options', 'SAMEORIGIN']], '')),
        task('insecure', raw(200, [['x-frame-options', 'SAMEORIGIN']], '', { cors: false, security: false })),
        task('noContent', raw(204, [['x-a', 'b']], 'dropped')),
        task('notModified', raw(304, [['etag', '"x"']], 'dropped')),
      ],
    }, async (bridge) => {
      const get = async (id) => {
        const response = await fetch(`http://127.0.0.1:${bridge.port}/__runner/task/${id}`, { method: 'POST', headers: { origin: 'https://a', 'x-runner-request-id': 'rid' } });
        return { status: response.status, reason: response.statusText, headers: response.headers, body: Buffer.from(await response.arrayBuffer()) };
      };
      const bytes = await get('bytes');
      assert.deepEqual([bytes.status, bytes.body], [202, every]);
      assert.equal(bytes.headers.get('x-latin'), 'é\tü');
      for (const [name, value] of [['x-runner-request-id', 'rid'], ['access-control-allow-origin', 'https://a'], ['vary', 'Origin'], ['x-case', 'Kept'], ['x-empty', ''], ['content-length', '256'], ['x-frame-options', 'DENY'], ['content-type', 'application/x']]) {
        assert.equal(bytes.headers.get(name), value, name);
      }
      const later = await get('later');
      assert.deepEqual([later.status, later.reason, later.body.toString()], [418, "I'm a Teapot", 'é']);
      assert.deepEqual((await get('large')).body, large);
      assert.equal((await get('view')).body.toString(), '234');
      assert.equal((await get('shared')).body.toString(), 'AAA');
      assert.deepEqual([(await get('detached')).status, (await get('detached')).body.length], [200, 0]);
      const bare = await get('bare');
      assert.deepEqual([bare.status, bare.reason, bare.body.toString()], [299, 'My Reason', 'custom body']);
      assert.deepEqual([...bare.headers.keys()].sort(), ['connection', 'content-length', 'content-type', 'date', 'keep-alive', 'x-runner-request-id']);
      const { headers: cookies } = await get('cookies');
      assert.deepEqual([cookies.getSetCookie(), cookies.get('vary'), cookies.get('date'), cookies.get('x-runner-request-id')], [['a=1', 'b=2'], 'Origin, Accept', 'today', 'mine']);
      const framing = await get('framing');
      assert.deepEqual([framing.headers.get('connection'), framing.headers.get('keep-alive'), framing.headers.get('content-length'), framing.headers.get('transfer-encoding'), framing.body.toString()], ['keep-alive', 'timeout=5', '4', null, 'four']);
      assert.equal((await get('secure')).headers.get('x-frame-options'), 'DENY');
      assert.equal((await get('insecure')).headers.get('x-frame-options'), 'SAMEORIGIN');
      for (const [id, status] of [['noContent', 204], ['notModified', 304]]) {
        const empty = await get(id);
        assert.deepEqual([empty.status, empty.body.length, empty.headers.get('content-length')], [status, 0, null], id);
      }
    });
  });

  it('lines are in the order of the contract', () => withBridge({
    driver, entries: [task('a', raw(200, [['content-type', 'text/csv'], ['x-total', '1']], 'x'))],
  }, async (bridge) => {
    const socket = await RawSocket.connect(bridge);
    await socket.write(taskBytes('a', 1));
    const { headers } = await socket.answer();
    assert.deepEqual(Object.keys(headers), [
      'x-runner-request-id', 'access-control-allow-origin', 'content-type', 'x-total', 'content-length', 'x-content-type-options', 'x-frame-options', 'date', 'connection', 'keep-alive',
    ]);
    socket.destroy();
  }));

  it('what may not be written is a 500, of which onError hears, and harms no neighbour', () => {
    const errors = [];
    const ids = [];
    const names = Object.keys(REFUSED);
    return withBridge({
      driver, entries: [task('good', (input) => input), task('goodRaw', raw(201, [], 'raw')), ...names.map((name) => task(name, REFUSED[name]))], onError: (error, { id, requestId }) => errors.push([id, requestId]),
    }, async (bridge) => {
      const socket = await RawSocket.connect(bridge);
      await socket.write(names.map((name, n) => taskBytes('good', n) + taskBytes(name, 1) + taskBytes('goodRaw', 1)).join(''));
      for (const [n, name] of names.entries()) {
        assert.equal((await socket.answer()).body, `{"ok":true,"result":${n}}`, name);
        const { status, body, headers } = await socket.answer();
        assert.deepEqual([status, body, headers.evil], [500, E500, undefined], name);
        ids.push([name, headers['x-runner-request-id']]);
        const good = await socket.answer();
        assert.deepEqual([good.status, good.body], [201, 'raw'], name);
      }
      assert.equal(socket.rest, '');
      assert.deepEqual(errors, ids);
      socket.destroy();
    });
  });

  it('the head of a stream that may not be written is a 500, of which onError hears, and ends its source', () => {
    const errors = [];
    let ended = 0;
    const source = () => ({ start: (outlet) => { if (outlet.write('piece')) outlet.end(); }, resume: () => {}, destroy: () => { ended += 1; } });
    const heads = { status: [199, []], name: [200, [['a b', 'x']]], value: [200, [['a', 'x\r\nevil: 1']]] };
    return withBridge({
      driver, entries: Object.entries(heads).map(([id, [status, headers]]) => task(id, async () => new StreamAnswer(status, headers, source(), ALL))), onError: ({ name, message }, { id, requestId }) => errors.push([id, requestId, name, message]),
    }, async (bridge) => {
      const socket = await RawSocket.connect(bridge);
      for (const [at, id] of Object.keys(heads).entries()) {
        await socket.write(taskBytes(id, 1));
        const { status, body, headers } = await socket.answer();
        assert.deepEqual([status, body, headers.evil], [500, E500, undefined], id);
        assert.deepEqual(errors[at], [id, headers['x-runner-request-id'], 'TypeError', 'a status, reason or header line of the answer may not be sent']);
      }
      assert.deepEqual([ended, errors.length, bridge.stats().live], [3, 3, 0]);
      socket.destroy();
    });
  });

  it('failures in words are written as they are, and not reported', () => {
    const errors = [];
    const fail = (status, body) => () => { throw new CallFailure(status, body); };
    return withBridge({
      driver, onError: (error) => errors.push(error),
      entries: [
        task('good', (input) => input), task('conflict', fail(409, '{"ok":false}')), task('late', async () => { await sleep(1); throw new CallFailure(499, '{"late":1}'); }),
        task('odd', fail(200, '{"odd":1}')), task('noJson', fail(422, ']not json"')), task('bad', fail(99, '{}')), task('typeless', fail('409', '{}')),
      ],
    }, async (bridge) => {
      const socket = await RawSocket.connect(bridge);
      const expected = [['conflict', 409, '{"ok":false}'], ['late', 499, '{"late":1}'], ['odd', 200, '{"odd":1}'], ['noJson', 422, ']not json"'], ['bad', 500, E500], ['typeless', 500, E500]];
      await socket.write(expected.map(([id], n) => taskBytes('good', n) + taskBytes(id, 1)).join(''));
      for (const [n, [id, status, body]] of expected.entries()) {
        assert.equal((await socket.answer()).body, `{"ok":true,"result":${n}}`, id);
        const answer = await socket.answer();
        assert.deepEqual([answer.status, answer.body, answer.headers['content-type']], [status, body, 'application/json; charset=utf-8'], id);
        assert.equal(answer.headers['x-frame-options'], 'DENY');
      }
      assert.deepEqual(errors.filter((error) => error instanceof CallFailure), []);
      socket.destroy();
    });
  });

  it('a raw answer for a client that has gone is dropped', () => {
    let settle;
    return withBridge({ driver, entries: [task('slow', () => new Promise((resolve) => { settle = resolve; })), task('good', () => 1)] }, async (bridge) => {
      const socket = await RawSocket.connect(bridge);
      await socket.write(taskBytes('slow', 1));
      await until(() => settle, 'it was called');
      socket.socket.resetAndDestroy();
      await until(() => bridge.stats().shards[0].inFlight === 0, 'it has gone');
      settle(new RawAnswer(200, [], 'nobody', ALL));
      await until(() => bridge.stats().live === 0, 'it is over');
      assert.equal((await http(bridge)('POST', '/__runner/task/good', {})).text, '{"ok":true,"result":1}');
    });
  });

  it('a raw entry sees the whole body and says what the answer is', () => withBridge({
    driver,
    entries: [
      { kind: 'task', id: 'echo', raw: true, run: (body) => body },
      { kind: 'task', id: 'type', raw: true, run: (body) => typeof body },
      { kind: 'task', id: 'done', raw: true, run: async () => DONE },
      { kind: 'event', id: 'event', raw: true, run: (body) => (body?.returnPayload ? { got: body.payload } : DONE) },
    ],
  }, async (bridge) => {
    const post = async (path, body) => (await http(bridge)('POST', `/__runner/${path}`, { body })).text;
    assert.equal(await post('task/echo', '{"input":1,"x":[2]}'), '{"ok":true,"result":{"input":1,"x":[2]}}');
    assert.equal(await post('task/echo', '{"input":{"input":1}}'), '{"ok":true,"result":{"input":{"input":1}}}');
    assert.equal(await post('task/type', undefined), '{"ok":true,"result":"undefined"}');
    assert.equal(await post('task/done', '1'), '{"ok":true}');
    assert.equal(await post('event/event', '{"payload":1}'), '{"ok":true}');
    assert.equal(await post('event/event', '{"payload":1,"returnPayload":true}'), '{"ok":true,"result":{"got":1}}');
  }));

  it('with an exact codec plain bodies and answers never meet the serializer', () => {
    const parsed = [];
    const codec = {
      exact: true,
      parse(text) { parsed.push(text); if (text.includes('"bad"')) throw new Error('no'); return { typed: JSON.parse(text).__type }; },
      revive() { throw new Error('not for an exact codec'); },
      isPlain: (result) => plainCodec.isPlain(result) && result?.typed === undefined,
      stringify: (result) => `{"written":${JSON.stringify(result)}}`,
    };
    return withBridge({ driver, codec, entries: [{ kind: 'task', id: 'echo', raw: true, run: (body) => body }] }, async (bridge) => {
      const post = async (body) => { const { status, text } = await http(bridge)('POST', '/__runner/task/echo', { body }); return status === 200 ? text : status; };
      assert.equal(await post('{"a":[1,"é"]}'), '{"ok":true,"result":{"a":[1,"é"]}}');
      assert.deepEqual(parsed, []);
      assert.equal(await post('{"__type":"Date","value":1}'), '{"ok":true,"result":{"written":{"typed":"Date"}}}');
      assert.equal(await post('{"__type":"bad"}'), 400);
      assert.equal(await post('{'), 400);
      assert.deepEqual(parsed, ['{"__type":"Date","value":1}', '{"__type":"bad"}']);
    });
  });

  it('what waits is drained in portions of 100 KiB, a longer text alone', () => {
    const drained = new Map();
    let bridge;
    const entries = [
      task('echo', (input) => {
        const { drains } = bridge.stats();
        drained.set(drains, [...(drained.get(drains) ?? []), input.n]);
        return input;
      }),
    ];
    return withBridge({ driver, entries }, async (started) => {
      bridge = started;
      const fills = ['x'.repeat(50_000), 'y'.repeat(51_000), 'é'.repeat(20_000), '', 'z'.repeat(300_000), 'λ'.repeat(30_000), 'w'.repeat(102_400), '', '\ud800'.repeat(9000), ...Array(24).fill('v'.repeat(9000))];
      const bodies = fills.map((text, n) => JSON.stringify({ input: { n, text } }));
      const sockets = await Promise.all(fills.map(() => RawSocket.connect(bridge)));
      // All in one turn of this thread, which is the handlers' as well: they wait together.
      await Promise.all(sockets.map((socket, n) => socket.write(postBytes('/__runner/task/echo', bodies[n]))));
      for (const [n, socket] of sockets.entries()) {
        const { status, body } = await socket.answer({ timeoutMs: 20_000 });
        assert.equal(status, 200);
        assert.equal(body, `{"ok":true,"result":${bodies[n].slice('{"input":'.length, -1)}}`, `call ${n}`);
        socket.destroy();
      }
      assert.ok([...drained.values()].some((calls) => calls.length > 1), 'some came together');
      assert.equal([...drained.values()].flat().length, fills.length);
      for (const calls of drained.values()) {
        const bytes = calls.reduce((sum, n) => sum + Buffer.byteLength(bodies[n]) + 1, 1);
        assert.ok(calls.length === 1 || bytes <= 102_400 + 1, `${calls.length} calls of ${bytes} bytes in one drain`);
      }
    });
  });
});
