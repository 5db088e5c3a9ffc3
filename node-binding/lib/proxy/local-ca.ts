// The CA of a proxy: made once, kept in a file that nobody else may read, and given to the proxy at each start.
import { createHash, randomBytes, X509Certificate } from 'node:crypto';
import { closeSync, fsyncSync, linkSync, openSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
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
 * The CA that a file holds. Where there is no such file, or its CA ends within a month or has not begun yet, one is made, and kept there with mode 0600. Several
 * processes that come at once get the same.
 */
export function keepLocalCA(file: string): LocalCA {
  if (typeof file !== 'string' || file === '') fail('file', file, 'must be the path of a file', 'It need not be there yet; its folder has to be.');
  for (;;) {
    const kept = readKept(file);
    if (kept === undefined) {
      keepFirst(file, createLocalCA());
    } else if (isOfUse(file, kept)) {
      return kept;
    } else {
      replaceKept(file, kept);
    }
  }
}

/**
 * Replaces a CA. Processes that come at once agree on the one that was put first beside the file, under a name that no later one goes by; each of them writes that
 * one, so that none has to wait for another, which may have ended.
 */
function replaceKept(file: string, kept: LocalCA): void {
  const next = `${file}.next-${createHash('sha256').update(kept.cert).digest('hex').slice(0, 16)}`;
  keepFirst(next, createLocalCA());
  const agreed = readKept(next);
  // Otherwise it is replaced already, and what lies beside it came too late.
  if (agreed !== undefined && readKept(file)?.cert === kept.cert) write(agreed, file, renameSync);
  rmSync(next, { force: true });
}

/** Keeps a CA in a file, unless there is one. */
function keepFirst(file: string, ca: LocalCA): void {
  try {
    write(ca, file, linkSync);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

/** Writes a CA, and puts it in its place once all of it is on the disk: nobody finds a part of it there. */
function write({ cert, key }: LocalCA, file: string, put: (from: string, to: string) => void): void {
  const beside = `${file}.${randomBytes(6).toString('hex')}`;
  try {
    const opened = openSync(beside, 'wx', 0o600);
    try {
      writeFileSync(opened, key + cert);
      fsyncSync(opened);
    } finally {
      closeSync(opened);
    }
    put(beside, file);
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
    const { mode, uid } = statSync(file);
    const rights = mode & 0o777;
    if ((rights & 0o077) !== 0) fail('file', file, `may be read or written by others (mode ${rights.toString(8)})`, 'Whoever has its key can be any host of this machine: remove the file, or set mode 0600 if nobody else has had it.');
    if (uid !== process.geteuid?.()) fail('file', file, `belongs to another user (uid ${uid})`, 'Whoever has its key can be any host of this machine: give a file of the user that this process runs as.');
    text = readFileSync(file, 'latin1');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  const [key] = /-----BEGIN PRIVATE KEY-----[^-]*-----END PRIVATE KEY-----\n?/.exec(text) ?? [];
  const certificates = text.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----\n?/g);
  if (key === undefined || certificates === null) failBroken(file);
  return { cert: certificates.join(''), key };
}

function failBroken(file: string): never {
  return fail('file', file, 'does not hold a CA and its key in PEM', 'Remove the file: one is made then.');
}

/** It holds now, and for a while. */
function isOfUse(file: string, { cert }: LocalCA): boolean {
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(cert);
  } catch {
    return failBroken(file);
  }
  const [begins, ends] = [Date.parse(certificate.validFrom), Date.parse(certificate.validTo)];
  return begins <= Date.now() && (ends - Date.now()) / 86_400_000 > SPARE_DAYS;
}
