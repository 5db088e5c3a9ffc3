// What two readers could read in two ways in HTTP/2, through the forward proxy: frames by hand on both sides.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import { describe, it } from 'node:test';
import { createServer as createTlsServer } from 'node:tls';
import { ProxyServer } from '../dist/esm/proxy/index.mjs';
import { certificate } from './support/certificates.mjs';
import { CODES, Frames, TYPES, data, headers, settings } from './support/http2.mjs';

const ROUTE = { morphId: 'abc', scope: 'base', domainSuffix: 'cmux.test' };
const workspace = certificate({ names: 'DNS:*.cmux.test', authority: false });
const basic = ({ username, password }) => `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;

/** A proxy in front of a server, until `body` is done. */
async function behind(server, driver, body) {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const proxy = await ProxyServer.start({ port: 0, driver, shards: 1, hosts: { '*.cmux.test': `127.0.0.1:${server.address().port}` }, ca: workspace.pem.cert });
  try {
    return await body(proxy);
  } finally {
    await proxy.stop();
    server.close();
  }
}

/** What a client gets that asks by either version: the content, or nothing when it does not look whole. */
const CLIENTS = {
  'HTTP/1.1': (proxy, context) => new Promise((resolve) => {
    const request = http.get({ port: proxy.port(), host: '127.0.0.1', path: 'http://localhost:5173/', headers: { host: 'localhost:5173', 'proxy-authorization': basic(context) }, agent: false });
    request.on('error', () => resolve()).on('response', async (response) => {
      const chunks = await response.toArray().catch(() => null);
      resolve(chunks === null || response.statusCode !== 200 ? undefined : String(Buffer.concat(chunks)));
    });
  }),
  'HTTP/2': (proxy, context) => new Promise((resolve) => {
    const session = http2.connect(`http://127.0.0.1:${proxy.port()}`).on('error', () => {});
    const stream = session.request({ ':scheme': 'http', ':authority': 'localhost:5173', ':path': '/', 'proxy-authorization': basic(context) });
    const chunks = [];
    let status;
    stream.on('response', (fields) => { status = fields[':status']; }).on('data', (chunk) => chunks.push(chunk)).on('error', () => {});
    stream.on('close', () => {
      session.destroy();
      resolve(stream.rstCode === 0 && status === 200 ? String(Buffer.concat(chunks)) : undefined);
    });
  }),
};

for (const driver of ['io_uring', 'epoll']) {
  describe(`frames that two readers could read in two ways, on ${driver}`, { timeout: 30_000 }, () => {
    it('end the request that they are of, which no server gets whole, and no other', async () => {
      const whole = [];
      const server = https.createServer(workspace.pem, (request, response) => {
        request.on('error', () => {}).resume().on('end', () => {
          whole.push(request.url);
          response.end();
        });
      });
      await behind(server, driver, async (proxy) => {
        const context = proxy.createContext(1, ROUTE);
        const frames = await Frames.connect({ host: '127.0.0.1', port: proxy.port() });
        const request = (path, authority, ...more) => [[':method', 'POST'], [':scheme', 'http'], [':path', path], [':authority', authority], ['proxy-authorization', basic(context)], ...more];
        const forms = [
          request('/longer', 'localhost:5173', ['content-length', '1']),
          request('/shorter', 'localhost:5173', ['content-length', '9']),
          request('/lengths', 'localhost:5173', ['content-length', '3'], ['content-length', '1']),
          request('/sign', 'localhost:5173', ['content-length', '+3']),
          request('/user', 'u@localhost:5173'),
          request('/host', 'localhost:5173', ['host', 'localhost:5174']),
          request('/chunked', 'localhost:5173', ['transfer-encoding', 'chunked']),
        ];
        let stream = 1;
        for (const fields of forms) {
          frames.write(headers(stream, fields, { end: false }), data(stream, 'abc', { end: true }));
          assert.equal(await frames.reset(stream), CODES.PROTOCOL_ERROR, fields[2][1]);
          stream += 2;
        }
        frames.write(headers(stream, request('/good', 'localhost:5173', ['host', 'localhost:5173'], ['content-length', '3']), { end: false }), data(stream, 'abc', { end: true }));
        assert.ok(await frames.frame(({ type, stream: of }) => type === TYPES.headers && of === stream), 'the connection goes on');
        frames.destroy();
      });
      assert.deepEqual(whole, ['/good']);
    });

    it('break the answer that they are of', async () => {
      let length;
      const server = createTlsServer({ ...workspace.pem, ALPNProtocols: ['h2'] }, (socket) => {
        const frames = new Frames(socket, { answering: true });
        void frames.frame(({ type }) => type === TYPES.headers).then(({ stream }) =>
          frames.write(settings(), headers(stream, [[':status', '200'], ['content-length', length]], { end: false }), data(stream, 'abc', { end: true })));
      });
      await behind(server, driver, async (proxy) => {
        for (const [version, ask] of Object.entries(CLIENTS)) {
          for (length of ['1', '9', '3']) {
            // Each has a connection of its own.
            const context = proxy.createContext(1, ROUTE);
            assert.equal(await ask(proxy, context), length === '3' ? 'abc' : undefined, `${length} to ${version}`);
            proxy.releaseContext(context.id);
          }
        }
      });
    });
  });
}
