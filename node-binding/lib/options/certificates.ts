// Certificates and keys as they are given: PEM as text or bytes, or the path of a file that holds it.
import { createPrivateKey, X509Certificate } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { OptionError } from '../errors/errors.js';
import { fail, failHidden } from './checks.js';

/** Those that a client is shown, the server's own first. */
export function asChain(option: string, value: unknown): [X509Certificate, ...X509Certificate[]] {
  const [first, ...rest] = certificatesIn(option, asPem(option, value, CERTIFICATE));
  if (first === undefined) failHidden(option, 'must hold a certificate in PEM', "It begins with '-----BEGIN CERTIFICATE-----'.");
  const now = Date.now();
  if (Date.parse(first.validTo) <= now) failHidden(option, `has expired on ${first.validTo} (${nameOf(first)})`, 'Renew the certificate.');
  if (Date.parse(first.validFrom) > now) failHidden(option, `is not valid before ${first.validFrom} (${nameOf(first)})`, "Wait until then, or set this machine's clock.");
  return [first, ...rest];
}

/** Those who certify clients: one PEM, or several. */
export function asRoots(option: string, value: unknown): string {
  const given: unknown[] = Array.isArray(value) ? value : [value];
  const roots = given.flatMap((one, index) => {
    const place = Array.isArray(value) ? `${option}[${index}]` : option;
    const found = certificatesIn(place, asPem(place, one, CERTIFICATE));
    if (found.length === 0) failHidden(place, 'must hold a certificate in PEM', "It begins with '-----BEGIN CERTIFICATE-----'.");
    return found;
  });
  if (roots.length === 0) fail(option, value, 'must hold a certificate in PEM', 'Leave it out to ask clients for none.');
  return roots.map(String).join('');
}

export function asKey(option: string, value: unknown, passphrase: unknown): KeyObject {
  if (passphrase !== undefined && typeof passphrase !== 'string') failHidden(`${option}.passphrase`, 'must be a string', 'Leave it out for a key that is not encrypted.');
  const key = asPem(`${option}.key`, value, KEY);
  try {
    return createPrivateKey({ key, format: 'pem', ...(passphrase === undefined ? {} : { passphrase }) });
  } catch {
    const isEncrypted = /-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m.test(key);
    if (isEncrypted && passphrase === undefined) failHidden(`${option}.key`, `is encrypted, and ${option}.passphrase is missing`, `Give ${option}.passphrase.`);
    if (isEncrypted) failHidden(`${option}.passphrase`, `does not open ${option}.key`, 'Give the one that the key was encrypted with.');
    failHidden(`${option}.key`, 'must hold a private key in PEM', "It begins with '-----BEGIN PRIVATE KEY-----', or names its kind there.");
  }
}

/** How a certificate is named in messages. */
export function nameOf({ subject, subjectAltName }: X509Certificate): string {
  return (subjectAltName ?? subject ?? 'without a name').replaceAll('\n', ', ');
}

/** Which of these are paths. */
export function pathsOf(values: readonly unknown[]): string[] {
  return values.filter((value): value is string => typeof value === 'string' && !holdsPem(value));
}

function certificatesIn(option: string, pem: string): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  return blocks.map((block, index) => {
    try {
      return new X509Certificate(block);
    } catch (error) {
      throw new OptionError(option, '(hidden)', `${option}: certificate ${index + 1} of ${blocks.length} is broken (${messageOf(error)}). Give it as it was issued, in PEM.`, { cause: error });
    }
  });
}

/** How openssl makes PEM of DER. */
const CERTIFICATE = 'openssl x509 -inform DER -in own.der -out own.pem';
const KEY = 'openssl pkey -inform DER -in own.der -out own.pem';

/** PEM: a string that holds some, bytes, or what the file of that path holds. */
function asPem(option: string, value: unknown, fromDer: string): string {
  const text = asText(option, value);
  // A SEQUENCE whose first part is the number 3 is PKCS#12 (RFC 7292 4), any other DER.
  if (/^\x30(?:[\x00-\x7f]|[\x81-\x84][^]{1,4}?)\x02\x01\x03\x30/.test(text)) {
    failHidden(option, 'is PKCS#12, which is not read', "Make PEM of it: 'openssl pkcs12 -in own.p12 -nodes -out own.pem'.");
  }
  if (/^\x30[^]*[\x00-\x08\x80-\xff]/.test(text) && !holdsPem(text)) failHidden(option, 'is DER, which is not read', `Make PEM of it: '${fromDer}'.`);
  return text;
}

function asText(option: string, value: unknown): string {
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('latin1');
  if (typeof value !== 'string' || value === '') {
    failHidden(option, value === undefined ? 'is missing' : value === '' ? 'must not be empty' : `must be a string or a Buffer, not ${value === null ? 'null' : typeof value}`, 'Give PEM as a string or a Buffer, or the path of a file.');
  }
  if (holdsPem(value)) return value;
  // A key without its first line is no path, and must not be shown.
  if (/[\n\0]/.test(value)) failHidden(option, 'is neither PEM nor a path', "PEM begins with '-----BEGIN …-----'.");
  try {
    return readFileSync(value, 'latin1');
  } catch (error) {
    fail(option, value, `cannot be read (${(error as NodeJS.ErrnoException).code ?? messageOf(error)})`, 'Give the path of a file that this process may read, or PEM itself.');
  }
}

function holdsPem(text: string): boolean {
  return text.includes('-----BEGIN ');
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
