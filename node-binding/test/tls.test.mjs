// HTTPS: what holds of calls holds under TLS as well, and real clients are served.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import https from 'node:https';
import { describe, it } from 'node:test';
import tls from 'node:tls';
import { ClosedError, fastTunnel, StateError, TunnelServer } from 'fasttunnel';
import { createClient } from 'fasttunnel/client';
import { certificate } from './support/certificates.mjs';
import { curl } from './support/curl.mjs';
import { RawSocket, taskBytes } from './support/raw-socket.mjs';
import { onBothDrivers, sleep, until, withTunnel } from './support/tunnels.mjs';

const { pem: OWN, files: OWN_FILES } = certificate();
const { pem: OTHER } = certificate({ name: 'other' });
const MEBIBYTE = 1024 * 1024;

const tasks = {
  add: ({ a, b }) => a + b,
  echo: (input) => input,
  large: (bytes) => 'x'.repeat(bytes),
  sleep: async (ms) => { await sleep(ms); return ms; },
  stream: async function* (pieces) { for (let piece = 0; piece < pieces; piece++) yield Buffer.alloc(50_000, piece); },
  length: async (_input, { body }) => { let bytes = 0; for await (const chunk of body) bytes += chunk.length; return bytes; },
};
// An async generator is no task's result by itself.
tasks.bytes = (pieces) => tasks.stream(pieces);

/** A connection of TLS to a tunnel, by hand. */
async function connect(tunnel, options = {}) {
  const socket = tls.connect({ host: tunnel.host, port: tunnel.port, ca: OWN.cert, servername: 'localhost', ALPNProtocols: ['http/1.1'], ...options });
  await once(socket, 'secureConnect');
  return new RawSocket(socket);
}

/** A request of Node's https: status and bytes. */
function request(tunnel, path, { body = '', headers = {}, agent = false, ca = OWN.cert } = {}) {
  return new Promise((resolve, reject) => {
    const asked = https.request(`${tunnel.url}${path}`, { method: 'POST', ca, agent, headers: { 'content-type': 'application/json', ...headers } }, (answer) => {
      const [chunks, name] = [[], answer.socket.getPeerCertificate().subject?.CN];
      answer.on('data', (chunk) => chunks.push(chunk));
      answer.on('end', () => resolve({ status: answer.statusCode, bytes: Buffer.concat(chunks), certificate: name, reused: asked.reusedSocket }));
      answer.on('error', reject);
    });
    asked.on('error', reject);
    asked.end(body);
  });
}

const sum = (tunnel, name) => tunnel.stats().shards.reduce((total, shard) => total + shard[name], 0);
const call = (tunnel, id, input, options) => request(tunnel, `/task/${id}`, { body: JSON.stringify({ input }), ...options });

onBothDrivers('https', (driver) => {
  const withTls = (body, options = {}) => withTunnel({ driver, shards: 2, tasks, tls: OWN, ...options }, body);

  it('is what the url says, and calls are answered on one connection after the other', () => withTls(async (tunnel) => {
    assert.match(tunnel.url, /^https:\/\/127\.0\.0\.1:\d+\/__runner$/);
    const agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
    for (let round = 0; round < 5; round++) {
      const { status, bytes, reused } = await call(tunnel, 'add', { a: round, b: 1 }, { agent });
      assert.deepEqual([status, String(bytes), reused], [200, `{"ok":true,"result":${round + 1}}`, round > 0]);
    }
    agent.destroy();
    assert.equal(sum(tunnel, 'accepted'), 1);
  }));

  it('carries answers and bodies of megabytes whole', () => withTls(async (tunnel) => {
    const text = 'é'.repeat(MEBIBYTE / 2);
    const [small, large, echoed] = await Promise.all([call(tunnel, 'large', 1), call(tunnel, 'large', 8 * MEBIBYTE), call(tunnel, 'echo', text)]);
    assert.equal(String(small.bytes), '{"ok":true,"result":"x"}');
    assert.equal(large.bytes.length, 8 * MEBIBYTE + '{"ok":true,"result":""}'.length);
    assert.equal(JSON.parse(String(echoed.bytes)).result, text);
  }));

  it('streams both ways', () => withTls(async (tunnel) => {
    const { bytes } = await call(tunnel, 'bytes', 40);
    assert.equal(bytes.length, 40 * 50_000);
    for (let piece = 0; piece < 40; piece++) assert.ok(bytes.subarray(piece * 50_000, (piece + 1) * 50_000).every((byte) => byte === piece), `piece ${piece}`);
    const sent = await request(tunnel, '/task/length', { body: Buffer.alloc(3 * MEBIBYTE), headers: { 'content-type': 'application/octet-stream' } });
    assert.equal(String(sent.bytes), `{"ok":true,"result":${3 * MEBIBYTE}}`);
  }));

  it('answers pipelined requests in their order, however records and requests overlap', () => withTls(async (tunnel) => {
    const socket = await connect(tunnel);
    const requests = Buffer.from(Array.from({ length: 200 }, (_, index) => taskBytes('echo', index)).join(''));
    // Each write is a record of its own.
    for (let from = 0; from < requests.length; from += 777) await socket.write(requests.subarray(from, from + 777));
    for (let index = 0; index < 200; index++) assert.equal((await socket.answer()).body, `{"ok":true,"result":${index}}`);
    // Requests that come byte by byte, too.
    for (const byte of taskBytes('echo', 'slow')) await socket.write(byte);
    assert.equal((await socket.answer()).body, '{"ok":true,"result":"slow"}');
    socket.destroy();
  }));

  it('refuses what plain HTTP refuses, and closes with close_notify', () => withTls(async (tunnel) => {
    const socket = await connect(tunnel);
    await socket.write('GET / HTTP/9.9\r\n\r\n');
    assert.equal((await socket.answer()).status, 505);
    // Without close_notify it would be an error.
    const errors = [];
    socket.socket.on('error', (error) => errors.push(error));
    await socket.end();
    assert.deepEqual(errors, []);
  }));

  it('answers a large body early, which the client still sends whole', () => withTls(async (tunnel) => {
    const socket = await connect(tunnel);
    const rest = Buffer.alloc(24 * MEBIBYTE, 'x');
    await socket.write(`POST /__runner/task/nobody HTTP/1.1\r\nHost: x\r\nContent-Length: ${rest.length}\r\n\r\n`);
    assert.equal((await socket.answer()).status, 403);
    await socket.write(rest);
    await socket.write(taskBytes('echo', 'next'));
    assert.equal((await socket.answer()).body, '{"ok":true,"result":"next"}');
    socket.destroy();
  }));

  it('lets a client go that says that it sends no more, once it has its answer', () => withTls(async (tunnel) => {
    const socket = await connect(tunnel, { allowHalfOpen: true });
    await socket.write(taskBytes('sleep', 100));
    socket.socket.end();
    assert.equal((await socket.answer()).body, '{"ok":true,"result":100}');
    await socket.end();
  }));

  it('drains: the call under way is answered, idle connections end', () => withTls(async (tunnel) => {
    const [busy, idle] = [await connect(tunnel), await connect(tunnel)];
    await busy.write(taskBytes('sleep', 300));
    await until(() => sum(tunnel, 'inFlight') === 1, 'the call runs');
    const closing = tunnel.close();
    await idle.end();
    const answer = await busy.answer();
    assert.deepEqual([answer.status, answer.headers.connection], [200, 'close']);
    await busy.end();
    await closing;
  }));

  it('takes over a unix socket, too', () => withTls(async (tunnel) => {
    const socket = tls.connect({ path: tunnel.socketPath, ca: OWN.cert, servername: 'localhost' });
    await once(socket, 'secureConnect');
    const raw = new RawSocket(socket);
    await raw.write(taskBytes('add', { a: 1, b: 2 }));
    assert.equal((await raw.answer()).body, '{"ok":true,"result":3}');
    raw.destroy();
  }, { socketPath: `/tmp/fasttunnel-tls-${process.pid}.sock` }));

  it('leaves the admin listener plain that says nothing of it', () => withTls(async (tunnel) => {
    assert.match(tunnel.admin.url, /^http:/);
    assert.equal((await fetch(`${tunnel.admin.url}/livez`)).status, 200);
  }, { admin: {} }));

  it('is spoken by our own client and by curl, in both versions', () => withTls(async (tunnel) => {
    const client = createClient({ url: tunnel.url, tls: { ca: OWN.cert } });
    assert.equal(await client.task('add', { a: 2, b: 3 }), 5);
    await client.close();
    for (const [version, http] of [[['--tlsv1.2', '--tls-max', '1.2'], '2'], [['--tlsv1.3'], '2'], [['--http2'], '2'], [['--http1.1'], '1.1']]) {
      const { stdout } = await curl(...version, '--cacert', OWN_FILES.cert, '-w', ' %{http_version}', '-d', '{"input":{"a":1,"b":1}}', `${tunnel.url}/task/add`);
      assert.equal(stdout, `{"ok":true,"result":2} ${http}`, version.join(' '));
    }
  }));

  it('takes sessions up again by tickets, in both versions', () => withTls(async (tunnel) => {
    for (const version of ['TLSv1.2', 'TLSv1.3']) {
      const versions = { minVersion: version, maxVersion: version };
      const first = await connect(tunnel, versions);
      const session = version === 'TLSv1.2' ? Promise.resolve([first.socket.getSession()]) : once(first.socket, 'session');
      await first.write(taskBytes('echo', 1));
      await first.answer();
      const second = await connect(tunnel, { ...versions, session: (await session)[0] });
      assert.deepEqual([second.socket.getProtocol(), second.socket.isSessionReused(), second.socket.alpnProtocol], [version, true, 'http/1.1']);
      await second.write(taskBytes('echo', 2));
      assert.equal((await second.answer()).status, 200);
      for (const socket of [first, second]) socket.destroy();
    }
  }));

  it('speaks 1.3 alone where minVersion says so', () => withTls(async (tunnel) => {
    await assert.rejects(connect(tunnel, { maxVersion: 'TLSv1.2' }), /alert protocol version/);
    (await connect(tunnel)).destroy();
  }, { tls: { ...OWN, minVersion: 'TLSv1.3' } }));

  it('has certificates of RSA and Ed25519, too', async () => {
    for (const kind of ['rsa', 'ed25519']) {
      const { pem: own } = certificate({ kind });
      await withTls(async (tunnel) => {
        assert.equal(String((await call(tunnel, 'add', { a: 1, b: 1 }, { ca: own.cert })).bytes), '{"ok":true,"result":2}', kind);
      }, { tls: own });
    }
  });

  it('refuses to negotiate anew, and serves on', () => withTls(async (tunnel) => {
    const client = spawn('openssl', ['s_client', '-connect', `127.0.0.1:${tunnel.port}`, '-tls1_2', '-CAfile', OWN_FILES.cert, '-quiet', '-no_ign_eof']);
    client.on('error', () => {});
    client.stdin.on('error', () => {});
    let said = '';
    for (const stream of [client.stdout, client.stderr]) stream.on('data', (chunk) => { said += chunk; });
    client.stdin.write(taskBytes('echo', 'before'));
    await until(() => said.includes('"before"'), 'the first answer');
    client.stdin.write('R\n');
    await once(client, 'exit');
    assert.match(said, /no renegotiation/i);
    assert.equal((await call(tunnel, 'echo', 1)).status, 200);
  }));

  it('lets a client have its keys renewed in the middle', () => withTls(async (tunnel) => {
    const client = spawn('openssl', ['s_client', '-connect', `127.0.0.1:${tunnel.port}`, '-tls1_3', '-CAfile', OWN_FILES.cert, '-no_ign_eof']);
    client.stdin.on('error', () => {});
    let said = '';
    for (const stream of [client.stdout, client.stderr]) stream.on('data', (chunk) => { said += chunk; });
    client.stdin.write(taskBytes('echo', 'before'));
    await until(() => said.includes('"before"'), 'the first answer');
    client.stdin.write('K\n');
    await until(() => said.includes('KEYUPDATE'), 'the keys are renewed');
    await sleep(50);
    client.stdin.write(taskBytes('echo', 'behind'));
    await until(() => said.includes('"behind"'), 'the second answer');
    client.kill();
    await once(client, 'exit');
  }));

  it('changes certificates while it serves, and no call fails', () => withTls(async (tunnel) => {
    const kept = await connect(tunnel);
    let [stop, calls] = [false, 0];
    const seen = new Set();
    const load = Array.from({ length: 4 }, async () => {
      while (!stop) {
        // Connections of their own, and one that goes on.
        const answer = await call(tunnel, 'echo', calls, { ca: [OWN.cert, OTHER.cert] });
        assert.equal(answer.status, 200);
        seen.add(answer.certificate);
        calls += 1;
      }
    });
    for (let round = 0; round < 10; round++) {
      tunnel.setTls(round % 2 === 0 ? OTHER : OWN);
      await kept.write(taskBytes('echo', round));
      assert.equal((await kept.answer()).body, `{"ok":true,"result":${round}}`);
      await sleep(30);
    }
    tunnel.setTls(OTHER);
    const { certificate: last } = await call(tunnel, 'echo', 1, { ca: OTHER.cert });
    assert.throws(() => tunnel.setTls({ cert: OWN.cert, key: OTHER.key }), { option: 'tls.key' });
    const { certificate: same } = await call(tunnel, 'echo', 1, { ca: OTHER.cert });
    stop = true;
    await Promise.all(load);
    assert.deepEqual([[...seen].sort(), last, same], [['localhost', 'other'], 'other', 'other']);
    assert.ok(calls > 20, `${calls} calls`);
    kept.destroy();
  }));
});

describe('setTls', () => {
  it('is refused where nothing is encrypted, and at the end', async () => {
    const tunnel = await fastTunnel({ auth: { allowAnonymous: true } });
    assert.throws(() => tunnel.setTls(OWN), StateError);
    await tunnel.close();
    assert.throws(() => tunnel.setTls(OWN), ClosedError);
  });

  it('holds for a tunnel that does not listen yet', async () => {
    const server = new TunnelServer({ auth: { allowAnonymous: true }, tls: OWN, tasks });
    server.setTls(OTHER);
    await server.listen();
    assert.equal((await call(server, 'echo', 1, { ca: OTHER.cert })).certificate, 'other');
    await server.close();
  });
});

