// TLS: the certificate, its key, and what is wrong with them. What the engine gets is PEM that was checked.
import { createPrivateKey, X509Certificate } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { OptionError } from '../errors/errors.js';
import { asChoice, asGroup, fail, failHidden } from './checks.js';

/** What the engine encrypts with. */
export interface TlsEngineOptions {
  /** The certificate, and behind it those that certify it. PEM. */
  cert: string;
  /** Its private key. PEM, not encrypted. */
  key: string;
  minVersion: 'TLSv1.2' | 'TLSv1.3';
}

const KNOWN = ['cert', 'key', 'passphrase', 'minVersion'] as const;

/** Names that node:tls has for them, or for what is not there. */
const elsewhere = (option: string): Readonly<Record<string, string>> => ({
  certificate: `${option}.cert`, certs: `${option}.cert`, pem: `${option}.cert`, privateKey: `${option}.key`, password: `${option}.passphrase`, secureProtocol: `${option}.minVersion`,
});

/** The option `tls`; without it nothing is encrypted. */
export function asTls(option: string, value: unknown): { tls?: TlsEngineOptions } {
  return value === undefined ? {} : { tls: asEncryption(option, value) };
}

/** What `tls` holds. Files are read at once. */
export function asEncryption(option: string, value: unknown): TlsEngineOptions {
  const given = asGroup(option, value, KNOWN, elsewhere(option));
  const minVersion = asChoice(`${option}.minVersion`, given.minVersion, ['TLSv1.2', 'TLSv1.3']);
  const [cert, ...chain] = asChain(`${option}.cert`, given.cert);
  const key = asKey(option, given.key, given.passphrase);
  if (!cert.checkPrivateKey(key)) {
    failHidden(`${option}.key`, `does not fit the certificate in ${option}.cert (${nameOf(cert)})`, `Give the key that the certificate was made for; ${option}.cert begins with that certificate.`);
  }
  return { cert: [cert, ...chain].map(String).join(''), key: key.export({ type: 'pkcs8', format: 'pem' }) as string, minVersion };
}

/** Those that a client is shown, the server's own first. */
function asChain(option: string, value: unknown): [X509Certificate, ...X509Certificate[]] {
  const blocks = asPem(option, value).match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  const chain = blocks.map((block, index) => {
    try {
      return new X509Certificate(block);
    } catch (error) {
      throw new OptionError(option, '(hidden)', `${option}: certificate ${index + 1} of ${blocks.length} is broken (${messageOf(error)}). Give it as it was issued, in PEM.`, { cause: error });
    }
  });
  const [first, ...rest] = chain;
  if (first === undefined) failHidden(option, 'must hold a certificate in PEM', "It begins with '-----BEGIN CERTIFICATE-----'.");
  const now = Date.now();
  if (Date.parse(first.validTo) <= now) failHidden(option, `has expired on ${first.validTo} (${nameOf(first)})`, 'Renew the certificate.');
  if (Date.parse(first.validFrom) > now) failHidden(option, `is not valid before ${first.validFrom} (${nameOf(first)})`, "Wait until then, or set this machine's clock.");
  return [first, ...rest];
}

function asKey(option: string, value: unknown, passphrase: unknown): KeyObject {
  if (passphrase !== undefined && typeof passphrase !== 'string') failHidden(`${option}.passphrase`, 'must be a string', 'Leave it out for a key that is not encrypted.');
  const key = asPem(`${option}.key`, value);
  try {
    return createPrivateKey({ key, format: 'pem', ...(passphrase === undefined ? {} : { passphrase }) });
  } catch (error) {
    const isEncrypted = /-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m.test(key);
    if (isEncrypted && passphrase === undefined) failHidden(`${option}.key`, `is encrypted, and ${option}.passphrase is missing`, `Give ${option}.passphrase.`);
    if (isEncrypted) failHidden(`${option}.passphrase`, `does not open ${option}.key`, 'Give the one that the key was encrypted with.');
    failHidden(`${option}.key`, 'must hold a private key in PEM', "It begins with '-----BEGIN PRIVATE KEY-----', or names its kind there.");
  }
}

/** PEM: a string that holds some, bytes, or what the file of that path holds. */
function asPem(option: string, value: unknown): string {
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('latin1');
  if (typeof value !== 'string' || value === '') {
    failHidden(option, value === undefined ? 'is missing' : value === '' ? 'must not be empty' : `must be a string or a Buffer, not ${value === null ? 'null' : typeof value}`, 'Give PEM as a string or a Buffer, or the path of a file.');
  }
  if (value.includes('-----BEGIN ')) return value;
  // A key without its first line is no path, and must not be shown.
  if (/[\n\0]/.test(value)) failHidden(option, 'is neither PEM nor a path', "PEM begins with '-----BEGIN …-----'.");
  try {
    return readFileSync(value, 'latin1');
  } catch (error) {
    fail(option, value, `cannot be read (${(error as NodeJS.ErrnoException).code ?? messageOf(error)})`, 'Give the path of a file that this process may read, or PEM itself.');
  }
}

function nameOf({ subject, subjectAltName }: X509Certificate): string {
  return (subjectAltName ?? subject ?? 'without a name').replaceAll('\n', ', ');
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
