// The forward proxy through its API, asked by the clients that people have: curl, undici, axios, ws.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { connect, createServer as createTcpServer } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import axios from 'axios';
import proxyAgents from 'https-proxy-agent';
import { fetch, ProxyAgent } from 'undici';
import { WebSocket, WebSocketServer } from 'ws';
import { ClosedError, ListenError, OptionError, ProxyServer } from '../dist/esm/proxy/index.mjs';
import { certificate } from './support/certificates.mjs';
import { curl } from './support/curl.mjs';

const { HttpsProxyAgent } = proxyAgents;
const run = promisify(execFile);
const ROUTE = { morphId: 'abc', scope: 'base', domainSuffix: 'cmux.test' };
const workspace = certificate({ names: 'DNS:*.cmux.test,DNS:localhost', authority: false });
const PATIENT = { timeout: 60_000 };

/** Answers with what it was asked, and how. */
async function echo(request, response) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  response.setHeader('x-seen-host', request.headers.host ?? '');
  response.setHeader('x-seen-url', request.url);
  response.setHeader('x-seen-credentials', String('proxy-authorization' in request.headers));
  response.writeHead(request.url.startsWith('/missing') ? 404 : 200);
  response.end(request.method === 'HEAD' ? undefined : Buffer.concat([Buffer.from(`${request.method} `), ...chunks]));
}

/** Sends back every message. */
function echoSockets(server) {
  new WebSocketServer({ server, verifyClient: ({ req }, decide) => decide(!req.url.startsWith('/forbidden'), 403, 'No') }).on('connection', (socket) => {
    socket.on('message', (message, binary) => socket.send(message, { binary }));
  });
}

async function listen(server) {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server.address().port;
}

const auth = ({ username, password }) => `${username}:${password}`;
const proxyUrl = (proxy, context) => `http://${auth(context)}@127.0.0.1:${proxy.port()}`;
const patiently = ['--max-time', '10'];
const through = async (proxy, context, ...args) => {
  const { stdout } = await curl('-i', ...patiently, '--proxy', `http://127.0.0.1:${proxy.port()}`, '--proxy-user', auth(context), ...args);
  return stdout;
};

describe('the proxy', PATIENT, () => {
  let proxy, plain, routed, port, closing;

  before(async () => {
    const server = createServer(echo);
    const secure = createSecureServer(workspace.pem, echo);
    [server, secure].forEach(echoSockets);
    port = await listen(server);
    const securePort = await listen(secure);
    closing = [server, secure];
    proxy = await ProxyServer.start({
      port: 0,
      addresses: { loopback: true },
      hosts: { '*.cmux.test': `127.0.0.1:${securePort}` },
      ca: workspace.pem.cert,
    });
    plain = proxy.createContext(1);
    routed = proxy.createContext(2, ROUTE);
  });

  after(async () => {
    await proxy.stop();
    for (const server of closing) {
      server.closeAllConnections();
      server.close();
    }
  });

  it('has contexts with credentials of the known forms', () => {
    assert.match(routed.id, /^ctx-2-\d+$/);
    assert.match(routed.username, /^wc-2-[0-9a-f]{8}$/);
    assert.match(routed.password, /^[0-9a-f]{24}$/);
    assert.equal(routed.webContentsId, 2);
    const others = new Set(Array.from({ length: 100 }, () => proxy.createContext(3)).map(({ id, password }) => (proxy.releaseContext(id), password)));
    assert.equal(others.size, 100);
  });

  it('passes on what curl asks, over HTTP and through a tunnel', async () => {
    const url = `http://127.0.0.1:${port}/a?b`;
    const got = await through(proxy, plain, url);
    assert.match(got, /^HTTP\/1\.1 200 OK\r\n/);
    assert.match(got, /x-seen-credentials: false\r\n/);
    assert.match(got, /\r\nVia: 1\.1 fasttunnel-[0-9a-f]{16}\r\n/);
    assert.ok(got.endsWith('\r\n\r\nGET '));
    assert.match(await through(proxy, plain, '-d', 'content', url), /\r\n\r\nPOST content$/);
    assert.match(await through(proxy, plain, '-X', 'PATCH', '-H', 'Transfer-Encoding: chunked', '-d', 'chunks', url), /\r\n\r\nPATCH chunks$/);
    assert.match(await through(proxy, plain, '-I', url), /^HTTP\/1\.1 200 OK\r\n/);
    assert.match(await through(proxy, plain, '--proxytunnel', url), /^HTTP\/1\.1 200 Connection Established\r\n\r\nHTTP\/1\.1 200 OK\r\n/);
    assert.match(await through(proxy, plain, '-H', 'Expect: 100-continue', '-d', 'x'.repeat(2000), url), /HTTP\/1\.1 100 Continue\r\n[\s\S]*POST x{2000}$/);
    // Without the option, curl asks again once it is told that it has to prove who it is.
    assert.match(await through(proxy, plain, '--proxy-anyauth', url), /^HTTP\/1\.1 407 [\s\S]*HTTP\/1\.1 200 OK/);
    assert.match(await through(proxy, { username: plain.username, password: 'wrong' }, url), /^HTTP\/1\.1 407 Proxy Authentication Required\r\n/);
  });

  it('leads hosts of the own machine to the workspace, for who has a route', async () => {
    for (const [url, seen] of [
      ['http://localhost:5173/x', 'cmux-abc-base-5173.cmux.test'],
      ['http://127.0.0.1:3000/x', 'cmux-abc-base-3000.cmux.test'],
      ['http://[::1]/x', 'cmux-abc-base-80.cmux.test'],
    ]) {
      const got = await through(proxy, routed, url);
      assert.match(got, /^HTTP\/1\.1 200 OK\r\n/, url);
      assert.ok(got.includes(`x-seen-host: ${seen}\r\n`), got);
      assert.ok((await through(proxy, routed, '--proxytunnel', url)).includes(`x-seen-host: ${seen}\r\n`), url);
    }
    const morph = proxy.createContext(4, { ...ROUTE, morphDomainSuffix: '.cmux.test' });
    assert.match(await through(proxy, morph, 'http://localhost:5173/x'), /x-seen-host: localhost:5173\r\n/);
    proxy.releaseContext(morph.id);
  });

  it('carries TLS through a tunnel, which is between the client and the server', async () => {
    const { stdout } = await curl(...patiently, '--proxy', proxyUrl(proxy, plain), '--cacert', workspace.files.cert, 'https://x.cmux.test/secret', '-w', ' %{http_code} %{ssl_verify_result}');
    assert.equal(stdout, 'GET  200 0');
  });

  it('serves undici and axios, many requests at a time', async () => {
    const dispatcher = new ProxyAgent({ uri: `http://127.0.0.1:${proxy.port()}`, token: `Basic ${Buffer.from(auth(routed)).toString('base64')}` });
    const answers = await Promise.all(Array.from({ length: 200 }, async (_, at) => {
      const response = await fetch(`http://localhost:5173/${at}`, { dispatcher, method: 'POST', body: String(at) });
      return [response.status, response.headers.get('x-seen-url'), await response.text()];
    }));
    assert.deepEqual(answers, Array.from({ length: 200 }, (_, at) => [200, `/${at}`, `POST ${at}`]));
    await dispatcher.close();
    const { data, status } = await axios.put(`http://localhost:${port}/y`, 'text', { proxy: { protocol: 'http', host: '127.0.0.1', port: proxy.port(), auth: plain }, validateStatus: () => true });
    assert.deepEqual([status, data], [200, 'PUT text']);
  });

  it('carries large content both ways', async () => {
    const content = Buffer.alloc(8 << 20, 'fasttunnel');
    const dispatcher = new ProxyAgent({ uri: proxyUrl(proxy, plain) });
    for (const url of [`http://127.0.0.1:${port}/large`, 'http://127.0.0.1:9/tunnelled']) {
      const to = url.includes('/large') ? [url, dispatcher] : ['http://localhost:5173/large', new ProxyAgent({ uri: proxyUrl(proxy, routed) })];
      const response = await fetch(to[0], { dispatcher: to[1], method: 'POST', body: content });
      const got = Buffer.from(await response.arrayBuffer());
      assert.ok(got.subarray(5).equals(content));
      await to[1].close();
    }
  });

  it('gives WebSockets what the server says, through tunnels and without', async () => {
    const agent = new HttpsProxyAgent(proxyUrl(proxy, routed));
    const socket = new WebSocket('ws://localhost:5173/hmr', { agent });
    await once(socket, 'open');
    for (const message of ['hello', 'x'.repeat(200_000)]) {
      socket.send(message);
      const [came] = await once(socket, 'message');
      assert.equal(String(came), message);
    }
    socket.close(1000, 'done');
    const [code, reason] = await once(socket, 'close');
    assert.deepEqual([code, String(reason)], [1000, 'done']);
    const refused = new WebSocket('ws://localhost:5173/forbidden', { agent });
    const [error] = await once(refused, 'error');
    assert.match(error.message, /403/);
    // In absolute form, as who does not tunnel asks.
    const { stdout } = await curl('-i', '--max-time', '1', '--proxy', proxyUrl(proxy, plain), '-H', 'Connection: Upgrade', '-H', 'Upgrade: websocket', '-H', 'Sec-WebSocket-Version: 13', '-H', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', `http://127.0.0.1:${port}/ws`).catch((error) => error);
    assert.match(stdout, /^HTTP\/1\.1 101 Switching Protocols\r\n/);
    assert.match(stdout, /Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=\r\n/);
  });

  it('says by its cause what cannot be reached', async () => {
    const free = createTcpServer();
    const closed = await listen(free);
    await promisify(free.close.bind(free))();
    assert.match(await through(proxy, plain, `http://127.0.0.1:${closed}/`), /^HTTP\/1\.1 502 [\s\S]*Proxy-Status: fasttunnel; error=connection_refused\r\n/);
    assert.match(await through(proxy, plain, 'http://127.0.0.1:25/'), /^HTTP\/1\.1 403 [\s\S]*error=http_request_denied\r\n/);
    assert.match(await through(proxy, plain, 'http://10.0.0.1/'), /^HTTP\/1\.1 403 [\s\S]*error=destination_ip_prohibited\r\n/);
  });

  it('counts what was done for each context', async () => {
    const context = proxy.createContext(9);
    await through(proxy, context, '-d', 'twelve bytes', `http://127.0.0.1:${port}/`);
    const of = () => proxy.stats().contexts.find(({ id }) => id === context.id);
    assert.deepEqual(of(), { id: context.id, username: context.username, requests: 1, open: 0, sentBytes: 12, receivedBytes: 17, failed: 0 });
    proxy.releaseContext(context.id);
    assert.equal(of(), undefined);
    assert.equal(proxy.stats().panics, 0);
  });

  it('cuts what is under way for a context that is released, and nothing else', async () => {
    const [leaving, staying] = [proxy.createContext(5, ROUTE), proxy.createContext(6, ROUTE)];
    const open = async (context) => {
      const socket = new WebSocket('ws://localhost:5173/', { agent: new HttpsProxyAgent(proxyUrl(proxy, context)) });
      await once(socket, 'open');
      return socket;
    };
    const [gone, there] = [await open(leaving), await open(staying)];
    gone.on('error', () => {});
    const ended = new Promise((resolve) => gone.once('close', (code) => resolve([code])));
    proxy.releaseContext('ctx-nobody');
    proxy.releaseContext(leaving.id);
    const [code] = await ended;
    assert.equal(code, 1006);
    there.send('still here');
    assert.equal(String((await once(there, 'message'))[0]), 'still here');
    there.terminate();
    assert.match(await through(proxy, leaving, 'http://localhost:5173/'), /^HTTP\/1\.1 407/);
    proxy.releaseContext(staying.id);
  });

  it('is well when thousands of contexts come and go under load', async () => {
    const dispatcher = new ProxyAgent({ uri: proxyUrl(proxy, plain) });
    let running = true;
    const load = (async () => {
      for (let rounds = 0; ; rounds++) {
        if (!running) return rounds;
        assert.equal((await fetch(`http://127.0.0.1:${port}/`, { dispatcher })).status, 200);
      }
    })();
    for (let round = 0; round < 20; round++) {
      const contexts = Array.from({ length: 500 }, (_, at) => proxy.createContext(at, ROUTE));
      await new Promise(setImmediate);
      for (const { id } of contexts) proxy.releaseContext(id);
    }
    running = false;
    assert.ok((await load) > 0);
    await dispatcher.close();
    assert.equal(proxy.stats().contexts.length, 2);
  });
});

describe('a proxy', PATIENT, () => {
  it('starts by an address as well, and has no port when it has stopped', async () => {
    const proxy = await ProxyServer.start('127.0.0.1:0', true);
    assert.ok(proxy.port() > 0);
    const other = await ProxyServer.startWithAutoPort('127.0.0.1', proxy.port(), 50, true);
    assert.ok(other.port() > proxy.port() && other.port() < proxy.port() + 50);
    await assert.rejects(ProxyServer.start(`127.0.0.1:${proxy.port()}`), (error) => error instanceof ListenError && error.code === 'EADDRINUSE');
    await assert.rejects(ProxyServer.startWithAutoPort('127.0.0.1', proxy.port(), 1), ListenError);
    await assert.rejects(ProxyServer.startWithAutoPort('127.0.0.1', proxy.port(), 50, true, { ports: [] }), (error) => error.option === 'ports', 'options count as well');
    const port = proxy.port();
    await Promise.all([proxy.stop(), proxy.stop(), other.stop()]);
    assert.equal(proxy.port(), 0);
    assert.throws(() => proxy.createContext(1), ClosedError);
    proxy.releaseContext('ctx-1-1');
    assert.equal(proxy.stats().connections, 0);
    const again = await ProxyServer.start({ port });
    assert.equal(again.port(), port, 'the address is free');
    await again.stop();
  });

  it('tells what became of each request, and nothing that is secret', async () => {
    const server = createServer(echo);
    const port = await listen(server);
    const heard = [];
    const warned = [];
    const onWarning = (warning) => warned.push(warning);
    process.on('warning', onWarning);
    const proxy = await ProxyServer.start({
      port: 0,
      addresses: { loopback: true },
      onRequest: (request) => {
        heard.push(request);
        if (request.method === 'PUT') throw new Error('a hook that throws');
        return request.method === 'PATCH' ? Promise.reject(new Error('a hook that rejects')) : undefined;
      },
    });
    const context = proxy.createContext(1);
    const url = `http://127.0.0.1:${port}/missing?token=secret`;
    await through(proxy, context, url);
    await through(proxy, { username: context.username, password: 'wrong' }, url);
    await through(proxy, context, '--proxytunnel', url);
    await through(proxy, context, 'http://127.0.0.1:25/');
    for (const method of ['PUT', 'PATCH']) await through(proxy, context, '-X', method, url);
    const leaving = connect(proxy.port(), '127.0.0.1');
    leaving.end(`GET http://127.0.0.1:${port}/ HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: b\r\n\r\n`).resume();
    await once(leaving, 'close');
    await proxy.stop();
    server.close();
    assert.ok(heard.every(({ durationMs }) => Number.isInteger(durationMs) && durationMs < 10_000));
    const own = { contextId: context.id, host: '127.0.0.1', port, error: null, aborted: false };
    // A tunnel is told when it has ended, which the next request need not wait for.
    const inOrder = (requests) => requests.map((request) => JSON.stringify(Object.entries(request).sort())).sort();
    assert.deepEqual(inOrder(heard.map(({ durationMs, ...request }) => request)), inOrder([
      { ...own, method: 'GET', status: 404 },
      { ...own, contextId: null, method: 'GET', status: 407 },
      { ...own, method: 'CONNECT', status: 200 },
      { ...own, method: 'GET', port: 25, status: 403, error: 'http_request_denied' },
      { ...own, method: 'PUT', status: 404 },
      { ...own, method: 'PATCH', status: 404 },
      { contextId: null, method: null, host: null, port: null, status: 400, error: 'http_request_error', aborted: false },
    ]));
    assert.doesNotMatch(JSON.stringify(heard), /secret|missing/);
    await new Promise(setImmediate);
    process.off('warning', onWarning);
    assert.deepEqual(warned.map(({ code, message }) => [code, /throws|rejects/.exec(message)[0]]), [['FASTTUNNEL_ON_REQUEST', 'throws'], ['FASTTUNNEL_ON_REQUEST', 'rejects']]);
  });

  it('cuts what has not ended when its time to stop is over', async () => {
    const silent = createTcpServer((socket) => socket.on('error', () => {}));
    const port = await listen(silent);
    const proxy = await ProxyServer.start({ port: 0, addresses: { loopback: true }, limits: { drainTimeoutMs: 200 } });
    const context = proxy.createContext(1);
    const socket = connect(proxy.port(), '127.0.0.1');
    socket.write(`CONNECT 127.0.0.1:${port} HTTP/1.1\r\nHost: x\r\nProxy-Authorization: Basic ${Buffer.from(auth(context)).toString('base64')}\r\n\r\n`);
    await once(socket, 'data');
    socket.on('error', () => {});
    const [closed, start] = [new Promise((resolve) => socket.once('close', resolve)), Date.now()];
    await proxy.stop();
    await closed;
    assert.ok(Date.now() - start < 5000);
    silent.close();
  });

  it('ends with the worker that has started it, whatever is under way', async () => {
    const silent = createTcpServer((socket) => socket.on('error', () => {}));
    const port = await listen(silent);
    for (let round = 0; round < 5; round++) {
      const worker = new Worker(`
        const { parentPort, workerData } = require('node:worker_threads');
        import(workerData).then(async ({ ProxyServer }) => {
          const proxy = await ProxyServer.start({ port: 0, addresses: { loopback: true }, onRequest: () => {} });
          parentPort.postMessage({ port: proxy.port(), ...proxy.createContext(1) });
        });`, { eval: true, workerData: new URL('../dist/esm/proxy/index.mjs', import.meta.url).href });
      const [context] = await once(worker, 'message');
      const sockets = await Promise.all(Array.from({ length: 20 }, async () => {
        const socket = connect(context.port, '127.0.0.1').on('error', () => {});
        socket.write(`CONNECT 127.0.0.1:${port} HTTP/1.1\r\nHost: x\r\nProxy-Authorization: Basic ${Buffer.from(auth(context)).toString('base64')}\r\n\r\n`);
        await once(socket, 'data');
        return socket;
      }));
      const closed = sockets.map((socket) => new Promise((resolve) => socket.once('close', resolve)));
      // Names that are being looked up meanwhile.
      const asking = connect(context.port, '127.0.0.1').on('error', () => {});
      asking.write(`CONNECT no-such-host.invalid:80 HTTP/1.1\r\nHost: x\r\nProxy-Authorization: Basic ${Buffer.from(auth(context)).toString('base64')}\r\n\r\n`);
      await worker.terminate();
      await Promise.all(closed);
      await assert.rejects(once(connect(context.port, '127.0.0.1'), 'connect'), { code: 'ECONNREFUSED' });
    }
    silent.close();
  });

  it('keeps the process alive until it has stopped, unless it is not to', async () => {
    const program = (rest) => `import { ProxyServer } from ${JSON.stringify(new URL('../dist/esm/proxy/index.mjs', import.meta.url).href)};\nconst proxy = await ProxyServer.start('127.0.0.1:0');\n${rest}`;
    for (const rest of ['proxy.unref();', 'setTimeout(() => proxy.stop(), 50);', 'process.exit();']) {
      await run(process.execPath, ['--input-type=module', '-e', program(rest)], { timeout: 10_000 });
    }
  });

  it('reaches nothing but the internet unless it is told to', async () => {
    const server = createServer(echo);
    const port = await listen(server);
    const proxy = await ProxyServer.start('127.0.0.1:0');
    const context = proxy.createContext(1);
    for (const host of ['127.0.0.1', 'localhost', '[::1]', '[::ffff:127.0.0.1]', '169.254.169.254']) {
      assert.match(await through(proxy, context, `http://${host}:${port}/`), /^HTTP\/1\.1 403 [\s\S]*error=destination_ip_prohibited/, host);
    }
    await proxy.stop();
    server.close();
  });

  it('names the option that is wrong, and the fix', async () => {
    for (const [options, option] of [
      [{}, 'port'],
      [{ port: -1 }, 'port'],
      [{ port: 0, host: 'example.com' }, 'host'],
      [{ port: 0, host: '0.0.0.0' }, 'host'],
      [{ port: 0, prots: [80] }, 'prots'],
      [{ port: 0, ports: [] }, 'ports'],
      [{ port: 0, ports: [[2, 1]] }, 'ports[0]'],
      [{ port: 0, ports: [0] }, 'ports[0]'],
      [{ port: 0, allow: 'a' }, 'allow'],
      [{ port: 0, allow: [] }, 'allow'],
      [{ port: 0, allow: ['a b'] }, 'allow'],
      [{ port: 0, deny: ['*a.com'] }, 'deny'],
      [{ port: 0, hosts: { 'a.com': 'b.com' } }, 'hosts'],
      [{ port: 0, addresses: { loopback: 1 } }, 'addresses.loopback'],
      [{ port: 0, ca: 'no certificate' }, 'ca'],
      [{ port: 0, limits: { dnsTimeoutMs: 0 } }, 'limits.dnsTimeoutMs'],
      [{ port: 0, limits: { dnsTimeout: 1 } }, 'limits.dnsTimeout'],
      [{ port: 0, onRequest: 'log' }, 'onRequest'],
      ['127.0.0.1', 'address'],
      ['localhost:x', 'address'],
    ]) {
      await assert.rejects(ProxyServer.start(options), (error) => error instanceof OptionError && error.option === option, JSON.stringify(options));
    }
    for (const [options, fix] of [
      [{ port: 0, allow: [] }, /must name at least one host.*deny: \['\*'\] to allow none/],
      [{ port: 0, allow: ['https://a.com'] }, /no scheme/],
      [{ port: 0, hosts: { 'a.com': 'b.com' } }, /no IP address, such as 127\.0\.0\.1/],
      [{ port: 0, shards: 0 }, /Leave it out for the default/],
      [{ port: 0, ports: [0] }, /Write for example \[80, 443/],
    ]) await assert.rejects(ProxyServer.start(options), fix);
    const proxy = await ProxyServer.start({ port: 0 });
    for (const [id, route, option] of [
      [-1, undefined, 'webContentsId'],
      ['1', undefined, 'webContentsId'],
      [1, 'abc', 'route'],
      [1, { ...ROUTE, morphId: 'a.b' }, 'route.morphId'],
      [1, { ...ROUTE, scope: 'a\r\nX: y' }, 'route.scope'],
      [1, { ...ROUTE, domainSuffix: '.cmux.app' }, 'route.domainSuffix'],
      [1, { ...ROUTE, morphDomainSuffix: 'cmux.app' }, 'route.morphDomainSuffix'],
      [1, { ...ROUTE, morphId: 'a'.repeat(60) }, 'route'],
    ]) {
      assert.throws(() => proxy.createContext(id, route), (error) => error instanceof OptionError && error.option === option, JSON.stringify(route));
    }
    await proxy.stop();
  });
});
