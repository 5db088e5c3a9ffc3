// The PROXY protocol: headers of both versions, in any pieces, under TLS and before HTTP/2, and those that are none.
import assert from 'node:assert/strict';
import http2 from 'node:http2';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import tls from 'node:tls';
import { freePort } from '../../loadtest/attacks/servers/free-port.mjs';
import { binary, line, OVER_TLS, tasks } from './support/callers.mjs';
import { certificate } from './support/certificates.mjs';
import { findHaproxy } from '../../loadtest/attacks/servers/haproxy.mjs';
import { beside, inFolder } from './support/deployment.mjs';
import { request } from './support/http2.mjs';
import { reasonFor } from './support/programs.mjs';
import { RawSocket, taskBytes } from './support/raw-socket.mjs';
import { onBothDrivers, onBothDriversAtOnce, until, withTunnel } from './support/tunnels.mjs';

const { pem } = certificate();
const CALL = taskBytes('caller', null);
const FROM_LINE = line('203.0.113.9', 4711);
const FROM_BINARY = binary('203.0.113.9', 4711);

/** The result of the next answer. */
const told = async (socket) => JSON.parse((await socket.answer()).body).result;

/** Sends a header and a call over a connection of its own; what the handler was told. */
async function ask(tunnel, header, call = CALL) {
  const socket = await RawSocket.connect(tunnel);
  socket.write(Buffer.concat([Buffer.from(header), Buffer.from(call)]));
  const result = await told(socket);
  socket.destroy();
  return result;
}

/** A connection that TLS or HTTP/2 may go over, once this header has gone before. */
async function behind(tunnel, header) {
  const socket = net.connect(tunnel.port, tunnel.host);
  await once(socket, 'connect');
  socket.write(header);
  return socket;
}

onBothDrivers('the PROXY protocol', (driver) => {
  const serve = (options, body) => withTunnel({ driver, shards: 1, tasks, proxyProtocol: true, ...options }, body);

  it('tells the handler of the client, in both versions', () => serve({}, async (tunnel) => {
    for (const [header, address, port, protocol] of [
      [FROM_LINE, '203.0.113.9', 4711, 'http'],
      [line('2001:db8::9', 4711), '2001:db8::9', 4711, 'http'],
      [FROM_BINARY, '203.0.113.9', 4711, 'http'],
      [binary('203.0.113.9', 4711, { fields: OVER_TLS }), '203.0.113.9', 4711, 'https'],
    ]) {
      const caller = await ask(tunnel, header);
      assert.deepEqual([caller.address, caller.port, caller.protocol], [address, port, protocol], String(header));
    }
  }));

  it('the balancer itself is the client where it does not know, or checks by itself', () => serve({}, async (tunnel) => {
    for (const header of ['PROXY UNKNOWN\r\n', 'PROXY UNKNOWN whatever it says\r\n', binary('203.0.113.9', 4711, { command: 0x20 })]) {
      assert.equal((await ask(tunnel, header)).address, '127.0.0.1', String(header));
    }
  }));

  it('counts for all requests of its connection, and proxies behind the balancer are trusted or not', () => serve({ trustProxy: ['203.0.113.9'] }, async (tunnel) => {
    const socket = await RawSocket.connect(tunnel);
    const call = taskBytes('caller', null, { 'x-forwarded-for': '198.51.100.7' });
    socket.write(FROM_LINE + CALL + call);
    assert.deepEqual([(await told(socket)).address, (await told(socket)).address], ['203.0.113.9', '198.51.100.7']);
    socket.destroy();
    assert.equal((await ask(tunnel, line('203.0.113.10', 1), call)).address, '203.0.113.10');
  }));

  it('comes before the handshake of TLS', () => serve({ tls: pem }, async (tunnel) => {
    for (const header of [FROM_LINE, FROM_BINARY]) {
      const secure = tls.connect({ socket: await behind(tunnel, header), ca: pem.cert, servername: 'localhost' });
      await once(secure, 'secureConnect');
      const socket = new RawSocket(secure);
      socket.write(CALL);
      const caller = await told(socket);
      assert.deepEqual([caller.address, caller.port, caller.protocol], ['203.0.113.9', 4711, 'https']);
      socket.destroy();
    }
  }));

  it('comes before HTTP/2, in clear and under TLS', async () => {
    for (const options of [{}, { tls: pem }]) {
      await serve(options, async (tunnel) => {
        const socket = await behind(tunnel, FROM_BINARY);
        const createConnection = () => (options.tls ? tls.connect({ socket, ca: pem.cert, servername: 'localhost', ALPNProtocols: ['h2'] }) : socket);
        const session = http2.connect(tunnel.url, { createConnection });
        const caller = JSON.parse((await request(session, { ':path': '/__runner/task/caller' }, '{}')).text).result;
        assert.deepEqual([caller.address, caller.port, caller.version], ['203.0.113.9', 4711, '2.0']);
        session.destroy();
      });
    }
  });

  it('may be missing where it is optional, and then what came first is a request', () => serve({ proxyProtocol: 'optional' }, async (tunnel) => {
    assert.equal((await ask(tunnel, FROM_LINE)).address, '203.0.113.9');
    for (const before of ['', '\r\n']) assert.equal((await ask(tunnel, before)).address, '127.0.0.1');
    const session = http2.connect(`http://127.0.0.1:${tunnel.port}`);
    assert.equal(JSON.parse((await request(session, { ':path': '/__runner/task/caller' }, '{}')).text).result.address, '127.0.0.1');
    session.destroy();
  }));

  it('is believed from peers that are trusted: others are cut off, or are clients where it is optional', async () => {
    await serve({ proxyProtocol: { from: ['10.0.0.0/8'] } }, async (tunnel) => {
      for (const sent of [FROM_LINE + CALL, CALL]) {
        const socket = await RawSocket.connect(tunnel);
        socket.write(sent);
        await socket.end();
        assert.equal(socket.rest, '');
      }
      assert.equal(tunnel.stats().shards[0].requests, 0);
    });
    await serve({ proxyProtocol: { from: ['10.0.0.0/8'], optional: true } }, async (tunnel) => {
      assert.equal((await ask(tunnel, '')).address, '127.0.0.1');
      const socket = await RawSocket.connect(tunnel);
      socket.write(FROM_LINE + CALL);
      assert.equal((await socket.answer()).status, 400);
      socket.destroy();
    });
    await serve({ proxyProtocol: { from: ['127.0.0.0/8'] } }, async (tunnel) => assert.equal((await ask(tunnel, FROM_LINE)).address, '203.0.113.9'));
  });

  it('decides about access, not the balancer', () => serve({ access: { deny: ['203.0.113.0/24'] } }, async (tunnel) => {
    const socket = await RawSocket.connect(tunnel);
    socket.write(FROM_LINE + CALL);
    await socket.end();
    assert.equal(socket.rest, '');
    assert.equal(tunnel.stats().shards[0].denied, 1);
    assert.equal(tunnel.stats().shards[0].protocolErrors, 0);
    assert.equal((await ask(tunnel, line('203.0.114.9', 1))).address, '203.0.114.9');
  }));

  it('ends a connection that begins with something else, and no call of that runs', () => serve({}, async (tunnel) => {
    const wrong = ['', 'PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n', 'PROXY TCP4 1.2.3.4 5.6.7.8 1 65536\r\n', `PROXY UNKNOWN ${'x'.repeat(107)}\r\n`, binary('1.2.3.4', 1, { command: 0x31 }), binary('1.2.3.4', 1, { fields: Buffer.from([4, 0, 9]) }), '\x16\x03\x01\x02\x00'];
    for (const header of wrong) {
      const socket = await RawSocket.connect(tunnel);
      socket.write(Buffer.concat([Buffer.from(header, 'latin1'), Buffer.from(CALL)]));
      await socket.end();
      assert.equal(socket.rest, '', String(header));
    }
    await until(() => tunnel.stats().shards[0].protocolErrors === wrong.length, 'each was counted');
    assert.equal(tunnel.stats().shards[0].calls, 0);
    assert.equal((await ask(tunnel, FROM_LINE)).address, '203.0.113.9');
  }));
});

onBothDriversAtOnce('the PROXY protocol in time', (driver) => {
  const serve = (options, body) => withTunnel({ driver, shards: 1, tasks, proxyProtocol: true, ...options }, body);

  it('a header may come in two pieces, cut at every byte', () => serve({}, async (tunnel) => {
    const cuts = [FROM_LINE, binary('203.0.113.9', 4711, { fields: OVER_TLS })].flatMap((header) => Array.from({ length: header.length - 1 }, (_, at) => [Buffer.from(header), at + 1]));
    await Promise.all(cuts.map(async ([header, at]) => {
      const socket = await RawSocket.connect(tunnel);
      await socket.write(header.subarray(0, at));
      await new Promise((resolve) => setTimeout(resolve, 20));
      socket.write(Buffer.concat([header.subarray(at), Buffer.from(CALL)]));
      assert.equal((await told(socket)).address, '203.0.113.9', `cut at ${at}`);
      socket.destroy();
    }));
  }));

  it('a request that begins as a header does is served where that is optional, in any pieces', () => serve({ proxyProtocol: 'optional' }, async (tunnel) => {
    await Promise.all(['P', '\r\n', 'POS'].map(async (first) => {
      const socket = await RawSocket.connect(tunnel);
      await socket.write(first);
      await new Promise((resolve) => setTimeout(resolve, 20));
      socket.write(first === '\r\n' ? CALL : CALL.slice(first.length));
      assert.equal((await told(socket)).address, '127.0.0.1', first);
      socket.destroy();
    }));
  }));

  it('a header that does not become complete is cut after handshakeTimeoutMs', () => serve({ limits: { handshakeTimeoutMs: 300 } }, async (tunnel) => {
    await Promise.all(['', 'PROXY TCP4 1.2', FROM_BINARY.subarray(0, 20)].map(async (part) => {
      const began = performance.now();
      const socket = await RawSocket.connect(tunnel);
      socket.write(part);
      await socket.end();
      assert.ok(performance.now() - began > 250, 'it has its time');
    }));
    // What waits for the rest of a header looks with the timer.
    await until(() => tunnel.stats().shards[0].connections === 0, 'no connection is left');
  }));

  it('of more than maxHandshakes that are half done the oldest is cut, and others get in', () => serve({ limits: { maxHandshakes: 4 } }, async (tunnel) => {
    const half = [];
    for (let count = 0; count < 9; count++) {
      half.push(await RawSocket.connect(tunnel));
      half.at(-1).write('PROXY ');
    }
    assert.equal((await ask(tunnel, FROM_LINE)).address, '203.0.113.9');
    await Promise.all(half.slice(0, 5).map((socket) => socket.end()));
    for (const socket of half) socket.destroy();
  }));

  it('a tunnel that closes waits for none', async () => {
    await serve({}, async (tunnel) => {
      const sockets = await Promise.all(['', 'PROXY '].map(async (part) => {
        const socket = await RawSocket.connect(tunnel);
        await socket.write(part);
        return socket;
      }));
      await until(() => tunnel.stats().shards[0].connections === 2, 'both are there');
      const began = performance.now();
      await tunnel.close();
      assert.ok(performance.now() - began < 4000);
      for (const socket of sockets) socket.destroy();
    });
  });
});

const withoutHaproxy = reasonFor(findHaproxy);

describe('HAProxy as a peer', { skip: withoutHaproxy }, () => {
  /** Runs `body(port)` with an HAProxy that listens at 127.0.0.2 and whose server line and frontend have these words. */
  const withHaproxy = (tunnel, server, frontend, body) => inFolder(async (folder) => {
    const port = await freePort();
    writeFileSync(join(folder, 'pem'), pem.cert + pem.key);
    writeFileSync(join(folder, 'haproxy.cfg'), `
global
  maxconn 100
defaults
  mode ${frontend.mode ?? 'http'}
  timeout connect 5s
  timeout client 5s
  timeout server 5s
frontend in
  bind 127.0.0.2:${port}${frontend.tls ? ` ssl crt ${folder}/pem alpn http/1.1` : ''}
  ${frontend.lines ?? ''}
  default_backend tunnel
backend tunnel
  server one 127.0.0.1:${tunnel.port} ${server}
`);
    await beside(findHaproxy(), ['-db', '-f', join(folder, 'haproxy.cfg')], async () => {
      await until(() => new Promise((resolve) => {
        const socket = net.connect(port, '127.0.0.2', () => { socket.destroy(); resolve(true); });
        socket.once('error', () => resolve(false));
      }), 'HAProxy listens');
      return await body(port);
    });
  });

  /** Calls from 127.0.0.3; what the handler was told, and the port of this end. */
  async function askFrom(port, secure) {
    const plain = net.connect({ port, host: '127.0.0.2', localAddress: '127.0.0.3' });
    await once(plain, 'connect');
    const { localPort } = plain;
    const over = secure ? tls.connect({ socket: plain, ca: pem.cert, servername: 'localhost' }) : plain;
    const socket = new RawSocket(over);
    socket.write(taskBytes('caller', null, { connection: 'close' }));
    const result = await told(socket);
    socket.destroy();
    return { ...result, localPort };
  }

  const options = { shards: 1, tasks };

  it('names its clients by the PROXY protocol in each of its forms', { timeout: 60_000 }, async () => {
    for (const [words, frontend, protocol, own] of [
      ['send-proxy', { mode: 'tcp' }, 'http', {}],
      ['send-proxy-v2', { mode: 'tcp' }, 'http', {}],
      ['send-proxy-v2 proxy-v2-options crc32c,unique-id,authority', { mode: 'http', lines: 'unique-id-format %{+X}o%ci' }, 'http', {}],
      ['send-proxy-v2-ssl', { tls: true }, 'https', {}],
      ['send-proxy-v2 ssl verify none', {}, 'https', { tls: pem }],
      ['send-proxy-v2 check inter 100ms', {}, 'http', {}],
    ]) {
      await withTunnel({ ...options, ...own, proxyProtocol: { from: ['127.0.0.1'] } }, (tunnel) => withHaproxy(tunnel, words, frontend, async (port) => {
        const { address, port: told, localPort, protocol: spoken } = await askFrom(port, frontend.tls);
        assert.deepEqual([address, told, spoken], ['127.0.0.3', localPort, protocol], words);
      }));
    }
  });

  it('names its clients in fields, whatever those say of themselves', { timeout: 60_000 }, () => withTunnel({ ...options, trustProxy: ['127.0.0.1'] }, (tunnel) => withHaproxy(tunnel, '', { lines: 'option forwardfor\n  http-request set-header X-Forwarded-Proto https' }, async (port) => {
    const plain = net.connect({ port, host: '127.0.0.2', localAddress: '127.0.0.3' });
    await once(plain, 'connect');
    const socket = new RawSocket(plain);
    socket.write(taskBytes('caller', null, { 'x-forwarded-for': '198.51.100.7' }));
    const { address, protocol } = await told(socket);
    assert.deepEqual([address, protocol], ['127.0.0.3', 'https']);
    socket.destroy();
  })));
});
