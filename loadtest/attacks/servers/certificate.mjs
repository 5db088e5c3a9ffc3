// The certificate of servers under TLS, made by openssl when the first of them starts.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const folders = new Map();

/** Where `own.crt` and `own.key` for these names are, as long as this process lives; `more` are further extensions. */
export function certificateFolder(names = 'DNS:localhost', ...more) {
  const key = [names, ...more].join();
  if (folders.has(key)) return folders.get(key);
  const folder = mkdtempSync(join(tmpdir(), 'attacks-tls-'));
  folders.set(key, folder);
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const extensions = [`subjectAltName=${names}`, ...more].flatMap((extension) => ['-addext', extension]);
  execFileSync('openssl', ['req', '-x509', '-nodes', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-keyout', join(folder, 'own.key'), '-out', join(folder, 'own.crt'), '-days', '2', '-subj', '/CN=localhost', ...extensions], { stdio: 'ignore' });
  return folder;
}
