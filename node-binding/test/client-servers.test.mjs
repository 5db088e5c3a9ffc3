// A client of several servers: who gets calls, what becomes of them when one fails, and when all are started anew in turn.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { fastTunnel } from 'fasttunnel';
import { createClient } from 'fasttunnel/client';
import { answerTo, scriptedServer } from './support/scripted-server.mjs';
import { sleep, uncaught, until } from './support/tunnels.mjs';

const times = (count, make) => Array.from({ length: count }, (_, index) => make(index));
const echo = (request, socket) => socket.write(answerTo(request, request.input));

/** Scripted servers, one for each function, and a client of all. */
async function group(handlers, clientOptions, body) {
  const servers = [];
  for (const handler of handlers) servers.push(await scriptedServer(handler));
  const client = createClient({ urls: servers.map(({ url }) => url), timeoutMs: 5000, ...clientOptions });
  const errors = await uncaught(async () => {
    try {
      await body(client, servers);
    } finally {
      client.destroy();
      for (const server of servers) await server.close();
    }
  });
  assert.deepEqual(errors, []);
}

const requestsOf = ({ connections }) => connections.reduce((sum, { requests }) => sum + requests, 0);

describe('several servers', () => {
  it('get the same share of calls that take equally long', () => group(times(3, () => (request, socket) => setTimeout(echo, 10, request, socket)), {}, async (client, servers) => {
    await Promise.all(times(30, async () => { for (let round = 0; round < 20; round++) await client.task('t', 1); }));
    for (const server of servers) assert.ok(requestsOf(server) > 150 && requestsOf(server) < 250, `${servers.map(requestsOf)}`);
  }));

  it('get the fewer the longer they take', () => group([1, 20].map((ms) => (request, socket) => setTimeout(echo, ms, request, socket)), {}, async (client, servers) => {
    await Promise.all(times(20, async () => { for (let round = 0; round < 30; round++) await client.task('t', 1); }));
    assert.ok(requestsOf(servers[0]) > 2 * requestsOf(servers[1]), `${servers.map(requestsOf)}`);
  }));

  it('cost no call when one of them is not there', () => group([echo, echo], { retries: 0 }, async (client, servers) => {
    await servers[0].close();
    servers[0].close = async () => {};
    for (let round = 0; round < 50; round++) assert.equal(await client.task('t', round), round);
    assert.equal(client.stats().failed, 0);
    assert.ok(client.stats().servers[0].failures > 0);
  }));

  it('fail calls when none of them is there', async () => {
    const client = createClient({ urls: ['http://127.0.0.1:1/', 'http://127.0.0.1:2/'], retries: 1 });
    await assert.rejects(client.task('t'), { code: 'FASTTUNNEL_CONNECT', maybeRan: false });
    await client.close();
  });

  it('of which one says nothing: it gets no more than a try now and then', () => {
    let silent = true;
    return group([(request, socket) => (silent ? undefined : echo(request, socket)), echo], { timeoutMs: 100 }, async (client, servers) => {
      let lost = 0;
      for (let round = 0; round < 100; round++) {
        await client.task('t', round).catch(({ code }) => { assert.equal(code, 'FASTTUNNEL_TIMEOUT'); lost += 1; });
        await sleep(2);
      }
      assert.ok(lost >= 3 && lost <= 8, `${lost} calls were tried`);
      silent = false;
      await until(async () => {
        await Promise.all(times(4, () => client.task('t', 1).catch(() => {})));
        return requestsOf(servers[0]) > 20;
      }, 'it has its share again', 10_000);
    });
  });

  for (const driver of ['io_uring', 'epoll']) it(`started anew one after the other under load fail no call, and run none twice, on ${driver}`, async () => {
    const runs = new Map();
    const start = (port) => fastTunnel({
      port,
      driver,
      auth: { allowAnonymous: true },
      onError: () => {},
      tasks: { t: async (n) => { runs.set(n, (runs.get(n) ?? 0) + 1); if (n % 10 === 0) await sleep(5); return n; } },
    });
    const tunnels = await Promise.all(times(3, () => start(0)));
    const client = createClient({ urls: tunnels.map(({ url }) => url), connections: 8, retries: 5, timeoutMs: 20_000 });
    let over = false;
    let next = 0;
    const failures = [];
    // None of them may run twice, and they come with pauses of any length, so that many connections are idle.
    const callers = times(24, async () => {
      while (!over) {
        const n = next++;
        await client.task('t', n).then((got) => assert.equal(got, n), (error) => failures.push({ n, error }));
        if (n % 3 === 0) await sleep(Math.random() * 30);
      }
    });
    for (let round = 0; round < 9; round++) {
      await sleep(60);
      const { port } = tunnels[round % 3];
      await tunnels[round % 3].close();
      await sleep(20);
      tunnels[round % 3] = await start(port);
    }
    over = true;
    await Promise.all(callers);
    await client.close();
    await Promise.all(tunnels.map((tunnel) => tunnel.close()));
    assert.ok(next > 500, `${next} calls`);
    assert.deepEqual(failures, []);
    for (let n = 0; n < next; n++) assert.equal(runs.get(n), 1, `call ${n} ran ${runs.get(n)} times`);
  });
});
