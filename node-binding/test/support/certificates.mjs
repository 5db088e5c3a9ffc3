// Certificates for tests, made by openssl as they are needed.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const folder = mkdtempSync(join(tmpdir(), 'fasttunnel-certificates-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

const openssl = (...args) => execFileSync('openssl', args, { stdio: ['ignore', 'pipe', 'pipe'] });
const at = (name) => join(folder, name);

const KINDS = { ec: ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'], rsa: ['-newkey', 'rsa:2048'], ed25519: ['-newkey', 'ed25519'], secp256k1: ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:secp256k1'] };

let made = 0;

/**
 * A certificate that certifies itself, and nobody else unless it is an `authority`, which strict clients do not take for a server:
 * `pem`, and `files`, the paths where that is. Each is `{ cert, key }`.
 */
export function certificate({ name = 'localhost', names = 'DNS:localhost,IP:127.0.0.1', kind = 'ec', days = 30, authority = true } = {}) {
  const constraints = authority ? [] : ['-addext', 'basicConstraints=critical,CA:FALSE'];
  made += 1;
  const [certPath, keyPath] = [at(`${made}.crt`), at(`${made}.key`)];
  openssl('req', '-x509', '-nodes', ...KINDS[kind], '-keyout', keyPath, '-out', certPath, '-days', String(days), '-subj', `/CN=${name}`, '-addext', `subjectAltName=${names}`, ...constraints);
  return { pem: { cert: readFileSync(certPath, 'utf8'), key: readFileSync(keyPath, 'utf8') }, files: { cert: certPath, key: keyPath } };
}

/** The key, encrypted. */
export function encrypted(key, passphrase) {
  return execFileSync('openssl', ['pkcs8', '-topk8', '-passout', `pass:${passphrase}`], { input: key }).toString();
}

/** A certificate for localhost that was valid for a day, in the year 2020. */
export function expired() {
  return signed('200101000000Z', '200102000000Z');
}

/** One that will be valid in the year 2049. */
export function early() {
  return signed('490101000000Z', '490102000000Z');
}

function signed(from, to) {
  const { pem: { key }, files: { key: keyPath } } = certificate();
  const [request, config, cert] = [at('request.csr'), at('ca.cnf'), at('signed.crt')];
  openssl('req', '-new', '-key', keyPath, '-subj', '/CN=localhost', '-out', request);
  execFileSync('sh', ['-c', `: > '${at('index.txt')}'; echo 01 > '${at('serial')}'; cat > '${config}'`], {
    input: `[ca]\ndefault_ca=own\n[own]\ndatabase=${at('index.txt')}\nnew_certs_dir=${folder}\nserial=${at('serial')}\ndefault_md=sha256\npolicy=any\nunique_subject=no\n[any]\ncommonName=supplied\n`,
  });
  openssl('ca', '-batch', '-selfsign', '-config', config, '-keyfile', keyPath, '-in', request, '-out', cert, '-startdate', from, '-enddate', to, '-notext');
  return { cert: readFileSync(cert, 'utf8'), key };
}

/** Somebody who certifies others: `cert`, and `sign`, which makes `{ cert, key }` for a subject with such names. */
export function authority(name = 'An Authority') {
  const { pem, files } = certificate({ name, names: 'DNS:authority.test' });
  return {
    cert: pem.cert,
    sign(subject, names, usage = 'clientAuth') {
      made += 1;
      const [request, key, cert, extensions] = ['csr', 'key', 'crt', 'ext'].map((ending) => at(`${made}.${ending}`));
      writeFileSync(extensions, `subjectAltName=${names}\nextendedKeyUsage=${usage}\nbasicConstraints=CA:FALSE\n`);
      openssl('req', '-new', '-nodes', ...KINDS.ec, '-keyout', key, '-out', request, '-subj', subject);
      openssl('x509', '-req', '-in', request, '-CA', files.cert, '-CAkey', files.key, '-set_serial', String(made), '-days', '30', '-extfile', extensions, '-out', cert);
      return { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') };
    },
  };
}

/** A file of another form, made by openssl of the PEM it is given. */
export function converted(pem, ...args) {
  return execFileSync('openssl', args, { input: pem });
}
