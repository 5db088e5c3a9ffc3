// In place of the cloud: two workspaces on this machine, under TLS, with a certificate for their names that openssl makes.
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

function certificate(names) {
  const folder = mkdtempSync(join(tmpdir(), 'fasttunnel-example-'));
  try {
    const [key, cert] = ['key.pem', 'cert.pem'].map((file) => join(folder, file));
    execFileSync('openssl', ['req', '-x509', '-nodes', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-keyout', key, '-out', cert, '-days', '1', '-subj', '/CN=workspaces', '-addext', `subjectAltName=${names}`, '-addext', 'basicConstraints=critical,CA:FALSE'], { stdio: 'ignore' });
    return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Starts a server for each of these names: `{ hosts, ca, close }`, of which the first two are options of the proxy. */
export async function openWorkspaces(...names) {
  const pem = certificate('DNS:*.cmux.app');
  const hosts = {};
  const servers = await Promise.all(names.map(async (name) => {
    const server = createServer(pem, (request, response) => response.end(`from workspace ${name}, asked as ${request.headers.host}`)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    hosts[`cmux-${name}-base-5173.cmux.app`] = `127.0.0.1:${server.address().port}`;
    return server;
  }));
  const close = () => servers.forEach((server) => {
    server.close();
    server.closeAllConnections();
  });
  return { hosts, ca: pem.cert, close };
}
