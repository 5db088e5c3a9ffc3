// Fields behind content that go through the forward proxy: clients and servers of either version, and frames by hand on both sides.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import { after, before, describe, it } from 'node:test';
import { createServer as createTlsServer } from 'node:tls';
import { ProxyServer } from '../dist/esm/proxy/index.mjs';
import { certificate } from './support/certificates.mjs';
import { CODES, Frames, TYPES, data, headers, settings } from './support/http2.mjs';

const PATIENT = { timeout: 30_000 };
const ROUTE = { morphId: 'abc', scope: 'base', domainSuffix: 'cmux.test' };
const workspace = certificate({ names: 'DNS:*.cmux.test', authority: false });
const basic = ({ username, password }) => `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
const LARGE = { 'x-large': 'x'.repeat(9000) };
const HUGE = { 'x-some': '1', 'x-huge': 'a'.repeat(30_000) };
const MANY = Object.fromEntries(Array.from({ length: 120 }, (_, at) => [`x-${at}`, '1']));
/** Of what a server sends behind content, `set-cookie` belongs into a head. */
const ANSWERED = { 'x-sum': '1', 'grpc-status': '0', 'set-cookie': 'a=b' };

async function listen(server) {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server.address().port;
}

/** What a server has been asked, as the content of its answer; its path says how that is delimited, and what follows it. */
const seen = (fields, trailers, content) => JSON.stringify({ te: fields.te ?? null, trailers: { ...trailers }, content });
const behind = (path) => ({ '/large': LARGE, '/huge': HUGE, '/many': MANY })[path] ?? ANSWERED;

/** A server that says behind content what it has heard behind content. */
const SERVERS = {
  'HTTP/1.1': () => https.createServer({ ...workspace.pem, maxHeaderSize: 1 << 16 }, async (request, response) => {
    request.on('error', () => {});
    const chunks = await request.on('error', () => {}).toArray().catch(() => null);
    if (chunks === null) return;
    response.write(seen(request.headers, request.trailers, String(Buffer.concat(chunks))));
    response.addTrailers(behind(request.url));
    response.end();
  }),
  'HTTP/2': () => http2.createSecureServer({ ...workspace.pem }).on('stream', (stream, fields) => {
    const chunks = [];
    let trailers = {};
    stream.on('error', () => {}).on('trailers', (section) => { trailers = section; }).on('data', (chunk) => chunks.push(chunk));
    stream.on('end', () => {
      if (stream.destroyed) return;
      const text = seen(fields, trailers, String(Buffer.concat(chunks)));
      const length = fields[':path'] === '/sized' ? { 'content-length': Buffer.byteLength(text) } : {};
      stream.respond({ ':status': 200, trailer: 'x-sum', ...length }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers(behind(fields[':path'])));
      stream.end(text);
    });
  }),
};

/** Asks by either version; `sized`: with a length. Resolves with { status, content, trailers } once all has come, or with { broken: true }. */
const CLIENTS = {
  'HTTP/1.1': ({ proxy, context }, path, trailers, { te = true } = {}) => new Promise((resolve) => {
    const request = http.request({
      port: proxy.port(), host: '127.0.0.1', method: 'POST', path: `http://localhost:5173${path}`, maxHeaderSize: 1 << 16,
      headers: { host: 'localhost:5173', 'proxy-authorization': basic(context), 'transfer-encoding': 'chunked', connection: te ? 'close, te' : 'close', ...(te ? { te: 'trailers' } : {}) },
    });
    request.on('error', () => resolve({ broken: true })).on('response', (response) => {
      const chunks = [];
      response.on('error', () => resolve({ broken: true })).on('data', (chunk) => chunks.push(chunk));
      response.on('end', () => resolve({ status: response.statusCode, content: String(Buffer.concat(chunks)), trailers: { ...response.trailers } }));
    });
    request.write('abc');
    request.addTrailers(trailers);
    request.end();
  }),
  'HTTP/2': ({ session, context }, path, trailers, { te = true, sized = false } = {}) => new Promise((resolve) => {
    const stream = session.request({
      ':method': 'POST', ':scheme': 'http', ':authority': 'localhost:5173', ':path': path, 'proxy-authorization': basic(context), ...(te ? { te: 'trailers' } : {}), ...(sized ? { 'content-length': '3' } : {}),
    }, { waitForTrailers: true });
    const [answer, chunks] = [{ trailers: {} }, []];
    stream.on('wantTrailers', () => stream.sendTrailers(trailers));
    stream.on('response', (fields) => { answer.status = fields[':status']; }).on('data', (chunk) => chunks.push(chunk));
    stream.on('trailers', (section) => { answer.trailers = Object.fromEntries(Object.entries(section)); });
    stream.on('error', () => {}).on('close', () => resolve(stream.rstCode === 0 ? { ...answer, content: String(Buffer.concat(chunks)) } : { broken: true }));
    stream.end('abc');
  }),
};

for (const driver of ['io_uring', 'epoll']) {
  for (const [version, open] of Object.entries(SERVERS)) {
    describe(`fields behind content, to a server that speaks ${version}, on ${driver}`, PATIENT, () => {
      let server, proxy, context, session;

      before(async () => {
        server = open();
        proxy = await ProxyServer.start({ port: 0, driver, shards: 1, hosts: { '*.cmux.test': `127.0.0.1:${await listen(server)}` }, ca: workspace.pem.cert });
        context = proxy.createContext(1, ROUTE);
        session = http2.connect(`http://127.0.0.1:${proxy.port()}`).on('error', () => {});
      });

      after(async () => {
        session.destroy();
        await proxy.stop();
        server.close();
      });

      for (const [from, ask] of Object.entries(CLIENTS)) {
        it(`go on both ways, unless they belong into a head, for a client that speaks ${from}`, async () => {
          const answer = await ask({ proxy, context, session }, '/', { 'x-digest': '9', 'x-cmux-port-internal': '22', 'x-other': '8' });
          assert.deepEqual([answer.status, JSON.parse(answer.content)], [200, { te: 'trailers', trailers: { 'x-digest': '9', 'x-other': '8' }, content: 'abc' }]);
          assert.deepEqual(answer.trailers, { 'x-sum': '1', 'grpc-status': '0' });
        });

        it(`are not asked for in the name of a client that does not, and speaks ${from}`, async () => {
          const answer = await ask({ proxy, context, session }, '/', {}, { te: false });
          assert.deepEqual(JSON.parse(answer.content), { te: null, trailers: {}, content: 'abc' });
        });

        it(`are no more, and no larger, than behind chunks, for a client that speaks ${from}`, async () => {
          for (const [path, trailers] of [['/large', LARGE], ['/huge', HUGE], ['/many', MANY]]) {
            assert.equal((await ask({ proxy, context, session }, '/', trailers)).status, 431, path);
            assert.deepEqual(await ask({ proxy, context, session }, path, {}), { broken: true }, path);
          }
          assert.equal((await ask({ proxy, context, session }, '/', {})).status, 200);
        });
      }

      it('go on behind content of a known length where frames carry it on both sides, and are left out where that cannot be', async () => {
        const sized = await CLIENTS['HTTP/2']({ proxy, context, session }, '/sized', { 'x-digest': '9' }, { sized: true });
        const both = version === 'HTTP/2';
        assert.deepEqual(JSON.parse(sized.content), { te: 'trailers', trailers: both ? { 'x-digest': '9' } : {}, content: 'abc' });
        assert.deepEqual(sized.trailers, { 'x-sum': '1', 'grpc-status': '0' });
        const old = await CLIENTS['HTTP/1.1']({ proxy, context, session }, '/sized', {});
        assert.deepEqual([old.status, JSON.parse(old.content).content, old.trailers], [200, 'abc', both ? {} : { 'x-sum': '1', 'grpc-status': '0' }]);
      });

      it('reset the stream of a client when they are malformed, and no other', async () => {
        const frames = await Frames.connect({ host: '127.0.0.1', port: proxy.port() });
        const request = [[':method', 'POST'], [':scheme', 'http'], [':path', '/'], [':authority', 'localhost:5173'], ['proxy-authorization', basic(context)]];
        const sections = [
          [[['connection', 'x']]], [[['transfer-encoding', 'chunked']]], [[['te', 'gzip']]], [[['x', '1'], [':path', '/']]], [[[':path', '/'], ['x', '1']]], [[[':status', '200']]], [[['x', ' 1']]], [[['x', '1']], { end: false }],
        ];
        let stream = 1;
        for (const [section, options] of sections) {
          frames.write(headers(stream, request, { end: false }), data(stream, 'abc'), headers(stream, section, options));
          assert.equal(await frames.reset(stream), CODES.PROTOCOL_ERROR, JSON.stringify(section));
          stream += 2;
        }
        frames.write(headers(stream, request, { end: false }), data(stream, 'abc'), headers(stream, [['x', '1']]));
        const head = await frames.frame(({ type, stream: of }) => type === TYPES.headers && of === stream);
        assert.ok(head, 'the connection goes on');
        // A second section is on a stream that has ended.
        frames.write(headers(stream, [['y', '1']]));
        assert.equal(await frames.goaway(), CODES.STREAM_CLOSED);
        frames.destroy();
      });
    });
  }

  describe(`fields behind content that a server sends against the rules, on ${driver}`, PATIENT, () => {
    it('cost the answer that they are behind', async () => {
      const sections = { '/connection': [[['connection', 'x']]], '/pseudo': [[['x', '1'], [':path', '/']]], '/pseudo-first': [[[':path', '/'], ['x', '1']]], '/status': [[[':status', '200']]], '/blank': [[['x', ' 1']]], '/open': [[['x', '1']], { end: false }], '/good': [[['x', '1']]] };
      const server = createTlsServer({ ...workspace.pem, ALPNProtocols: ['h2'] }, (socket) => {
        const frames = new Frames(socket, { answering: true });
        const [section, options] = sections[server.path];
        void frames.frame(({ type }) => type === TYPES.headers).then(({ stream }) =>
          frames.write(settings(), headers(stream, [[':status', '200']], { end: false }), data(stream, 'abc'), headers(stream, section, options)));
      });
      const proxy = await ProxyServer.start({ port: 0, driver, shards: 1, hosts: { '*.cmux.test': `127.0.0.1:${await listen(server)}` }, ca: workspace.pem.cert });
      const session = http2.connect(`http://127.0.0.1:${proxy.port()}`).on('error', () => {});
      for (const path of Object.keys(sections)) {
        for (const ask of Object.values(CLIENTS)) {
          server.path = path;
          // Each has a connection of its own.
          const context = proxy.createContext(1, ROUTE);
          const { broken = false, trailers } = await ask({ proxy, context, session }, path, {});
          assert.deepEqual([broken, trailers], path === '/good' ? [false, { x: '1' }] : [true, undefined], path);
          proxy.releaseContext(context.id);
        }
      }
      session.destroy();
      await proxy.stop();
      server.close();
    });
  });
}
