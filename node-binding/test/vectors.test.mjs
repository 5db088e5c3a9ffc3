// The HTTP vectors of ../shared/http, strict, on both drivers. Skipped (and said so) where the vectors are not there.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { withFolder } from './support/folders.mjs';
import { onBothDriversAtOnce } from './support/tunnels.mjs';

/** What HTTP/1.1 has to refuse, and HTTP/2 begins with: its rest is waited for (RFC 9113 3.4). */
const PREFACE = 'fp-h2-preface-split';

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url));
const VECTORS = process.env.FASTTUNNEL_VECTORS ?? path('../../../shared/http');
const skip = existsSync(`${VECTORS}/run.py`) ? false : `no vectors at ${VECTORS}`;

async function withServer(env, body) {
  const child = spawn(process.execPath, [path('fixtures/standalone.mjs')], { env: { ...process.env, PORT: '0', ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text) => { stderr = (stderr + text).slice(-4000); });
  try {
    const exit = once(child, 'exit');
    const [line] = await Promise.race([once(createInterface({ input: child.stdout }), 'line'), exit.then(() => { throw new Error(`it did not start: ${stderr}`); })]);
    await body(JSON.parse(line).port);
    assert.equal(child.exitCode, null, `the server has ended: ${stderr}`);
    child.kill('SIGTERM');
    assert.deepEqual(await exit, [0, null], stderr);
  } finally {
    child.kill('SIGKILL');
  }
}

function run(port, file, ...more) {
  const args = [`${VECTORS}/run.py`, '--port', String(port), '--file', file, '--strict', ...more];
  return new Promise((resolve) => {
    execFile('python3', args, { maxBuffer: 64 * 2 ** 20 }, (error, stdout, stderr) => resolve({ failed: error !== null, output: `${stdout}${stderr}` }));
  });
}

const passes = async (port, file, ...more) => {
  assertPassed(await run(port, `${VECTORS}/${file}`, ...more));
};

/** All of open.jsonl where HTTP/2 is spoken beside HTTP/1.1. */
const openPasses = (port, ...more) => withFolder(async (file) => {
  const lines = readFileSync(`${VECTORS}/open.jsonl`, 'utf8').split('\n');
  const left = lines.filter((line) => !line.includes(`"${PREFACE}"`));
  assert.equal(left.length, lines.length - 1);
  writeFileSync(file('open.jsonl'), left.join('\n'));
  assertPassed(await run(port, file('open.jsonl'), ...more));
});

function assertPassed({ failed, output }) {
  assert.equal(failed, false, output.slice(-6000));
  // Not a word about failures, and not because nothing was run.
  assert.match(output, /^[1-9]\d* passed, 0 failed$/m, output.slice(-2000));
  assert.doesNotMatch(output, /SERVER CRASH OR HANG/);
}

onBothDriversAtOnce('vectors', (driver) => {
  it('open.jsonl', { skip }, () => withServer({ DRIVER: driver }, openPasses));
  it('the beginning of HTTP/2 where only HTTP/1.1 is spoken', { skip }, () => withServer({ DRIVER: driver, HTTP2: '0' }, (port) => passes(port, 'open.jsonl', '--id', PREFACE)));
  it('open.jsonl under TLS', { skip: skip || (driver === 'io_uring' ? false : 'on io_uring') }, () => withServer({ DRIVER: driver, TLS: '1' }, openPasses));
  it('open.jsonl, cut into random packets', { skip }, () => withServer({ DRIVER: driver }, (port) => openPasses(port, '--reslice', '7')));
  it('app-auth with a token', { skip }, () => withServer({ DRIVER: driver, TOKEN: 't0ken' }, (port) =>
    passes(port, 'open.jsonl', '--with', 'token', '--canary-header', 'x-runner-token: t0ken', '--area', 'app-auth')));
  // What JavaScript is asked, and what it answers; the rest never comes to it.
  const here = driver === 'io_uring' ? process.env.FASTTUNNEL_TEST_PLACEMENT === 'inline' && 'workers take calls from threads' : 'on io_uring';
  it('the calls of open.jsonl with workers', { skip: skip || here }, () => withServer({ DRIVER: driver, WORKERS: '2' }, (port) => passes(port, 'open.jsonl', '--layer', 'app')));
  it('json-suite.jsonl', { skip }, () => withServer({ DRIVER: driver }, (port) => passes(port, 'json-suite.jsonl')));
});
