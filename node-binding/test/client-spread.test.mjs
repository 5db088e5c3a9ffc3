// Which connection a call goes to: nothing waits behind what is slow for longer than it must.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { describe, it } from 'node:test';
import { createClient } from 'fasttunnel/client';
import { exposuresFor, R, TOKEN, withApp } from './support/runner-apps.mjs';
import { answerTo, scriptedServer } from './support/scripted-server.mjs';
import { sleep, until, withTunnel } from './support/tunnels.mjs';

const { Pace, Rhythm } = createRequire(import.meta.url)('../dist/cjs/client/pace.js');
const times = (count, make) => Array.from({ length: count }, (_, index) => make(index));

/** A server that answers in the order of requests, of which `slow` takes as long as its input says and all others no time. */
async function inOrder(clientOptions, body) {
  const server = await scriptedServer((request, socket, connection) => {
    const before = connection.last ?? Promise.resolve();
    const ready = request.task.startsWith('slow') ? sleep(request.input) : undefined;
    const answer = () => socket.write(answerTo(request, connection.number));
    // What waits for nothing is answered at once, as a tunnel does it.
    connection.last = ready === undefined && connection.waiting === undefined ? void answer() : before.then(() => ready).then(answer);
    connection.waiting = connection.last;
    void connection.last?.then(() => { if (connection.waiting === connection.last) connection.waiting = undefined; });
  });
  const client = createClient({ url: server.url, pipelining: 8, ...clientOptions });
  try {
    await body(client, server);
  } finally {
    client.destroy();
    await server.close();
  }
}

describe('calls', () => {
  it('that are made together share a connection, as many as it takes', () => inOrder({ connections: 4 }, async (client) => {
    assert.equal(await client.task('t'), 0);
    const used = await Promise.all(times(32, () => client.task('t')));
    for (const number of new Set(used)) assert.equal(used.filter((one) => one === number).length, 8);
  }));

  it('go to no connection whose oldest call is late', () => inOrder({ lateMs: 20, connections: 4 }, async (client) => {
    assert.equal(await client.task('t'), 0);
    const slow = client.task('slow', 400);
    await sleep(60);
    const started = performance.now();
    const used = await Promise.all(times(20, () => client.task('t')));
    assert.ok(!used.includes(0), `${used}`);
    assert.ok(performance.now() - started < 300);
    assert.equal(await slow, 0);
  }));

  it('of a task that is known as slow get a connection without others, and nothing behind them', () => inOrder({ connections: 16 }, async (client) => {
    for (let round = 0; round < 10; round++) {
      await client.task('slow', 30);
      await client.task('t');
    }
    for (let round = 0; round < 3; round++) {
      const slow = times(5, () => client.task('slow', 300));
      const firstSlow = Promise.race(slow).then(() => 'a slow one');
      await sleep(round);
      const quick = Promise.all(times(50, () => client.task('t')));
      // By order, not by time: this machine may be late with both.
      assert.equal(await Promise.race([firstSlow, quick.then(() => 'all quick ones')]), 'all quick ones');
      const [fast, used] = await Promise.all([quick, Promise.all(slow)]);
      assert.equal(new Set(used).size, 5);
      assert.deepEqual(fast.filter((number) => used.includes(number)), []);
    }
  }));

  it('of a task that is slow now and then do not go behind each other where all connections are taken', () => inOrder({ connections: 8 }, async (client) => {
    // Others are answered all the time: what is late then is slow.
    let over = false;
    const others = (async () => { while (!over) await Promise.all([client.task('t'), sleep(1)]); })();
    const quick = async (count) => { for (let round = 0; round < count; round++) await client.task('slow', 0); };
    const longest = [];
    for (let round = 0; round < 5; round++) {
      const slow = client.task('slow', 600);
      const started = performance.now();
      // More than there are connections for.
      await Promise.all(times(60, () => client.task('slow', 0)));
      // The first two teach that it is.
      if (round >= 2) longest.push(performance.now() - started);
      await Promise.all([slow, quick(30)]);
    }
    over = true;
    await others;
    assert.ok(Math.max(...longest) < 450, `${longest} ms`);
  }));

  it('that wait for each other find out which are slow, though no others are made meanwhile', () => withTunnel({ tasks: { t: async (n) => { if (n % 100 === 0) await sleep(200); return n; } } }, async ({ url }) => {
    const client = createClient({ url });
    let n = 0;
    let over = false;
    const callers = times(64, async () => { while (!over) await client.task('t', n++); });
    await sleep(1500);
    const before = n;
    await sleep(1000);
    over = true;
    await Promise.all(callers);
    await client.close();
    // Each second five times as many as the callers of two connections, on which all wait behind a slow one.
    assert.ok(n - before > 2000, `${n - before} calls in a second`);
  }));

  it('of slow tasks leave a quarter of the connections to others', () => inOrder({ connections: 8 }, async (client, server) => {
    for (let round = 0; round < 10; round++) {
      await client.task('slow', 30);
      await client.task('t');
    }
    const slow = times(20, () => client.task('slow', 200));
    await sleep(50);
    const started = performance.now();
    await Promise.all(times(50, () => client.task('t')));
    assert.ok(performance.now() - started < 130);
    await Promise.all(slow);
    assert.ok(server.connections.length <= 8);
  }));

  it('are never more on a connection than pipelining says, nor on more connections than connections says', () => inOrder({ connections: 3, pipelining: 4 }, async (client, server) => {
    await Promise.all(times(500, (index) => client.task(index % 20 === 0 ? 'slow' : 't', 5)));
    assert.equal(server.connections.length, 3);
    for (const { chunks } of server.connections) for (const chunk of chunks) assert.ok(chunk.toString().split('POST ').length - 1 <= 4);
  }));
});

describe('a pace', () => {
  /** Notes calls, each with what it took, while something is read every half millisecond or not at all. */
  function paceOf(durations, { reads }) {
    const rhythm = new Rhythm();
    const pace = new Pace(10);
    let now = 0;
    const was = [];
    for (const ms of durations) {
      const [from, clock] = [now, rhythm.clock];
      if (reads) for (const until = now + ms; now < until; now += 0.5) rhythm.read(now, 0, 10);
      now = from + ms;
      rhythm.read(now, 0, 10);
      pace.note(rhythm, from, clock, now, false);
      was.push(pace.slow);
    }
    return was;
  }
  const quick = (count) => Array(count).fill(0.2);

  it('is slow for a task that mostly takes long beside others that do not', () => {
    const rhythm = new Rhythm();
    const [slow, fast] = [new Pace(10), new Pace(10)];
    let now = 0;
    for (let round = 0; round < 30; round++) {
      for (const [pace, ms] of [[slow, 50], [fast, 0.2]]) {
        const [from, clock] = [now, rhythm.clock];
        now += ms;
        rhythm.read(now, 0, 10);
        pace.note(rhythm, from, clock, now, false);
      }
    }
    assert.deepEqual([slow.slow, fast.slow], [true, false]);
  });

  it('is slow for a task of which one call in a hundred takes long', () => {
    const was = paceOf(times(20, () => [...quick(99), 200]).flat(), { reads: true });
    assert.deepEqual(was.slice(300), Array(1700).fill(true));
  });

  it('is not for one call that takes long once in a thousand', () => {
    assert.ok(!paceOf(times(5, () => [...quick(999), 200]).flat(), { reads: true }).includes(true));
  });

  it('is not for a pause of the server, or of the client, or of a busy machine', () => {
    assert.ok(!paceOf(times(200, () => [...quick(9), 100]).flat(), { reads: false }).includes(true));
  });

  it('is not where all calls take equally long', () => {
    assert.equal(paceOf(Array(4000).fill(80), { reads: true }).at(-1), false);
  });

  it('is slow as soon as two calls are late, before they are answered', () => {
    const pace = new Pace(10);
    pace.suspect();
    assert.equal(pace.slow, false);
    pace.suspect();
    assert.equal(pace.slow, true);
  });

  it('is quick again after a few hundred calls', () => {
    const was = paceOf([...quick(100), 200, ...quick(10), 200, ...quick(2000)], { reads: true });
    assert.deepEqual([was[111], was.at(-1)], [true, false]);
  });
});

describe('a rhythm', () => {
  /** Stalls of 200 ms, behind each of which so many answers come; of the time our loop was idle for `idle` of each millisecond. */
  function stallsOf(answers, { idle = 1, waited = 200, stalls = 5 } = {}) {
    let now = 0;
    const rhythm = new Rhythm(() => now * idle);
    return times(stalls, () => {
      now += 200;
      rhythm.read(now, waited, 10);
      rhythm.answers += answers;
      for (let reads = 0; reads < 20; reads++) rhythm.read(now += 0.5, 0.5, 10);
      return rhythm.stalls;
    });
  }

  it('stalls where calls wait most of the time, and few come between', () => assert.deepEqual(stallsOf(100), [false, true, true, true, true]));

  it('does not for one stall, nor where nothing waited, we were busy, or many were answered between', () => {
    assert.deepEqual(stallsOf(100, { stalls: 1 }), [false]);
    assert.deepEqual(stallsOf(100, { waited: 0 }), Array(5).fill(false));
    assert.deepEqual(stallsOf(100, { idle: 0.3 }), Array(5).fill(false));
    // That behind the first is not known.
    assert.deepEqual(stallsOf(20_000), Array(5).fill(false));
  });
});

describe('which server it is', () => {
  const kindOf = async (url, options) => {
    const client = createClient({ url, ...options });
    try {
      for (let round = 0; round < 3; round++) await client.task('t', 1);
      await until(() => client.stats().servers[0].kind !== 'unknown', 'it is known');
      await Promise.all(times(20, () => client.task('t', 1)));
      return client.stats().servers[0].kind;
    } finally {
      await client.close();
    }
  };
  const tasks = { t: (input) => input };

  it('is seen for a tunnel, whatever its options', () => withTunnel({ tasks, cors: { origin: ['https://a.example'], exposedHeaders: ['x'] }, limits: { keepAliveHintS: 60 }, disableDiscovery: true, auth: { token: 'a' } }, async (tunnel) => {
    assert.equal(await kindOf(tunnel.url, { auth: { token: 'a' } }), 'fasttunnel');
  }));

  it('is another one for nodeExposure, whose answers are the same to the byte', async () => {
    const t = R.r.task('app.t').run(async (input) => input).build();
    await withApp(exposuresFor('auto').nodeExposure, { items: [t] }, async ({ url }) => {
      const client = createClient({ url, auth: { token: TOKEN } });
      for (let round = 0; round < 3; round++) assert.equal(await client.task('app.t', round), round);
      await until(() => client.stats().servers[0].kind !== 'unknown', 'it is known');
      assert.equal(client.stats().servers[0].kind, 'other');
      await client.close();
    });
  });

  it('is another one through a proxy', () => withTunnel({ tasks }, async (tunnel) => {
    const proxy = createServer(async (request, response) => {
      const chunks = [];
      for await (const chunk of request) chunks.push(chunk);
      const answer = await fetch(new URL(request.url, tunnel.url), { method: request.method, headers: { 'x-runner-request-id': request.headers['x-runner-request-id'], 'content-type': 'application/json' }, ...(chunks.length > 0 && { body: Buffer.concat(chunks) }) });
      response.writeHead(answer.status, { 'x-runner-request-id': answer.headers.get('x-runner-request-id'), 'content-type': answer.headers.get('content-type') }).end(await answer.text());
    }).listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    assert.equal(await kindOf(`http://127.0.0.1:${proxy.address().port}/__runner`), 'other');
    proxy.closeAllConnections();
    proxy.close();
  }));
});
