// Many calls through a network that splits, delays and cuts, and over restarts of the tunnel: each answer is checked, each call
// ends once, none runs twice that may not, and what is said not to have run has not.
import assert from 'node:assert/strict';
import { connect, createServer } from 'node:net';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { fastTunnel, TaskError } from 'fasttunnel';
import { createClient } from 'fasttunnel/client';
import { sleep, uncaught, withTunnel } from './support/tunnels.mjs';

/** A repeatable source of numbers below 1 (mulberry32). */
function randomFrom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let value = Math.imul(state ^ (state >>> 15), 1 | state);
    value ^= value + Math.imul(value ^ (value >>> 7), 61 | value);
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** What the handlers have begun with, by the number of the call. */
class Runs {
  counts = new Map();
  tasks = {
    echo: (input) => this.#note(input, () => input),
    slow: (input) => this.#note(input, async () => { await sleep(input.ms); return input; }),
    fails: (input) => this.#note(input, () => { throw new TaskError('as it was told', { id: 'app.errors.told', data: { n: input.n }, httpCode: 418 }); }),
    large: (input) => this.#note(input, () => 'x'.repeat(input.bytes)),
  };

  #note(input, run) {
    this.counts.set(input.n, (this.counts.get(input.n) ?? 0) + 1);
    return run();
  }

  of(n) {
    return this.counts.get(n) ?? 0;
  }
}

/** Between a client and a tunnel: passes bytes on in pieces, late now and then, and cuts a connection now and then. */
async function badNetwork(port, random, { cuts }) {
  const server = createServer((near) => {
    const far = connect(port, '127.0.0.1');
    let passed = 0;
    const end = random() < cuts ? 500 + random() * 60_000 : Infinity;
    const pass = (from, to) => from.on('error', () => to.destroy()).on('close', () => to.destroy()).on('data', async (bytes) => {
      from.pause();
      for (let at = 0; at < bytes.length;) {
        const size = random() < 0.7 ? bytes.length : 1 + Math.floor(random() * 300);
        to.write(bytes.subarray(at, at + size));
        at += size;
        passed += size;
        if (passed > end) {
          if (random() < 0.5) near.resetAndDestroy();
          else near.destroy();
          far.destroy();
          return;
        }
        if (random() < 0.02) await sleep(random() * 5);
      }
      from.resume();
    });
    pass(near, far);
    pass(far, near);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { port: server.address().port, close: () => server.close() };
}

/** Makes calls of every kind, `width` at a time, until `count` have been made; tells how each has ended. */
async function calls(client, random, width, count) {
  const ends = [];
  let next = 0;
  const one = async () => {
    const n = next++;
    const kind = random();
    const idempotent = random() < 0.3;
    const options = { idempotent };
    const abortAfter = random() < 0.02 ? random() * 20 : undefined;
    if (abortAfter !== undefined) options.signal = AbortSignal.timeout(Math.ceil(abortAfter));
    if (random() < 0.01) options.timeoutMs = 1 + Math.floor(random() * 20);
    const end = { n, idempotent };
    try {
      if (kind < 0.85) assert.deepEqual(await client.task('echo', { n, text: '\u2603'.repeat(Math.floor(random() * 20)) + n }, options).then(({ n: same }) => same), n);
      else if (kind < 0.9) assert.deepEqual(await client.task('slow', { n, ms: random() * 30 }, options).then(({ n: same }) => same), n);
      else if (kind < 0.98) assert.equal(await client.task('large', { n, bytes: 10 + (n % 1000) * 30 }, options).then(({ length }) => length), 10 + (n % 1000) * 30);
      else {
        await client.task('fails', { n }, options);
        assert.fail('a result of a call that fails');
      }
      end.how = 'result';
    } catch (error) {
      if (error.name === 'AssertionError') throw error;
      if (error.code === 'INTERNAL_ERROR') assert.deepEqual(error.data, { n });
      end.how = error.name === 'RemoteError' && error.code === 'INTERNAL_ERROR' ? 'result' : 'none';
      end.maybeRan = error.maybeRan ?? !(error.name === 'RemoteError');
      end.error = error;
    }
    ends.push(end);
  };
  await Promise.all(Array.from({ length: width }, async () => { while (next < count) await one(); }));
  return ends;
}

/** What has to add up of all calls. */
function check(client, ends, runs, count) {
  assert.equal(ends.length, count);
  assert.equal(new Set(ends.map(({ n }) => n)).size, count);
  for (const { n, how, maybeRan, idempotent, error } of ends) {
    const ran = runs.of(n);
    if (how === 'result') assert.ok(ran >= 1, `call ${n} has a result and did not run`);
    if (!idempotent) assert.ok(ran <= 1, `call ${n} ran ${ran} times`);
    if (how === 'none' && maybeRan === false) assert.equal(ran, 0, `call ${n} ran, and it is said that it has not: ${error}`);
  }
  const { calls: made, results, errors, failed, timedOut, aborted, outstanding, queued } = client.stats();
  assert.equal(made, results + errors + failed + timedOut + aborted);
  assert.equal(outstanding + queued, 0);
}

describe('a client', () => {
  for (const pipelining of ['auto', 1]) {
    it(`keeps its books in a network that splits, delays and cuts (pipelining: ${pipelining})`, async () => {
      const seed = Number(process.env.FASTTUNNEL_SEED ?? 1);
      const random = randomFrom(seed);
      const runs = new Runs();
      const errors = await uncaught(() => withTunnel({ tasks: runs.tasks, onError: () => {} }, async (tunnel) => {
        const network = await badNetwork(tunnel.port, random, { cuts: 0.95 });
        const client = createClient({ url: `http://127.0.0.1:${network.port}/__runner`, pipelining, connections: 16, timeoutMs: 20_000 });
        try {
          const ends = await calls(client, random, 48, 3000);
          check(client, ends, runs, 3000);
          assert.ok(client.stats().servers[0].lost > 10, 'connections were cut');
          const { length } = ends.filter(({ how }) => how === 'result');
          assert.ok(length > 1800, `most calls have a result: ${length}`);
        } finally {
          client.destroy();
          network.close();
        }
      }));
      assert.deepEqual(errors, []);
    });
  }

  it('brings every call home over restarts of its tunnel', async () => {
    const random = randomFrom(2);
    const runs = new Runs();
    const start = (port) => fastTunnel({ port, auth: { allowAnonymous: true }, tasks: runs.tasks, onError: () => {} });
    let tunnel = await start(0);
    const client = createClient({ url: tunnel.url, connections: 8, retries: 10, timeoutMs: 20_000 });
    let over = false;
    const restarts = (async () => {
      for (let round = 0; !over; round++) {
        await sleep(150);
        const { port } = tunnel;
        await tunnel.close();
        tunnel = await start(port);
      }
    })();
    const count = 8_000;
    const ends = await calls(client, random, 32, count).finally(async () => {
      over = true;
      await restarts;
      client.destroy();
      await tunnel.close();
    });
    check(client, ends, runs, count);
    const failed = ends.filter(({ how, error }) => how === 'none' && error.name === 'CallError' && error.code !== 'FASTTUNNEL_TIMEOUT');
    assert.deepEqual(failed, []);
  });
});
