// What sslyze says of a tunnel under TLS: nothing below the grade A. `make tls-scan`
//   node scripts/tls-scan.mjs <sslyze>
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fastTunnel } from '../node-binding/dist/esm/index.mjs';

const sslyze = process.argv[2] ?? 'sslyze';
const SCANS = ['sslv2', 'sslv3', 'tlsv1', 'tlsv1_1', 'tlsv1_2', 'tlsv1_3', 'compression', 'early_data', 'elliptic_curves', 'ems', 'heartbleed', 'openssl_ccs', 'reneg', 'resum', 'robot'];
const folder = mkdtempSync(join(tmpdir(), 'tls-scan-'));
const at = (name) => join(folder, name);

/** What is wrong with the ciphers of a version, each of which has to be forward secret and authenticated. */
function weakCiphers({ result }) {
  return result.accepted_cipher_suites.map(({ cipher_suite: { name } }) => name).filter((name) => !/^TLS_(ECDHE_(ECDSA|RSA)_WITH_)?(AES_(128|256)_GCM_SHA(256|384)|CHACHA20_POLY1305_SHA256)$/.test(name));
}

/** Findings of a scan, each with what it has to be. */
function findings({ scan_result: scan }) {
  const accepted = (version) => scan[`${version}_cipher_suites`].result.accepted_cipher_suites.length > 0;
  const { result: elliptic } = scan.elliptic_curves;
  return [
    ...['ssl_2_0', 'ssl_3_0', 'tls_1_0', 'tls_1_1'].map((version) => [`${version} is refused`, !accepted(version)]),
    ...['tls_1_2', 'tls_1_3'].map((version) => [`${version} is spoken`, accepted(version)]),
    ...['tls_1_2', 'tls_1_3'].map((version) => [`${version} has no weak cipher: ${weakCiphers(scan[`${version}_cipher_suites`])}`, weakCiphers(scan[`${version}_cipher_suites`]).length === 0]),
    ['no compression', !scan.tls_compression.result.supports_compression],
    ['no early data', !scan.tls_1_3_early_data.result.supports_early_data],
    ['no renegotiation by clients', !scan.session_renegotiation.result.is_vulnerable_to_client_renegotiation_dos],
    ['secure renegotiation is announced', scan.session_renegotiation.result.supports_secure_renegotiation],
    ['Extended Master Secret', scan.tls_extended_master_secret.result.supports_ems_extension],
    ['no Heartbleed', !scan.heartbleed.result.is_vulnerable_to_heartbleed],
    ['no CCS injection', !scan.openssl_ccs_injection.result.is_vulnerable_to_ccs_injection],
    ['no ROBOT', /^NOT_VULNERABLE/.test(scan.robot.result.robot_result)],
    // Not what it says of tickets: it takes a session that comes with a new ticket, as ours do, for none that was taken up.
    ['no sessions by id', scan.session_resumption.result.session_id_resumption_result === 'NOT_SUPPORTED'],
    ['modern curves', elliptic.supported_curves.every(({ name }) => ['X25519', 'secp256r1', 'secp384r1'].includes(name))],
  ];
}

let failed = 0;
try {
  for (const [kind, options] of [['ec', ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256']], ['rsa', ['-newkey', 'rsa:2048']]]) {
    execFileSync('openssl', ['req', '-x509', '-nodes', ...options, '-keyout', at('own.key'), '-out', at('own.crt'), '-days', '30', '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'], { stdio: 'ignore' });
    for (const driver of ['io_uring', 'epoll']) {
      const tunnel = await fastTunnel({ driver, auth: { allowAnonymous: true }, tls: { cert: at('own.crt'), key: at('own.key') } });
      // In a process of its own: the tunnel answers meanwhile.
      const scan = spawn(sslyze, ['--quiet', ...SCANS.map((scan) => `--${scan}`), `--json_out=${at('scan.json')}`, '--mozilla_config=disable', `localhost:${tunnel.port}`], { stdio: ['ignore', 'ignore', 'inherit'] });
      await new Promise((resolve, reject) => scan.once('exit', resolve).once('error', reject));
      const [{ scan_status: status, ...result }] = JSON.parse(readFileSync(at('scan.json'), 'utf8')).server_scan_results;
      if (status !== 'COMPLETED') throw new Error(`${kind}, ${driver}: sslyze says ${status}`);
      const wrong = findings(result).filter(([, good]) => !good).map(([what]) => what);
      console.log(`${kind}, ${driver}: ${wrong.length === 0 ? `${findings(result).length} findings, all good` : `NOT ${wrong.join('; NOT ')}`}`);
      failed += wrong.length;
      await tunnel.close();
    }
  }
} finally {
  rmSync(folder, { recursive: true });
}
process.exitCode = failed === 0 ? 0 : 1;
