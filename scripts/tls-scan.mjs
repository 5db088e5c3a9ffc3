// What sslyze and testssl say of a tunnel under TLS: nothing below the grade A. `make tls-scan`
//   node scripts/tls-scan.mjs <sslyze> [<testssl>]
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fastTunnel } from '../node-binding/dist/esm/index.mjs';

const [sslyze = 'sslyze', testssl] = process.argv.slice(2);
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

/**
 * What testssl objects to, beside what is no property of the tunnel: its own OpenSSL, the certificate of this script, DNS and the headers of an application.
 * It wants the server's order of ciphers. Each of ours is as good as the others, so the client's holds: a client without AES in hardware takes ChaCha20.
 */
const NOT_OURS = /^(engine_problem|cipher_order|cert_(expirationStatus|notAfter|revocation)|DNS_CAArecord|HSTS)$/;
const objections = (results) => results.filter(({ severity }) => !['OK', 'INFO'].includes(severity)).map(({ id, finding }) => `${id}: ${finding}`);

/** Runs in a process of its own: the tunnel answers meanwhile. */
async function run(program, args) {
  const scan = spawn(program, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  await new Promise((resolve, reject) => scan.once('exit', resolve).once('error', reject));
}

/** @returns how many findings are bad */
function tell(scanner, scanned, count, wrong) {
  console.log(`${scanner}: ${scanned}: ${wrong.length === 0 ? `${count} findings, all good` : `NOT ${wrong.join('; NOT ')}`}`);
  return wrong.length;
}

let failed = 0;
try {
  for (const [kind, options] of [['ec', ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256']], ['rsa', ['-newkey', 'rsa:2048']]]) {
    execFileSync('openssl', ['req', '-x509', '-nodes', ...options, '-keyout', at('own.key'), '-out', at('own.crt'), '-days', '30', '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'], { stdio: 'ignore' });
    for (const driver of ['io_uring', 'epoll']) {
      const tunnel = await fastTunnel({ driver, auth: { allowAnonymous: true }, tls: { cert: at('own.crt'), key: at('own.key') } });
      await run(sslyze, ['--quiet', ...SCANS.map((scan) => `--${scan}`), `--json_out=${at('scan.json')}`, '--mozilla_config=disable', `localhost:${tunnel.port}`]);
      const [{ scan_status: status, ...result }] = JSON.parse(readFileSync(at('scan.json'), 'utf8')).server_scan_results;
      if (status !== 'COMPLETED') throw new Error(`${kind}, ${driver}: sslyze says ${status}`);
      failed += tell('sslyze', `${kind}, ${driver}`, findings(result).length, findings(result).filter(([, good]) => !good).map(([what]) => `${what}`));
      if (testssl !== undefined) {
        const file = at(`${kind}-${driver}.json`);
        await run(testssl, ['--quiet', '--warnings', 'off', '--color', '0', '--ip', '127.0.0.1', '--add-ca', at('own.crt'), '--jsonfile', file, `https://localhost:${tunnel.port}`]);
        const results = JSON.parse(readFileSync(file, 'utf8')).filter(({ id }) => !NOT_OURS.test(id));
        // It ends early, with little to say, where it cannot connect.
        if (results.length < 100) throw new Error(`${kind}, ${driver}: testssl says no more than ${JSON.stringify(results)}`);
        failed += tell('testssl', `${kind}, ${driver}`, results.length, objections(results));
      }
      await tunnel.close();
    }
  }
} finally {
  rmSync(folder, { recursive: true });
}
process.exitCode = failed === 0 ? 0 : 1;
