// HTTP/2 as others speak it: in clear by prior knowledge, and over TLS where ALPN agrees on it.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import http2 from 'node:http2';
import { it } from 'node:test';
import { promisify } from 'node:util';
import tls from 'node:tls';
import { Agent, request as undici } from 'undici';
import { findProgram } from '../../loadtest/attacks/servers/debian.mjs';
import { certificate } from './support/certificates.mjs';
import { curl, findCurl } from './support/curl.mjs';
import { callTask } from './support/http2.mjs';
import { reasonFor } from './support/programs.mjs';
import { onBothDrivers, withTunnel } from './support/tunnels.mjs';

const run = promisify(execFile);
const findNghttp = () => findProgram({ name: 'nghttp', packages: ['nghttp2-client', 'libnghttp2-14', 'libev4', 'libc-ares2', 'libjemalloc2', 'libxml2'], at: 'usr/bin/nghttp', probe: ['--version'] });
const { pem: OWN, files } = certificate();
const tasks = { echo: (input) => input, one: () => 1, large: (bytes) => 'x'.repeat(bytes) };

onBothDrivers('HTTP/2 clients', (driver) => {
  const withTls = (body, options = {}) => withTunnel({ driver, tasks, tls: OWN, ...options }, body);
  const connect = (tunnel, options = {}) => http2.connect(`https://${tunnel.host}:${tunnel.port}`, { ca: OWN.cert, servername: 'localhost', ...options });

  it("Node's, over TLS", () => withTls(async (tunnel) => {
    const session = connect(tunnel);
    try {
      const answers = await Promise.all(Array.from({ length: 200 }, (_, at) => callTask(session, 'echo', { at })));
      assert.deepEqual(answers.map(({ text }) => JSON.parse(text).result.at), answers.map((_, at) => at));
      assert.equal(JSON.parse((await callTask(session, 'large', 1 << 20)).text).result.length, 1 << 20);
      assert.equal(session.alpnProtocol, 'h2');
    } finally {
      session.destroy();
    }
  }));

  it('over TLS, the best that both speak is agreed on', async () => {
    for (const [offered, options, expected] of [
      [['h2', 'http/1.1'], {}, 'h2'],
      [['http/1.1', 'h2'], {}, 'h2'],
      [['http/1.1'], {}, 'http/1.1'],
      [['h2', 'http/1.1'], { http2: false }, 'http/1.1'],
    ]) {
      await withTls(async (tunnel) => {
        const socket = tls.connect({ host: tunnel.host, port: tunnel.port, ca: OWN.cert, servername: 'localhost', ALPNProtocols: offered });
        await once(socket, 'secureConnect');
        assert.equal(socket.alpnProtocol, expected, `${offered} ${JSON.stringify(options)}`);
        socket.destroy();
      }, options);
    }
  });

  it('undici with allowH2', () => withTls(async (tunnel) => {
    const dispatcher = new Agent({ allowH2: true, connect: { ca: OWN.cert, servername: 'localhost' } });
    try {
      for (let at = 0; at < 5; at += 1) {
        const { statusCode, body } = await undici(`https://${tunnel.host}:${tunnel.port}/__runner/task/echo`, { method: 'POST', dispatcher, headers: { 'content-type': 'application/json' }, body: JSON.stringify({ input: at }) });
        assert.deepEqual([statusCode, await body.json()], [200, { ok: true, result: at }]);
      }
      assert.equal(tunnel.stats().shards.reduce((total, shard) => total + shard.http2Connections, 0), 1);
    } finally {
      await dispatcher.destroy();
    }
  }));

  it('curl, in clear and over TLS', { skip: reasonFor(findCurl) }, async () => {
    const args = ['--max-time', '10', '--write-out', ' %{http_version} %{response_code}', '--data', '{"input":[1,2]}', '--header', 'content-type: application/json'];
    const expected = '{"ok":true,"result":[1,2]} 2 200';
    await withTunnel({ driver, tasks }, async (tunnel) => {
      assert.equal((await curl(...args, '--http2-prior-knowledge', `${tunnel.url}/task/echo`)).stdout, expected);
      // An upgrade is not taken up: the answer is one of HTTP/1.1.
      assert.equal((await curl(...args, '--http2', `${tunnel.url}/task/echo`)).stdout, expected.replace(' 2 ', ' 1.1 '));
    });
    await withTls(async (tunnel) => {
      const secure = ['--cacert', files.cert, '--resolve', `localhost:${tunnel.port}:${tunnel.host}`];
      assert.equal((await curl(...args, ...secure, '--http2', `https://localhost:${tunnel.port}/__runner/task/echo`)).stdout, expected);
    });
  });

  it('nghttp, with priorities', { skip: reasonFor(findNghttp) }, () => withTunnel({ driver, tasks }, async (tunnel) => {
    const { path, env } = findNghttp();
    const { stdout } = await run(path, ['--timeout=10', '--multiply=20', '--header=:method: POST', `${tunnel.url}/task/one`], { env });
    assert.equal(stdout, '{"ok":true,"result":1}'.repeat(20));
  }));
});
