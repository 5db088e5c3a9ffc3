// Who calls: what handlers are told, which proxies are believed, and who is let in.
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { tmpdir } from 'node:os';
import { it } from 'node:test';
import { callerOf, tasks } from './support/callers.mjs';
import { certificate } from './support/certificates.mjs';
import { request, withSession } from './support/http2.mjs';
import { RawSocket, taskBytes } from './support/raw-socket.mjs';
import { exposuresFor, R, TOKEN, withApp } from './support/runner-apps.mjs';
import { onBothDrivers, until, withTunnel } from './support/tunnels.mjs';

const WORKERS = new URL('fixtures/workers/tasks.mjs', import.meta.url);
const { pem } = certificate();

/** Calls the task `caller` over a connection of its own; gives its result, and the port of this end. */
async function ask(tunnel, headers = {}) {
  const socket = await RawSocket.connect(tunnel);
  const { localPort } = socket.socket;
  socket.write(taskBytes('caller', null, { connection: 'close', ...headers }));
  const { status, body } = await socket.answer();
  socket.destroy();
  return { status, localPort, ...JSON.parse(body).result };
}

/** The same under TLS. */
const askOverTls = (tunnel) => new Promise((resolve, reject) => {
  const asked = https.request(`${tunnel.url}/task/caller`, { method: 'POST', ca: pem.cert, agent: false }, (answer) => {
    answer.on('data', (text) => resolve(JSON.parse(text).result)).on('error', reject);
  });
  asked.on('error', reject).end('{}');
});

/** With a header line that is sent several times. */
const lines = (...values) => ({ 'x-forwarded-for': values.join('\r\nx-forwarded-for: ') });

onBothDrivers('callers', (driver) => {
  const serve = (options, body) => withTunnel({ driver, shards: 1, tasks, ...options }, body);

  it('a handler is told who calls, when it asks', () => serve({}, async (tunnel) => {
    const { localPort, status, ...caller } = await ask(tunnel, { host: 'a.example:1' });
    assert.deepEqual([status, caller], [200, { address: '127.0.0.1', port: localPort, protocol: 'http', host: 'a.example:1', version: '1.1' }]);
  }));

  it('over a unix socket nobody has an address', async () => {
    const socketPath = `${tmpdir()}/fasttunnel-callers-${process.pid}.sock`;
    await serve({ socketPath }, async (tunnel) => {
      const { localPort: _, status, ...caller } = await ask({ ...tunnel, socketPath });
      assert.deepEqual([status, caller], [200, { address: null, port: null, protocol: 'http', host: 'localhost', version: '1.1' }]);
    });
    rmSync(socketPath, { force: true });
  });

  it('under TLS and over HTTP/2 as well', async () => {
    await serve({ tls: pem }, async (tunnel) => {
      const { address, protocol, version } = await askOverTls(tunnel);
      assert.deepEqual([address, protocol, version], ['127.0.0.1', 'https', '1.1']);
    });
    await serve({}, (tunnel) => withSession(tunnel, async (session) => {
      const told = await Promise.all([1, 2].map(() => request(session, { ':path': '/__runner/task/caller' }, '{}')));
      const { localPort } = session.socket;
      for (const { text } of told) assert.deepEqual(JSON.parse(text).result, { address: '127.0.0.1', port: localPort, protocol: 'http', host: `127.0.0.1:${tunnel.port}`, version: '2.0' });
    }));
  });

  it('wherever shards and handlers run', async () => {
    for (const options of [{ placement: 'inline' }, { shards: 3, placement: 'threads' }, { tasks: undefined, workers: 2, handlers: WORKERS, shards: 2 }]) {
      await withTunnel({ driver, tasks, trustProxy: 1, ...options }, async (tunnel) => {
        const told = await Promise.all(Array.from({ length: 12 }, () => ask(tunnel)));
        for (const { address, port, localPort } of told) assert.deepEqual([address, port], ['127.0.0.1', localPort]);
        assert.equal((await ask(tunnel, lines('203.0.113.9'))).address, '203.0.113.9');
      });
    }
  });

  it('what was asked for is known behind the answer, and nothing else', async () => {
    const contexts = [];
    await serve({ tasks: { keep: (_input, context) => { contexts.push(context); return contexts.length === 1 ? context.remoteAddress : null; } } }, async (tunnel) => {
      const socket = await RawSocket.connect(tunnel);
      for (const _ of [1, 2]) {
        socket.write(taskBytes('keep', null));
        await socket.answer();
      }
      assert.deepEqual(contexts.map(({ remoteAddress, protocol }) => [remoteAddress, protocol]), [['127.0.0.1', 'http'], [undefined, undefined]]);
      socket.destroy();
    });
  });

  it('fields of proxies are believed from those that are trusted, from the right', async () => {
    const forged = { ...lines('203.0.113.1', '203.0.113.9, 10.0.0.2'), 'x-forwarded-proto': 'https', 'x-forwarded-host': 'a.example' };
    for (const [trustProxy, address, protocol, host] of [
      [undefined, '127.0.0.1', 'http', 'localhost'],
      [['10.0.0.0/8'], '127.0.0.1', 'http', 'localhost'],
      [0, '127.0.0.1', 'http', 'localhost'],
      [['127.0.0.1'], '10.0.0.2', 'https', 'a.example'],
      [1, '10.0.0.2', 'https', 'a.example'],
      [['127.0.0.0/8', '10.0.0.0/8'], '203.0.113.9', 'https', 'a.example'],
      [2, '203.0.113.9', 'https', 'a.example'],
    ]) {
      await serve(trustProxy === undefined ? {} : { trustProxy }, async (tunnel) => {
        const told = await ask(tunnel, forged);
        assert.deepEqual([told.address, told.protocol, told.host], [address, protocol, host], JSON.stringify(trustProxy));
      });
    }
  });

  it('Forwarded is read as well, and two fields that contradict each other are not believed', () => serve({ trustProxy: ['127.0.0.1'] }, async (tunnel) => {
    const told = await ask(tunnel, { forwarded: 'for=203.0.113.1, for="[2001:db8::9]:4711";proto=https;host="b.example:8"' });
    assert.deepEqual([told.address, told.port, told.protocol, told.host], ['2001:db8::9', 4711, 'https', 'b.example:8']);
    const both = await ask(tunnel, { forwarded: 'for=203.0.113.1', ...lines('203.0.113.9') });
    assert.deepEqual([both.status, both.address, both.port], [200, null, null]);
  }));

  it('access is decided before the first byte where no proxy is trusted: the connection is closed', async () => {
    for (const access of [{ allow: ['10.0.0.0/8'] }, { deny: ['127.0.0.0/8'] }, { allow: ['127.0.0.1'], deny: ['127.0.0.1'] }]) {
      for (const tls of [undefined, pem]) {
        await serve({ access, ...(tls === undefined ? {} : { tls }) }, async (tunnel) => {
          const socket = await RawSocket.connect(tunnel);
          await socket.end();
          assert.equal(socket.rest, '');
          await until(() => tunnel.stats().shards[0].denied === 1, 'it was counted');
          assert.equal(tunnel.stats().shards[0].connections, 0);
        });
      }
    }
    await serve({ access: { allow: ['127.0.0.1'] } }, async (tunnel) => assert.equal((await ask(tunnel)).address, '127.0.0.1'));
  });

  it('access is decided by request where proxies are trusted: 403, and the next request is served', () => serve({ trustProxy: ['127.0.0.1'], access: { deny: ['203.0.113.0/24'], allow: ['203.0.0.0/16', '::/0'] } }, async (tunnel) => {
    const socket = await RawSocket.connect(tunnel);
    for (const [headers, status] of [
      [lines('203.0.113.9'), 403],
      [lines('203.0.114.9'), 200],
      // A client's own word is to the left.
      [lines('203.0.114.9', '203.0.113.9'), 403],
      [lines('2001:db8::1'), 200],
      [lines('unknown'), 403],
      [{ ...lines('203.0.114.9'), forwarded: 'for=2.2.2.2' }, 403],
    ]) {
      socket.write(taskBytes('add', { a: 1, b: 2 }, headers));
      const answer = await socket.answer();
      assert.equal(answer.status, status, JSON.stringify(headers));
      if (status === 403) assert.equal(answer.body, '{"ok":false,"error":{"message":"Forbidden","code":"FORBIDDEN"}}');
    }
    assert.equal(tunnel.stats().shards[0].denied, 4);
    assert.equal(tunnel.stats().shards[0].calls, 2);
    socket.destroy();
    await withSession(tunnel, async (session) => {
      const asked = (from) => request(session, { ':path': '/__runner/task/add', 'x-forwarded-for': from }, '{"input":{"a":1,"b":2}}');
      assert.deepEqual((await Promise.all([asked('203.0.113.9'), asked('203.0.114.9')])).map(({ status }) => status), [403, 200]);
    });
  }));

  it('under Runner the context tells it, and a server of the app leaves it to that', async () => {
    const task = R.r.task('app.caller').run(async () => callerOf(R.useExposureContext().req)).build();
    const exposure = exposuresFor(driver).fastTunnel;
    const asked = async (url, headers) => (await (await fetch(`${url}/task/app.caller`, { method: 'POST', headers: { 'x-runner-token': TOKEN, ...headers }, body: '{}' })).json()).result;
    await withApp(exposure, { items: [task], engine: { trustProxy: ['127.0.0.1'] } }, async ({ url }) => {
      const told = await asked(url, { 'x-forwarded-for': '203.0.113.9', 'x-forwarded-proto': 'https' });
      assert.deepEqual([told.address, told.protocol, told.version], ['203.0.113.9', 'https', '1.1']);
    });
    const server = http.createServer();
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      await withApp(exposure, { items: [task], http: { server, listen: undefined }, engine: { trustProxy: 3, access: { allow: ['10.0.0.0/8'] } } }, async ({ url }) => {
        const told = await asked(url, { 'x-forwarded-for': '203.0.113.9' });
        assert.deepEqual([told.address, told.protocol], [null, null], 'its requests have no connection here');
      });
    } finally {
      server.close();
    }
  });
});

it('what is wrong with an option about callers is said', async () => {
  const { fastTunnel } = await import('fasttunnel');
  const auth = { allowAnonymous: true };
  for (const [options, message] of [
    [{ trustProxy: true }, /^trustProxy must be an array of networks, or an integer from 0 to 32 \(proxies in a row\), got true\. For example/],
    [{ trustProxy: -1 }, /^trustProxy must be/],
    [{ trustProxy: ['10.0.0.1/8'] }, /^trustProxy\[0\] has bits behind its prefix of 8, got '10\.0\.0\.1\/8'\. Write zeros there/],
    [{ trustProxy: ['::1', '2001:db8::1/32'] }, /^trustProxy\[1\] has bits behind its prefix/],
    [{ trustProxy: ['::ffff:10.0.0.1/104'] }, /^trustProxy\[0\] has bits behind its prefix/],
    [{ trustProxy: ['a.example'] }, /^trustProxy\[0\] must be an address or a network, got 'a\.example'/],
    [{ trustProxy: ['10.0.0.0/33'] }, /^trustProxy\[0\] must have a prefix from 0 to 32/],
    [{ trustProxy: ['fe80::1%eth0'] }, /^trustProxy\[0\] must be an address/],
    [{ proxyProtocol: 'on' }, /^proxyProtocol must be true, 'optional' or an object, got 'on'/],
    [{ proxyProtocol: { trusted: [] } }, /^proxyProtocol\.trusted is not an option\. Did you mean proxyProtocol\.from\?/],
    [{ access: { allow: ['unix'] } }, /^access\.allow\[0\] must be an address or a network/],
    [{ access: { block: [] } }, /^access\.block is not an option\. Did you mean access\.deny\?/],
    [{ allow: [] }, /^allow is not an option\. Did you mean access\.allow\?/],
  ]) {
    await assert.rejects(fastTunnel({ auth, ...options }), (error) => {
      assert.match(error.message, message);
      return error.code === 'FASTTUNNEL_BAD_OPTION';
    });
  }
  for (const trustProxy of [['::ffff:10.0.0.0/104'], ['2001:db8::/32', '0.0.0.0/0', '::/0', 'unix'], 32]) await (await fastTunnel({ auth, trustProxy })).close();
});
