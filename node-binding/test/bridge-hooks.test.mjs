// What the Runner layer builds on: hooks that are asked before a request is decided, raw answers, notices, policies.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { CORS, http, task, withBridge } from './support/bridges.mjs';
import { postBytes, RawSocket, taskBytes } from './support/raw-socket.mjs';
import { onBothDrivers, sleep, until } from './support/tunnels.mjs';

const E401 = '{"ok":false,"error":{"message":"Unauthorized","code":"UNAUTHORIZED"}}';
const TASK = '/__runner/task/echo';
const echo = task('echo', (input) => input);
const tokens = { header: 'x-runner-token', tokens: ['secret'], allowAnonymous: false };
const validated = { header: 'x-runner-token', tokens: undefined, allowAnonymous: false, validators: true };
const byHook = { ...CORS, originFromHook: true };

onBothDrivers('bridge hooks', (driver) => {
  it('an asked origin is on every kind of answer', () => withBridge({
    driver, cors: byHook, auth: tokens, entries: [echo], hooks: { origin: (origin) => (origin?.endsWith('.ok') ? origin : null) },
  }, async (bridge) => {
    const ask = http(bridge);
    const headers = { origin: 'https://a.ok', 'x-runner-token': 'secret' };
    for (const [method, path, status] of [
      ['POST', TASK, 200], ['GET', TASK, 405], ['OPTIONS', TASK, 204], ['OPTIONS', '/__runner', 204], ['POST', '/__runner/task/nope', 403],
      ['POST', '/__runner', 404], ['POST', '/other', 404], ['GET', '/__runner/discovery', 200], ['HEAD', TASK, 405],
    ]) {
      const body = method === 'POST' ? '{"input":1}' : undefined;
      const allowed = await ask(method, path, { headers, body });
      assert.deepEqual([allowed.status, allowed.headers.get('access-control-allow-origin'), allowed.headers.get('vary')], [status, 'https://a.ok', 'Origin'], `${method} ${path}`);
      const denied = await ask(method, path, { headers: { ...headers, origin: 'https://a.no' }, body });
      assert.deepEqual([denied.status, denied.headers.get('access-control-allow-origin'), denied.headers.get('vary')], [status, null, 'Origin'], `${method} ${path}`);
    }
    const unauthorized = await ask('POST', TASK, { headers: { origin: 'https://a.ok' }, body: '1' });
    assert.deepEqual([unauthorized.status, unauthorized.headers.get('access-control-allow-origin')], [401, 'https://a.ok']);
    const broken = await ask('POST', TASK, { headers, body: '{' });
    assert.deepEqual([broken.status, broken.headers.get('access-control-allow-origin')], [400, 'https://a.ok']);
  }));

  it('an origin hook that throws, lies or injects allows nothing', async () => {
    const bad = [() => { throw new Error('no'); }, () => 5, () => ({}), () => '', () => null, () => undefined, () => 'x\r\nevil: 1', () => 'λ', async () => 'https://x'];
    for (const origin of bad) {
      await withBridge({ driver, cors: byHook, entries: [echo], hooks: { origin } }, async (bridge) => {
        const { status, headers, text } = await http(bridge)('POST', TASK, { headers: { origin: 'https://x' }, body: '7' });
        assert.deepEqual([status, text, headers.get('access-control-allow-origin'), headers.get('evil')], [200, '{"ok":true,"result":7}', null, null], String(origin));
      });
    }
  });

  it('authenticate decides where no token matches: sync, async, throwing', () => withBridge({
    driver, auth: { ...validated, tokens: ['secret'] }, entries: [echo],
    hooks: {
      authenticate({ headers }) {
        switch (headers['x-how']) {
          case 'yes': return true;
          case 'truthy': return 1;
          case 'later': return sleep(5).then(() => true);
          case 'later-no': return sleep(5).then(() => false);
          case 'rejects': return Promise.reject(new Error('no'));
          case 'throws': throw new Error('no');
          case 'thenable': return { then: (resolve) => setTimeout(resolve, 5, true) };
          case 'bad-thenable': return { get then() { throw new Error('no'); } };
          default: return undefined;
        }
      },
    },
  }, async (bridge) => {
    const ask = http(bridge);
    for (const [how, status] of [
      ['yes', 200], ['truthy', 200], ['later', 200], ['later-no', 401], ['rejects', 401], ['throws', 401], ['thenable', 200], ['bad-thenable', 401], ['other', 401],
    ]) {
      const { status: got, text } = await ask('POST', TASK, { headers: { 'x-how': how }, body: '{"input":"in"}' });
      assert.equal(got, status, how);
      assert.equal(text, status === 200 ? '{"ok":true,"result":"in"}' : E401, how);
    }
    const before = bridge.stats().shards[0].asks;
    assert.equal((await ask('POST', TASK, { headers: { 'x-runner-token': 'secret', 'x-how': 'throws' }, body: '1' })).status, 200);
    assert.equal((await ask('GET', TASK)).status, 405);
    assert.equal(bridge.stats().shards[0].asks, before, 'a token that matches, and what is decided earlier, is not asked about');
  }));

  it('a hook sees the request, under the id that the answer carries', () => {
    const seen = [];
    return withBridge({
      driver, auth: validated, cors: byHook, entries: [task('echo', (input, call) => ({ method: call.method, url: call.url, version: call.httpVersion, x: call.headers['x-a'], id: call.requestId }))],
      hooks: { origin: () => '*', authenticate: async ({ method, url, path, headers, requestId }) => { await sleep(1); return seen.push({ method, url, path, x: headers['x-a'], requestId, idHeader: headers['x-runner-request-id'] }); } },
    }, async (bridge) => {
      const { headers, text } = await http(bridge)('POST', `${TASK}?q=1&r=%20`, { headers: { 'x-a': 'b' }, body: 'null' });
      const requestId = headers.get('x-runner-request-id');
      assert.match(requestId, /^[0-9a-f-]{36}$/);
      assert.deepEqual(seen, [{ method: 'POST', url: `${TASK}?q=1&r=%20`, path: TASK, x: 'b', requestId, idHeader: requestId }]);
      assert.deepEqual(JSON.parse(text).result, { method: 'POST', url: `${TASK}?q=1&r=%20`, version: '1.1', x: 'b', id: requestId });
    });
  });

  for (const maxPipelined of [32, 2]) it(`pipelined requests keep their order around asks, however the bytes are cut (${maxPipelined} at a time)`, () => withBridge({
    driver, limits: { maxPipelined }, auth: { ...validated, tokens: ['secret'] }, entries: [task('echo', async (input) => { await sleep(input.ms ?? 0); return input.n; })],
    hooks: { authenticate: ({ headers }) => sleep(Number(headers['x-ms'])).then(() => headers['x-pass'] === '1') },
  }, async (bridge) => {
    const kinds = [{ 'x-runner-token': 'secret' }, { 'x-ms': '8', 'x-pass': '1' }, { 'x-ms': '0', 'x-pass': '0' }, { 'x-ms': '1', 'x-pass': '1' }];
    const bytes = Buffer.from(Array.from({ length: 24 }, (_, n) => taskBytes('echo', { n, ms: (n * 7) % 10 }, kinds[n % 4])).join(''));
    for (const size of [bytes.length, 700, 97]) {
      const socket = await RawSocket.connect(bridge);
      for (let at = 0; at < bytes.length; at += size) {
        await socket.write(bytes.subarray(at, at + size));
        if (size < 700) await sleep(0);
      }
      for (let n = 0; n < 24; n++) {
        const { status, body } = await socket.answer();
        assert.deepEqual([status, body], n % 4 === 2 ? [401, E401] : [200, JSON.stringify({ ok: true, result: n })], `${n} in pieces of ${size}`);
      }
      socket.destroy();
    }
  }));

  it('a client that leaves while a hook never settles frees its place', () => withBridge({
    driver, auth: validated, entries: [echo], limits: { maxCallsInFlight: 2 }, hooks: { authenticate: ({ headers }) => headers['x-ok'] === '1' || new Promise(() => {}) },
  }, async (bridge) => {
    for (const leave of [(socket) => socket.resetAndDestroy(), (socket) => socket.destroy(), (socket) => socket.end()]) {
      const sockets = [await RawSocket.connect(bridge), await RawSocket.connect(bridge)];
      for (const socket of sockets) await socket.write(taskBytes('echo', 1));
      await until(() => bridge.stats().shards[0].inFlight === 2, 'both are asked about');
      const { status, headers } = await http(bridge)('POST', TASK, { headers: { 'x-ok': '1' }, body: '1' });
      assert.deepEqual([status, headers.get('retry-after')], [503, '1'], 'questions count as calls in flight');
      for (const { socket } of sockets) leave(socket);
      await until(() => bridge.stats().shards[0].inFlight === 0, 'the shard has let them go');
      await until(() => bridge.stats().live === 0, 'the bridge has let them go');
      assert.equal((await http(bridge)('POST', TASK, { headers: { 'x-ok': '1' }, body: '1' })).status, 200);
      for (const socket of sockets) assert.equal(socket.rest, '');
    }
  }));

  it('a half-closed client gets an answer that comes soon', () => withBridge({
    driver, auth: validated, entries: [echo], hooks: { authenticate: () => sleep(20).then(() => true) },
  }, async (bridge) => {
    const socket = await RawSocket.connect(bridge);
    await socket.write(taskBytes('echo', 5));
    socket.socket.end();
    assert.equal((await socket.answer()).body, '{"ok":true,"result":5}');
    await socket.end();
  }));

  it('a question can take too long', () => withBridge({
    driver, auth: validated, entries: [echo], limits: { handlerTimeoutMs: 50 }, hooks: { authenticate: () => new Promise(() => {}) },
  }, async (bridge) => {
    const socket = await RawSocket.connect(bridge);
    await socket.write(taskBytes('echo', 1) + taskBytes('echo', 2));
    const { status, headers } = await socket.answer();
    assert.deepEqual([status, headers.connection], [504, 'close']);
    assert.match(headers['x-runner-request-id'], /^[0-9a-f-]{36}$/);
    await socket.end();
    await until(() => bridge.stats().live === 0, 'the bridge has let it go');
  }));

  it('a bridge that closes answers questions that are settled in time, and cuts off the others', async () => {
    let settle;
    const sockets = [];
    await withBridge({
      driver, auth: validated, entries: [echo], limits: { drainTimeoutMs: 300 },
      hooks: { authenticate: ({ headers }) => (headers['x-ok'] === '1' ? new Promise((resolve) => { settle = resolve; }) : new Promise(() => {})) },
    }, async (bridge) => {
      for (const headers of [{ 'x-ok': '1' }, {}]) {
        const socket = await RawSocket.connect(bridge);
        await socket.write(taskBytes('echo', 1, headers));
        sockets.push(socket);
      }
      await until(() => bridge.stats().shards[0].inFlight === 2 && settle, 'both are asked about');
      setTimeout(() => settle(true), 50);
    });
    const { status, headers } = await sockets[0].answer();
    assert.deepEqual([status, headers.connection], [200, 'close']);
    await sockets[1].end();
    assert.equal(sockets[1].rest, '');
  });

  it('a client that sends much ahead is not read without bound, and all of it is answered', () => withBridge({
    driver, auth: validated, entries: [task('echo', (input) => input.length)], hooks: { authenticate: () => sleep(60).then(() => true) },
  }, async (bridge) => {
    const socket = await RawSocket.connect(bridge);
    const large = 'x'.repeat(300_000);
    await socket.write(taskBytes('echo', large));
    await socket.write(taskBytes('echo', 'abc'));
    assert.equal((await socket.answer()).body, '{"ok":true,"result":300000}');
    assert.equal((await socket.answer()).body, '{"ok":true,"result":3}');
    socket.destroy();
  }));

  it('tells of authentication failures, and of nothing else', async () => {
    const heard = [];
    const auth = { ...validated, tokens: ['secret'] };
    await withBridge({ driver, auth, entries: [echo], hooks: { authenticate: () => false, onRefused: (refusal) => { heard.push(refusal); throw new Error('contained'); } } }, async (bridge) => {
      const ask = http(bridge);
      await ask('POST', `${TASK}?secret=1`, { headers: { 'x-runner-request-id': 'one' }, body: '1' });
      await ask('GET', '/__runner/discovery', { headers: { 'x-runner-request-id': 'two' } });
      await ask('POST', '/__runner/task/nope', { headers: { 'x-runner-token': 'secret' }, body: '1' });
      await ask('GET', TASK);
      await ask('POST', TASK, { headers: { 'x-runner-token': 'secret' }, body: '{' });
      await until(() => heard.length >= 2, 'both were told');
    });
    assert.deepEqual(heard, [
      { status: 401, code: 'UNAUTHORIZED', requestId: 'one', method: 'POST', path: TASK },
      { status: 401, code: 'UNAUTHORIZED', requestId: 'two', method: 'GET', path: '/__runner/discovery' },
    ]);
    heard.length = 0;
    await withBridge({ driver, auth: { ...validated, validators: false }, entries: [echo], hooks: { onRefused: (refusal) => heard.push(refusal) } }, async (bridge) => {
      assert.equal((await http(bridge)('POST', TASK, { body: '1' })).status, 500);
      await until(() => heard.length === 1, 'it was told');
      assert.deepEqual([heard[0].status, heard[0].code], [500, 'AUTH_NOT_CONFIGURED']);
    });
  });

  it('tells of as many as a batch may hold, and counts the others', () => {
    let heard = 0;
    return withBridge({ driver, auth: tokens, entries: [echo], limits: { maxPipelined: 1000, maxBufferedBytes: 1 << 20 }, hooks: { onRefused: () => { heard += 1; } } }, async (bridge) => {
      const socket = await RawSocket.connect(bridge);
      await socket.write(postBytes(TASK, '1').repeat(900));
      for (let n = 0; n < 900; n++) assert.equal((await socket.answer()).status, 401);
      await until(() => heard + bridge.stats().shards[0].noticesDropped === 900, 'all are accounted for');
      assert.ok(heard > 0);
      socket.destroy();
    });
  });

  it('a crowd that is refused leaves the application its turns', () => {
    let heard = 0;
    return withBridge({ driver, auth: tokens, entries: [echo], hooks: { onRefused: () => { heard += 1; } } }, async (bridge) => {
      const crowd = await Promise.all(Array.from({ length: 8 }, () => RawSocket.connect(bridge)));
      const refused = postBytes(TASK, '1').repeat(64);
      let turns = 0;
      const timer = setInterval(() => { turns += 1; }, 1);
      for (let round = 0; round < 40; round++) {
        await Promise.all(crowd.map(async (socket) => {
          await socket.write(refused);
          for (let n = 0; n < 64; n++) await socket.answer();
        }));
      }
      clearInterval(timer);
      await until(() => heard + bridge.stats().shards[0].noticesDropped === 8 * 64 * 40, 'all are accounted for');
      assert.ok(turns > 20, `${turns} turns`);
      for (const socket of crowd) socket.destroy();
    });
  });

  it('every allow policy, changed while it runs', () => withBridge({ driver, allow: 'none', entries: [echo, task('other', () => 1)] }, async (bridge) => {
    const ask = http(bridge);
    const messages = async () => Promise.all(['echo', 'other', 'nope'].map(async (id) => {
      const { status, text } = await ask('POST', `/__runner/task/${id}`, { body: '1' });
      return status === 200 ? 200 : `${status} ${JSON.parse(text).error.message}`;
    }));
    const entries = [echo, task('other', () => 1)];
    const hidden = (id) => `403 Task ${id} not exposed`;
    for (const [allow, expected] of [
      [null, Array(3).fill('403 Exposure not enabled')],
      ['registered', [200, 200, hidden('nope')]],
      ['open', [200, 200, '404 Task nope not found']],
      [{ tasks: ['echo', 'nope'], events: [] }, [200, hidden('other'), '404 Task nope not found']],
      [undefined, [200, 200, hidden('nope')]],
      ['none', Array(3).fill('403 Exposure not enabled')],
    ]) {
      if (allow !== null) bridge.setEntries(entries, allow);
      await until(async () => JSON.stringify(await messages()) === JSON.stringify(expected), `${JSON.stringify(allow)} is in force`);
    }
    assert.throws(() => bridge.setEntries(entries, 'everything'), /policy/);
  }));

  it('an empty list of tokens lets nobody in; none at all is not configured', async () => {
    for (const [list, anonymous, status] of [[[], true, 401], [undefined, true, 200], [undefined, false, 500], [['t'], true, 401]]) {
      await withBridge({ driver, auth: { header: 'x-runner-token', tokens: list, allowAnonymous: anonymous }, entries: [echo] }, async (bridge) => {
        assert.equal((await http(bridge)('POST', TASK, { body: '1' })).status, status, JSON.stringify(list));
      });
    }
  });
});
