// The option tls: what it takes, and what it says of what is wrong. No message holds a key.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { get } from 'node:https';
import { describe, it } from 'node:test';
import { connect } from 'node:tls';
import { inspect } from 'node:util';
import { fastTunnel, OptionError, TunnelServer } from 'fasttunnel';
import { certificate, converted, early, encrypted, expired } from './support/certificates.mjs';
import { withFolder } from './support/folders.mjs';
import { exposuresFor, withApp } from './support/runner-apps.mjs';

const { pem: OWN, files: FILES } = certificate();
const { pem: OTHER } = certificate();
const { pem: RSA } = certificate({ kind: 'rsa' });
const { pem: NAMELESS } = certificate({ names: 'IP:127.0.0.1' });
const LOCKED = encrypted(OWN.key, 'open sesame');
const PKCS12 = converted('', 'pkcs12', '-export', '-in', FILES.cert, '-inkey', FILES.key, '-passout', 'pass:open sesame');
const DER = { cert: converted(OWN.cert, 'x509', '-outform', 'DER'), key: converted(OWN.key, 'pkey', '-outform', 'DER') };
const auth = { allowAnonymous: true };
/** A line of the key itself. */
const SECRET = OWN.key.split('\n')[1];

const ends = async (tls) => (await fastTunnel({ auth, tls })).close();

describe('the option tls', () => {
  it('takes PEM as text and as bytes, paths, chains, and an encrypted key', async () => {
    await ends(OWN);
    await ends({ cert: Buffer.from(OWN.cert), key: new Uint8Array(Buffer.from(OWN.key)) });
    await ends(FILES);
    await ends({ cert: `Subject: a comment\n${OWN.cert}${OTHER.cert}`, key: `\n\n${OWN.key}`, minVersion: 'TLSv1.3' });
    await ends({ cert: OWN.cert, key: LOCKED, passphrase: 'open sesame' });
    await ends(RSA);
  });

  for (const [what, tls, option, message] of [
    ['no object', true, 'tls', /must be an object/],
    ['a key instead of a group', [OWN.key], 'tls', /must be an object/],
    ['an unknown name', { ...OWN, ciphers: 'x' }, 'tls.ciphers', /is not an option/],
    ['a name of elsewhere', { ...OWN, privateKey: OWN.key }, 'tls.privateKey', /Did you mean tls\.key\?/],
    ['no certificate', { key: OWN.key }, 'tls.cert', /is missing/],
    ['no key', { cert: OWN.cert }, 'tls.key', /is missing/],
    ['an empty text', { ...OWN, cert: '' }, 'tls.cert', /must not be empty/],
    ['a number', { ...OWN, key: 7 }, 'tls.key', /must be a string or a Buffer, not number/],
    ['a path that leads nowhere', { ...OWN, cert: '/nowhere/own.crt' }, 'tls.cert', /cannot be read \(ENOENT\), got '\/nowhere\/own\.crt'/],
    ['a folder', { ...OWN, key: '/tmp' }, 'tls.key', /cannot be read \(EISDIR\)/],
    ['a key without its first line', { ...OWN, key: OWN.key.split('\n').slice(1).join('\n') }, 'tls.key', /neither PEM nor a path/],
    ['a key where the certificate belongs', { cert: OWN.key, key: OWN.key }, 'tls.cert', /must hold a certificate/],
    ['a certificate where the key belongs', { cert: OWN.cert, key: OWN.cert }, 'tls.key', /must hold a private key/],
    ['bytes that are no PEM', { ...OWN, cert: Buffer.alloc(10) }, 'tls.cert', /must hold a certificate/],
    ['a broken certificate', { ...OWN, cert: OWN.cert.replace(/MII./, 'AAAA') }, 'tls.cert', /certificate 1 of 1 is broken/],
    ['a broken certificate of the chain', { ...OWN, cert: `${OWN.cert}${OTHER.cert.replace(/MII./, 'AAAA')}` }, 'tls.cert', /certificate 2 of 2 is broken/],
    ['a broken key', { ...OWN, key: OWN.key.replace(/\n[^\n]{8}/, '\nAAAAAAAA') }, 'tls.key', /must hold a private key/],
    ['the key of another certificate', { cert: OWN.cert, key: OTHER.key }, 'tls.key', /does not fit the certificate in tls\.cert \(DNS:localhost/],
    ['the key of another kind', { cert: OWN.cert, key: RSA.key }, 'tls.key', /does not fit/],
    ['an encrypted key without passphrase', { cert: OWN.cert, key: LOCKED }, 'tls.key', /is encrypted, and tls\.passphrase is missing/],
    ['another passphrase', { cert: OWN.cert, key: LOCKED, passphrase: 'sesame 0pen' }, 'tls.passphrase', /does not open tls\.key/],
    ['a passphrase that is no string', { ...OWN, passphrase: 7 }, 'tls.passphrase', /must be a string/],
    ['an old version', { ...OWN, minVersion: 'TLSv1.1' }, 'tls.minVersion', /must be one of 'TLSv1.2', 'TLSv1.3'/],
    ['PKCS#12 by name', { pfx: PKCS12, passphrase: 'open sesame' }, 'tls.pfx', /PKCS#12 is not read\. Make PEM of it with 'openssl pkcs12 /],
    ['PKCS#12 for a certificate', { cert: PKCS12, key: OWN.key }, 'tls.cert', /is PKCS#12, which is not read.*openssl pkcs12 -in/],
    ['DER for a certificate', { ...OWN, cert: DER.cert }, 'tls.cert', /is DER, which is not read.*openssl x509 -inform DER/],
    ['DER for a key', { ...OWN, key: DER.key }, 'tls.key', /is DER, which is not read.*openssl pkey -inform DER/],
    ['certificates that are no list', { ...OWN, certificates: OTHER }, 'tls.certificates', /must be an array/],
    ['one that is no object', { ...OWN, certificates: [OTHER.key] }, 'tls.certificates[0]', /must be an object/],
    ['one whose key does not fit', { ...OWN, certificates: [OTHER, { cert: OTHER.cert, key: OWN.key }] }, 'tls.certificates[1].key', /does not fit the certificate in tls\.certificates\[1\]\.cert/],
    ['one without a name', { ...OWN, certificates: [NAMELESS] }, 'tls.certificates[0].cert', /names no host.*Give tls\.certificates\[0\]\.names/],
    ['a name that is none', { ...OWN, certificates: [{ ...OTHER, names: ['a.test', 'b c'] }] }, 'tls.certificates[0].names[1]', /must be a host name/],
    ['a wildcard in the middle', { ...OWN, certificates: [{ ...OTHER, names: ['a.*.test'] }] }, 'tls.certificates[0].names[0]', /must be a host name/],
    ['no names', { ...OWN, certificates: [{ ...OTHER, names: [] }] }, 'tls.certificates[0].names', /must be an array of host names/],
    ['SNICallback', { ...OWN, SNICallback() {} }, 'tls.SNICallback', /Did you mean tls\.certificates\?/],
    ['requestCert', { ...OWN, requestCert: true }, 'tls.requestCert', /Did you mean tls\.requireClientCert\?/],
    ['requireClientCert without ca', { ...OWN, requireClientCert: true }, 'tls.requireClientCert', /says nothing without tls\.ca/],
    ['a ca that is none', { ...OWN, ca: OWN.key }, 'tls.ca', /must hold a certificate/],
    ['a list with one that is none', { ...OWN, ca: [OWN.cert, 7] }, 'tls.ca[1]', /must be a string or a Buffer, not number/],
    ['an empty list', { ...OWN, ca: [] }, 'tls.ca', /must hold a certificate/],
    ['nothing to watch', { ...OWN, watch: true }, 'tls.watch', /has nothing to watch/],
    ['an interval that is none', { ...FILES, watch: { intervalMs: 0 } }, 'tls.watch.intervalMs', /must be an integer from 10 /],
    ['another word for it', { ...FILES, watch: 5 }, 'tls.watch', /must be an object/],
    ['an expired certificate', expired(), 'tls.cert', /has expired on Jan  2 /],
    ['one that is not valid yet', early(), 'tls.cert', /is not valid before Jan  1 /],
  ]) {
    it(`refuses ${what}`, () => assert.throws(() => new TunnelServer({ auth, tls }), (error) => {
      assert.ok(error instanceof OptionError, inspect(error));
      assert.equal(error.option, option);
      assert.match(error.message, message);
      const said = inspect(error, { depth: 9 });
      assert.ok(!said.includes(SECRET) && !/sesame/.test(said), said);
      return true;
    }));
  }

  it('refuses a key of a kind that the engine has not, before it listens', async () => {
    const { pem } = certificate({ kind: 'secp256k1' });
    await assert.rejects(fastTunnel({ auth, tls: pem }), (error) => error instanceof OptionError && error.option === 'tls.cert' && /cannot be used with tls\.key/.test(error.message));
  });

  it('reads files when it is given, and not later', () => withFolder(async (file) => {
    for (const part of ['cert', 'key']) writeFileSync(file(part), OWN[part]);
    const server = new TunnelServer({ auth, tls: { cert: file('cert'), key: file('key') } });
    writeFileSync(file('key'), 'nothing of use');
    await server.listen();
    assert.throws(() => server.setTls({ cert: file('cert'), key: file('key') }), { option: 'tls.key' });
    await server.close();
  }));

  it('is engine.tls in Runner, where something listens', async () => {
    const exposure = exposuresFor('epoll').fastTunnel;
    await withApp(exposure, { engine: { tls: OWN } }, async ({ port }) => {
      const socket = connect({ host: '127.0.0.1', port, ca: OWN.cert, servername: 'localhost' });
      await once(socket, 'secureConnect');
      socket.end();
    });
    await assert.rejects(withApp(exposure, { http: { listen: { port: 0, tls: OWN } }, engine: { tls: OWN } }, () => {}), /engine\.tls says the same as http\.listen\.tls/);
    await assert.rejects(withApp(exposure, { http: { listen: { port: 0, tls: { ...OWN, key: OTHER.key } } } }, () => {}), /http\.listen\.tls\.key does not fit/);
    await assert.rejects(withApp(exposure, { http: { listen: undefined }, engine: { tls: OWN } }, () => {}), /engine\.tls is of no use: nothing listens/);
    await assert.rejects(withApp(exposure, { engine: { tls: { cert: OWN.cert, key: OTHER.key } } }, () => {}), /engine\.tls\.key does not fit/);
  });

  it('is true or of its own for the admin listener', async () => {
    const tunnel = await fastTunnel({ auth, tls: OWN, admin: { tls: true } });
    const { url, port } = tunnel.admin;
    assert.match(url, /^https:/);
    const live = () => new Promise((resolve, reject) => {
      get(`https://127.0.0.1:${port}/livez`, { ca: [OWN.cert, OTHER.cert], agent: false, servername: 'localhost' }, (answer) => answer.resume().on('end', () => resolve(answer.statusCode))).on('error', reject);
    });
    assert.equal(await live(), 200);
    tunnel.setTls(OTHER);
    assert.equal(await live(), 200);
    await tunnel.close();
    assert.throws(() => new TunnelServer({ auth, admin: { tls: true } }), { option: 'admin.tls' });
    assert.throws(() => new TunnelServer({ auth, tls: OWN, admin: { tls: { cert: OWN.cert, key: OTHER.key } } }), { option: 'admin.tls.key' });
  });
});
