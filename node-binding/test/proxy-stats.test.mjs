// What the forward proxy tells of HTTP/2: with clients, and with servers.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import https from 'node:https';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ProxyServer } from '../dist/esm/proxy/index.mjs';
import { certificate } from './support/certificates.mjs';
import { CODES } from './support/http2.mjs';

const PATIENT = { timeout: 30_000 };
const HTTP_1_1_REQUIRED = 13;
const ROUTE = { morphId: 'abc', scope: 'base', domainSuffix: 'cmux.test' };
const workspace = certificate({ names: 'DNS:*.cmux.test', authority: false });
const NONE = { connections: 0, opened: 0, streams: 0, requests: 0, resets: 0 };

async function listen(server) {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server.address().port;
}

/** A server of the one version or of both, a proxy in front of it, and a client that speaks HTTP/2. */
async function open(driver, server) {
  const proxy = await ProxyServer.start({ port: 0, driver, shards: 1, hosts: { '*.cmux.test': `127.0.0.1:${await listen(server)}` }, ca: workspace.pem.cert });
  const { username, password } = proxy.createContext(1, ROUTE);
  const session = http2.connect(`http://127.0.0.1:${proxy.port()}`).on('error', () => {});
  const ask = (path) => session.request({ ':scheme': 'http', ':authority': 'localhost:5173', ':path': path, 'proxy-authorization': `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}` }).on('error', () => {});
  const answer = async (path) => {
    const stream = ask(path).resume();
    const [head] = await once(stream, 'response');
    if (!stream.closed) await once(stream, 'close');
    return head[':status'];
  };
  /** What is told, once that is so. */
  const tells = async (expected) => {
    const told = () => proxy.stats().http2;
    for (const deadline = Date.now() + 5000; Date.now() < deadline; await sleep(5)) {
      if (JSON.stringify(told()) === JSON.stringify(expected)) break;
    }
    assert.deepEqual(told(), expected);
  };
  const close = async () => {
    session.destroy();
    await proxy.stop();
    server.close();
  };
  return { proxy, session, ask, answer, tells, close };
}

for (const driver of ['io_uring', 'epoll']) {
  describe(`what a proxy tells of HTTP/2, on ${driver}`, PATIENT, () => {
    it('tells connections and streams of both sides, resets, refusals and requests that are sent once more', async () => {
      let [refused, hanging] = [false, () => {}];
      const server = http2.createSecureServer({ ...workspace.pem, allowHTTP1: true }, (request, response) => {
        request.on('error', () => {});
        if (request.url === '/hang') return void hanging();
        if (request.url === '/refuse' && !refused) {
          refused = true;
          return void response.stream.close(CODES.REFUSED_STREAM);
        }
        if (request.url === '/old' && request.httpVersion === '2.0') return void response.stream.close(HTTP_1_1_REQUIRED);
        response.end('ok');
      });
      const { proxy, session, ask, answer, tells, close } = await open(driver, server);
      assert.deepEqual(proxy.stats().http2.servers, { ...NONE, refused: 0, retried: 0, fallbacks: 0 });
      assert.deepEqual([await answer('/a'), await answer('/b')], [200, 200]);
      const clients = { connections: 1, opened: 1, streams: 0, requests: 2, resets: 0 };
      const servers = { ...clients, refused: 0, retried: 0, fallbacks: 0 };
      await tells({ clients, servers });
      const [hung, given] = [new Promise((resolve) => { hanging = resolve; }), ask('/hang')];
      await hung;
      await tells({ clients: { ...clients, streams: 1, requests: 3 }, servers: { ...servers, streams: 1, requests: 3 } });
      given.close(CODES.CANCEL);
      Object.assign(clients, { requests: 3, resets: 1 });
      Object.assign(servers, { requests: 3, resets: 1 });
      await tells({ clients, servers });
      assert.equal(await answer('/refuse'), 200);
      clients.requests = 4;
      // It has a connection of its own for the second time.
      Object.assign(servers, { connections: 2, opened: 2, requests: 5, resets: 2, refused: 1, retried: 1 });
      await tells({ clients, servers });
      assert.equal(await answer('/old'), 200);
      clients.requests = 5;
      Object.assign(servers, { requests: 6, resets: 3, retried: 2, fallbacks: 1 });
      await tells({ clients, servers });
      session.destroy();
      await tells({ clients: { ...clients, connections: 0 }, servers });
      await close();
      assert.deepEqual(proxy.stats().http2, { clients: NONE, servers: { ...NONE, refused: 0, retried: 0, fallbacks: 0 } }, 'as all that a stopped proxy tells');
    });

    it('tells servers that were offered HTTP/2 and have chosen HTTP/1.1', async () => {
      const { answer, tells, close } = await open(driver, https.createServer(workspace.pem, (request, response) => response.end('ok')));
      assert.deepEqual([await answer('/a'), await answer('/b')], [200, 200]);
      await tells({ clients: { connections: 1, opened: 1, streams: 0, requests: 2, resets: 0 }, servers: { ...NONE, refused: 0, retried: 0, fallbacks: 1 } });
      await close();
    });
  });
}
