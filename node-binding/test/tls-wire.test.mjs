// TLS byte by byte: how handshakes and records may be cut, what is not offered, and how a connection ends.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duplex } from 'node:stream';
import { it } from 'node:test';
import tls from 'node:tls';
import { promisify } from 'node:util';
import { certificate } from './support/certificates.mjs';
import { RawSocket, taskBytes } from './support/raw-socket.mjs';
import { onBothDrivers, until, withTunnel } from './support/tunnels.mjs';

const run = promisify(execFile);
const { pem: OWN, files: FILES } = certificate();
/** More than lies between two sockets. */
const LARGE = 16 * 1024 * 1024;
/** The beginning of a record of 2^14 + 2,049 bytes: one more than a cipher of 1.2 may add (RFC 5246 6.2.3). */
const LARGE_RECORD = Buffer.concat([Buffer.from([23, 3, 3, 0x48, 1]), Buffer.alloc(100)]);
const sum = (tunnel, name) => tunnel.stats().shards.reduce((total, shard) => total + shard[name], 0);

/** What lies under a client: `send(bytes, socket)` puts what it says on the wire, `flights` are the bytes of the server. */
function beneath(tunnel, send) {
  const socket = net.connect({ port: tunnel.port, host: tunnel.host, noDelay: true, allowHalfOpen: true });
  const heard = [];
  const duplex = new Duplex({
    read() {},
    write(chunk, _encoding, done) {
      Promise.resolve(send(chunk, socket)).then(() => done(), done);
    },
    final(done) {
      socket.end(done);
    },
  });
  socket.on('data', (chunk) => {
    heard.push(chunk);
    duplex.push(chunk);
  }).on('end', () => duplex.push(null)).on('error', (error) => duplex.destroy(error));
  return { duplex, socket, heard: () => Buffer.concat(heard) };
}

async function over({ duplex }, options = {}) {
  const socket = tls.connect({ socket: duplex, ca: OWN.cert, servername: 'localhost', ALPNProtocols: ['http/1.1'], ...options });
  await once(socket, 'secureConnect');
  return new RawSocket(socket);
}

async function expectAnswer(socket) {
  await socket.write(taskBytes('echo', 'x'));
  assert.equal((await socket.answer()).body, '{"ok":true,"result":"x"}');
}

const whole = (chunk, socket) => new Promise((resolve) => socket.write(chunk, resolve));

/** A record in records of one byte each. */
function inBytes(record) {
  const parts = [];
  for (const byte of record.subarray(5)) parts.push(record.subarray(0, 3), Buffer.from([0, 1, byte]));
  return Buffer.concat(parts);
}

/** Types and alerts of the records in bytes, as far as they can be read. */
function recordsIn(bytes) {
  const records = [];
  for (let at = 0; at + 5 <= bytes.length; at += 5 + bytes.readUInt16BE(at + 3)) records.push({ type: bytes[at], content: bytes.subarray(at + 5, at + 5 + bytes.readUInt16BE(at + 3)) });
  return records;
}

onBothDrivers('TLS on the wire', (driver) => {
  const withTls = (body, options = {}) => withTunnel({ driver, shards: 1, tasks: { echo: (input) => input }, tls: OWN, ...options }, async (tunnel) => {
    await body(tunnel);
    await until(() => sum(tunnel, 'connections') === 0 && sum(tunnel, 'heldBytes') === 0, 'all is given back');
    assert.equal(sum(tunnel, 'panics'), 0);
  });

  it('takes a ClientHello in segments of one byte, and in records of one byte', () => withTls(async (tunnel) => {
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3']) {
      let first = true;
      const bySegment = beneath(tunnel, async (chunk, socket) => {
        if (!first) return whole(chunk, socket);
        first = false;
        for (const byte of chunk) {
          await whole(Buffer.from([byte]), socket);
          await new Promise(setImmediate);
        }
      });
      const segments = await over(bySegment, { maxVersion });
      await expectAnswer(segments);
      segments.destroy();
      let hello = true;
      const byRecord = beneath(tunnel, (chunk, socket) => {
        const bytes = hello ? inBytes(chunk) : chunk;
        hello = false;
        return whole(bytes, socket);
      });
      const records = await over(byRecord, { maxVersion });
      await expectAnswer(records);
      records.destroy();
      for (const { socket } of [bySegment, byRecord]) socket.destroy();
    }
  }));

  it('takes requests of which every record is in segments of one byte', () => withTls(async (tunnel) => {
    let slowly = false;
    const under = beneath(tunnel, async (chunk, socket) => {
      if (!slowly) return whole(chunk, socket);
      for (const byte of chunk) await whole(Buffer.from([byte]), socket);
    });
    const socket = await over(under);
    slowly = true;
    await expectAnswer(socket);
    await expectAnswer(socket);
    socket.destroy();
    under.socket.destroy();
  }));

  it('ends a connection whose record is larger than any may be, with an alert', () => withTls(async (tunnel) => {
    const under = beneath(tunnel, whole);
    const socket = await over(under, { maxVersion: 'TLSv1.2' });
    await expectAnswer(socket);
    const before = under.heard().length;
    const closed = once(under.socket, 'close');
    under.socket.write(LARGE_RECORD);
    under.socket.once('end', () => under.socket.end());
    await closed;
    assert.equal(recordsIn(under.heard().subarray(before))[0]?.type, 21);
    assert.equal(sum(tunnel, 'calls'), 1);
  }));

  it('says in an alert what is wrong also while it sends an answer, behind the records of that', () => withTls(async (tunnel) => {
    const under = beneath(tunnel, whole);
    const socket = await over(under, { maxVersion: 'TLSv1.2' });
    // The answer waits for its client.
    under.socket.pause();
    await socket.write(taskBytes('large', 0));
    await until(() => sum(tunnel, 'heldBytes') > LARGE / 4, 'the answer is being sent');
    const closed = once(under.socket, 'close');
    await whole(LARGE_RECORD, under.socket);
    under.socket.once('end', () => under.socket.end());
    under.socket.resume();
    await closed;
    assert.equal(recordsIn(under.heard()).at(-1)?.type, 21);
  }, { tasks: { large: () => 'x'.repeat(LARGE) } }));

  it('agrees on http/1.1 or on nothing, and refuses a client that offers only what it has not', () => withTls(async (tunnel) => {
    for (const [ALPNProtocols, agreed] of [[['http/1.1'], 'http/1.1'], [['spdy/1', 'http/1.1'], 'http/1.1'], [undefined, false]]) {
      const plain = beneath(tunnel, whole);
      const socket = await over(plain, { ALPNProtocols });
      assert.equal(socket.socket.alpnProtocol, agreed, String(ALPNProtocols));
      await expectAnswer(socket);
      plain.socket.destroy();
    }
    const under = beneath(tunnel, whole);
    await assert.rejects(over(under, { ALPNProtocols: ['spdy/1'] }), /no application protocol/);
    under.socket.destroy();
  }));

  it('offers no early data', () => withTls(async (tunnel) => {
    const folder = mkdtempSync(join(tmpdir(), 'fasttunnel-session-'));
    const [file, early] = [join(folder, 'session'), join(folder, 'early')];
    const ask = (...more) => run('sh', ['-c', `(sleep 0.1; printf 'GET / HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n'; sleep 0.3) | openssl s_client -connect 127.0.0.1:${tunnel.port} -tls1_3 -CAfile ${FILES.cert} ${more.join(' ')}`]);
    try {
      const { stdout } = await ask('-sess_out', file);
      assert.match(stdout, /Max Early Data: 0/);
      assert.doesNotMatch(stdout, /Max Early Data: [^0]/);
      await run('sh', ['-c', `printf 'GET / HTTP/1.1\\r\\n' > ${early}`]);
      const second = await ask('-sess_in', file, '-early_data', early).catch((error) => error);
      assert.match(second.stdout, /^Reused, TLSv1\.3/m);
      assert.doesNotMatch(second.stdout, /Early data was accepted/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  }));

  it('says close_notify before it ends, whoever ends', () => withTls(async (tunnel) => {
    for (const ends of ['client', 'server', 'stop']) {
      const under = beneath(tunnel, whole);
      // Of 1.2, whose alerts can be told from other records.
      const socket = await over(under, { maxVersion: 'TLSv1.2' });
      await expectAnswer(socket);
      const ended = once(under.socket, 'end');
      if (ends === 'client') socket.socket.end();
      else if (ends === 'server') await socket.write('GET / HTTP/9.9\r\n\r\n');
      else void tunnel.close();
      await ended;
      assert.equal(recordsIn(under.heard()).at(-1).type, 21, ends);
      under.socket.destroy();
    }
  }));

  it('is called by fetch, whose certificates are those of NODE_EXTRA_CA_CERTS', () => withTls(async (tunnel) => {
    const program = `const answer = await fetch('${tunnel.url.replace('127.0.0.1', 'localhost')}/task/echo', { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"input":"x"}' }); console.log(await answer.text());`;
    const { stdout } = await run(process.execPath, ['--dns-result-order=ipv4first', '--input-type=module', '-e', program], { env: { ...process.env, NODE_EXTRA_CA_CERTS: FILES.cert } });
    assert.equal(stdout, '{"ok":true,"result":"x"}\n');
  }));
});
