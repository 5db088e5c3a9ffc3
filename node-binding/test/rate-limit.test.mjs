// What each caller may ask: 429 with the fields that say why, decided by the shards, for all of them together.
import assert from 'node:assert/strict';
import net from 'node:net';
import { describe, it } from 'node:test';
import { fastTunnel } from 'fasttunnel';
import { tasks } from './support/callers.mjs';
import { request, withSession } from './support/http2.mjs';
import { RawSocket, taskBytes } from './support/raw-socket.mjs';
import { call, exposuresFor, R, TOKEN, withApp } from './support/runner-apps.mjs';
import { onBothDrivers, until, withTunnel } from './support/tunnels.mjs';

const ADD = { a: 1, b: 2 };
const TOO_MANY = '{"ok":false,"error":{"message":"Too many requests","code":"TOO_MANY_REQUESTS"}}';
/** So slow that no test sees it fill. */
const SLOW = { rate: 0.01, burst: 3 };
const fields = ({ headers }) => ({ policy: headers['ratelimit-policy'], limit: headers.ratelimit, retry: headers['retry-after'] });
const from = (address) => ({ 'x-forwarded-for': address });
const by = (token) => ({ 'x-runner-token': token });

/** Calls in turn over one connection, each with these header lines; the answers. */
async function callAll(tunnel, headers, id = 'add') {
  const socket = await RawSocket.connect(tunnel);
  const answers = [];
  for (const one of headers) {
    socket.write(taskBytes(id, ADD, one));
    answers.push(await socket.answer());
  }
  socket.destroy();
  return answers;
}

const statuses = async (...args) => (await callAll(...args)).map(({ status }) => status);
const total = (tunnel, name) => tunnel.stats().shards.reduce((sum, shard) => sum + shard[name], 0);

onBothDrivers('limits by caller', (driver) => {
  const serve = (options, body) => withTunnel({ driver, shards: 1, tasks, ...options }, body);
  const perAddress = { trustProxy: ['127.0.0.1'], rateLimit: { per: 'address', ...SLOW } };

  it('a burst passes, then 429 says when to come again, and JavaScript hears of none', () => serve(perAddress, async (tunnel) => {
    const answers = await callAll(tunnel, Array(5).fill(from('203.0.113.9')));
    assert.deepEqual(answers.map(({ status }) => status), [200, 200, 200, 429, 429]);
    assert.deepEqual(fields(answers[0]), { policy: '"address";q=3;w=300', limit: '"address";r=2;t=100', retry: undefined });
    const { policy, limit, retry } = fields(answers[3]);
    assert.deepEqual([policy, limit.replace(/\d+$/, 'T'), answers[3].body], ['"address";q=3;w=300', '"address";r=0;t=T', TOO_MANY]);
    assert.ok(Number(retry) > 95 && Number(retry) <= 100, retry);
    assert.equal(total(tunnel, 'calls'), 3);
    assert.equal(total(tunnel, 'limited'), 2);
    assert.equal(tunnel.stats().shards.reduce((sum, { refusals }) => sum + (refusals[429] ?? 0), 0), 2);
    assert.equal(answers[4].headers['access-control-allow-origin'], '*', 'browsers may read it');
    assert.deepEqual(await statuses(tunnel, [from('203.0.113.10')]), [200], 'others are not held up');
  }));

  it('a client that is gone before it is looked at is not nobody', async () => {
    const sendAndVanish = (tunnel) => new Promise((resolve) => {
      const socket = net.connect(tunnel.port, tunnel.host, () => socket.end(taskBytes('add', ADD), () => socket.resetAndDestroy()));
      socket.on('error', () => {}).on('close', resolve);
    });
    for (const placement of ['inline', 'threads']) {
      for (const [rules, most] of [[{ rateLimit: { per: 'address', ...SLOW } }, 3], [{ access: { deny: ['127.0.0.0/8'] } }, 0]]) {
        let ran = 0;
        await withTunnel({ driver, shards: 1, placement, tasks: { add: () => (ran += 1) }, ...rules }, async (tunnel) => {
          for (let count = 0; count < 30; count++) await sendAndVanish(tunnel);
          // One that was accepted behind them.
          const last = await RawSocket.connect(tunnel);
          last.write(taskBytes('add', ADD, { connection: 'close' }));
          await last.end();
        });
        assert.ok(ran <= most, `${placement} ${JSON.stringify(rules)}: ${ran}`);
      }
    }
  });

  it('what is refused behind the token counts for it', () => serve({ auth: { token: ['one', 'two'] }, rateLimit: { per: 'token', ...SLOW } }, async (tunnel) => {
    assert.deepEqual(await statuses(tunnel, Array(4).fill(by('one')), 'nowhere'), [403, 403, 403, 429]);
    assert.deepEqual(await statuses(tunnel, [by('two')]), [200]);
  }));

  it('a bucket fills at its rate', () => serve({ rateLimit: { per: 'address', rate: 1, burst: 1 } }, async (tunnel) => {
    assert.deepEqual((await statuses(tunnel, [{}, {}])), [200, 429]);
    await until(async () => (await statuses(tunnel, [{}]))[0] === 200, 'there is one more');
  }));

  it('an address of IPv6 stands for its network of 64 bits, and those whose address nobody knows for each other', () => serve(perAddress, async (tunnel) => {
    const seen = (list) => statuses(tunnel, list.map(from));
    assert.deepEqual(await seen(['2001:db8::1', '2001:db8::2', '2001:db8::3:4', '2001:db8::5', '2001:db8:0:1::1']), [200, 200, 200, 429, 200]);
    assert.deepEqual(await seen(['unknown', '_a', 'x', 'unknown', '203.0.113.1']), [200, 200, 200, 429, 200]);
    assert.deepEqual(await seen(['::1']), [200]);
    assert.deepEqual(await statuses(tunnel, [{ ...from('203.0.113.2'), forwarded: 'for=203.0.113.3' }]), [429], 'to contradict oneself is to be one of them');
  }));

  it('guesses at tokens count for their address, and preflights do not', () => serve({ ...perAddress, auth: { token: 'right' } }, async (tunnel) => {
    assert.deepEqual(await statuses(tunnel, ['a', 'b', 'c', 'd', 'right'].map((token) => ({ ...by(token), ...from('203.0.113.9') }))), [401, 401, 401, 429, 429]);
    const preflight = await fetch(`${tunnel.url}/task/add`, { method: 'OPTIONS', headers: from('203.0.113.9') });
    assert.deepEqual([preflight.status, preflight.headers.get('ratelimit')], [204, null]);
  }));

  it('per token, whatever the address, and a wrong token takes nothing from anybody', () => serve({ auth: { token: ['one', 'two'] }, rateLimit: { per: 'token', ...SLOW } }, async (tunnel) => {
    assert.deepEqual(await statuses(tunnel, ['wrong', 'wrong', 'wrong', 'wrong', 'one', 'one', 'one', 'one', 'two'].map(by)), [401, 401, 401, 401, 200, 200, 200, 429, 200]);
    const discovery = await fetch(`${tunnel.url}/discovery`, { headers: by('one') });
    assert.equal(discovery.status, 429);
  }));

  it('both kinds at once, and the answer tells of both', () => serve({ auth: { token: ['one', 'two'] }, rateLimit: [{ per: 'address', rate: 0.01, burst: 4 }, { per: 'token', rate: 0.01, burst: 2 }] }, async (tunnel) => {
    const answers = await callAll(tunnel, ['one', 'one', 'one', 'two', 'two'].map(by));
    assert.deepEqual(answers.map(({ status }) => status), [200, 200, 429, 200, 429]);
    assert.deepEqual(answers[0].lines.filter((line) => /^ratelimit:/i.test(line)), ['RateLimit: "address";r=3;t=100', 'RateLimit: "token";r=1;t=100']);
  }));

  it('over HTTP/2 as well, and in event loops of workers', async () => {
    await serve(perAddress, (tunnel) => withSession(tunnel, async (session) => {
      const answers = await Promise.all(Array.from({ length: 5 }, () => request(session, { ':path': '/__runner/task/add', ...from('203.0.113.9') }, '{"input":{"a":1,"b":2}}')));
      assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 200, 200, 429, 429]);
      assert.ok(answers.some(({ headers }) => headers.ratelimit === '"address";r=2;t=100'));
    }));
    const handlers = new URL('fixtures/workers/tasks.mjs', import.meta.url);
    await withTunnel({ driver, ...perAddress, workers: 2, handlers }, async (tunnel) => assert.deepEqual(await statuses(tunnel, Array(4).fill(from('203.0.113.9'))), [200, 200, 200, 429]));
  });

  it('is one for all shards', () => withTunnel({ driver, shards: 4, placement: 'threads', tasks, ...perAddress, rateLimit: { per: 'address', rate: 0.01, burst: 50 } }, async (tunnel) => {
    const all = (await Promise.all(Array.from({ length: 16 }, () => statuses(tunnel, Array(10).fill(from('203.0.113.9')))))).flat();
    assert.equal(all.filter((status) => status === 200).length, 50);
    assert.ok(tunnel.stats().shards.filter(({ limited }) => limited > 0).length > 1, 'several have refused');
  }));

  it('more callers than there is room for: those that asked least are forgotten, and nobody is refused for that', () => serve({ ...perAddress, rateLimit: { per: 'address', rate: 0.01, burst: 2, maxCallers: 64 } }, async (tunnel) => {
    const many = Array.from({ length: 400 }, (_, index) => from(`203.0.${index >> 8}.${index & 255}`));
    assert.ok((await statuses(tunnel, many)).every((status) => status === 200));
    assert.ok(total(tunnel, 'callersForgotten') >= 400 - 2 * 64, `${total(tunnel, 'callersForgotten')}`);
  }));

  it('maxConcurrent: a call that ends lets the next one in, however it ends', () => {
    const waiting = [];
    const slow = { hold: (_input, { signal }) => new Promise((resolve, reject) => waiting.push({ resolve, reject, signal })), add: tasks.add };
    return serve({ tasks: slow, auth: { token: ['one', 'two'] }, rateLimit: { per: 'token', maxConcurrent: 2 } }, async (tunnel) => {
      const sockets = await Promise.all([1, 2, 3, 4].map(() => RawSocket.connect(tunnel)));
      const hold = async (index, token = 'one') => {
        const before = waiting.length;
        sockets[index].write(taskBytes('hold', null, by(token)));
        await until(() => waiting.length > before, 'it runs');
      };
      await hold(0);
      await hold(1);
      sockets[2].write(taskBytes('hold', null, by('one')));
      const refused = await sockets[2].answer();
      assert.deepEqual([refused.status, refused.body, refused.headers['retry-after']], [429, '{"ok":false,"error":{"message":"Too many calls under way","code":"TOO_MANY_REQUESTS"}}', '1']);
      await hold(2, 'two');
      // Answered, failed, and left by its client.
      waiting[0].resolve(1);
      assert.equal((await sockets[0].answer()).status, 200);
      await hold(0);
      waiting[1].reject(new Error('failed'));
      assert.equal((await sockets[1].answer()).status, 500);
      await hold(1);
      sockets[1].destroy();
      await until(() => waiting[4].signal.aborted, 'the client is gone');
      await hold(3);
      assert.equal(total(tunnel, 'limited'), 1);
      for (const { resolve } of waiting) resolve(1);
      for (const socket of sockets) socket.destroy();
    });
  });

  it('maxConcurrent counts a call whose body has come late, and those with streams', () => {
    const ends = [];
    const held = { hold: () => new Promise((resolve) => ends.push(resolve)), count: async (_input, { body }) => { let bytes = 0; for await (const chunk of body) bytes += chunk.length; return bytes; } };
    return serve({ tasks: held, rateLimit: { per: 'address', maxConcurrent: 1 } }, async (tunnel) => {
      const [late, stream, other] = await Promise.all([1, 2, 3].map(() => RawSocket.connect(tunnel)));
      const bytes = taskBytes('hold', null);
      late.write(bytes.slice(0, -1));
      stream.write('POST /__runner/task/count HTTP/1.1\r\nHost: a\r\nContent-Type: application/octet-stream\r\nContent-Length: 4\r\n\r\nab');
      await until(() => total(tunnel, 'streamedBodies') === 1, 'the stream has begun');
      late.write(bytes.slice(-1));
      assert.equal((await late.answer()).status, 429, 'when its body came the stream was under way');
      stream.write('cd');
      assert.equal((await stream.answer()).body, '{"ok":true,"result":4}');
      other.write(bytes);
      await until(() => ends.length === 1, 'it runs');
      ends[0](1);
      assert.equal((await other.answer()).status, 200);
      for (const socket of [late, stream, other]) socket.destroy();
    });
  });

  it('under Runner, also where validators are asked: a request counts once', async () => {
    const task = R.r.task('app.one').run(async () => 1).build();
    const validator = R.r.task('app.validator').tags([R.globals.tags.authValidator]).run(async ({ headers }) => ({ ok: headers['x-runner-token'] === 'asked' })).build();
    const exposure = exposuresFor(driver).fastTunnel;
    await withApp(exposure, { items: [task, validator], engine: { rateLimit: { per: 'token', ...SLOW } } }, async ({ url }) => {
      const seen = async (token) => (await call(url, '/task/app.one', {}, by(token))).status;
      for (const token of ['asked', TOKEN]) {
        const all = [];
        for (let count = 0; count < 4; count++) all.push(await seen(token));
        assert.deepEqual(all, [200, 200, 200, 429], token);
      }
    });
  });
});

describe('rateLimit', () => {
  it('what is wrong with it is said', async () => {
    for (const [rateLimit, message] of [
      [{ rate: 1 }, /^rateLimit\.per must be 'token' or 'address', got undefined\. Say whose/],
      [{ per: 'ip', rate: 1 }, /^rateLimit\.per must be one of 'token', 'address', got 'ip'/],
      [{ per: 'token' }, /^rateLimit limits nothing, got .*Give rate/],
      [{ per: 'token', rate: 0 }, /^rateLimit\.rate must be a number from 0\.001 to 1000000/],
      [{ per: 'token', rate: NaN }, /^rateLimit\.rate must be/],
      [{ per: 'token', rate: '5' }, /^rateLimit\.rate must be/],
      [{ per: 'token', rate: 1, burst: 0 }, /^rateLimit\.burst must be an integer from 1 to 1000000 \(requests\), got 0/],
      [{ per: 'token', maxConcurrent: 1, burst: 5 }, /^rateLimit\.burst is of no use without rate/],
      [{ per: 'token', maxConcurrent: 0 }, /^rateLimit\.maxConcurrent must be an integer from 1/],
      [{ per: 'token', rate: 1, maxCallers: 1 }, /^rateLimit\.maxCallers must be an integer from 64/],
      [{ per: 'token', rate: 1, max: 1 }, /^rateLimit\.max is not an option\. Did you mean rateLimit\.burst\?/],
      [[{ per: 'token', rate: 1 }, { per: 'token', rate: 2 }], /^rateLimit has two limits for the same callers/],
      [[{ per: 'token', rate: 1 }, { per: 'address', rate: -1 }], /^rateLimit\[1\]\.rate must be/],
      [{ per: 'token', rate: 1 }, /^rateLimit\.per limits nobody where no token is asked for, got 'token'\. Give auth\.token/],
    ]) {
      await assert.rejects(fastTunnel({ auth: { allowAnonymous: true }, rateLimit }), (error) => {
        assert.match(error.message, message);
        return error.code === 'FASTTUNNEL_BAD_OPTION';
      });
    }
  });
});
