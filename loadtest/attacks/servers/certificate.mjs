// The certificate of servers under TLS, made by openssl when the first of them starts.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

let folder;

/** Where `own.crt` and `own.key` are, as long as this process lives. */
export function certificateFolder() {
  if (folder !== undefined) return folder;
  folder = mkdtempSync(join(tmpdir(), 'attacks-tls-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  execFileSync('openssl', ['req', '-x509', '-nodes', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-keyout', join(folder, 'own.key'), '-out', join(folder, 'own.crt'), '-days', '2', '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'], { stdio: 'ignore' });
  return folder;
}
