// Checked by tsc only, against the built package: the local CA of the proxy, as a user of `import` sees it.
import { createLocalCA, keepLocalCA, ProxyServer } from 'fasttunnel/proxy';
import type { InterceptTls, LocalCA, ProxyOptions } from 'fasttunnel/proxy';
import { localCAVerifier, startPreviewProxy } from 'fasttunnel/proxy/electron';

const ca: LocalCA = createLocalCA();
const kept: InterceptTls = keepLocalCA('local-ca.pem');
const options: ProxyOptions = { port: 0, interceptTls: { cert: Buffer.from(ca.cert), key: ca.key, passphrase: 'x' }, limits: { maxCertificates: 16 } };
await ProxyServer.start({ ...options, interceptTls: kept });
await startPreviewProxy(undefined, { interceptTls: ca });
// @ts-expect-error a CA without its key signs nothing
await ProxyServer.start({ port: 0, interceptTls: { cert: ca.cert } });
// @ts-expect-error it is kept in a file
keepLocalCA();

/** `electron.Session`, as its types have it. */
declare const session: {
  setCertificateVerifyProc(proc: ((request: { hostname: string; certificate: { data: string; issuerName: string }; verificationResult: string; errorCode: number }, callback: (verificationResult: number) => void) => void) | null): void;
};
session.setCertificateVerifyProc(localCAVerifier(ca.cert));
