// How TLS within tunnels ends, in time and in words, what it holds until then, and what its servers do not say of the own machine.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import { createServer } from 'node:https';
import { connect } from 'node:net';
import { Duplex } from 'node:stream';
import { after, before, describe, it } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { createLocalCA, ProxyServer } from '../dist/esm/proxy/index.mjs';
import { certificate } from './support/certificates.mjs';
import { firstMessage } from './support/client-hello.mjs';
import { until } from './support/tunnels.mjs';

const PATIENT = { timeout: 30_000 };
const ROUTE = { morphId: 'abc', scope: 'base', domainSuffix: 'cmux.test' };
const workspace = certificate({ name: 'workspace', names: 'DNS:*.cmux.test', authority: false });
const ca = createLocalCA();
const basic = ({ username, password }) => `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
/** An alert under TLS 1.3: level and description, their type, and what authenticates them. */
const ALERT_BYTES = 2 + 1 + 16;

/** Type and length of each of some records. */
function records(bytes) {
  const found = [];
  for (let at = 0; at < bytes.length; at += 5 + bytes.readUInt16BE(at + 3)) found.push([bytes[at], bytes.readUInt16BE(at + 3)]);
  return found;
}

for (const driver of ['io_uring', 'epoll']) {
  describe(`the ends of TLS within tunnels, on ${driver}`, PATIENT, () => {
    let server, proxy, context;

    const start = (options) => ProxyServer.start({ port: 0, driver, shards: 1, hosts: { '*.cmux.test': `127.0.0.1:${server.address().port}` }, ca: workspace.pem.cert, interceptTls: ca, ...options });

    before(async () => {
      server = createServer(workspace.pem, (message, response) => {
        response.setHeader('Strict-Transport-Security', 'max-age=63072000; includeSubDomains').end(JSON.stringify([message.url, message.headers.host]));
      });
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      proxy = await start();
      context = proxy.createContext(1, ROUTE);
    });

    after(async () => {
      await proxy.stop();
      server.closeAllConnections();
      server.close();
    });

    /** A tunnel to `target`, and what follows in it is the caller's. */
    async function tunnel(target, to = proxy, by = context) {
      const socket = connect(to.port(), '127.0.0.1').on('error', () => {});
      socket.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\nProxy-Authorization: ${basic(by)}\r\n\r\n`);
      assert.match(String((await once(socket, 'data'))[0]), /^HTTP\/1\.1 200 /);
      return socket;
    }

    /** Shakes hands over a tunnel. */
    async function greet(socket) {
      const greeted = connectTls({ socket, ca: ca.cert, servername: 'localhost' });
      await once(greeted, 'secureConnect');
      return greeted;
    }

    /** As {@link tunnel}, in a stream of HTTP/2. */
    async function stream(to, by, settings) {
      const session = http2.connect(`http://127.0.0.1:${to.port()}`, { settings }).on('error', () => {});
      const opened = session.request({ ':method': 'CONNECT', ':authority': 'localhost:5173', 'proxy-authorization': basic(by) }).on('error', () => {});
      assert.equal((await once(opened, 'response'))[0][':status'], 200);
      return opened;
    }

    async function ask(socket, target) {
      socket.write(`GET ${target} HTTP/1.1\r\nHost: localhost:5173\r\n\r\n`);
      return String((await once(socket, 'data'))[0]);
    }

    it('does not pass on what a workspace says of how it is reached: browsers would hold it for every port of localhost', async () => {
      const socket = await greet(await tunnel('localhost:5173'));
      const answer = await ask(socket, '/');
      assert.match(answer, /^HTTP\/1\.1 200 OK\r\n/);
      assert.doesNotMatch(answer, /strict-transport-security/i);
      socket.destroy();
    });

    it('takes a target in absolute form for the host of the tunnel, and for no other', async () => {
      const socket = await greet(await tunnel('localhost:5173'));
      assert.match(await ask(socket, 'https://localhost:5173/x'), /^HTTP\/1\.1 200 OK\r\n/);
      for (const url of ['https://localhost:1/x', 'https://example.com/', 'http://localhost:5173/x']) assert.match(await ask(socket, url), /^HTTP\/1\.1 400 /, url);
      socket.destroy();
    });

    it('tells a client between requests that its record was none', async () => {
      const carrier = await tunnel('localhost:5173');
      const socket = await greet(carrier);
      await ask(socket, '/');
      carrier.write(Buffer.concat([Buffer.from([23, 3, 3, 0, 32]), Buffer.alloc(32)]));
      assert.match((await once(socket, 'error'))[0].code, /BAD_RECORD_MAC/);
    });

    it('answers the last word of a client with its own, over a connection and over a stream', async () => {
      for (const carrier of [await tunnel('localhost:5173'), await stream(proxy, context)]) {
        const { session } = carrier;
        const heard = [];
        const wire = new Duplex({ read() {}, write(chunk, _, done) { carrier.write(chunk, done); }, final(done) { done(); } });
        carrier.on('data', (chunk) => { heard.push(chunk); wire.push(chunk); }).on('end', () => wire.push(null));
        const socket = await greet(wire);
        await ask(socket, '/');
        socket.end();
        await once(carrier, 'end');
        assert.deepEqual(records(Buffer.concat(heard)).at(-1), [23, ALERT_BYTES]);
        carrier.destroy();
        session?.destroy();
      }
    });

    it('does not wait at its end for tunnels in which nothing is asked yet', async () => {
      const patient = await start({ limits: { sniffTimeoutMs: 60_000, tlsTimeoutMs: 60_000, drainTimeoutMs: 60_000 } });
      const by = patient.createContext(1, ROUTE);
      const [silent, begun, inStream] = [await tunnel('localhost:1', patient, by), await tunnel('localhost:1', patient, by), await stream(patient, by)];
      begun.write((await firstMessage()).subarray(0, 20));
      await until(() => patient.stats().heldBytes >= 16 * 1024, 'what has come of the handshake counts');
      const closed = [silent, begun, inStream].map((one) => new Promise((resolve) => { one.resume().once('close', resolve); }));
      await Promise.all([patient.stop(), ...closed]);
    });

    it('cuts a client that does not take the answer to its first message', async () => {
      const quick = await start({ limits: { tlsTimeoutMs: 100, sniffTimeoutMs: 60_000, writeTimeoutMs: 600_000 } });
      const by = quick.createContext(1, ROUTE);
      const opened = await stream(quick, by, { initialWindowSize: 0 });
      const { session } = opened;
      opened.resume().write(await firstMessage());
      await new Promise((resolve) => { opened.once('close', resolve); });
      assert.equal(quick.stats().contexts[0].open, 0);
      session.destroy();
      await quick.stop();
    });

    it('counts a record that has not come as a whole, until its client is gone', async () => {
      const carrier = await tunnel('localhost:5173');
      const socket = await greet(carrier);
      socket.on('error', () => {});
      await ask(socket, '/');
      await until(() => proxy.stats().heldBytes < 4096, 'next to nothing is held');
      carrier.write(Buffer.concat([Buffer.from([23, 3, 3, 16_000 >> 8, 16_000 & 255]), Buffer.alloc(15_000)]));
      await until(() => proxy.stats().heldBytes >= 15_000, 'a part of a record counts');
      carrier.destroy();
      socket.destroy();
      await until(() => proxy.stats().heldBytes < 4096, 'next to nothing is held');
    });
  });
}
