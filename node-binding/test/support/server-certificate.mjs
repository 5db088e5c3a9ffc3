// A certificate of a server that certifies itself, and nobody else: as strict clients want it.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const folder = mkdtempSync(join(tmpdir(), 'fasttunnel-server-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

/** `names` as openssl has them. `pem` is `{ cert, key }`, `file` where the certificate is. */
export function serverCertificate(names) {
  const [file, key] = ['server.crt', 'server.key'].map((name) => join(folder, name));
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];
  const extensions = [`subjectAltName=${names}`, 'basicConstraints=critical,CA:FALSE'].flatMap((extension) => ['-addext', extension]);
  execFileSync('openssl', ['req', '-x509', '-nodes', ...kind, '-subj', '/CN=server', ...extensions, '-keyout', key, '-out', file], { stdio: 'pipe' });
  return { pem: { cert: readFileSync(file, 'utf8'), key: readFileSync(key, 'utf8') }, file };
}
