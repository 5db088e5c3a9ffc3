// The calling end when things go wrong: every call ends once, and what may have run is said.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer as createSecureServer } from 'node:https';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { TaskError } from 'fasttunnel';
import { createClient } from 'fasttunnel/client';
import { scripted } from './support/scripted-client.mjs';
import { answerTo } from './support/scripted-server.mjs';
import { sleep, until, withTunnel } from './support/tunnels.mjs';

const echo = (request, socket) => socket.write(answerTo(request, request.input));
const lost = { name: 'CallError', code: 'FASTTUNNEL_CONNECTION_LOST', maybeRan: true };
const bad = { name: 'CallError', code: 'FASTTUNNEL_BAD_ANSWER', maybeRan: true };
const times = (count, make) => Array.from({ length: count }, (_, index) => make(index));
const outcome = (promise) => promise.then((value) => value, ({ code }) => code);

describe('a connection that ends', () => {
  it('fails calls that were sent, as such that may have run', () => scripted((request, socket) => (request.task === 'die' ? socket.destroy() : echo(request, socket)), {}, async (client) => {
    await assert.rejects(client.task('die'), lost);
    assert.equal(await client.task('t', 1), 1);
  }));

  it('fails them by a reset as well', () => scripted((request, socket) => (request.task === 'die' ? socket.resetAndDestroy() : echo(request, socket)), {}, async (client) => {
    await assert.rejects(client.task('die'), (error) => error.code === lost.code && error.cause instanceof Error && /"die" was sent to http:.*may have run/.test(error.message));
    assert.equal(await client.task('t', 1), 1);
  }));

  it('in the middle of an answer fails its call', () => scripted((request, socket) => (request.task === 'die' ? socket.end(answerTo(request, 'text').slice(0, -3)) : echo(request, socket)), {}, async (client) => {
    await assert.rejects(client.task('die'), lost);
    assert.equal(await client.task('t', 1), 1);
  }));

  it('costs idempotent calls nothing but another attempt', () => {
    let deaths = 2;
    return scripted((request, socket) => (deaths-- > 0 ? socket.destroy() : echo(request, socket)), {}, async (client, server) => {
      assert.equal(await client.task('t', 1, { idempotent: true }), 1);
      assert.equal(server.connections.length, 3);
      assert.equal(client.stats().retries, 2);
    });
  });

  it('again and again ends them as well', () => scripted((_request, socket) => socket.destroy(), { retries: 3 }, async (client, server) => {
    await assert.rejects(client.task('t', 1, { idempotent: true }), lost);
    assert.equal(server.connections.length, 4);
  }));

  it('sends idempotent calls again for a share of all calls only', () => scripted((_request, socket) => socket.destroy(), { retries: 5, connections: 10 }, async (client, server) => {
    await Promise.all(times(100, () => assert.rejects(client.task('t', 1, { idempotent: true }), lost)));
    const requests = server.connections.reduce((sum, connection) => sum + connection.requests, 0);
    assert.ok(requests >= 110 && requests <= 131, `${requests} requests: 20 retries at once, and one for every ten calls`);
  }));

  it('sends elsewhere what stands behind its last answer, once', () => {
    const ran = new Map();
    return scripted((request, socket, connection) => {
      if (socket.writableEnded) return;
      ran.set(request.input, (ran.get(request.input) ?? 0) + 1);
      if (connection.requests === 5) socket.end(answerTo(request, request.input, { connection: 'close' }));
      else echo(request, socket);
    }, { pipelining: 32, connections: 2 }, async (client) => {
      await client.task('t', -1);
      await until(() => client.stats().servers[0].kind === 'fasttunnel', 'it is known');
      ran.clear();
      const numbers = times(100, (index) => index);
      assert.deepEqual(await Promise.all(numbers.map((number) => client.task('t', number))), numbers);
      assert.deepEqual([...ran.values()], numbers.map(() => 1));
      assert.ok(client.stats().retries > 0);
    });
  });

  it('behind its last answer fails what stands there if the server may be another, which may have begun with it', () => scripted((request, socket, connection) => {
    if (connection.requests === 3) socket.end(answerTo(request, request.input, { connection: 'close' }));
    else if (!socket.writableEnded) echo(request, socket);
  }, { pipelining: 8, connections: 1 }, async (client) => {
    assert.equal(await client.task('t', 0), 0);
    await until(() => client.stats().servers[0].kind === 'other', 'it is known');
    const outcomes = await Promise.all(times(6, (index) => outcome(client.task('t', index))));
    assert.deepEqual(outcomes.slice(0, 2), [0, 1]);
    assert.deepEqual(outcomes.slice(2), Array(4).fill(lost.code));
  }, { isOurs: false }));

  it('while nothing waits for it is replaced', () => scripted(echo, {}, async (client, server) => {
    assert.equal(await client.task('t', 1), 1);
    server.connections[0].socket.end();
    await until(() => client.stats().servers[0].connections === 0, 'the client has noticed');
    assert.equal(await client.task('t', 2), 2);
    assert.equal(server.connections.length, 2);
  }));
});

describe('an idle connection', () => {
  it('is not used any more shortly before the server would end it', () => scripted((request, socket) => {
    socket.write(answerTo(request, request.input, { connection: 'keep-alive\r\nKeep-Alive: timeout=1' }));
    clearTimeout(socket.timer);
    socket.timer = setTimeout(() => socket.destroy(), 1000);
  }, { pipelining: 1 }, async (client) => {
    for (const pause of [0, 450, 520, 700, 990, 1010]) {
      await sleep(pause);
      assert.equal(await client.task('t', pause), pause);
    }
    assert.equal(client.stats().failed, 0);
  }));

  it('is kept for idleTimeoutMs where the server says nothing', () => scripted((request, socket) => socket.write(answerTo(request, request.input, { connection: 'keep-alive' })), { idleTimeoutMs: 60, pipelining: 1 }, async (client, server) => {
    await client.task('t');
    await client.task('t');
    assert.equal(server.connections.length, 1);
    await sleep(80);
    await client.task('t');
    assert.equal(server.connections.length, 2);
  }));

  it('ends by itself', () => scripted(echo, { idleTimeoutMs: 60, pipelining: 1 }, async (client, server) => {
    server.connections.length = 0;
    await client.task('t');
    await until(() => server.open === 0, 'it has ended', 6000);
  }));
});

describe('an answer that cannot be', () => {
  const BAD = {
    'rubbish': () => 'SSH-2.0-OpenSSH_9.6\r\n',
    'rubbish in its head': (request) => answerTo(request, 1).replace('Access', '\0'),
    'one for another request': (request) => answerTo({ id: 'which-server' }, 1).replace(request.id, 'x'),
    'one with two lengths': (request) => answerTo(request, 1, { lines: 'content-length: 3\r\n' }),
  };
  for (const [what, make] of Object.entries(BAD)) {
    it(`${what}, closes its connection only`, () => scripted((request, socket) => {
      if (request.task === 'bad') socket.write(make(request));
      else if (request.task === 'slow') setTimeout(() => echo(request, socket), 100);
      else echo(request, socket);
    }, { pipelining: 1 }, async (client, server) => {
      assert.equal(await client.task('t', 1), 1);
      const others = times(5, (index) => client.task('slow', index));
      await sleep(20);
      await assert.rejects(client.task('bad'), bad);
      assert.deepEqual(await Promise.all(others), [0, 1, 2, 3, 4]);
      assert.equal(await client.task('t', 2), 2);
      await until(() => server.open < server.connections.length, 'the server hears of its end');
      assert.equal(server.open, server.connections.length - 1);
    }));
  }

  it('more than may be, closes its connection', () => scripted((request, socket) => (request.task === 'bad' ? socket.write(answerTo(request, 'x'.repeat(5000))) : echo(request, socket)), { maxAnswerBytes: 4096 }, async (client) => {
    await assert.rejects(client.task('bad'), { ...bad, message: /more than 4096 bytes \(maxAnswerBytes\)/ });
    assert.equal(await client.task('t', 1), 1);
  }));

  it('a second one to the same call is nobody else\'s', () => scripted((request, socket) => socket.write(answerTo(request, request.input).repeat(2)), {}, async (client) => {
    for (let round = 0; round < 20; round++) assert.equal(await client.task('t', round), round);
  }));

  it('a second one that comes late is nobody else\'s', () => scripted((request, socket) => {
    echo(request, socket);
    setTimeout(() => socket.write(answerTo(request, 'again')), 5);
  }, {}, async (client) => {
    const outcomes = await Promise.all(times(20, async (round) => {
      await sleep(round * 3);
      return outcome(client.task('t', round));
    }));
    for (const [round, got] of outcomes.entries()) assert.ok(got === round || got === bad.code || got === lost.code, `${got}`);
  }));

  it('of another order, fails what it may concern, and pipelining is over', () => {
    let held;
    return scripted((request, socket) => {
      if (request.task !== 'pair') return echo(request, socket);
      if (held === undefined) held = request;
      else {
        echo(request, socket);
        echo(held, socket);
      }
    }, { pipelining: 8, connections: 1 }, async (client, server) => {
      assert.equal(await client.task('t', 0), 0);
      const pair = times(2, (index) => outcome(client.task('pair', index)));
      assert.deepEqual(await Promise.all(pair), [bad.code, bad.code]);
      for (const connection of server.connections) connection.chunks.length = 0;
      assert.deepEqual(await Promise.all(times(10, (index) => client.task('t', index))), times(10, (index) => index));
      assert.deepEqual(server.connections.at(-1).chunks.length, 10, 'one call at a time');
      assert.equal(client.stats().servers[0].kind, 'other');
    });
  });

  it('with ids of the server\'s own says nothing of the order', () => scripted((request, socket) => socket.write(answerTo({ id: 'another' }, request.input)), { pipelining: 8 }, async (client) => {
    assert.deepEqual(await Promise.all(times(20, (index) => client.task('t', index))), times(20, (index) => index));
    assert.equal(client.stats().failed, 0);
  }));
});

describe('a server', () => {
  const FORMS = {
    'that answers in chunks': (_request, body) => `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n3\r\n${body.slice(0, 3)}\r\n${(body.length - 3).toString(16)}\r\n${body.slice(3)}\r\n0\r\n\r\n`,
    'that answers in HTTP/1.0': (_request, body) => `HTTP/1.0 200 OK\r\ncontent-type: application/json\r\n\r\n${body}`,
    'that says 100 Continue first': (_request, body) => `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    'that closes behind each answer': (_request, body) => `HTTP/1.1 200 OK\r\nConnection: close\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  };
  for (const [what, make] of Object.entries(FORMS)) {
    it(`${what} is understood, one call at a time`, () => scripted((request, socket) => {
      const text = make(request, `{"ok":true,"result":${request.input}}`);
      socket.write(text);
      if (text.startsWith('HTTP/1.0') || text.includes('close')) socket.end();
    }, { connections: 4 }, async (client, server) => {
      assert.deepEqual(await Promise.all(times(40, (index) => client.task('t', index))), times(40, (index) => index));
      assert.equal(client.stats().failed, 0);
      for (const { chunks } of server.connections) for (const chunk of chunks) assert.equal(chunk.toString().split('POST').length, 2, 'one call in a write');
      assert.ok(['other', 'unknown'].includes(client.stats().servers[0].kind));
    }));
  }

  it('that answers as we do, and resolves dot segments, is another, and gets one call at a time', () => scripted(echo, {}, async (client) => {
    await client.task('t', 1);
    await until(() => client.stats().servers[0].kind !== 'unknown', 'it is known');
    assert.equal(client.stats().servers[0].kind, 'other');
  }, { isOurs: false }));

  it('that answers no envelope fails its calls', () => scripted((request, socket) => socket.write(answerTo(request, 0, { ...JSON.parse(request.body).input })), {}, async (client) => {
    await assert.rejects(client.task('t', { body: '<html>' }), { name: 'RemoteError', code: 'INVALID_RESPONSE', status: 200 });
    await assert.rejects(client.task('t', { body: '' }), { code: 'INVALID_RESPONSE' });
    await assert.rejects(client.task('t', { body: '5' }), { code: 'INVALID_RESPONSE' });
    await assert.rejects(client.task('t', { body: '{"ok":true,"result":1,"result":' }), { code: 'INVALID_RESPONSE' });
    await assert.rejects(client.task('t', { body: 'Bad Gateway', status: '502 Bad Gateway' }), { code: 'HTTP_ERROR', status: 502, data: { statusCode: 502, bodyPreview: 'Bad Gateway' } });
    await assert.rejects(client.task('t', { body: '{"ok":false,"error":{}}' }), { name: 'RemoteError', code: 'UNKNOWN' });
    assert.equal(await client.task('t', { body: '{"ok":true,"result":1,"more":2}' }), 1);
  }));

  it('that is not there fails calls with a hint, after some attempts', async () => {
    const client = createClient({ url: 'http://127.0.0.1:1/__runner', retries: 2 });
    const started = performance.now();
    await assert.rejects(client.task('t'), { name: 'CallError', code: 'FASTTUNNEL_CONNECT', maybeRan: false, message: 'cannot connect to http://127.0.0.1:1/__runner: ECONNREFUSED. Nothing listens there: is the server running, and is this its port?' });
    assert.ok(performance.now() - started > 50, 'it was tried again');
    await assert.rejects(createClient({ socketPath: '/nowhere/x.sock', retries: 0 }).task('t'), { code: 'FASTTUNNEL_CONNECT', message: /unix:\/nowhere\/x.sock:.*ENOENT\. There is no such socket/ });
    await client.close();
  });

  it('that comes later gets the calls that wait for it', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address();
    server.close();
    await once(server, 'close');
    const client = createClient({ url: `http://127.0.0.1:${port}/__runner`, retries: 20, timeoutMs: 10_000 });
    const call = client.task('app.tasks.add', { a: 1, b: 2 });
    await sleep(100);
    await withTunnel({ port, tasks: { 'app.tasks.add': ({ a, b }) => a + b } }, async () => {
      assert.equal(await call, 3);
      await client.close();
    });
  });

  it('that takes connections and says nothing is given up after connectTimeoutMs', async () => {
    const server = createServer((socket) => socket.on('error', () => {})).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const client = createClient({ url: `https://127.0.0.1:${server.address().port}/`, connectTimeoutMs: 50, retries: 0 });
    await assert.rejects(client.task('t'), { code: 'FASTTUNNEL_CONNECT', maybeRan: false, message: /ETIMEDOUT/ });
    server.close();
  });
});

describe('a server that is too busy', () => {
  const busy = '{"ok":false,"error":{"message":"Service Unavailable","code":"SERVICE_UNAVAILABLE"}}';
  const refuse = (request, socket, lines) => socket.write(answerTo(request, 0, { status: '503 Service Unavailable', lines, body: busy }));

  it('gets a call again when it says so', () => {
    const at = [];
    return scripted((request, socket) => {
      at.push(performance.now());
      if (at.length === 1) refuse(request, socket, 'Retry-After: 1\r\n');
      else if (at.length === 2) refuse(request, socket, '');
      else echo(request, socket);
    }, {}, async (client) => {
      assert.equal(await client.task('t', 1), 1);
      assert.ok(at[1] - at[0] >= 1000 && at[2] - at[1] < 1000, `${at}`);
    });
  });

  it('refuses a call for good when its time would be over, or attempts are', () => scripted((request, socket) => refuse(request, socket, 'Retry-After: 1\r\n'), {}, async (client) => {
    const started = performance.now();
    await assert.rejects(client.task('t', 1, { timeoutMs: 500 }), { name: 'RemoteError', code: 'SERVICE_UNAVAILABLE', status: 503 });
    assert.ok(performance.now() - started < 400);
  }));

  it('is not waited for when it wants an hour, nor by a call that has ended meanwhile', () => scripted((request, socket) => refuse(request, socket, `Retry-After: ${request.input}\r\n`), { timeoutMs: 0 }, async (client) => {
    await assert.rejects(client.task('t', 3600), { code: 'SERVICE_UNAVAILABLE' });
    const controller = new AbortController();
    const call = client.task('t', 50, { signal: controller.signal });
    await until(() => client.stats().queued === 1, 'it waits for its next attempt');
    controller.abort();
    await assert.rejects(call, { name: 'AbortError' });
    assert.equal(client.stats().queued, 0);
    const left = client.task('t', 50);
    await until(() => client.stats().queued === 1, 'it waits for its next attempt');
    client.destroy();
    await assert.rejects(left, { code: 'FASTTUNNEL_CLOSED', maybeRan: false });
  }));

  it('is not what a handler says that fails with 503', () => {
    let calls = 0;
    return withTunnel({ tasks: { t: () => { calls += 1; throw new TaskError('closed', { id: 'app.errors.closed', data: {}, httpCode: 503 }); } } }, async (tunnel) => {
      const client = createClient({ url: tunnel.url });
      await assert.rejects(client.task('t'), { status: 503, id: 'app.errors.closed' });
      assert.equal(calls, 1);
      await assert.rejects(client.task('t', 1, { idempotent: true }), { status: 503 });
      assert.equal(calls, 4);
      await client.close();
    });
  });

  it('is asked again after the overload of a tunnel', () => withTunnel({ tasks: { t: async () => { await sleep(30); return 1; } }, limits: { maxCallsInFlight: 1 } }, async (tunnel) => {
    const client = createClient({ url: tunnel.url, retries: 5 });
    assert.deepEqual(await Promise.all([client.task('t'), client.task('t')]), [1, 1]);
    assert.equal(client.stats().retries, 1);
    await client.close();
  }));
});

describe('a server with TLS', { skip: spawnSync('openssl', ['version']).status === 0 ? false : 'no openssl here' }, () => {
  it('is called, and its certificate is checked', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'fasttunnel-tls-'));
    const [key, cert] = ['key.pem', 'cert.pem'].map((name) => join(folder, name));
    execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', key, '-out', cert, '-days', '2', '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'], { stdio: 'ignore' });
    const server = createSecureServer({ key: readFileSync(key), cert: readFileSync(cert) }, async (request, response) => {
      const chunks = [];
      for await (const chunk of request) chunks.push(chunk);
      response.setHeader('content-type', 'application/json').end(`{"ok":true,"result":${JSON.stringify(JSON.parse(Buffer.concat(chunks)).input ?? null)}}`);
    }).listen(0);
    await once(server, 'listening');
    const url = `https://localhost:${server.address().port}/__runner`;
    const client = createClient({ url, tls: { ca: readFileSync(cert) } });
    assert.deepEqual(await Promise.all(times(50, (index) => client.task('t', index))), times(50, (index) => index));
    assert.equal(await client.task('t', 'x'.repeat(300_000)), 'x'.repeat(300_000));
    const stranger = createClient({ url, retries: 0 });
    await assert.rejects(stranger.task('t', 1), { code: 'FASTTUNNEL_CONNECT', maybeRan: false });
    await Promise.all([client.close(), stranger.close()]);
    server.closeAllConnections();
    server.close();
    rmSync(folder, { recursive: true });
  });
});

describe('a call whose time is over', () => {
  it('ends, and its connection with it', () => scripted((request, socket) => (request.task === 'never' ? undefined : echo(request, socket)), {}, async (client, server) => {
    assert.equal(await client.task('t', 1), 1);
    const started = performance.now();
    await assert.rejects(client.task('never', 1, { timeoutMs: 60 }), { code: 'FASTTUNNEL_TIMEOUT', maybeRan: true, message: /"never" has no answer from http.* after 60 ms \(timeoutMs\)\. It was sent: its handler may have run/ });
    assert.ok(performance.now() - started >= 59);
    assert.equal(await client.task('t', 2), 2);
    await until(() => server.connections[0].socket.destroyed || server.open === 1, 'the silent connection is closed');
  }));

  it('ends while it waits for a connection, and is never sent', () => scripted((request, socket) => (request.task === 'never' ? undefined : echo(request, socket)), { connections: 1, pipelining: 1 }, async (client, server) => {
    const never = assert.rejects(client.task('never', 1, { timeoutMs: 200 }), { code: 'FASTTUNNEL_TIMEOUT', maybeRan: true });
    await assert.rejects(client.task('t', 1, { timeoutMs: 50 }), { code: 'FASTTUNNEL_TIMEOUT', maybeRan: false, message: /It was not sent/ });
    await never;
    assert.equal(server.connections.reduce((sum, { requests }) => sum + requests, 0), 1);
  }));

  it('is timed by itself, whatever others have', () => scripted(() => {}, {}, async (client) => {
    const ended = [];
    await Promise.all([900, 60, 500, 20].map((timeoutMs) => client.task('never', 1, { timeoutMs }).catch(() => ended.push(timeoutMs))));
    assert.equal(ended.length, 4);
    assert.ok(ended.indexOf(20) < 2 && ended.indexOf(60) < 2 && ended[3] === 900, `${ended}`);
  }));

  it('is never over with timeoutMs: 0', () => scripted((request, socket) => setTimeout(() => echo(request, socket), 150), { timeoutMs: 50 }, async (client) => {
    assert.equal(await client.task('t', 1, { timeoutMs: 0 }), 1);
  }));
});

describe('a call that is aborted', () => {
  it('before it is made costs nothing', () => scripted(echo, {}, async (client, server) => {
    const reason = new Error('no longer');
    await assert.rejects(client.task('t', 1, { signal: AbortSignal.abort(reason) }), (error) => error === reason);
    assert.equal(client.stats().calls, 0);
    assert.equal(server.connections.length, 0);
  }));

  it('while it waits is never sent', () => scripted((request, socket) => (request.task === 'never' ? undefined : echo(request, socket)), { connections: 1, pipelining: 1 }, async (client, server) => {
    const first = client.task('never', 1, { timeoutMs: 100 });
    const controller = new AbortController();
    const second = client.task('t', 1, { signal: controller.signal });
    await sleep(20);
    controller.abort();
    await assert.rejects(second, { name: 'AbortError' });
    await assert.rejects(first);
    assert.equal(server.connections.length, 1);
    assert.equal(client.stats().aborted, 1);
  }));

  it('while it runs ends its connection, so that the handler\'s signal aborts', async () => {
    const signals = [];
    await withTunnel({ tasks: { t: (x) => x, slow: async (_input, { signal }) => { signals.push(signal); await sleep(2000); } } }, async (tunnel) => {
      const client = createClient({ url: tunnel.url });
      assert.equal(await client.task('t', 1), 1);
      const controller = new AbortController();
      const call = client.task('slow', 1, { signal: controller.signal });
      await until(() => signals.length === 1, 'the handler runs');
      controller.abort(new Error('enough'));
      await assert.rejects(call, { message: 'enough' });
      await until(() => signals[0].aborted, 'the signal aborts', 1500);
      assert.equal(await client.task('t', 2), 2);
      client.destroy();
    });
  });

  it('leaves others on its connection their answers', () => {
    let slow;
    return scripted((request, socket) => {
      if (request.task === 'slow') slow = () => echo(request, socket);
      else if (slow === undefined) echo(request, socket);
      else {
        const before = slow;
        slow = () => { before(); echo(request, socket); };
      }
    }, { pipelining: 8, connections: 1 }, async (client, server) => {
      assert.equal(await client.task('t', 0), 0);
      const controller = new AbortController();
      const calls = [client.task('slow', 1, { signal: controller.signal }), client.task('t', 2), client.task('t', 3)];
      await until(() => server.connections[0].requests === 4, 'all are sent');
      controller.abort();
      await assert.rejects(calls[0], { name: 'AbortError' });
      const late = client.task('late', 4);
      slow();
      slow = undefined;
      assert.deepEqual(await Promise.all(calls.slice(1)), [2, 3]);
      assert.equal(await late, 4);
      assert.equal(server.connections.length, 2);
    });
  });
});

describe('too many calls', () => {
  it('are refused by the client itself', () => scripted(() => {}, { connections: 1, pipelining: 1, maxQueued: 10 }, async (client) => {
    const calls = times(12, () => outcome(client.task('t', 1, { timeoutMs: 100 })));
    assert.deepEqual(await Promise.all(calls), [...Array(10).fill('FASTTUNNEL_TIMEOUT'), ...Array(2).fill('FASTTUNNEL_QUEUE_FULL')]);
  }));
});
