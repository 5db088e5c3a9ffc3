// The CA of a proxy: made once, kept in a file that nobody else may read, and given to the proxy at each start.
import { randomBytes, X509Certificate } from 'node:crypto';
import { linkSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { optionErrorOf } from '../errors/errors.js';
import { asChain } from '../options/certificates.js';
import { fail, failHidden } from '../options/checks.js';
import { makeLocalCA } from './native.js';
import type { LocalCA } from './types.js';

/** Days before its end from which on a CA is replaced: it is not to end while an app runs. */
const SPARE_DAYS = 30;

/**
 * Makes a CA for `interceptTls`, which holds for ten years. It may certify `localhost`, names below it, `127.0.0.0/8` and `::1`, and says so itself: nobody who
 * trusts it trusts it for more.
 */
export function createLocalCA(): LocalCA {
  try {
    return makeLocalCA();
  } catch (error) {
    throw optionErrorOf(error);
  }
}

/**
 * The CA that a file holds. Where there is no such file, or its CA ends within a month, one is made, and kept there with mode 0600. Several processes that come at
 * once get the same.
 */
export function keepLocalCA(file: string): LocalCA {
  if (typeof file !== 'string' || file === '') fail('file', file, 'must be the path of a file', 'It need not be there yet; its folder has to be.');
  const kept = readKept(file);
  if (kept !== undefined && daysLeft(kept) > SPARE_DAYS) return kept;
  const made = createLocalCA();
  const beside = `${file}.${randomBytes(6).toString('hex')}`;
  try {
    writeFileSync(beside, made.key + made.cert, { mode: 0o600, flag: 'wx' });
    if (kept !== undefined) {
      renameSync(beside, file);
      return made;
    }
    linkSync(beside, file);
    return made;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    return readKept(file) ?? made;
  } finally {
    rmSync(beside, { force: true });
  }
}

/** The certificate of a CA, given as an option. */
export function readLocalCA(option: string, value: unknown): X509Certificate {
  const [ca] = asChain(option, value);
  if (!ca.ca) failHidden(option, 'is not that of a CA', 'Give the cert of what keepLocalCA() or createLocalCA() gives.');
  return ca;
}

function readKept(file: string): LocalCA | undefined {
  let text: string;
  try {
    const mode = statSync(file).mode & 0o777;
    if ((mode & 0o077) !== 0) fail('file', file, `may be read or written by others (mode ${mode.toString(8)})`, 'Whoever has its key can be any host of this machine: remove the file, or set mode 0600 if nobody else has had it.');
    text = readFileSync(file, 'latin1');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  const [key] = /-----BEGIN PRIVATE KEY-----[^-]*-----END PRIVATE KEY-----\n?/.exec(text) ?? [];
  const [cert] = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----\n?/.exec(text) ?? [];
  if (key === undefined || cert === undefined) fail('file', file, 'does not hold a CA and its key in PEM', 'Remove the file: one is made then.');
  return { cert, key };
}

function daysLeft({ cert }: LocalCA): number {
  return (Date.parse(new X509Certificate(cert).validTo) - Date.now()) / 86_400_000;
}
