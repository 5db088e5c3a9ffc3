// The forward proxy with TLS towards its clients: curl, Node's agents.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { connect as connectPlain } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from 'node:tls';
import { fetch, ProxyAgent } from 'undici';
import { ClosedError, OptionError, ProxyServer } from '../dist/esm/proxy/index.mjs';
import { certificate } from './support/certificates.mjs';
import { curl } from './support/curl.mjs';

const PATIENT = { timeout: 20_000 };
const own = certificate();
const renewed = certificate({ name: 'renewed' });
const basic = ({ username, password }) => `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;

/** The name in the certificate that a proxy shows. */
async function shown(port) {
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const { subject } = socket.getPeerCertificate();
  socket.destroy();
  return subject.CN;
}

for (const driver of ['io_uring', 'epoll']) {
  describe(`the proxy under TLS, on ${driver}`, PATIENT, () => {
    let server, port, proxy, context;

    before(async () => {
      server = createServer(async (request, response) => {
        let bytes = 0;
        for await (const chunk of request) bytes += chunk.length;
        response.end(`${request.method} ${request.url} ${bytes}`);
      }).listen(0, '127.0.0.1');
      await once(server, 'listening');
      ({ port } = server.address());
      proxy = await ProxyServer.start({ port: 0, driver, tls: own.pem, addresses: { loopback: true } });
      context = proxy.createContext(1);
    });

    after(async () => {
      await proxy.stop();
      server.closeAllConnections();
      server.close();
    });

    const through = async (...args) => {
      const { stdout } = await curl('-i', '--max-time', '10', '--proxy', `https://localhost:${proxy.port()}`, '--proxy-cacert', own.files.cert, '--resolve', `localhost:${proxy.port()}:127.0.0.1`, ...args);
      return stdout;
    };

    it('serves curl, which forwards and tunnels', async () => {
      const user = ['--proxy-user', `${context.username}:${context.password}`];
      assert.match(await through(...user, `http://127.0.0.1:${port}/a`), /^HTTP\/1\.1 200 OK\r\n[\s\S]*GET \/a 0$/);
      assert.match(await through(...user, '--proxytunnel', '-d', 'twelve bytes', `http://127.0.0.1:${port}/b`), /HTTP\/1\.1 200 OK\r\n[\s\S]*POST \/b 12$/);
      assert.match(await through(`http://127.0.0.1:${port}/c`), /^HTTP\/1\.1 407 /);
    });

    it('serves undici, and carries large content', async () => {
      const dispatcher = new ProxyAgent({ uri: `https://127.0.0.1:${proxy.port()}`, token: basic(context), proxyTls: { ca: own.pem.cert } });
      const response = await fetch(`http://127.0.0.1:${port}/large`, { dispatcher, method: 'POST', body: Buffer.alloc(4 << 20) });
      assert.equal(await response.text(), `POST /large ${4 << 20}`);
      await dispatcher.close();
    });

    it('ends what it has said with a word of TLS, so that it does not look cut short', async () => {
      const client = spawn('openssl', ['s_client', '-quiet', '-ign_eof', '-connect', `127.0.0.1:${proxy.port()}`]);
      const said = { stdout: '', stderr: '' };
      for (const name of Object.keys(said)) client[name].setEncoding('utf8').on('data', (text) => { said[name] += text; });
      client.stdin.write(`GET http://127.0.0.1:${port}/last HTTP/1.1\r\nHost: x\r\nProxy-Authorization: ${basic(context)}\r\nConnection: close\r\n\r\n`);
      await once(client, 'close');
      assert.match(said.stdout, /GET \/last 0$/);
      assert.doesNotMatch(said.stderr, /unexpected eof/i);
    });

    it('tells a client that speaks plain HTTP what this port speaks', async () => {
      const socket = connectPlain(proxy.port(), '127.0.0.1');
      socket.write('GET http://example.com/ HTTP/1.1\r\n\r\n');
      let text = '';
      for await (const chunk of socket) text += chunk;
      assert.match(text, /^HTTP\/1\.1 400 Bad Request\r\n[\s\S]*speaks HTTPS only/);
    });

    it('does not wait for handshakes when it stops', async () => {
      const other = await ProxyServer.start({ port: 0, driver, tls: own.pem, limits: { drainTimeoutMs: 10_000 } });
      const slow = connectPlain(other.port(), '127.0.0.1').on('error', () => {}).resume();
      await once(slow, 'connect');
      const closed = once(slow, 'close');
      const start = Date.now();
      await Promise.all([other.stop(), closed]);
      assert.ok(Date.now() - start < 5000);
    });

    it('shows another certificate from the next connection on', async () => {
      const other = await ProxyServer.start({ port: 0, driver, tls: own.pem });
      assert.equal(await shown(other.port()), 'localhost');
      other.setTls(renewed.pem);
      assert.equal(await shown(other.port()), 'renewed');
      await other.stop();
      assert.throws(() => other.setTls(own.pem), ClosedError);
    });
  });
}

describe('the option tls of a proxy', PATIENT, () => {
  it('has files looked after, as that of a tunnel', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'fasttunnel-proxy-tls-'));
    const files = { cert: join(folder, 'own.crt'), key: join(folder, 'own.key') };
    const put = (from) => Object.entries(from.files).forEach(([name, path]) => copyFileSync(path, files[name]));
    put(own);
    const proxy = await ProxyServer.start({ port: 0, tls: { ...files, watch: { intervalMs: 20 } } });
    assert.equal(await shown(proxy.port()), 'localhost');
    put(renewed);
    const deadline = Date.now() + 8000;
    while ((await shown(proxy.port())) !== 'renewed') {
      assert.ok(Date.now() < deadline);
      await sleep(20);
    }
    await proxy.stop();
    rmSync(folder, { recursive: true });
  });

  it('names what is wrong as that of a tunnel does, and no key', async () => {
    for (const [tls, option] of [
      [{}, 'tls.cert'],
      [{ cert: own.pem.cert }, 'tls.key'],
      [{ cert: own.pem.cert, key: renewed.pem.key }, 'tls.key'],
      [{ ...own.pem, minVersion: 'TLSv1.1' }, 'tls.minVersion'],
      [{ ...own.pem, pfx: 'x' }, 'tls.pfx'],
      [{ ...own.pem, requireClientCert: true }, 'tls.requireClientCert'],
    ]) {
      await assert.rejects(ProxyServer.start({ port: 0, tls }), (error) => error instanceof OptionError && error.option === option && !error.message.includes('PRIVATE KEY'), option);
    }
    const plain = await ProxyServer.start({ port: 0 });
    assert.throws(() => plain.setTls(own.pem), { code: 'FASTTUNNEL_NOT_OFFERED' });
    await plain.stop();
  });
});
