// Clients of the forward proxy that leave: what is still on its way to them, what they leave open, and what they take from others.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import net from 'node:net';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createServer as createTlsServer } from 'node:tls';
import { ProxyServer } from '../dist/esm/proxy/index.mjs';
import { certificate } from './support/certificates.mjs';
import { CODES, Frames, TYPES, data, headers, reset, settings } from './support/http2.mjs';

const PATIENT = { timeout: 60_000 };
const own = certificate({ names: 'DNS:h2.test', authority: false });
const basic = ({ username, password }) => `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
const PIECE = Buffer.alloc(16_000);
const PIECES = 15;

async function listen(server) {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server.address().port;
}

async function until(fits, what) {
  for (const deadline = Date.now() + 10_000; !fits(); await sleep(5)) assert.ok(Date.now() < deadline, what());
}

/** A client that sends this: { socket, text(), closed }. */
function client(proxy, text, options = {}) {
  const socket = net.connect({ port: proxy.port(), host: '127.0.0.1', ...options }).on('error', () => {});
  const chunks = [];
  const one = { socket, text: () => Buffer.concat(chunks).toString('latin1'), closed: new Promise((resolve) => socket.once('close', resolve)) };
  socket.on('data', (chunk) => chunks.push(chunk));
  socket.write(text);
  return one;
}

/** Servers over HTTP/2, of each the first stream: one that lives until `finish()`. All others are sent 240 kB, whoever has left. */
const SERVERS = {
  'by hand': () => {
    const server = createTlsServer({ ...own.pem, ALPNProtocols: ['h2'] }, (socket) => {
      const frames = new Frames(socket, { answering: true });
      const [begun, pushed] = [new Set(), new Set()];
      server.connections_ += 1;
      frames.write(settings({ 3: 1000 }));
      socket.on('data', () => {
        for (const { type, stream } of frames.frames.splice(0)) {
          if (type === TYPES.headers && !begun.has(stream)) {
            begun.add(stream);
            frames.write(headers(stream, [[':status', '200']], { end: false }), data(stream, server.finish === undefined ? 'long ' : PIECE));
            server.finish ??= () => frames.write(data(stream, 'over', { end: true }));
          } else if (type === TYPES.reset && !pushed.has(stream)) {
            // As if it had been on its way.
            pushed.add(stream);
            for (let at = 1; at < PIECES; at++) frames.write(data(stream, PIECE));
          }
        }
      });
    });
    return Object.assign(server, { connections_: 0 });
  },
  "of Node's": () => {
    const server = http2.createSecureServer({ ...own.pem });
    server.on('session', (session) => { server.connections_ += 1; session.on('error', () => {}); }).on('sessionError', () => {});
    server.on('stream', (stream) => {
      stream.on('error', () => {}).respond({ ':status': 200 });
      if (server.finish !== undefined) {
        for (let at = 0; at < PIECES; at++) stream.write(PIECE);
        return;
      }
      stream.write('long ');
      server.finish = () => stream.end('over');
    });
    return Object.assign(server, { connections_: 0 });
  },
};

for (const driver of ['io_uring', 'epoll']) {
  describe(`clients of the proxy that leave, on ${driver}`, PATIENT, () => {
    const start = (hosts = {}, options = {}) => ProxyServer.start({ port: 0, driver, shards: 1, addresses: { loopback: true }, ca: own.pem.cert, hosts, ...options });
    const get = (context) => `GET https://h2.test/ HTTP/1.1\r\nHost: h2.test\r\nProxy-Authorization: ${basic(context)}\r\n\r\n`;
    const connectTo = (port, context) => `CONNECT 127.0.0.1:${port} HTTP/1.1\r\nHost: x\r\nProxy-Authorization: ${basic(context)}\r\n\r\n`;

    for (const [kind, open] of Object.entries(SERVERS)) {
      it(`end no request of others on their connection to a server over HTTP/2, one ${kind}`, async () => {
        const server = open();
        const proxy = await start({ 'h2.test': `127.0.0.1:${await listen(server)}` });
        const context = proxy.createContext(1);
        const long = client(proxy, get(context));
        await until(() => long.text().includes('long '), long.text);
        let left = 0;
        await Promise.all(Array.from({ length: 4 }, async () => {
          while (left++ < 300) {
            const one = client(proxy, get(context));
            await once(one.socket, 'data');
            one.socket.resetAndDestroy();
            await one.closed;
          }
        }));
        // Its connection takes no more before there are too many.
        assert.ok(server.connections_ >= 2 && server.connections_ < 10, `${server.connections_} connections`);
        server.finish();
        await until(() => long.text().endsWith('0\r\n\r\n'), long.text);
        assert.ok(long.text().includes('over'));
        long.socket.destroy();
        await until(() => proxy.stats().heldBytes < 1 << 20, () => `${proxy.stats().heldBytes} bytes`);
        assert.equal(proxy.stats().panics, 0);
        await proxy.stop();
        server.close();
      });
    }

    it('leave nothing behind that counts as held, while another stream of their connection lives', async () => {
      const server = SERVERS['by hand']();
      const proxy = await start({ 'h2.test': `127.0.0.1:${await listen(server)}` });
      const context = proxy.createContext(1);
      const long = client(proxy, get(context));
      await until(() => long.text().includes('long '), long.text);
      for (let at = 0; at < 40; at++) {
        const one = client(proxy, get(context));
        await once(one.socket, 'data');
        one.socket.resetAndDestroy();
        await one.closed;
      }
      // What they would have been sent is there.
      assert.equal((await fetchOnce(proxy, get(context))).slice(0, 15), 'HTTP/1.1 200 OK');
      await sleep(100);
      assert.equal(server.connections_, 1);
      assert.ok(proxy.stats().heldBytes < 1 << 20, `${proxy.stats().heldBytes} bytes`);
      long.socket.destroy();
      await proxy.stop();
      server.close();
    });

    it('leave a tunnel for tunnelHalfTimeoutMs, which does not end what still comes for them', async () => {
      const sockets = [];
      const server = net.createServer({ allowHalfOpen: true }, (socket) => {
        const closed = new Promise((resolve) => socket.on('error', () => {}).once('close', resolve));
        sockets.push({ socket: socket.resume(), closed });
      });
      const port = await listen(server);
      const proxy = await start({}, { limits: { tunnelHalfTimeoutMs: 400 } });
      const context = proxy.createContext(1);
      const open = async () => {
        const one = client(proxy, connectTo(port, context), { allowHalfOpen: true });
        await until(() => one.text().includes('\r\n\r\n'), one.text);
        await until(() => sockets.length > 0, () => 'no connection');
        return { ...one, peer: sockets.pop() };
      };
      // Either end, and a stream of HTTP/2. Who has sent an end hears of it: the other has stopped reading.
      const gone = await open();
      gone.socket.end();
      await gone.closed;
      const done = await open();
      done.peer.socket.end();
      await done.peer.closed;
      const session = http2.connect(`http://127.0.0.1:${proxy.port()}`).on('error', () => {});
      const stream = session.request({ ':method': 'CONNECT', ':authority': `127.0.0.1:${port}`, 'proxy-authorization': basic(context) }).on('error', () => {});
      await once(stream, 'response');
      stream.resume().end();
      await new Promise((resolve) => stream.once('close', resolve));
      session.destroy();
      await until(() => proxy.stats().contexts[0].open === 0, () => JSON.stringify(proxy.stats().contexts));
      sockets.length = 0;
      // A download behind a half-close goes on for longer than that.
      const [whole, quiet] = [await open(), await open()];
      whole.socket.end();
      for (let at = 0; at < 10; at++) {
        await sleep(100);
        whole.peer.socket.write(`${at}`);
      }
      whole.peer.socket.end();
      await whole.closed;
      assert.ok(whole.text().endsWith('\r\n\r\n0123456789'), whole.text());
      // And one that nobody has ended has its own time.
      assert.equal(quiet.socket.destroyed || quiet.peer.socket.destroyed, false);
      quiet.socket.destroy();
      await proxy.stop();
      server.close();
    });

    it('leave room for other contexts, however many connections to servers theirs has', async () => {
      const server = net.createServer((socket) => socket.on('error', () => {}).resume());
      const port = await listen(server);
      const proxy = await start({}, { limits: { maxUpstreamsPerContext: 2 } });
      const [greedy, other] = [proxy.createContext(1), proxy.createContext(2)];
      const open = async (context) => {
        const one = client(proxy, connectTo(port, context));
        await until(() => one.text().includes('\r\n\r\n'), one.text);
        return one;
      };
      const all = [await open(greedy), await open(greedy), await open(other), await open(greedy)];
      assert.deepEqual(all.map((one) => one.text().slice(9, 12)), ['200', '200', '200', '503']);
      assert.match(all[3].text(), /proxy-status: fasttunnel; error=connection_limit_reached/i);
      const failures = ({ id }) => proxy.stats().contexts.find((context) => context.id === id).failed;
      assert.deepEqual([failures(greedy), failures(other)], [1, 0]);
      all[0].socket.destroy();
      await until(() => proxy.stats().contexts.find(({ id }) => id === greedy.id).open < 2, () => 'still open');
      all.push(await open(greedy));
      assert.equal(all.at(-1).text().slice(9, 12), '200');
      all.forEach(({ socket }) => socket.destroy());
      await proxy.stop();
      server.close();
    });

    it('may reset as many tunnels as they like, but not requests that nobody has answered', async () => {
      const server = net.createServer((socket) => socket.on('error', () => {}).resume());
      const port = await listen(server);
      const proxy = await start();
      const context = proxy.createContext(1);
      const session = http2.connect(`http://127.0.0.1:${proxy.port()}`);
      const ended = once(session, 'close');
      for (let at = 0; at < 500; at++) {
        const stream = session.request({ ':method': 'CONNECT', ':authority': `127.0.0.1:${port}`, 'proxy-authorization': basic(context) }).on('error', () => {});
        const closed = new Promise((resolve) => stream.once('close', resolve));
        await Promise.race([once(stream, 'response'), ended.then(() => assert.fail(`it ended at ${at}`))]);
        stream.close(CODES.CANCEL);
        await closed;
      }
      assert.equal(session.closed, false);
      session.destroy();
      const frames = await Frames.connect({ host: '127.0.0.1', port: proxy.port() });
      const request = [[':method', 'GET'], [':scheme', 'http'], [':path', '/'], [':authority', `127.0.0.1:${port}`], ['proxy-authorization', basic(context)]];
      for (let at = 0; at < 250 && !frames.closed; at++) frames.write(headers(2 * at + 1, request), reset(2 * at + 1));
      assert.equal(await frames.goaway(), CODES.ENHANCE_YOUR_CALM);
      frames.destroy();
      assert.equal(proxy.stats().panics, 0);
      await proxy.stop();
      server.close();
    });
  });
}

/** What comes first. */
async function fetchOnce(proxy, text) {
  const one = client(proxy, text);
  await once(one.socket, 'data');
  one.socket.destroy();
  return one.text();
}
