// TLS within tunnels to the own machine, which the proxy reads by a CA of its own: Node, curl, ws and clients that misbehave.
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import http2 from 'node:http2';
import { createServer, request } from 'node:https';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { connect as connectTls } from 'node:tls';
import proxyAgents from 'https-proxy-agent';
import { WebSocket, WebSocketServer } from 'ws';
import { localCAVerifier } from '../dist/esm/electron/index.mjs';
import { createLocalCA, keepLocalCA, OptionError, ProxyServer } from '../dist/esm/proxy/index.mjs';
import { certificate } from './support/certificates.mjs';
import { firstMessage } from './support/client-hello.mjs';
import { curl } from './support/curl.mjs';

const { HttpsProxyAgent } = proxyAgents;
const PATIENT = { timeout: 30_000 };
const ROUTE = { morphId: 'abc', scope: 'base', domainSuffix: 'cmux.test' };
const workspace = certificate({ name: 'workspace', names: 'DNS:*.cmux.test', authority: false });
const own = certificate();
const ca = createLocalCA();
const auth = ({ username, password }) => `${username}:${password}`;
const basic = (context) => `Basic ${Buffer.from(auth(context)).toString('base64')}`;
const folder = mkdtempSync(join(tmpdir(), 'fasttunnel-local-ca-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const caFile = join(folder, 'ca.crt');
writeFileSync(caFile, ca.cert);

const LONG = Buffer.alloc(3 << 20, 'a long answer ');

/** What a server of a workspace was asked, and WebSockets that send back what they get. */
async function edge() {
  const server = createServer(workspace.pem, async (message, response) => {
    let bytes = 0;
    for await (const chunk of message) bytes += chunk.length;
    if (message.url === '/long') return void response.end(LONG);
    response.end(JSON.stringify([message.method, message.url, message.headers.host, bytes]));
  });
  new WebSocketServer({ server }).on('connection', (socket) => socket.on('message', (data, binary) => socket.send(data, { binary })));
  server.on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

for (const driver of ['io_uring', 'epoll']) {
  describe(`the local CA of the proxy, on ${driver}`, PATIENT, () => {
    let server, hosts, proxy, context;
    const heard = [];

    const start = (options) => ProxyServer.start({ port: 0, driver, shards: 1, hosts, ca: workspace.pem.cert, interceptTls: ca, ...options });

    before(async () => {
      server = await edge();
      hosts = { '*.cmux.test': `127.0.0.1:${server.address().port}` };
      proxy = await start({ onRequest: (told) => heard.push(told) });
      context = proxy.createContext(1, ROUTE);
    });

    after(async () => {
      await proxy.stop();
      server.closeAllConnections();
      server.close();
    });

    /** A tunnel to `target`, and what follows in it is the caller's. */
    async function tunnel(target, { to = proxy, by = context } = {}) {
      const socket = connect(to.port(), '127.0.0.1').on('error', () => {});
      socket.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\nProxy-Authorization: ${basic(by)}\r\n\r\n`);
      const [answer] = await once(socket, 'data');
      assert.match(String(answer), /^HTTP\/1\.1 200 /);
      return socket;
    }

    /** Shakes hands through a tunnel. */
    async function greet(target, options = {}, via = {}) {
      const socket = connectTls({ socket: await tunnel(target, via), ca: ca.cert, ALPNProtocols: ['http/1.1'], ...options });
      await once(socket, 'secureConnect');
      return socket;
    }

    /** Whose certificate is shown there, whoever has signed it. */
    async function shown(target, options, via) {
      const socket = await greet(target, { rejectUnauthorized: false, ...options }, via);
      const { subject, subjectaltname, serialNumber } = socket.getPeerCertificate();
      socket.destroy();
      return { name: subject.CN, names: subjectaltname, serialNumber };
    }

    async function ask(socket, line, content = '') {
      socket.write(`${line} HTTP/1.1\r\nHost: localhost:5173\r\nContent-Length: ${content.length}\r\n\r\n${content}`);
      let text = '';
      for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
        text += chunk;
        if (text.endsWith(']')) break;
      }
      return text;
    }

    it('reads requests under TLS, and sends them where the route says, without further credentials', async () => {
      const agent = new HttpsProxyAgent(`http://${auth(context)}@127.0.0.1:${proxy.port()}`, { keepAlive: true });
      for (const [path, content] of [['/a?b', ''], ['/large', Buffer.alloc(3 << 20, 'x')]]) {
        const asked = request(`https://localhost:5173${path}`, { agent, ca: ca.cert, method: 'POST' }).end(content);
        const [response] = await once(asked, 'response');
        let text = '';
        for await (const chunk of response.setEncoding('utf8')) text += chunk;
        assert.deepEqual([response.statusCode, JSON.parse(text)], [200, ['POST', path, 'cmux-abc-base-5173.cmux.test', content.length]]);
        assert.match(response.headers.via, /fasttunnel/);
      }
      const [response] = await once(request('https://localhost:5173/long', { agent, ca: ca.cert }).end(), 'response');
      const chunks = [];
      for await (const chunk of response) chunks.push(chunk);
      assert.ok(Buffer.concat(chunks).equals(LONG));
      agent.destroy();
    });

    it('serves several requests of one client in turn, and tells the application of each', async () => {
      const by = proxy.createContext(4, ROUTE);
      const told = () => heard.filter(({ contextId }) => contextId === by.id);
      const socket = await greet('localhost:443', { servername: 'localhost' }, { by });
      assert.ok(socket.authorized && socket.alpnProtocol === 'http/1.1' && socket.getProtocol() === 'TLSv1.3');
      assert.match(await ask(socket, 'GET /1'), /^HTTP\/1\.1 200 OK\r\n[^]*\["GET","\/1","cmux-abc-base-443\.cmux\.test",0\]$/);
      assert.match(await ask(socket, 'PUT /2', 'abc'), /\["PUT","\/2","cmux-abc-base-443\.cmux\.test",3\]$/);
      socket.end();
      await once(socket, 'close');
      while (told().length < 3) await new Promise((resolve) => { setImmediate(resolve); });
      assert.deepEqual(told().map(({ method, host, port, status }) => [method, host, port, status]), ['CONNECT', 'GET', 'PUT'].map((method) => [method, 'localhost', 443, 200]));
      const [{ requests, open }] = proxy.stats().contexts.filter(({ id }) => id === by.id);
      assert.deepEqual([requests, open], [3, 0]);
    });

    it('keeps the name that was asked for where the workspace tells its servers apart by it', async () => {
      const morph = proxy.createContext(2, { ...ROUTE, morphDomainSuffix: '.cmux.test' });
      for (const [target, host] of [['localhost:5173', 'localhost:5173'], ['localhost:443', 'localhost']]) {
        const socket = await greet(target, { servername: 'localhost' }, { by: morph });
        assert.match(await ask(socket, 'GET /'), new RegExp(`\\["GET","/","${host}",0\\]$`));
        socket.destroy();
      }
      proxy.releaseContext(morph.id);
    });

    it('shows each host of the own machine a certificate of its own, by its name or by that of the tunnel', async () => {
      for (const [target, servername, names] of [
        ['localhost:1', 'localhost', 'DNS:localhost'],
        ['127.0.0.1:1', 'app.localhost', 'DNS:app.localhost'],
        ['127.0.0.1:1', '', 'IP Address:127.0.0.1'],
        ['[::1]:1', '', 'IP Address:0:0:0:0:0:0:0:1'],
      ]) {
        const host = servername || target.replace(/:\d+$/, '').replace(/[[\]]/g, '');
        const socket = await greet(target, { servername, host, checkServerIdentity: () => undefined });
        assert.ok(socket.authorized);
        assert.equal(socket.getPeerCertificate().subjectaltname, names);
        socket.destroy();
      }
      assert.equal((await greet('localhost:1', { servername: 'localhost', maxVersion: 'TLSv1.2' })).destroy().authorized, true);
    });

    it('has what it signs trusted by sessions of Electron, for the host that is asked for, and leaves all else to Chromium', async () => {
      const socket = await greet('[::1]:1', { servername: 'a.localhost' });
      const named = new X509Certificate(socket.getPeerCertificate().raw).toString();
      socket.destroy();
      const other = await greet('[::1]:1', { servername: '', host: '::1', checkServerIdentity: () => undefined });
      const address = new X509Certificate(other.getPeerCertificate().raw).toString();
      other.destroy();
      const judge = (cert, hostname, data) => {
        let judged;
        localCAVerifier(cert)({ hostname, certificate: { data } }, (result) => { judged = result; });
        return judged;
      };
      assert.deepEqual([judge(ca.cert, 'a.localhost', named), judge(ca.cert, '::1', address), judge(ca.cert, '[::1]', address)], [0, 0, 0]);
      const example = certificate({ names: 'DNS:example.com', authority: true });
      for (const [cert, hostname, data] of [[ca.cert, 'b.localhost', named], [ca.cert, '127.0.0.1', address], [createLocalCA().cert, 'a.localhost', named], [ca.cert, 'localhost', ca.cert], [ca.cert, 'a.localhost', 'nothing'], [example.pem.cert, 'example.com', example.pem.cert]]) {
        assert.equal(judge(cert, hostname, data), -3, hostname);
      }
      assert.throws(() => localCAVerifier(own.pem.key), { option: 'cert' });
      assert.throws(() => localCAVerifier(workspace.pem.cert), /is not that of a CA/);
    });

    it('keeps certificates, no more than it may, and shows them again', async () => {
      const few = await start({ limits: { maxCertificates: 2 } });
      const by = few.createContext(1, ROUTE);
      const serials = [];
      for (const name of ['a', 'b', 'a', 'c', 'a', 'b']) serials.push((await shown('localhost:1', { servername: `${name}.localhost` }, { to: few, by })).serialNumber);
      const [a, b, again, c, still, anew] = serials;
      assert.deepEqual([again, still], [a, a]);
      assert.equal(new Set([a, b, c, anew]).size, 4, 'that of b had to make room for that of c');
      await few.stop();
    });

    it('serves curl, through a proxy under TLS as well, and in a stream of HTTP/2', async () => {
      const both = await start({ tls: own.pem });
      const by = both.createContext(1, ROUTE);
      const common = ['-i', '--max-time', '10', '--cacert', caFile, '-d', 'twelve bytes', 'https://localhost:5173/curl'];
      const answers = await Promise.all([
        curl('--proxy', `http://127.0.0.1:${proxy.port()}`, '--proxy-user', auth(context), ...common),
        curl('--proxy', `https://localhost:${both.port()}`, '--proxy-cacert', own.files.cert, '--resolve', `localhost:${both.port()}:127.0.0.1`, '--proxy-user', auth(by), ...common),
      ]);
      for (const { stdout } of answers) assert.match(stdout, /\["POST","\/curl","cmux-abc-base-5173\.cmux\.test",12\]$/);
      const session = http2.connect(`https://localhost:${both.port()}`, { ca: own.pem.cert });
      const stream = session.request({ ':method': 'CONNECT', ':authority': 'localhost:5173', 'proxy-authorization': basic(by) });
      const [{ ':status': status }] = await once(stream, 'response');
      assert.equal(status, 200);
      const socket = connectTls({ socket: stream, ca: ca.cert, servername: 'localhost' });
      await once(socket, 'secureConnect');
      assert.match(await ask(socket, 'GET /stream', 'x'.repeat(100_000)), /\["GET","\/stream","cmux-abc-base-5173\.cmux\.test",100000\]$/);
      socket.destroy();
      session.destroy();
      await both.stop();
    });

    it('carries WebSockets under TLS', async () => {
      const agent = new HttpsProxyAgent(`http://${auth(context)}@127.0.0.1:${proxy.port()}`);
      const socket = new WebSocket('wss://localhost:5173/hmr', { agent, ca: ca.cert });
      await once(socket, 'open');
      for (const message of ['hello', 'x'.repeat(300_000)]) {
        socket.send(message);
        assert.equal(String((await once(socket, 'message'))[0]), message);
      }
      socket.close(1000, 'done');
      assert.equal((await once(socket, 'close'))[0], 1000);
    });

    it('leaves TLS as it is without the option, without a route, and to hosts that nobody can vouch for', async () => {
      const raw = { servername: 'cmux-abc-base-5173.cmux.test' };
      const without = await start({ interceptTls: undefined });
      assert.equal((await shown('localhost:5173', raw, { to: without, by: without.createContext(1, ROUTE) })).name, 'workspace');
      await without.stop();
      assert.equal((await shown('0.0.0.0:5173', raw)).name, 'workspace');
      const unrouted = await start({ addresses: { loopback: true } });
      const { port } = server.address();
      assert.equal((await shown(`127.0.0.1:${port}`, raw, { to: unrouted, by: unrouted.createContext(1) })).name, 'workspace');
      await unrouted.stop();
      assert.equal((await shown('cmux-abc-base-5173.cmux.test:443', raw)).name, 'workspace');
    });

    it('still reads what comes through a tunnel in the clear', async () => {
      const socket = await tunnel('localhost:5173');
      assert.match(await ask(socket, 'GET /plain'), /\["GET","\/plain","cmux-abc-base-5173\.cmux\.test",0\]$/);
      socket.destroy();
    });

    it('signs for nobody but the own machine, and says so', async () => {
      for (const servername of ['example.com', 'localhost.example.com']) {
        const socket = connectTls({ socket: await tunnel('localhost:1'), servername, rejectUnauthorized: false });
        const [error] = await once(socket, 'error');
        assert.match(error.code, /UNRECOGNIZED_NAME/);
      }
    });

    it('tells a client that speaks no TLS after its first message, one that trusts another, and one that wants HTTP/2 only, and goes on', async () => {
      const { protocolErrors, panics } = proxy.stats();
      const broken = await tunnel('localhost:1');
      const hello = await firstMessage();
      broken.write(Buffer.concat([hello, Buffer.from('GET / HTTP/1.1\r\n\r\n')]));
      const chunks = [];
      for await (const chunk of broken) chunks.push(chunk);
      const [type, length] = lastRecord(Buffer.concat(chunks));
      assert.deepEqual([type, length], [23, ALERT_BYTES], 'an alert is the last that it hears');
      const garbage = await tunnel('localhost:1');
      garbage.write(Buffer.concat([Buffer.from([22, 3, 1, 0, 100, 1, 0, 0, 96]), Buffer.alloc(96, 0xff)]));
      assert.equal((await once(garbage, 'data'))[0][0], 21);
      garbage.destroy();
      await assert.rejects(curl('--max-time', '10', '--proxy', `http://127.0.0.1:${proxy.port()}`, '--proxy-user', auth(context), 'https://localhost:1/'), { code: 60 });
      const h2 = connectTls({ socket: await tunnel('localhost:1'), ca: ca.cert, servername: 'localhost', ALPNProtocols: ['h2'] });
      assert.match((await once(h2, 'error'))[0].code, /NO_APPLICATION_PROTOCOL/);
      const carrier = await tunnel('localhost:1');
      const late = connectTls({ socket: carrier, ca: ca.cert, servername: 'localhost' }).on('error', () => {});
      await once(late, 'secureConnect');
      carrier.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
      await new Promise((resolve) => { carrier.once('close', resolve); });
      while (proxy.stats().protocolErrors < protocolErrors + 4) await new Promise((resolve) => { setTimeout(resolve, 5); });
      assert.equal(proxy.stats().panics, panics);
      (await greet('localhost:1', { servername: 'localhost' })).destroy();
    });

    it('cuts a client that stalls in the handshake, behind its first message or within it', async () => {
      const quick = await start({ limits: { tlsTimeoutMs: 100, sniffTimeoutMs: 60_000, drainTimeoutMs: 60_000 } });
      const by = quick.createContext(1, ROUTE);
      const hello = await firstMessage();
      for (const part of [hello, hello.subarray(0, 20)]) {
        const stalled = await tunnel('localhost:1', { to: quick, by });
        stalled.resume().write(part);
        await once(stalled, 'close');
      }
      assert.equal(quick.stats().contexts[0].open, 0);
      await quick.stop();
    });

    it('cuts what is under way when its context is released: handshakes, requests, WebSockets', async () => {
      const by = proxy.createContext(3, ROUTE);
      const stalled = await tunnel('localhost:1', { by });
      stalled.write((await firstMessage()).subarray(0, 20));
      const waiting = await greet('localhost:1', { servername: 'localhost' }, { by });
      waiting.on('error', () => {});
      waiting.write('GET / HTTP/1.1\r\nHost: x\r\n');
      const agent = new HttpsProxyAgent(`http://${auth(by)}@127.0.0.1:${proxy.port()}`);
      const socket = new WebSocket('wss://localhost:5173/', { agent, ca: ca.cert }).on('error', () => {});
      await once(socket, 'open');
      const closed = Promise.all([stalled.resume(), waiting.resume(), socket].map((one) => new Promise((resolve) => { one.once('close', resolve); })));
      proxy.releaseContext(by.id);
      await closed;
    });
  });
}

/** An alert under TLS 1.3: level and description, their type, and what authenticates them. */
const ALERT_BYTES = 2 + 1 + 16;

/** Type and length of the last of some records. */
function lastRecord(bytes) {
  let at = 0;
  for (;;) {
    const length = bytes.readUInt16BE(at + 3);
    if (at + 5 + length >= bytes.length) return [bytes[at], length];
    at += 5 + length;
  }
}

describe('the option interceptTls, and the CA for it', PATIENT, () => {
  it('makes CAs that are for the own machine only, and differ', () => {
    const root = new X509Certificate(ca.cert);
    assert.ok(root.ca && root.verify(root.publicKey) && /^CN=fasttunnel local CA [0-9a-f]{8}$/.test(root.subject));
    assert.ok(Date.parse(root.validTo) - Date.now() > 9.9 * 365 * 86_400_000);
    const other = createLocalCA();
    assert.notEqual(new X509Certificate(other.cert).subject, root.subject);
    assert.notEqual(other.key, ca.key);
  });

  it('keeps a CA in a file that nobody else may read, however many processes come at once', async () => {
    const file = join(folder, 'kept.pem');
    const program = join(folder, 'keep.mjs');
    writeFileSync(program, `import { keepLocalCA } from ${JSON.stringify(new URL('../dist/esm/proxy/index.mjs', import.meta.url).href)};\nprocess.send(keepLocalCA(process.argv[2]).cert);\nprocess.disconnect();\n`);
    const children = Array.from({ length: 3 }, () => fork(program, [file]));
    const kept = await Promise.all(children.map(async (child) => (await once(child, 'message'))[0]));
    const again = keepLocalCA(file);
    assert.deepEqual(new Set([...kept, again.cert]).size, 1);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.deepEqual(readdirSync(folder).filter((name) => name.startsWith('kept.pem')), ['kept.pem'], 'nothing else is left of them');
    const proxy = await ProxyServer.start({ port: 0, interceptTls: again });
    await proxy.stop();
    const byPath = await ProxyServer.start({ port: 0, interceptTls: { cert: file, key: file } });
    await byPath.stop();
    chmodSync(file, 0o644);
    assert.throws(() => keepLocalCA(file), (error) => error instanceof OptionError && error.option === 'file' && /mode 644/.test(error.message));
    writeFileSync(join(folder, 'other'), 'nothing', { mode: 0o600 });
    assert.throws(() => keepLocalCA(join(folder, 'other')), /does not hold a CA/);
    assert.throws(() => keepLocalCA(join(folder, 'none', 'x')), { code: 'ENOENT' });
    assert.throws(() => keepLocalCA(''), OptionError);
  });

  it('makes another when that of a file ends soon', () => {
    const file = join(folder, 'soon.pem');
    const soon = certificate({ name: 'soon', days: 10 });
    writeFileSync(file, soon.pem.key + soon.pem.cert, { mode: 0o600 });
    const { cert } = keepLocalCA(file);
    assert.match(new X509Certificate(cert).subject, /fasttunnel local CA/);
    assert.ok(readFileSync(file, 'latin1').includes(cert) && (statSync(file).mode & 0o777) === 0o600);
    assert.equal(keepLocalCA(file).cert, cert);
  });

  it('names what is wrong, and no key', async () => {
    const leaf = certificate({ authority: false });
    const rsa = certificate({ kind: 'rsa' });
    for (const [interceptTls, option, problem] of [
      [true, 'interceptTls', /must be an object/],
      [{}, 'interceptTls.cert', /is missing/],
      [{ cert: ca.cert }, 'interceptTls.key', /is missing/],
      [{ cert: ca.cert, key: createLocalCA().key }, 'interceptTls.key', /does not fit/],
      [leaf.pem, 'interceptTls.cert', /is not that of a CA/],
      [rsa.pem, 'interceptTls.key', /ECDSA on P-256/],
      [{ ...ca, folder: '/tmp' }, 'interceptTls.folder', /is not an option/],
      [{ ...ca, pfx: 'x' }, 'interceptTls.pfx', /PKCS#12/],
    ]) {
      await assert.rejects(ProxyServer.start({ port: 0, interceptTls }), (error) => error instanceof OptionError && error.option === option && problem.test(error.message) && !error.message.includes('PRIVATE KEY'), option);
    }
    await assert.rejects(ProxyServer.start({ port: 0, interceptTls: ca, limits: { maxCertificates: 0 } }), { option: 'limits.maxCertificates' });
  });
});
