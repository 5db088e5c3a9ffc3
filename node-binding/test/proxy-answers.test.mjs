// What servers say to the forward proxy that nobody has asked for, and what stays on the connection that it was said on.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createServer as createTlsServer } from 'node:tls';
import { ProxyServer } from '../dist/esm/proxy/index.mjs';
import { certificate } from './support/certificates.mjs';

const PATIENT = { timeout: 30_000 };
const own = certificate({ names: 'DNS:secure.test,DNS:*.cmux.test', authority: false });
const basic = ({ username, password }) => `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;

async function listen(server) {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server.address().port;
}

async function until(fits, what) {
  for (const deadline = Date.now() + 5000; !fits(); await sleep(5)) assert.ok(Date.now() < deadline, what());
}

/** A server that hands each head, and all that has come on its connection, to `answer`; `secure`: under TLS. */
function serve(answer, secure = false) {
  const open = (socket) => {
    let text = '';
    const number = server.accepted++;
    socket.on('error', () => {}).on('data', (chunk) => {
      text += chunk.toString('latin1');
      if (!text.includes('\r\n\r\n')) return;
      if (answer(socket, text, number) !== false) text = '';
    });
  };
  const server = secure ? createTlsServer(own.pem, open) : net.createServer(open);
  return Object.assign(server, { accepted: 0 });
}

/** A client: { socket, text(), ended() }. */
function connect(proxy) {
  const socket = net.connect(proxy.port(), '127.0.0.1').on('error', () => {});
  let [text, ended] = ['', false];
  socket.setEncoding('latin1').on('data', (part) => { text += part; }).on('close', () => { ended = true; });
  return { socket, text: () => text, take: () => { const all = text; text = ''; return all; }, ended: () => ended };
}

for (const driver of ['io_uring', 'epoll']) {
  describe(`answers that a proxy is given, on ${driver}`, PATIENT, () => {
    const start = (options = {}) => ProxyServer.start({ port: 0, driver, shards: 1, addresses: { loopback: true }, ca: own.pem.cert, ...options });

    it('are not read from what lies behind another, under TLS', async () => {
      const answer = (bytes, content) => {
        const head = `HTTP/1.1 200 OK\r\nContent-Length: ${content.length}\r\nX-Fill: `;
        return `${head}${'x'.repeat(Math.max(0, bytes - head.length - 4 - content.length))}\r\n\r\n${content}`;
      };
      const sizes = [512, 1024, 2048, 4096];
      let size = 0;
      const server = serve((socket, text) => {
        socket.write(answer(size, 'good') + (text.includes('GET /poison') ? answer(0, 'poisoned') : ''));
      }, true);
      const proxy = await start({ hosts: { 'secure.test': `127.0.0.1:${await listen(server)}` } });
      const context = proxy.createContext(1);
      const ask = async (one, path) => {
        one.socket.write(`GET https://secure.test${path} HTTP/1.1\r\nHost: x\r\nProxy-Authorization: ${basic(context)}\r\n\r\n`);
        await until(() => /good$|poisoned$/.test(one.text()), one.text);
        return one.take().slice(-8);
      };
      const one = connect(proxy);
      for (size of sizes) {
        await ask(one, '/');
        const before = server.accepted;
        assert.match(await ask(one, '/'), /good$/);
        assert.equal(server.accepted, before, 'a connection without anything left is used again');
        assert.match(await ask(one, '/poison'), /good$/);
        assert.match(await ask(one, '/after'), /good$/, `${size}`);
        assert.equal(server.accepted, before + 1, `${size}`);
      }
      one.socket.destroy();
      await proxy.stop();
      server.close();
    });

    it('have no fields behind their content that Connection names, and requests have none', async () => {
      let asked = '';
      const server = serve((socket, text) => {
        if (!text.endsWith('0\r\nX-Other: 2\r\n\r\n') && !text.endsWith('X-Mine: 1\r\nX-Other: 2\r\n\r\n')) return false;
        asked = text;
        socket.write('HTTP/1.1 200 OK\r\nConnection: x-hop\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Hop: 1\r\nX-Sum: 2\r\n\r\n');
      });
      const proxy = await start();
      const one = connect(proxy);
      one.socket.write(`POST http://127.0.0.1:${await listen(server)}/ HTTP/1.1\r\nHost: x\r\nProxy-Authorization: ${basic(proxy.createContext(1))}\r\nConnection: x-mine, te\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Mine: 1\r\nX-Other: 2\r\n\r\n`);
      await until(() => /\r\n0\r\n[^]*\r\n\r\n$/.test(one.text()), one.text);
      assert.ok(asked.endsWith('\r\n0\r\nX-Other: 2\r\n\r\n'), asked);
      assert.ok(one.text().endsWith('\r\n0\r\nX-Sum: 2\r\n\r\n'), one.text());
      one.socket.destroy();
      await proxy.stop();
      server.close();
    });

    it('switch to no protocol that nobody has asked for', async () => {
      let switched = '';
      const server = serve((socket) => socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n${switched}\r\n`));
      const port = await listen(server);
      const proxy = await start();
      const context = proxy.createContext(1);
      for (const [asked, answered, status] of [
        ['websocket', 'Upgrade: websocket\r\n', '101'],
        ['websocket', 'Upgrade: WebSocket\r\n', '101'],
        ['foo, bar/1', 'Upgrade: bar/2\r\n', '101'],
        ['foo/1', 'Upgrade: foo\r\n', '101'],
        ['websocket', 'Upgrade: foo\r\n', '502'],
        ['websocket', 'Upgrade: websocket, foo\r\n', '502'],
        ['websocket', 'Upgrade: websocket2\r\n', '502'],
        ['websocket', 'Upgrade: \r\n', '502'],
        ['websocket', '', '502'],
      ]) {
        switched = answered;
        const one = connect(proxy);
        one.socket.write(`GET http://127.0.0.1:${port}/ HTTP/1.1\r\nHost: x\r\nProxy-Authorization: ${basic(context)}\r\nConnection: upgrade\r\nUpgrade: ${asked}\r\n\r\n`);
        await until(() => one.text().includes('\r\n\r\n'), one.text);
        assert.equal(one.text().slice(9, 12), status, `${asked} > ${answered}`);
        if (status === '502') assert.match(one.text(), /error=http_upgrade_failed/);
        one.socket.destroy();
      }
      await proxy.stop();
      server.close();
    });

    it('are a 502 where they break before anything of them was sent, and are told as what was sent', async () => {
      const told = [];
      const head = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';
      const server = serve((socket, text) => {
        if (text.startsWith('GET /whole')) return void socket.write(`${head}2\r\nok\r\n0\r\n\r\n`);
        if (text.startsWith('GET /first')) return void socket.write(`${head}2\r\nok\r\nzz\r\n`);
        socket.write(`${head}2\r\nok\r\n`);
        setTimeout(() => socket.write('zz\r\n'), 100);
      });
      const port = await listen(server);
      const proxy = await start({ onRequest: ({ status, error }) => { told.push([status, error]); } });
      const context = proxy.createContext(1);
      const ask = async (path, over) => {
        const one = connect(proxy);
        one.socket.write(`GET http://127.0.0.1:${port}${path} HTTP/1.1\r\nHost: x\r\nProxy-Authorization: ${basic(context)}\r\n\r\n`);
        await until(() => over(one), one.text);
        one.socket.destroy();
        return one.text().slice(0, 12);
      };
      assert.equal(await ask('/whole', (one) => one.text().endsWith('0\r\n\r\n')), 'HTTP/1.1 200');
      assert.equal(await ask('/first', (one) => one.text().includes('\r\n\r\n')), 'HTTP/1.1 502');
      assert.equal(await ask('/later', (one) => one.ended()), 'HTTP/1.1 200');
      await until(() => told.length === 3, () => JSON.stringify(told));
      assert.deepEqual(told.slice(0, 2), [[200, null], [502, 'http_protocol_error']]);
      assert.equal(told[2][0], 200);
      await proxy.stop();
      server.close();
    });

    it('come for the absolute form within a tunnel to the own machine, of its own host alone', async () => {
      const server = serve((socket, text) => socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${text.length}\r\n\r\n${text}`), true);
      const proxy = await start({ hosts: { '*.cmux.test': `127.0.0.1:${await listen(server)}` } });
      const context = proxy.createContext(1, { morphId: 'abc', scope: 'base', domainSuffix: 'cmux.test' });
      for (const [target, status] of [['/', '200'], ['http://localhost:5173/?a', '200'], ['http://LOCALHOST:5173/', '200'], ['http://localhost:5174/', '400'], ['http://localhost/', '400'], ['http://127.0.0.1:5173/', '400'], ['https://localhost:5173/', '400']]) {
        const one = connect(proxy);
        one.socket.write(`CONNECT localhost:5173 HTTP/1.1\r\nHost: x\r\nProxy-Authorization: ${basic(context)}\r\n\r\nGET ${target} HTTP/1.1\r\nHost: localhost:5173\r\n\r\n`);
        await until(() => /\r\n\r\n[^]*\r\n\r\n/.test(one.text()), one.text);
        assert.equal(one.text().split('\r\n\r\n')[1].slice(9, 12), status, target);
        one.socket.destroy();
      }
      await proxy.stop();
      server.close();
    });
  });
}
