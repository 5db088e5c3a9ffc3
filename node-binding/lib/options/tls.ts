// TLS: certificates, their keys, and what is wrong with them. What the engine gets is PEM that was checked.
import type { Bounds } from '../facts/bounds.js';
import { OptionError } from '../errors/errors.js';
import { hostNamesOf, isHostName } from './alt-names.js';
import { asChain, asKey, asRoots, nameOf, pathsOf } from './certificates.js';
import { asBoolean, asChoice, asGroup, asInteger, fail, failHidden, isPlainObject } from './checks.js';
import { stateNow } from './file-state.js';

/** A certificate, its key, and the names by which clients ask for it. */
export interface Identity {
  /** The certificate, and behind it those that certify it. PEM. */
  readonly cert: string;
  /** Its private key. PEM, not encrypted. */
  key: string;
  readonly names: string[];
}

/** What the engine encrypts with. */
export interface TlsEngineOptions {
  /** The first is also for clients that ask for none of the names. */
  identities: Identity[];
  minVersion: 'TLSv1.2' | 'TLSv1.3';
  /** Those who certify clients. PEM. */
  ca?: string;
  requireClientCert: boolean;
  watched?: Watched;
}

/** Files that are looked at again and again. */
export interface Watched {
  readonly files: readonly string[];
  readonly intervalMs: number;
  /** Their state before they were read. */
  readonly state: string;
  /** Reads and checks all anew. Throws an OptionError. */
  readonly read: () => TlsEngineOptions;
}

/** How often files are looked at. The engine knows nothing of it. */
const INTERVAL_MS: Bounds = { fallback: 5000, least: 10, most: 86_400_000, unit: 'milliseconds' };

const IDENTITY = ['cert', 'key', 'passphrase'] as const;
const KNOWN = [...IDENTITY, 'certificates', 'minVersion', 'ca', 'requireClientCert', 'watch'] as const;

/** Names that node:tls has for them, or for what is not there. */
const elsewhere = (option: string): Readonly<Record<string, string>> => ({
  certificate: `${option}.cert`, certs: `${option}.cert`, pem: `${option}.cert`, privateKey: `${option}.key`, password: `${option}.passphrase`, secureProtocol: `${option}.minVersion`,
  requestCert: `${option}.requireClientCert`, rejectUnauthorized: `${option}.requireClientCert`, SNICallback: `${option}.certificates`, contexts: `${option}.certificates`, sni: `${option}.certificates`,
});

/** The option `tls`; without it nothing is encrypted. */
export function asTls(option: string, value: unknown): { tls?: TlsEngineOptions } {
  return value === undefined ? {} : { tls: asEncryption(option, value) };
}

/** What `tls` holds. Files are read at once. */
export function asEncryption(option: string, value: unknown): TlsEngineOptions {
  refusePkcs12(option, value);
  const given = asGroup(option, value, KNOWN, elsewhere(option));
  const watched = asWatched(option, given, value);
  const ca = given.ca === undefined ? {} : { ca: asRoots(`${option}.ca`, given.ca) };
  const requireClientCert = asBoolean(`${option}.requireClientCert`, given.requireClientCert, given.ca !== undefined);
  if (requireClientCert && given.ca === undefined) fail(`${option}.requireClientCert`, true, `says nothing without ${option}.ca`, `Give ${option}.ca: the certificate of whoever certifies your clients.`);
  return {
    identities: [asIdentity(option, given), ...asOthers(`${option}.certificates`, given.certificates)],
    minVersion: asChoice(`${option}.minVersion`, given.minVersion, ['TLSv1.2', 'TLSv1.3']),
    requireClientCert,
    ...ca,
    ...(watched === undefined ? {} : { watched }),
  };
}

/** A CA and its key, as far as files and PEM go; whether it may sign is for the engine to say. */
export function asSigner(option: string, value: unknown): Identity {
  refusePkcs12(option, value);
  return { ...asIdentity(option, asGroup(option, value, IDENTITY, { ...elsewhere(option), ca: `${option}.cert` })), names: [] };
}

function asIdentity(option: string, given: Partial<Record<(typeof IDENTITY)[number] | 'names', unknown>>): Identity {
  const [cert, ...chain] = asChain(`${option}.cert`, given.cert);
  const key = asKey(option, given.key, given.passphrase);
  if (!cert.checkPrivateKey(key)) {
    failHidden(`${option}.key`, `does not fit the certificate in ${option}.cert (${nameOf(cert)})`, `Give the key that the certificate was made for; ${option}.cert begins with that certificate.`);
  }
  return { cert: [cert, ...chain].map(String).join(''), key: key.export({ type: 'pkcs8', format: 'pem' }) as string, names: given.names === undefined ? hostNamesOf(cert.subjectAltName) : asNames(`${option}.names`, given.names) };
}

/** Certificates for further names. */
function asOthers(option: string, value: unknown): Identity[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) failHidden(option, 'must be an array', 'Write [{ cert, key }] for a single one.');
  return Array.from(value, (one: unknown, index) => {
    const place = `${option}[${index}]`;
    if (!isPlainObject(one)) failHidden(place, 'must be an object', 'Known keys: cert, key, passphrase, names.');
    refusePkcs12(place, one);
    const identity = asIdentity(place, asGroup(place, one, [...IDENTITY, 'names'], elsewhere(place)));
    if (identity.names.length === 0) failHidden(`${place}.cert`, 'names no host that a client could ask for (subjectAltName)', `Give ${place}.names.`);
    return identity;
  });
}

function asNames(option: string, value: unknown): string[] {
  if (!Array.isArray(value) || value.length === 0) fail(option, value, 'must be an array of host names', "For example ['a.example.com', '*.b.example.com'].");
  return Array.from(value, (name: unknown, index) => {
    const lower = typeof name === 'string' ? name.toLowerCase() : '';
    if (!isHostName(lower)) fail(`${option}[${index}]`, name, "must be a host name; '*.' may stand before it, for one label", 'Write names of other alphabets in Punycode (node:url, domainToASCII).');
    return lower;
  });
}

function asWatched(option: string, given: Partial<Record<(typeof KNOWN)[number], unknown>>, value: unknown): Watched | undefined {
  const { watch } = given;
  if (watch === undefined || watch === false) return undefined;
  const group = watch === true ? {} : asGroup(`${option}.watch`, watch, ['intervalMs'], { interval: `${option}.watch.intervalMs` });
  const intervalMs = asInteger(`${option}.watch.intervalMs`, group.intervalMs, INTERVAL_MS);
  const others = Array.isArray(given.certificates) ? (given.certificates as unknown[]).filter(isPlainObject) : [];
  const files = [given, ...others].flatMap((one) => pathsOf([one.cert, one.key])).concat(pathsOf([given.ca].flat()));
  if (files.length === 0) fail(`${option}.watch`, watch, 'has nothing to watch: no file is named', `Give paths for ${option}.cert and ${option}.key.`);
  // What it was given is copied: it is read again much later.
  const again = { ...(value as object), certificates: others.length === 0 ? undefined : others.map((one) => ({ ...one })) };
  return { files, intervalMs, state: stateNow(files), read: () => asEncryption(option, again) };
}

/** node:tls takes that, and rustls does not. */
function refusePkcs12(option: string, value: unknown): void {
  if (!isPlainObject(value) || value['pfx'] === undefined) return;
  throw new OptionError(`${option}.pfx`, '(hidden)', `${option}.pfx is not an option: PKCS#12 is not read. Make PEM of it with 'openssl pkcs12 -in own.p12 -nodes -out own.pem', and give that for ${option}.cert and for ${option}.key.`);
}

/** Those of certificates are wiped as soon as the engine has them. */
export function forgetKeys(tls: { readonly identities: readonly { key: string }[] }): void {
  for (const identity of tls.identities) identity.key = '';
}

