// The option tls: what it takes, and what it says of what is wrong. No message holds a key.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { connect } from 'node:tls';
import { inspect } from 'node:util';
import { fastTunnel, OptionError, TunnelServer } from 'fasttunnel';
import { certificate, early, encrypted, expired } from './support/certificates.mjs';
import { withFolder } from './support/folders.mjs';
import { exposuresFor, withApp } from './support/runner-apps.mjs';

const { pem: OWN, files: FILES } = certificate();
const { pem: OTHER } = certificate();
const { pem: RSA } = certificate({ kind: 'rsa' });
const LOCKED = encrypted(OWN.key, 'open sesame');
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
    await assert.rejects(withApp(exposure, { http: { listen: undefined }, engine: { tls: OWN } }, () => {}), /engine\.tls is of no use: nothing listens/);
    await assert.rejects(withApp(exposure, { engine: { tls: { cert: OWN.cert, key: OTHER.key } } }, () => {}), /engine\.tls\.key does not fit/);
  });
});
