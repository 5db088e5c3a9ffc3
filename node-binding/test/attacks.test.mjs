// The attacks of loadtest/attacks in short, with limits that are reached soon: everybody is cut off on time and told why,
// a normal client beside them goes on, and nothing of them is left.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { describe, it } from 'node:test';
import { startCanary } from '../../loadtest/attacks/canary.mjs';
import { FLOODS } from '../../loadtest/attacks/floods.mjs';
import { FORMS, PROXY_FORMS, send, throughProxy } from '../../loadtest/attacks/forms.mjs';
import { start } from '../../loadtest/attacks/servers.mjs';
import { proofOf } from '../../loadtest/proxies/tunnels.mjs';
import { ProxyServer } from '../dist/esm/proxy/index.mjs';
import { onBothDrivers, until } from './support/tunnels.mjs';

const LIMITS = { handshakeTimeoutMs: 1000, headTimeoutMs: 1000, bodyTimeoutMs: 1000, writeTimeoutMs: 1000, idleTimeoutMs: 1000, discardTimeoutMs: 1000 };
/** The period of a shard's timer, twice, and a busy machine. */
const SLACK_S = 1;
/** Of about 60 calls, so it is the slowest: far above what it takes on an idle machine, below the 3 s of a starved client. */
const CANARY_P99_MS = 1000;

async function attack(driver, id, how) {
  const flood = FLOODS.find((one) => one.id === id);
  const tls = flood.tls === true;
  const server = await start(`fasttunnel-${driver}`, { limits: LIMITS, tls });
  try {
    const before = server.usage();
    const canary = startCanary(server.port, { tls });
    const result = await flood.run(server.port, how);
    const client = await canary.stop();
    assert.equal(client.failed, 0, `${client.failed} of ${client.n} calls of a normal client failed`);
    assert.ok(client.p99 < CANARY_P99_MS, `p99 of a normal client: ${client.p99} ms`);
    await until(() => server.usage().sockets <= before.sockets, 'all connections of the attack are gone');
    assert.ok(server.alive, server.stderr);
    return result;
  } finally {
    await server.stop();
  }
}

onBothDrivers('attacks', (driver) => {
  // The first two are answered before their body: with 413 where they declare it.
  const CUT = { 'refused-byte': { 413: 100 }, 'refused-chunk': { 403: 100 }, idle: {}, 'slow-head': { 408: 100 }, 'slow-byte': { 408: 100 }, 'slow-body': { 408: 100 }, 'slow-chunk': { 408: 100 }, 'tls-slow': {} };
  for (const [id, told] of Object.entries(CUT)) {
    it(`${id}: cut after a second`, async () => {
      const result = await attack(driver, id, { n: 100, hold: 5 });
      assert.deepEqual([result.connections, result.cut, result.told], [100, 100, told]);
      assert.ok(result.cutAt.p50 >= 0.9 && result.cutAt.max <= 1 + SLACK_S, JSON.stringify(result.cutAt));
    });
  }

  it('refused-pour: floods of bodies that nobody wants delay nobody else', async () => {
    const { connections, cut, bytes } = await attack(driver, 'refused-pour', { n: 10, hold: 3 });
    assert.ok(connections >= 10 && bytes > 100 * 2 ** 20, `${connections} connections, ${cut} cut, ${bytes} bytes`);
  });

  it('deaf: who does not read is cut', async () => {
    // Twice 8 MB: they all get into one batch, and it is not this test's business how long JavaScript works on more.
    const result = await attack(driver, 'deaf', { n: 2, hold: 10 });
    assert.equal(result.cut, 2);
  });

  it('pipeline: unread answers of many delay nobody else', async () => {
    const result = await attack(driver, 'pipeline', { n: 50, hold: 3 });
    assert.equal(result.connections, 50);
  });

  for (const id of ['resets', 'half-resets', 'tls-resets']) {
    it(`${id}: leave nothing`, async () => {
      const { connections, refused } = await attack(driver, id, { rate: 500, hold: 2 });
      assert.ok(connections > 200 && refused === 0, `${connections} done, ${refused} refused`);
    });
  }

  it('forms: one answer of the right kind, then the end', async () => {
    const server = await start(`fasttunnel-${driver}`);
    try {
      const results = await Promise.all(FORMS.map(async (form) => [form.id, await send(server.port, form)]));
      assert.deepEqual(results.filter(([, { strict }]) => !strict), []);
    } finally {
      await server.stop();
    }
  });
});

onBothDrivers('attacks on the forward proxy', (driver) => {
  it('forms: one answer of the right kind, then the end, and nothing of them for the server', async () => {
    const seen = [];
    const server = createServer((request, response) => { seen.push(request.url); response.end(); }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const proxy = await ProxyServer.start({ port: 0, driver, addresses: { loopback: true } });
    const proof = proofOf(proxy.createContext(1));
    const through = (text) => throughProxy(text, proof, server.address().port);
    try {
      const results = await Promise.all(PROXY_FORMS.map(async (form) => [form.id, await send(proxy.port(), form, { through })]));
      assert.deepEqual(results.filter(([, { strict }]) => !strict), []);
      assert.deepEqual(seen.filter((path) => /smuggled|behind/.test(path)), []);
    } finally {
      await proxy.stop();
      server.closeAllConnections();
      server.close();
    }
  });
});

describe('attack forms', () => {
  it('tell a lenient server from a strict one', async () => {
    const server = await start('node:http');
    try {
      const lenient = FORMS.find(({ id }) => id === 'two Hosts');
      assert.deepEqual(await send(server.port, lenient, 500), { answers: [200, 200], closed: false, strict: false });
    } finally {
      await server.stop();
    }
  });
});
