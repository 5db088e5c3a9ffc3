// The forward proxy that speaks HTTP/2 to servers: Node's http2 servers behind it, clients of either version in front.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import { createServer as createSecureServer } from 'node:https';
import { connect } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createServer as createTlsServer } from 'node:tls';
import { fetch, ProxyAgent } from 'undici';
import { WebSocket } from 'ws';
import proxyAgents from 'https-proxy-agent';
import { ProxyServer } from '../dist/esm/proxy/index.mjs';
import { certificate } from './support/certificates.mjs';
import { curl } from './support/curl.mjs';
import { CODES, settings, windowUpdate } from './support/http2.mjs';

const { HttpsProxyAgent } = proxyAgents;
const PATIENT = { timeout: 60_000 };
const ROUTE = { morphId: 'abc', scope: 'base', domainSuffix: 'cmux.test' };
const workspace = certificate({ names: 'DNS:*.cmux.test', authority: false });
const auth = ({ username, password }) => `${username}:${password}`;
const basic = (context) => `Basic ${Buffer.from(auth(context)).toString('base64')}`;

async function listen(server) {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server.address().port;
}

/** A server that speaks both, and what it has been asked over. */
function edge(settings = {}) {
  const server = http2.createSecureServer({ ...workspace.pem, allowHTTP1: true, settings });
  const seen = { sessions: [], sockets: 0 };
  server.on('secureConnection', () => { seen.sockets += 1; });
  server.on('session', (session) => seen.sessions.push(session.on('error', () => {})));
  server.on('sessionError', () => {});
  server.on('request', (request, response) => {
    const { ':method': method = request.method, ':path': path = request.url, ':authority': authority = request.headers.host } = request.headers;
    request.on('error', () => {});
    if (path === '/refuse-once' && !seen.refused) {
      seen.refused = true;
      return void response.stream.close(CODES.REFUSED_STREAM);
    }
    if (path === '/old' && request.httpVersion === '2.0') return void response.stream.close(13);
    if (path === '/break') {
      response.write('some');
      return void setTimeout(() => response.stream.close(CODES.CANCEL), 20);
    }
    if (path === '/hints') response.writeEarlyHints({ link: '</a.css>; rel=preload' });
    if (path === '/empty') return void response.writeHead(404).end();
    if (path === '/hang') return;
    const chunks = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => {
      response.setHeader('x-seen', JSON.stringify([request.httpVersion, authority, request.headers.via, request.headers['content-length'] ?? '', request.headers['proxy-authorization'] ?? '']));
      response.end(Buffer.concat([Buffer.from(`${method} ${path} `), ...chunks]));
    });
  });
  return { server, seen };
}

/** Accepts WebSockets on streams (RFC 8441), and sends every message back. */
function acceptSockets(server) {
  // Or it would be answered 405.
  server.on('connect', () => {});
  server.on('stream', (stream, fields) => {
    if (fields[':protocol'] !== 'websocket') return;
    stream.on('error', () => {});
    if (fields[':path'] === '/forbidden') return void stream.respond({ ':status': 403 }, { endStream: true });
    stream.respond({ ':status': 200, 'sec-websocket-key-seen': String('sec-websocket-key' in fields) });
    const socket = new WebSocket(null, undefined, {});
    Object.assign(stream, { setNoDelay: () => {}, setTimeout: () => {} });
    socket.setSocket(stream, Buffer.alloc(0), { maxPayload: 1 << 20, allowSynchronousEvents: true, skipUTF8Validation: false });
    socket.on('message', (message, binary) => socket.send(message, { binary }));
  });
}

for (const driver of ['io_uring', 'epoll']) {
  describe(`the proxy that speaks HTTP/2 to servers, on ${driver}`, PATIENT, () => {
    let both, proxy, context, dispatcher;

    before(async () => {
      both = edge({ enableConnectProtocol: true });
      acceptSockets(both.server);
      proxy = await start({ '*.cmux.test': `127.0.0.1:${await listen(both.server)}` });
      context = proxy.createContext(1, ROUTE);
      dispatcher = agent(context);
    });

    after(async () => {
      await dispatcher.destroy();
      await proxy.stop();
      close(both);
    });

    const start = (hosts, options = {}) => ProxyServer.start({ port: 0, driver, shards: 1, hosts, ca: workspace.pem.cert, ...options });
    const agent = (who, from = proxy) => new ProxyAgent({ uri: `http://127.0.0.1:${from.port()}`, token: basic(who), proxyTunnel: false });
    const close = ({ server, seen }) => {
      seen.sessions.forEach((session) => session.destroy());
      server.close();
    };
    const ask = async (path, options = {}, by = dispatcher) => {
      const response = await fetch(`http://localhost:5173${path}`, { dispatcher: by, ...options });
      return { status: response.status, headers: response.headers, text: await response.text(), seen: JSON.parse(response.headers.get('x-seen') ?? '[]') };
    };

    it('carries many requests over one connection, and tells both ends of the way', async () => {
      const first = await ask('/first?q');
      const [version, authority, via, length, credentials] = first.seen;
      assert.deepEqual([first.status, first.text, version, authority, length, credentials], [200, 'GET /first?q ', '2.0', 'cmux-abc-base-5173.cmux.test', '', '']);
      assert.match(via, /^1\.1 fasttunnel-/);
      assert.match(first.headers.get('via'), /^2\.0 fasttunnel-/);
      const answers = await Promise.all(Array.from({ length: 80 }, (_, at) => ask(`/${at}`, { method: 'POST', body: String(at) })));
      answers.forEach(({ status, text }, at) => assert.deepEqual([status, text], [200, `POST /${at} ${at}`]));
      assert.equal(both.seen.sockets, 1);
      // Another context has connections of its own.
      const other = proxy.createContext(2, ROUTE);
      const by = agent(other);
      assert.equal((await ask('/other', {}, by)).status, 200);
      assert.equal(both.seen.sockets, 2);
      await by.destroy();
      // They end with it.
      const [, its] = both.seen.sessions;
      const ended = new Promise((resolve) => its.once('close', resolve));
      proxy.releaseContext(other.id);
      await ended;
    });

    it('passes on answers of every kind', async () => {
      const empty = await ask('/empty');
      assert.deepEqual([empty.status, empty.text], [404, '']);
      assert.equal((await ask('/head', { method: 'HEAD' })).text, '');
      assert.equal((await ask('/hints')).status, 200);
      const session = http2.connect(`http://127.0.0.1:${proxy.port()}`).on('error', () => {});
      const hinted = session.request({ ':scheme': 'http', ':authority': 'localhost:5173', ':path': '/hints', 'proxy-authorization': basic(context) });
      const interim = [];
      hinted.on('headers', (fields) => interim.push([fields[':status'], fields.link])).resume();
      assert.equal((await once(hinted, 'response'))[0][':status'], 200);
      assert.deepEqual(interim, [[103, '</a.css>; rel=preload']]);
      session.destroy();
      const content = Buffer.alloc(8 << 20, 'fasttunnel');
      const response = await fetch('http://localhost:5173/large', { dispatcher, method: 'POST', body: content });
      assert.ok(Buffer.from(await response.arrayBuffer()).subarray('POST /large '.length).equals(content));
      const streamed = await ask('/streamed', { method: 'POST', duplex: 'half', body: new ReadableStream({ start(controller) { controller.enqueue(new TextEncoder().encode('abc')); controller.close(); } }) });
      assert.deepEqual([streamed.text, streamed.seen[3]], ['POST /streamed abc', '']);
      await assert.rejects(ask('/break'), 'what breaks off does not look whole');
    });

    it('sends once more what was not looked at', async () => {
      assert.equal((await ask('/refuse-once')).text, 'GET /refuse-once ');
      const fresh = edge();
      const own = await start({ '*.cmux.test': `127.0.0.1:${await listen(fresh.server)}` });
      const by = agent(own.createContext(1, ROUTE), own);
      assert.equal((await ask('/a', {}, by)).seen[0], '2.0');
      // The server leaves, as it says.
      fresh.seen.sessions[0].close();
      await new Promise((resolve) => fresh.seen.sessions[0].once('close', resolve));
      assert.equal((await ask('/b', {}, by)).text, 'GET /b ');
      assert.equal(fresh.seen.sessions.length, 2);
      await by.destroy();
      await own.stop();
      close(fresh);
    });

    it('speaks HTTP/1.1 to servers that know nothing else, and to all where it is switched off', async () => {
      const plain = createSecureServer(workspace.pem, (request, response) => response.end(request.httpVersion));
      const old = await start({ '*.cmux.test': `127.0.0.1:${await listen(plain)}` });
      const by = agent(old.createContext(1, ROUTE), old);
      assert.equal((await ask('/', {}, by)).text, '1.1');
      await by.destroy();
      await old.stop();
      plain.closeAllConnections();
      plain.close();
      const off = await start({ '*.cmux.test': `127.0.0.1:${both.server.address().port}` }, { http2: false });
      const without = agent(off.createContext(1, ROUTE), off);
      assert.equal((await ask('/off', {}, without)).seen[0], '1.1');
      await without.destroy();
      await off.stop();
    });

    it('asks for WebSockets by an extended CONNECT where the server allows that', async () => {
      await ask('/before');
      const { sockets } = both.seen;
      const url = 'ws://localhost:5173/hmr';
      const socket = new WebSocket(url, { agent: new HttpsProxyAgent(`http://${auth(context)}@127.0.0.1:${proxy.port()}`) });
      const [[answer]] = await Promise.all([once(socket, 'upgrade'), once(socket, 'open')]);
      assert.equal(answer.headers['sec-websocket-key-seen'], 'false');
      for (const message of ['hello', 'x'.repeat(200_000)]) {
        socket.send(message);
        assert.equal(String((await once(socket, 'message'))[0]), message);
      }
      socket.close(1000, 'done');
      assert.equal((await once(socket, 'close'))[0], 1000);
      const refused = new WebSocket('ws://localhost:5173/forbidden', { agent: new HttpsProxyAgent(`http://${auth(context)}@127.0.0.1:${proxy.port()}`) });
      assert.match((await once(refused, 'error'))[0].message, /403/);
      assert.equal(both.seen.sockets, sockets, 'on the connection that there is');
    });

    it('lets a client speak HTTP/2 to a server through a tunnel', async () => {
      const { stdout } = await curl('--http2', '--insecure', '--max-time', '10', '-w', '%{http_version}', '--proxy', `http://127.0.0.1:${proxy.port()}`, '--proxy-user', auth(context), 'https://localhost:5173/tunnelled');
      assert.equal(stdout, 'GET /tunnelled 2');
    });

    it('joins streams of clients to streams of servers', async () => {
      const session = http2.connect(`http://127.0.0.1:${proxy.port()}`).on('error', () => {});
      const fields = { ':scheme': 'http', ':authority': 'localhost:5173', 'proxy-authorization': basic(context) };
      const answers = await Promise.all(Array.from({ length: 50 }, async (_, at) => {
        const stream = session.request({ ...fields, ':method': 'POST', ':path': `/${at}` });
        stream.end(String(at));
        let text = '';
        for await (const chunk of stream.setEncoding('utf8')) text += chunk;
        return text;
      }));
      assert.deepEqual(answers, Array.from({ length: 50 }, (_, at) => `POST /${at} ${at}`));
      // One that its client ends is ended at the server.
      const asked = once(both.server, 'stream');
      const left = session.request({ ...fields, ':path': '/hang' }).on('error', () => {});
      const [stream] = await asked;
      const ended = new Promise((resolve) => stream.on('error', () => {}).once('close', resolve));
      left.close(CODES.CANCEL);
      await ended;
      session.destroy();
    });

    it('closes connections that carry nothing, and does not wait for them when it stops', async () => {
      const quiet = edge();
      const own = await start({ '*.cmux.test': `127.0.0.1:${await listen(quiet.server)}` }, { limits: { idleUpstreamTimeoutMs: 200, drainTimeoutMs: 10_000 } });
      const by = agent(own.createContext(1, ROUTE), own);
      await ask('/a', {}, by);
      await new Promise((resolve) => quiet.seen.sessions[0].once('close', resolve));
      await ask('/b', {}, by);
      await by.destroy();
      const begun = Date.now();
      await own.stop();
      assert.ok(Date.now() - begun < 5000);
      assert.equal(quiet.seen.sockets, 2);
      close(quiet);
    });

    it('keeps a connection that is in use, however short its requests are', async () => {
      const busy = edge();
      const own = await start({ '*.cmux.test': `127.0.0.1:${await listen(busy.server)}` }, { limits: { idleUpstreamTimeoutMs: 500 } });
      const by = agent(own.createContext(1, ROUTE), own);
      for (let count = 0; count < 15; count++) {
        await ask('/a', {}, by);
        await sleep(100);
      }
      assert.equal(busy.seen.sockets, 1);
      await by.destroy();
      await own.stop();
      close(busy);
    });

    it('asks in HTTP/1.1 from then on when a server wants that, also with content', async () => {
      for (const first of [
        async (by) => assert.equal((await ask('/old', { method: 'POST', body: 'x' }, by)).status, 502, 'it may have been read'),
        async (by) => assert.deepEqual((({ text, seen }) => [text, seen[0]])(await ask('/old', {}, by)), ['GET /old ', '1.1']),
      ]) {
        const old = edge();
        const own = await start({ '*.cmux.test': `127.0.0.1:${await listen(old.server)}` });
        const by = agent(own.createContext(1, ROUTE), own);
        await first(by);
        assert.equal((await ask('/old', { method: 'POST', body: 'x' }, by)).text, 'POST /old x');
        assert.equal((await ask('/after', {}, by)).seen[0], '1.1');
        await by.destroy();
        await own.stop();
        close(old);
      }
    });

    it('asks in HTTP/1.1 for what HTTP/2 cannot say', async () => {
      const asked = () => new Promise((resolve, reject) => {
        let text = '';
        const client = connect(proxy.port(), '127.0.0.1', () => client.write(`GET http://localhost:5173/a<b HTTP/1.1\r\nHost: x\r\nConnection: close\r\nProxy-Authorization: ${basic(context)}\r\n\r\n`));
        client.setEncoding('utf8').on('data', (part) => { text += part; }).on('error', reject).on('close', () => resolve(text));
      });
      for (const _ of [1, 2]) assert.match(await asked(), /^HTTP\/1\.1 200 [^]*GET \/a<b /);
    });

    it('ends although a server takes nothing any more', async () => {
      const sockets = [];
      const stuck = createTlsServer({ ...workspace.pem, ALPNProtocols: ['h2'] }, (socket) => {
        sockets.push(socket.on('error', () => {}));
        // It takes as much as one likes, and reads none of it.
        socket.write(Buffer.concat([settings({ 4: 0x7fffffff }), windowUpdate(0, 0x7fff0000)]));
      });
      const own = await start({ '*.cmux.test': `127.0.0.1:${await listen(stuck)}` }, { limits: { drainTimeoutMs: 200 } });
      const client = connect(own.port(), '127.0.0.1').on('error', () => {});
      client.write(`POST http://localhost:5173/ HTTP/1.1\r\nHost: x\r\nProxy-Authorization: ${basic(own.createContext(1, ROUTE))}\r\nContent-Length: ${64 << 20}\r\n\r\n`);
      client.write(Buffer.alloc(64 << 20));
      const sent = () => own.stats().contexts[0].sentBytes;
      for (let before = -1; before !== sent() || before === 0; await sleep(300)) before = sent();
      const ended = await Promise.race([own.stop().then(() => true), sleep(8000).then(() => false)]);
      sockets.forEach((socket) => socket.destroy());
      client.destroy();
      stuck.close();
      assert.ok(ended);
    });

    it('has nothing open when everything has ended', async () => {
      const deadline = Date.now() + 5000;
      while (proxy.stats().contexts.some(({ open }) => open > 0)) {
        assert.ok(Date.now() < deadline, JSON.stringify(proxy.stats().contexts));
        await sleep(10);
      }
      assert.equal(proxy.stats().panics, 0);
    });
  });
}
