// Trust in the CA of the proxy, for the sessions of views: neither the system nor Chromium itself has to be told of it.
import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { readLocalCA } from '../proxy/local-ca.js';
import type { CertificateVerifyRequest } from './types.js';

/** What `setCertificateVerifyProc` understands: it is trusted, and: Chromium is to decide. */
const TRUSTED = 0;
const AS_CHROMIUM_DOES = -3;

/**
 * For `session.setCertificateVerifyProc()`: trusts what the CA of the proxy, given in PEM, has signed for the host of the own machine that is asked for. Chromium decides on
 * all else, as it would without.
 */
export function localCAVerifier(cert: string): (request: CertificateVerifyRequest, callback: (verificationResult: number) => void) => void {
  const ca = readLocalCA('cert', cert);
  return ({ hostname, certificate }, callback) => callback(isOwn(hostname) && isSigned(ca, hostname.replace(/^\[|\]$/g, ''), certificate.data) ? TRUSTED : AS_CHROMIUM_DOES);
}

/** A host that the CA may vouch for: what else it has signed counts for nothing. */
function isOwn(hostname: string): boolean {
  return /^(?:(?:.+\.)?localhost|127(?:\.\d{1,3}){3}|\[?::1\]?)$/i.test(hostname);
}

function isSigned(ca: X509Certificate, host: string, pem: string): boolean {
  try {
    const leaf = new X509Certificate(pem);
    const now = Date.now();
    return (
      leaf.checkIssued(ca) &&
      leaf.verify(ca.publicKey) &&
      !leaf.ca &&
      Date.parse(leaf.validFrom) <= now &&
      now < Date.parse(leaf.validTo) &&
      (isIP(host) === 0 ? leaf.checkHost(host) : leaf.checkIP(host)) !== undefined
    );
  } catch {
    return false;
  }
}
