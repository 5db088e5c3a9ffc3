// Servers that are not fasttunnel's own: http.server, attachTo(), createServer(), and what it takes to live beside others.
import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import { it } from 'node:test';
import { Readable } from 'node:stream';
import { callBytes, connect, listening, serve, withHandlers, withServer } from './support/foreign-servers.mjs';
import { call, exposuresFor, post, R, TOKEN } from './support/runner-apps.mjs';
import { onBothDrivers, sleep, until } from './support/tunnels.mjs';

const { r, useExposureContext } = R;
const task = (id, run) => r.task(id).run(run).build();
const add = task('app.tasks.add', async ({ a, b }) => a + b);
const echo = task('app.tasks.echo', async (input) => input);
const headers = task('app.tasks.headers', async () => useExposureContext().headers);
const OK3 = { status: 200, ok: true, result: 3 };
const MIB = 2 ** 20;

/** A task that waits, and says what has become of it. */
function waiting() {
  const events = [];
  const release = [];
  const item = task('app.tasks.wait', async () => {
    const { signal } = useExposureContext();
    events.push('started');
    signal.addEventListener('abort', () => events.push(`aborted: ${signal.reason.data.reason}`), { once: true });
    await new Promise((resolve) => { release.push(resolve); signal.addEventListener('abort', resolve, { once: true }); });
    return 'waited';
  });
  return { item, events, release: () => release.splice(0).forEach((go) => go()) };
}

/** A listener of somebody else's, without a catch-all. */
const own = (request, response) => {
  if (request.url.startsWith('/own')) response.end(`own ${request.method} ${request.url}`);
};

onBothDrivers('attach', (driver) => {
  const { fastTunnel } = exposuresFor(driver);
  const attached = (options, body) => {
    const server = http.createServer(own);
    return withServer(server, (port) => withHandlers(fastTunnel, { ...options, http: { server, ...options.http } }, (app) => body({ ...app, server, port, url: `http://127.0.0.1:${port}${app.value.basePath}` })));
  };

  it('serves its own paths of a server, and leaves the others and upgrades alone', () => attached({ items: [add] }, async ({ value, server, port, url }) => {
    server.on('upgrade', (request, socket) => {
      socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: ${request.headers.upgrade}\r\nConnection: Upgrade\r\n\r\n`);
      socket.on('data', (bytes) => socket.write(`echo ${bytes}`));
    });
    assert.equal(value.server, server);
    assert.deepEqual([value.port, value.host, value.url], [port, '127.0.0.1', url]);
    assert.deepEqual(await call(url, '/task/app.tasks.add', { input: { a: 1, b: 2 } }), OK3);
    assert.equal(await (await fetch(`http://127.0.0.1:${port}/own?x=/__runner/`)).text(), 'own GET /own?x=/__runner/');
    assert.equal(await (await fetch(`http://127.0.0.1:${port}/own`, { method: 'OPTIONS' })).text(), 'own OPTIONS /own');
    // Under the base path too: upgrades are the other listener's, whatever their path.
    for (const path of ['/socket', '/__runner/socket']) {
      const socket = await connect(port);
      await socket.write(`GET ${path} HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n`);
      await until(() => socket.rest.endsWith('\r\n\r\n'), 'it is upgraded');
      assert.match(socket.rest, /^HTTP\/1\.1 101 Switching Protocols\r\nUpgrade: chat/);
      await socket.write('hello');
      await until(() => socket.rest.endsWith('echo hello'), 'it speaks');
      socket.destroy();
    }
  }));

  it('one connection serves both, one after the other and pipelined, in order', () => attached({ items: [add] }, async ({ port }) => {
    const socket = await connect(port);
    const ownRequest = 'GET /own HTTP/1.1\r\nHost: test\r\n\r\n';
    for (let round = 0; round < 5; round += 1) {
      await socket.write(callBytes('app.tasks.add', { a: round, b: 1 }));
      const { status, headers: lines, body } = await socket.answer();
      assert.deepEqual([status, body, lines.connection], [200, `{"ok":true,"result":${round + 1}}`, 'keep-alive']);
      await socket.write(ownRequest);
      assert.equal((await socket.answer()).body, 'own GET /own');
    }
    await socket.write(Array.from({ length: 10 }, (_, index) => (index % 3 === 2 ? ownRequest : callBytes('app.tasks.add', { a: index, b: 100 }))).join(''));
    for (let index = 0; index < 10; index += 1) {
      assert.equal((await socket.answer()).body, index % 3 === 2 ? 'own GET /own' : `{"ok":true,"result":${index + 100}}`);
    }
    assert.equal(socket.rest, '');
    socket.destroy();
  }));

  it('100 calls at once, and few connections to the engine for those that come one by one', () => attached({ items: [add] }, async ({ value, url }) => {
    for (let index = 0; index < 20; index += 1) await call(url, '/task/app.tasks.add', { a: index, b: 0 });
    assert.equal(value.stats().shards.reduce((sum, shard) => sum + shard.accepted, 0), 1);
    const results = await Promise.all(Array.from({ length: 100 }, (_, index) => call(url, '/task/app.tasks.add', { a: index, b: 1 })));
    assert.deepEqual(results.map(({ result }) => result), Array.from({ length: 100 }, (_, index) => index + 1));
  }));

  it('a body at the limit passes, one over it is 413, and the connection goes on', () => attached({ items: [echo, add] }, async ({ port }) => {
    const socket = await connect(port);
    const around = JSON.stringify({ input: '' }).length;
    const atLimit = JSON.stringify({ input: 'x'.repeat(2 * MIB - around) });
    await socket.write(callBytes('app.tasks.echo', null, { body: atLimit }));
    const { status, body } = await socket.answer();
    assert.deepEqual([status, body.length], [200, '{"ok":true,"result":""}'.length + 2 * MIB - around]);
    const over = JSON.stringify({ input: 'x'.repeat(2 * MIB - around + 1) });
    const chunked = `POST /__runner/task/app.tasks.echo HTTP/1.1\r\nHost: test\r\nx-runner-token: ${TOKEN}\r\ntransfer-encoding: chunked\r\n\r\n${over.length.toString(16)}\r\n${over}\r\n0\r\n\r\n`;
    for (const bytes of [callBytes('app.tasks.echo', null, { body: over }), chunked, callBytes('app.tasks.nope', null, { body: over })]) {
      await socket.write(bytes);
      const refused = await socket.answer();
      assert.deepEqual([refused.status, refused.headers.connection], [bytes.includes('nope') ? 403 : 413, 'keep-alive']);
    }
    await socket.write(callBytes('app.tasks.add', { a: 1, b: 2 }));
    assert.equal((await socket.answer()).body, '{"ok":true,"result":3}');
    socket.destroy();
  }));

  it('a large answer waits for a client that does not read', () => {
    const big = task('app.tasks.big', async () => 'y'.repeat(12 * MIB));
    return attached({ items: [big] }, async ({ server, port }) => {
      let served;
      server.on('connection', (socket) => { served = socket; });
      const socket = await connect(port);
      socket.socket.pause();
      await socket.write(callBytes('app.tasks.big', null));
      let written = -1;
      await until(async () => {
        const before = written;
        written = served.bytesWritten;
        await sleep(100);
        return written > 0 && written === before;
      }, 'nothing more leaves');
      assert.ok(written < 12 * MIB, 'the kernel does not hold it all');
      assert.ok(served.writableLength < MIB, `${served.writableLength} bytes pile up`);
      socket.socket.resume();
      assert.equal((await socket.answer()).body.length, '{"ok":true,"result":""}'.length + 12 * MIB);
      socket.destroy();
    });
  });

  for (const [how, leave] of Object.entries({
    'resets the connection': (socket) => socket.socket.resetAndDestroy(),
    'closes it': (socket) => socket.destroy(),
    'closes its half': (socket) => socket.socket.end(),
  })) {
    it(`a client that ${how} aborts its call`, async () => {
      const { item, events } = waiting();
      await attached({ items: [item] }, async ({ value, port }) => {
        const socket = await connect(port);
        await socket.write(callBytes('app.tasks.wait', null));
        await until(() => events.includes('started'), 'it runs');
        leave(socket);
        await until(() => events.length === 2, 'its signal aborts');
        assert.deepEqual(events, ['started', 'aborted: Client Closed Request']);
        await until(() => value.stats().shards.every(({ inFlight, connections }) => inFlight === 0 && connections === 0), 'nothing is left');
      });
    });
  }

  it('a client that leaves in the middle of a body starts nothing', () => attached({ items: [echo] }, async ({ value, port }) => {
    const socket = await connect(port);
    await socket.write(callBytes('app.tasks.echo', 'x'.repeat(1000)).slice(0, -100));
    await until(() => value.stats().shards.some(({ connections }) => connections === 1), 'it has come to the engine');
    socket.socket.resetAndDestroy();
    await until(() => value.stats().shards.every(({ connections }) => connections === 0), 'nothing is left');
    assert.equal(value.stats().shards.reduce((sum, { calls }) => sum + calls, 0), 0);
  }));

  it('a second listener that answers everything keeps its answers', async () => {
    const server = http.createServer((_request, response) => response.end('mine'));
    await withServer(server, (port) => withHandlers(fastTunnel, { items: [add], http: { server } }, async () => {
      const socket = await connect(port);
      for (let round = 0; round < 3; round += 1) {
        await socket.write(callBytes('app.tasks.add', { a: 1, b: 2 }));
        assert.equal((await socket.answer()).body, 'mine');
      }
      socket.destroy();
    }));
  });

  it('attaches to several servers, several times, and is detached once', () => withHandlers(fastTunnel, { items: [add] }, async ({ value }) => {
    const server = http.createServer((request, response) => setTimeout(() => response.writableEnded || response.writeHead(404).end('nobody'), request.url.startsWith('/__runner') ? 500 : 0));
    await withServer(server, async (port) => {
      const url = `http://127.0.0.1:${port}/__runner`;
      const { attachTo } = value;
      const [first, second] = [attachTo(server), attachTo(server)];
      assert.equal(server.listenerCount('request'), 3);
      assert.deepEqual(await call(url, '/task/app.tasks.add', { a: 1, b: 2 }), OK3);
      first();
      first();
      assert.equal(server.listenerCount('request'), 2);
      assert.deepEqual(await call(url, '/task/app.tasks.add', { a: 1, b: 2 }), OK3);
      second();
      assert.equal(server.listenerCount('request'), 1);
      assert.equal((await post(url, '/task/app.tasks.add', { a: 1, b: 2 })).text, 'nobody');
    });
  }));

  it('attaches to a server that has only one of the names for letting go, and refuses one that has none', async () => {
    for (const name of ['off', 'removeListener']) {
      const server = http.createServer(own);
      const narrow = { on: (...given) => server.on(...given), [name]: (...given) => server.off(...given), address: () => server.address() };
      await withServer(server, async (port) => {
        const url = `http://127.0.0.1:${port}/__runner`;
        await withHandlers(fastTunnel, { items: [add], http: { server: narrow } }, async ({ value }) => {
          assert.deepEqual(await call(url, '/task/app.tasks.add', { a: 1, b: 2 }), OK3);
          const detach = value.attachTo(narrow);
          assert.equal(server.listenerCount('request'), 3, name);
          detach();
          assert.equal(server.listenerCount('request'), 2, name);
          assert.throws(() => value.attachTo({ on() {} }), { name: 'OptionError', option: 'attachTo(server)', message: /must be an http\.Server/ });
        });
        assert.equal(server.listenerCount('request'), 1, name);
      });
    }
  });

  it('two exposures share a server under two base paths', async () => {
    const server = http.createServer(own);
    const other = { with: (options, engine) => fastTunnel.with({ ...options, basePath: '/other' }, engine), resource: fastTunnel.resource };
    await withServer(server, (port) => withHandlers(fastTunnel, { items: [add], http: { server } }, () => withHandlers(other, { items: [task('app.tasks.add', async ({ a, b }) => a * b)], http: { server } }, async () => {
      assert.deepEqual(await call(`http://127.0.0.1:${port}/__runner`, '/task/app.tasks.add', { a: 5, b: 6 }), { status: 200, ok: true, result: 11 });
      assert.deepEqual(await call(`http://127.0.0.1:${port}/other`, '/task/app.tasks.add', { a: 5, b: 6 }), { status: 200, ok: true, result: 30 });
      assert.equal(await (await fetch(`http://127.0.0.1:${port}/own`)).text(), 'own GET /own');
    })));
  });

  it('a middleware sees the request first: what it changes counts, what it adds stays', () => withHandlers(fastTunnel, { items: [headers, add], http: { cors: { origin: ['https://a.example'] } } }, ({ value }) => {
    const chain = [
      (request, _response, next) => { request.headers['x-user'] = 'known'; delete request.headers['x-forged']; next(); },
      (_request, response, next) => { response.setHeader('X-Powered-By', 'tests'); response.setHeader('Vary', 'Accept-Encoding'); next(); },
      (request, response, next) => { value.handleRequest(request, response).then((handled) => handled || next(), next); },
      (request, response) => response.end(`own ${request.url}`),
    ];
    const run = (request, response, index = 0) => chain[index](request, response, (error) => (error ? response.writeHead(500).end(String(error)) : run(request, response, index + 1)));
    return serve((request, response) => run(request, response), async (port) => {
      const url = `http://127.0.0.1:${port}/__runner`;
      const answer = await post(url, '/task/app.tasks.headers', {}, { 'x-user': 'forged', 'X-Forged': '1', 'x-twice': 'a', cookie: 'a=b', origin: 'https://a.example' });
      const { 'x-user': user, 'x-forged': forged, 'x-twice': twice, cookie, host } = JSON.parse(answer.text).result;
      assert.deepEqual({ user, forged, twice, cookie, host }, { user: 'known', forged: undefined, twice: 'a', cookie: 'a=b', host: `127.0.0.1:${port}` });
      assert.deepEqual([answer.headers.get('x-powered-by'), answer.headers.get('vary'), answer.headers.get('access-control-allow-origin')], ['tests', 'Accept-Encoding, Origin', 'https://a.example']);
      assert.equal(await (await fetch(`http://127.0.0.1:${port}/elsewhere`)).text(), 'own /elsewhere');
    });
  }));

  it('what wraps a response runs in the context of its request', () => withHandlers(fastTunnel, { items: [add] }, ({ value }) => {
    const storage = new AsyncLocalStorage();
    const seen = [];
    const listener = value.createRequestListener();
    return serve((request, response) => storage.run(request.headers['x-n'], () => {
      const { end } = response;
      response.end = function (...given) { seen.push(storage.getStore()); return end.apply(this, given); };
      listener(request, response);
    }), async (port) => {
      for (const n of ['1', '2', '3']) await post(`http://127.0.0.1:${port}/__runner`, '/task/app.tasks.add', { a: 1, b: 2 }, { 'x-n': n });
      assert.deepEqual(seen, ['1', '2', '3']);
    });
  }));

  it('a response that throws costs its own request', () => withHandlers(fastTunnel, { items: [add] }, async ({ value, logs }) => {
    const listener = value.createRequestListener();
    await serve((request, response) => {
      if (request.headers['x-broken'] !== undefined) response.setHeader = () => { throw new Error('wrapped badly'); };
      listener(request, response);
    }, async (port) => {
      const url = `http://127.0.0.1:${port}/__runner`;
      await assert.rejects(post(url, '/task/app.tasks.add', { a: 1, b: 2 }, { 'x-broken': '1' }));
      assert.deepEqual(await call(url, '/task/app.tasks.add', { a: 1, b: 2 }), OK3);
      await until(() => logs.some(({ message, error }) => message === 'exposure.http.unhandled' && error === 'wrapped badly'), 'it is logged');
    });
  }));

  it('a body that was read before: its bytes where they were kept, else none and a line in the log', () => withHandlers(fastTunnel, { items: [echo] }, async ({ value, logs }) => {
    const readers = {
      parsed: (request, text) => { request.body = JSON.parse(text); },
      rawBody: (request, text) => { request.body = JSON.parse(text); request.rawBody = Buffer.from(text); },
      'raw body': (request, text) => { request.body = Buffer.from(text); },
      'text body': (request, text) => { request.body = text; },
    };
    await serve(async (request, response) => {
      let text = '';
      for await (const piece of request) text += piece;
      readers[request.headers['x-reader']](request, text);
      await value.handleRequest(request, response);
    }, async (port) => {
      const url = `http://127.0.0.1:${port}/__runner`;
      const asked = async (reader) => (await call(url, '/task/app.tasks.echo', { input: 'é' }, { 'x-reader': reader })).result;
      for (const reader of ['rawBody', 'raw body', 'text body']) assert.equal(await asked(reader), 'é', reader);
      assert.deepEqual(logs.filter(({ level }) => level === 'warn'), []);
      assert.deepEqual(await asked('parsed'), { __type: 'Undefined', value: null });
      const [{ message, context }] = logs.filter(({ level }) => level === 'warn');
      assert.match(message, /body of a request was read before/);
      assert.deepEqual([context.method, context.path], ['POST', '/__runner/task/app.tasks.echo']);
    });
  }));

  it('HTTP/1.0 without a Host, HEAD, and chunked bodies', () => attached({ items: [add] }, async ({ port }) => {
    const old = await connect(port);
    await old.write(callBytes('app.tasks.add', { a: 1, b: 2 }).replace('HTTP/1.1\r\nHost: test\r\n', 'HTTP/1.0\r\n'));
    const { status, body, headers: lines } = await old.answer();
    assert.deepEqual([status, body, lines.connection], [200, '{"ok":true,"result":3}', 'close']);
    await old.end();
    const socket = await connect(port);
    await socket.write('HEAD /__runner/discovery HTTP/1.1\r\nHost: test\r\n\r\n');
    const head = await socket.answer({ head: true });
    assert.deepEqual([head.status, head.headers['content-length']], [405, '81']);
    await socket.write(`POST /__runner/task/app.tasks.add HTTP/1.1\r\nHost: test\r\nx-runner-token: ${TOKEN}\r\ntransfer-encoding: chunked\r\n\r\n`);
    for (const piece of ['{"a":', '1,"b"', ':2}']) {
      await socket.write(`${piece.length.toString(16)}\r\n${piece}\r\n`);
      await sleep(5);
    }
    await socket.write('0\r\n\r\n');
    assert.equal((await socket.answer()).body, '{"ok":true,"result":3}');
    // No body and no word of one.
    await socket.write(`POST /__runner/task/app.tasks.add HTTP/1.1\r\nHost: test\r\nx-runner-token: ${TOKEN}\r\n\r\n`);
    assert.equal((await socket.answer()).status, 500);
    await socket.write(callBytes('app.tasks.add', { a: 1, b: 2 }, { lines: 'Expect: 100-continue\r\n' }));
    await until(() => socket.rest.startsWith('HTTP/1.1 100 Continue\r\n\r\n') && socket.rest.endsWith('{"ok":true,"result":3}'), 'it goes on and is answered');
    socket.destroy();
  }));

  it('HTTP/2 through its compatibility API', () => withHandlers(fastTunnel, { items: [add, headers, echo] }, ({ value }) => {
    const server = http2.createServer();
    value.attachTo(server);
    return withServer(server, async (port) => {
      const session = http2.connect(`http://127.0.0.1:${port}`);
      const ask = (lines, ...pieces) => new Promise((resolve, reject) => {
        const stream = session.request({ ':method': 'POST', 'x-runner-token': TOKEN, ...lines }, { endStream: pieces.length === 0 });
        let answer;
        let text = '';
        stream.on('response', (head) => { answer = head; }).on('data', (piece) => { text += piece; }).on('end', () => resolve([answer[':status'], text, answer])).on('error', reject);
        for (const piece of pieces) stream.write(piece);
        stream.end();
      });
      try {
        const [status, text, head] = await ask({ ':path': '/__runner/task/app.tasks.add' }, '{"a":1,', '"b":2}');
        assert.deepEqual([status, text, head['content-type']], [200, '{"ok":true,"result":3}', 'application/json; charset=utf-8']);
        const { result } = JSON.parse((await ask({ ':path': '/__runner/task/app.tasks.headers' }))[1]);
        assert.deepEqual([result.host, Object.keys(result).filter((name) => name.startsWith(':'))], [`127.0.0.1:${port}`, []]);
        // A body of a method that has none in HTTP/1 is not taken for a request.
        const smuggled = callBytes('app.tasks.add', { a: 1, b: 1 });
        assert.equal((await ask({ ':method': 'GET', ':path': '/__runner/discovery' }, smuggled))[0], 200);
        assert.deepEqual((await ask({ ':path': '/__runner/task/app.tasks.echo' }, '{"input":"next"}'))[1], '{"ok":true,"result":"next"}');
      } finally {
        session.close();
      }
    });
  }));

  it('createServer() answers for itself outside of the base path, and 403 when the app is gone', () => withHandlers(fastTunnel, { items: [add] }, async ({ value, dispose }) => {
    const server = value.createServer();
    assert.ok(server instanceof http.Server && !server.listening);
    await withServer(server, async (port) => {
      const url = `http://127.0.0.1:${port}`;
      assert.deepEqual(await call(`${url}/__runner`, '/task/app.tasks.add', { a: 1, b: 2 }), OK3);
      const outside = await fetch(`${url}/own`);
      assert.deepEqual([outside.status, outside.headers.get('x-runner-request-id'), outside.headers.get('access-control-allow-origin'), await outside.text()], [404, null, '*', '{"ok":false,"error":{"message":"Not Found","code":"NOT_FOUND"}}']);
      await dispose();
      const gone = await post(`${url}/__runner`, '/task/app.tasks.add', { a: 1, b: 2 });
      assert.deepEqual([gone.status, gone.text], [403, '{"ok":false,"error":{"message":"Exposure not enabled","code":"FORBIDDEN"}}']);
      assert.equal((await fetch(`${url}/own`)).status, 404);
    });
  }));

  it('disposing detaches, answers what is under way, and leaves the server to its owner', async () => {
    const { item, events, release } = waiting();
    const server = http.createServer(own);
    await withServer(server, (port) => withHandlers(fastTunnel, { items: [item], http: { server } }, async ({ value, dispose }) => {
      const socket = await connect(port);
      await socket.write(callBytes('app.tasks.wait', null));
      await until(() => events.length === 1, 'it runs');
      const done = Promise.all([dispose(), value.close(), value.close()]);
      assert.equal(server.listenerCount('request'), 1);
      setTimeout(release, 100);
      assert.equal((await socket.answer()).body, '{"ok":true,"result":"waited"}');
      await done;
      assert.deepEqual(events, ['started']);
      // The connection and the server live on.
      await socket.write('GET /own HTTP/1.1\r\nHost: test\r\n\r\n');
      assert.equal((await socket.answer()).body, 'own GET /own');
      assert.equal(server.listening, true);
      socket.destroy();
    }));
  });

  it('requests that come while it is disposed of are answered, each with 200 or 403', async () => {
    for (let round = 0; round < 5; round += 1) {
      await withHandlers(fastTunnel, { items: [add] }, async ({ value, dispose }) => {
        await serve(value.createRequestListener(), async (port) => {
          const answers = Array.from({ length: 60 }, async (_, index) => {
            await sleep(index / 4);
            return (await post(`http://127.0.0.1:${port}/__runner`, '/task/app.tasks.add', { a: 1, b: 2 })).status;
          });
          await sleep(6);
          await dispose();
          const statuses = await Promise.all(answers);
          assert.deepEqual([...new Set(statuses)].sort().filter((status) => status !== 200), [403], `${statuses}`);
        });
      });
    }
  });

  it('what is not over when the drain time is cuts the connection, visibly', () => {
    const big = task('app.tasks.big', async () => 'z'.repeat(12 * MIB));
    return attached({ items: [big], engine: { limits: { drainTimeoutMs: 200 } } }, async ({ port, dispose }) => {
      const socket = await connect(port);
      await socket.write(callBytes('app.tasks.big', null));
      await until(() => socket.rest.length > 0, 'the answer begins');
      socket.socket.pause();
      await dispose();
      socket.socket.resume();
      await assert.rejects(socket.answer(), /closed while waiting for the body/);
    });
  });

  it('too many connections to the engine are 503, and the next is served', async () => {
    const { item, events, release } = waiting();
    await attached({ items: [item, add], engine: { limits: { maxConnections: 2 } } }, async ({ url }) => {
      const under = [0, 1].map(() => call(url, '/task/app.tasks.wait', {}));
      await until(() => events.length === 2, 'both run');
      const refused = await post(url, '/task/app.tasks.add', { a: 1, b: 2 });
      assert.deepEqual([refused.status, refused.headers.get('retry-after'), refused.text], [503, '1', '{"ok":false,"error":{"message":"Service Unavailable","code":"SERVICE_UNAVAILABLE"}}']);
      release();
      assert.deepEqual((await Promise.all(under)).map(({ result }) => result), ['waited', 'waited']);
      assert.deepEqual(await call(url, '/task/app.tasks.add', { a: 1, b: 2 }), OK3);
    });
  });

  it('with neither a server nor an address it listens nowhere, and says so', () => withHandlers(fastTunnel, { items: [add] }, async ({ value, logs }) => {
    assert.equal(value.server, null);
    for (const name of ['port', 'host', 'url']) assert.throws(() => value[name], { name: 'StateError', code: 'FASTTUNNEL_NOT_LISTENING', message: new RegExp(`^${name}: fastTunnel listens nowhere`) });
    assert.equal(value.basePath, '/__runner');
    assert.equal(value.driver, driver);
    assert.ok(logs.some(({ level, message }) => level === 'debug' && /listens nowhere/.test(message)));
    assert.ok(!logs.some(({ message }) => message === 'node.exposure.listen'));
  }));

  it('a server that does not listen yet has no port; one with TLS is https', async () => {
    const server = https.createServer();
    await withHandlers(fastTunnel, { items: [add], http: { server, listen: { port: 1 } } }, async ({ value }) => {
      assert.throws(() => value.port, { code: 'FASTTUNNEL_NOT_LISTENING', message: /does not listen yet/ });
      const port = await listening(server);
      try {
        assert.equal(value.url, `https://127.0.0.1:${port}/__runner`);
      } finally {
        server.close();
      }
    });
  });

  it('beside its own listener, the handlers serve as well', () => withHandlers(fastTunnel, { items: [add], http: { listen: { port: 0 } } }, ({ value }) => withServer(value.createServer(), async (port) => {
    for (const url of [value.url, `http://127.0.0.1:${port}/__runner`]) assert.deepEqual(await call(url, '/task/app.tasks.add', { a: 1, b: 2 }), OK3);
    assert.notEqual(value.port, port);
  })));

  it('a streamed answer goes on piece by piece; its client takes its source along, its source its client', () => {
    const sources = [];
    const stream = task('app.tasks.stream', async ({ breaks }) => {
      const source = new Readable({ read() {} });
      sources.push(source);
      source.push('first');
      if (breaks) setTimeout(() => source.destroy(new Error('broken on purpose')), 50);
      return source;
    });
    return attached({ items: [stream] }, async ({ port }) => {
      const leaving = await connect(port);
      await leaving.write(callBytes('app.tasks.stream', { breaks: false }));
      await until(() => leaving.rest.endsWith('5\r\nfirst\r\n'), 'the first piece is there');
      assert.match(leaving.rest, /^HTTP\/1\.1 200 OK\r\n[^]*content-type: application\/octet-stream\r\n/i);
      sources[0].push('second');
      await until(() => leaving.rest.endsWith('6\r\nsecond\r\n'), 'so is the second');
      leaving.destroy();
      await until(() => sources[0].destroyed, 'the source is destroyed');
      const staying = await connect(port);
      await staying.write(callBytes('app.tasks.stream', { breaks: true }));
      await staying.end();
      assert.match(staying.rest, /5\r\nfirst\r\n$/, 'without the end of a chunked body');
    });
  });

  it('an answer of another length than it declares is cut, so that its client notices', () => {
    const declares = (id, length, chunks) => task(id, async () => ({ stream: Readable.from(chunks), headers: { 'content-length': length } }));
    return attached({ items: [declares('app.tasks.more', 10, ['0123', '456789', 'AB']), declares('app.tasks.fewer', 10, ['0123', '4']), declares('app.tasks.right', 5, ['0123', '4'])] }, async ({ port, value }) => {
      const ask = async (through, id) => {
        const client = await connect(through);
        await client.write(callBytes(id, {}, { lines: 'Connection: close\r\n' }));
        await client.end();
        return client.rest.slice(client.rest.indexOf('\r\n\r\n') + 4);
      };
      const all = async (through) => {
        assert.deepEqual([await ask(through, 'app.tasks.more'), await ask(through, 'app.tasks.fewer'), await ask(through, 'app.tasks.right')], ['0123', '01234', '01234']);
        await assert.rejects(fetch(`http://127.0.0.1:${through}/__runner/task/app.tasks.more`, { method: 'POST', headers: { 'x-runner-token': TOKEN }, body: '{}' }).then((response) => response.text()), /terminated|fetch failed/);
      };
      await all(port);
      await withServer(value.createServer(), all);
    });
  });

  it('a streamed body waits for a task that does not read, and a client that goes on sending behind an answer is bounded', () => {
    const slow = task('app.tasks.slow', async () => {
      const { req } = useExposureContext();
      await sleep(300);
      let bytes = 0;
      for await (const piece of req) bytes += piece.length;
      return bytes;
    });
    const deaf = task('app.tasks.deaf', async () => 'deaf');
    return attached({ items: [slow, deaf] }, async ({ server, port }) => {
      let served;
      server.on('connection', (socket) => { served = socket; });
      const head = (id, length) => `POST /__runner/task/${id} HTTP/1.1\r\nHost: test\r\nx-runner-token: ${TOKEN}\r\ncontent-type: application/octet-stream\r\ncontent-length: ${length}\r\n\r\n`;
      const socket = await connect(port);
      socket.write(head('app.tasks.slow', 24 * MIB));
      socket.write(Buffer.alloc(24 * MIB));
      await sleep(200);
      assert.ok(served.bytesRead < 16 * MIB, `${served.bytesRead} bytes were read for nobody`);
      assert.equal((await socket.answer()).body, `{"ok":true,"result":${24 * MIB}}`);
      // The rest of a body that nobody wants is read up to a bound.
      await socket.write(head('app.tasks.deaf', 4 * MIB));
      assert.equal((await socket.answer()).body, '{"ok":true,"result":"deaf"}');
      await socket.write(Buffer.alloc(4 * MIB));
      await socket.write('GET /own HTTP/1.1\r\nHost: test\r\n\r\n');
      assert.equal((await socket.answer()).body, 'own GET /own');
      await socket.write(head('app.tasks.deaf', 2 ** 40));
      assert.equal((await socket.answer()).body, '{"ok":true,"result":"deaf"}');
      const flood = setInterval(() => socket.socket.writable && socket.write(Buffer.alloc(MIB)), 5);
      await socket.end(10_000).finally(() => clearInterval(flood));
    });
  });

  it('octet-stream bodies flow both ways', () => {
    const upper = task('app.tasks.upper', async () => {
      const { req, res } = useExposureContext();
      res.setHeader('content-type', 'text/plain');
      for await (const piece of req) res.write(String(piece).toUpperCase());
      res.end();
    });
    return attached({ items: [upper] }, async ({ port, url }) => {
      const probe = await post(url, '/task/app.tasks.upper', 'x', { 'content-type': 'application/octet-stream' });
      assert.equal(probe.text, 'X');
      const socket = await connect(port);
      await socket.write(`POST /__runner/task/app.tasks.upper HTTP/1.1\r\nHost: test\r\nx-runner-token: ${TOKEN}\r\ncontent-type: application/octet-stream\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n`);
      await until(() => socket.rest.includes('ONE'), 'bytes come back before the request has ended');
      await socket.write('3\r\ntwo\r\n0\r\n\r\n');
      await until(() => socket.rest.endsWith('0\r\n\r\n'), 'the answer ends');
      assert.match(socket.rest, /TWO/);
      socket.destroy();
    });
  });

  it('multipart bodies bring their files', () => {
    const length = task('app.tasks.length', async ({ file }) => {
      let bytes = 0;
      for await (const piece of (await file.resolve()).stream) bytes += piece.length;
      return bytes;
    });
    return attached({ items: [length] }, async ({ url }) => {
      const form = new FormData();
      form.append('__manifest', JSON.stringify({ input: { file: { $runnerFile: 'File', id: 'F1', meta: { name: 'a.bin' } } } }));
      form.append('file:F1', new Blob([new Uint8Array(MIB)]), 'a.bin');
      const response = await fetch(`${url}/task/app.tasks.length`, { method: 'POST', headers: { 'x-runner-token': TOKEN }, body: form });
      const text = await response.text();
      assert.equal(text, `{"ok":true,"result":${MIB}}`);
    });
  });
});
