// Several certificates on one port: which one a client is shown, by the name it asks for.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { it } from 'node:test';
import tls from 'node:tls';
import { certificate } from './support/certificates.mjs';
import { onBothDrivers, withTunnel } from './support/tunnels.mjs';

const made = (name, names, kind) => certificate({ name, names, kind }).pem;
const FIRST = made('first', 'DNS:first.test');
const OTHER = made('other', 'DNS:other.test,DNS:*.wild.test');
const EXACT = made('exact', 'DNS:exact.wild.test');
const RSA = made('rsa', 'DNS:both.test', 'rsa');
const EC = made('ec', 'DNS:both.test');
const NAMED = made('named', 'IP:127.0.0.1');

/** Whose certificate a client is shown that asks for this name. */
async function shown(tunnel, servername, options = {}) {
  const socket = tls.connect({ host: tunnel.host, port: tunnel.port, rejectUnauthorized: false, ...(servername === undefined ? {} : { servername }), ...options });
  await once(socket, 'secureConnect');
  const { subject } = socket.getPeerCertificate();
  socket.destroy();
  return subject.CN;
}

onBothDrivers('certificates by name', (driver) => {
  const certificates = [OTHER, EXACT, EC, RSA, { ...NAMED, names: ['given.test', '*.Given.test'] }];

  it('is that of the name, then that of a wildcard, then the first', () => withTunnel({ driver, shards: 1, tls: { ...FIRST, certificates } }, async (tunnel) => {
    for (const [name, subject] of [
      [undefined, 'first'], ['first.test', 'first'], ['unknown.test', 'first'], ['wild.test', 'first'], ['a.b.wild.test', 'first'],
      ['other.test', 'other'], ['a.wild.test', 'other'], ['A.Wild.Test', 'other'], ['exact.wild.test', 'exact'],
      ['given.test', 'named'], ['x.given.test', 'named'],
    ]) assert.equal(await shown(tunnel, name), subject, name);
  }));

  it('is of a kind that the client takes', () => withTunnel({ driver, shards: 1, tls: { ...FIRST, certificates } }, async (tunnel) => {
    for (const [sigalgs, subject] of [['rsa_pss_rsae_sha256:rsa_pkcs1_sha256', 'rsa'], ['ecdsa_secp256r1_sha256', 'ec'], ['rsa_pss_rsae_sha256:ecdsa_secp256r1_sha256', 'ec']]) {
      for (const maxVersion of ['TLSv1.2', 'TLSv1.3']) assert.equal(await shown(tunnel, 'both.test', { sigalgs, maxVersion }), subject, `${sigalgs} ${maxVersion}`);
    }
    await assert.rejects(shown(tunnel, 'both.test', { sigalgs: 'ed25519' }), /handshake failure/);
  }));

  it('is told to the handler, with what else the handshake has brought about', () => {
    const seen = [];
    const tasks = { look: (_input, context) => { seen.push(context.tls); return context.tls === context.tls; } };
    return withTunnel({ driver, shards: 1, tasks, tls: { ...FIRST, certificates } }, async (tunnel) => {
      for (const [servername, maxVersion, cipher] of [['other.test', 'TLSv1.3', 'TLS_AES_256_GCM_SHA384'], [undefined, 'TLSv1.2', 'TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256']]) {
        const socket = tls.connect({ host: tunnel.host, port: tunnel.port, rejectUnauthorized: false, maxVersion, ciphers: 'TLS_AES_256_GCM_SHA384:ECDHE-ECDSA-AES128-GCM-SHA256', ...(servername === undefined ? {} : { servername, ALPNProtocols: ['http/1.1'] }) });
        await once(socket, 'secureConnect');
        socket.write(`POST ${new URL(tunnel.url).pathname}/task/look HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}`);
        assert.match(String((await once(socket, 'data'))[0]), /"result":true/);
        socket.destroy();
        const { protocol, cipher: suite, servername: name, alpnProtocol, client } = seen.pop();
        assert.deepEqual({ protocol, suite, name, alpnProtocol, client }, { protocol: maxVersion, suite: cipher, name: servername, alpnProtocol: servername && 'http/1.1', client: undefined });
      }
    });
  });

  it('is nothing where the call came in plain text', () => withTunnel({ driver, shards: 1, tasks: { look: (_input, { tls: peer }) => String(peer) } }, async (tunnel) => {
    const answer = await fetch(`${tunnel.url}/task/look`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' });
    assert.deepEqual(await answer.json(), { ok: true, result: 'undefined' });
  }));
});
