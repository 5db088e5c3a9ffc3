// Many requests at once to a server of which the forward proxy does not know yet whether it speaks HTTP/2.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import https from 'node:https';
import net from 'node:net';
import { describe, it } from 'node:test';
import { ProxyServer } from '../dist/esm/proxy/index.mjs';
import { certificate } from './support/certificates.mjs';
import { CODES } from './support/http2.mjs';

const PATIENT = { timeout: 30_000 };
const ROUTE = { morphId: 'abc', scope: 'base', domainSuffix: 'cmux.test' };
const workspace = certificate({ names: 'DNS:*.cmux.test', authority: false });

async function listen(server) {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server.address().port;
}

/** Answers, and has no further request on a connection of HTTP/1.1. */
const answer = (request, response) => {
  if (request.httpVersion !== '2.0') response.setHeader('connection', 'close');
  response.end(request.httpVersion);
};
const SERVERS = {
  'HTTP/1.1': () => https.createServer(workspace.pem, answer),
  'HTTP/2': () => http2.createSecureServer({ ...workspace.pem, allowHTTP1: true }, answer),
};

/** A proxy, and what lies between it and its server: a connection passes there once that is said. */
async function open(driver, version, limits = {}) {
  const server = SERVERS[version]();
  const port = await listen(server);
  const connections = [];
  let [opened, changed] = [false, () => {}];
  const pass = (connection) => connection.pipe(net.connect(port, '127.0.0.1').on('error', () => connection.destroy())).pipe(connection);
  const relay = net.createServer((connection) => {
    connections.push(connection.on('error', () => {}));
    if (opened) pass(connection);
    changed();
  });
  const proxy = await ProxyServer.start({ port: 0, driver, shards: 1, hosts: { '*.cmux.test': `127.0.0.1:${await listen(relay)}` }, ca: workspace.pem.cert, limits });
  const { username, password } = proxy.createContext(1, ROUTE);
  const session = http2.connect(`http://127.0.0.1:${proxy.port()}`).on('error', () => {});
  const fields = { ':scheme': 'http', ':authority': 'localhost:5173', ':path': '/', 'proxy-authorization': `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}` };
  const ask = () => {
    const stream = session.request(fields);
    const answered = new Promise((resolve) => {
      let [status, text] = [0, ''];
      stream.setEncoding('utf8').on('error', () => {}).on('response', (head) => { status = head[':status']; }).on('data', (chunk) => { text += chunk; });
      stream.on('close', () => resolve([status, text]));
    });
    return { stream, answered };
  };
  return {
    ask,
    connections,
    burst: (count) => Promise.all(Array.from({ length: count }, () => ask().answered)),
    /** Resolves when so many connections have come. */
    async come(count) {
      while (connections.length < count) await new Promise((resolve) => { changed = resolve; });
    },
    pass,
    passAll() {
      opened = true;
      connections.forEach((connection) => { if (connection.listenerCount('data') === 0) pass(connection); });
    },
    /** All that was asked is at the proxy. */
    begun: () => new Promise((resolve) => { session.ping(() => resolve()); }),
    async close() {
      session.destroy();
      await proxy.stop();
      connections.forEach((connection) => connection.destroy());
      relay.close();
      server.close();
    },
  };
}

for (const driver of ['io_uring', 'epoll']) {
  describe(`many requests at once to a server that is not known, on ${driver}`, PATIENT, () => {
    it('go over one connection when it speaks HTTP/2', async () => {
      const { burst, connections, passAll, close } = await open(driver, 'HTTP/2');
      passAll();
      assert.deepEqual(await burst(50), Array.from({ length: 50 }, () => [200, '2.0']));
      assert.equal(connections.length, 1);
      await close();
    });

    it('have connections of their own when it speaks HTTP/1.1, all at once as soon as that is known, and from then on without waiting', async () => {
      const { ask, begun, burst, come, connections, pass, passAll, close } = await open(driver, 'HTTP/1.1');
      const answers = Array.from({ length: 50 }, () => ask().answered);
      await Promise.all([begun(), come(1)]);
      assert.equal(connections.length, 1);
      pass(connections[0]);
      // None of the others is let through before all have come.
      await come(50);
      const later = burst(10);
      await come(60);
      passAll();
      assert.deepEqual([...await Promise.all(answers), ...await later], Array.from({ length: 60 }, () => [200, '1.1']));
      assert.equal(connections.length, 60);
      await close();
    });

    it('are not held longer than a connection may take by a first one that hangs', async () => {
      const { ask, begun, burst, come, connections, pass, close } = await open(driver, 'HTTP/2', { connectTimeoutMs: 200 });
      const first = ask();
      await come(1);
      const others = burst(10);
      await begun();
      assert.equal(connections.length, 1);
      // Each tries for itself.
      await come(11);
      connections.slice(1).forEach(pass);
      assert.deepEqual(await others, Array.from({ length: 10 }, () => [200, '2.0']));
      pass(connections[0]);
      assert.deepEqual(await first.answered, [200, '2.0']);
      await close();
    });

    it('go on when the first is cancelled', async () => {
      const { ask, begun, burst, come, connections, pass, close } = await open(driver, 'HTTP/2');
      const first = ask();
      await come(1);
      const others = burst(10);
      await begun();
      first.stream.close(CODES.CANCEL);
      await come(2);
      pass(connections[1]);
      assert.deepEqual(await others, Array.from({ length: 10 }, () => [200, '2.0']));
      assert.equal(connections.length, 2);
      await close();
    });

    it('fail together when there is nobody', async () => {
      const { ask, begun, burst, come, connections, close } = await open(driver, 'HTTP/2');
      const first = ask();
      await come(1);
      const others = burst(10);
      await begun();
      connections[0].resetAndDestroy();
      assert.deepEqual([await first.answered, ...await others], Array.from({ length: 11 }, () => [502, 'Bad Gateway']));
      assert.equal(connections.length, 1);
      await close();
    });
  });
}
