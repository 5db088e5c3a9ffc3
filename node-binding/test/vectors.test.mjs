// The HTTP vectors of ../shared/http, strict, on both drivers. Skipped (and said so) where the vectors are not there.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { onBothDriversAtOnce } from './support/tunnels.mjs';

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
  const args = [`${VECTORS}/run.py`, '--port', String(port), '--file', `${VECTORS}/${file}`, '--strict', ...more];
  return new Promise((resolve) => {
    execFile('python3', args, { maxBuffer: 64 * 2 ** 20 }, (error, stdout, stderr) => resolve({ failed: error !== null, output: `${stdout}${stderr}` }));
  });
}

const passes = async (...args) => {
  const { failed, output } = await run(...args);
  assert.equal(failed, false, output.slice(-6000));
  // Not a word about failures, and not because nothing was run.
  assert.match(output, /^[1-9]\d* passed, 0 failed$/m, output.slice(-2000));
  assert.doesNotMatch(output, /SERVER CRASH OR HANG/);
};

onBothDriversAtOnce('vectors', (driver) => {
  it('open.jsonl', { skip }, () => withServer({ DRIVER: driver }, (port) => passes(port, 'open.jsonl')));
  it('open.jsonl under TLS', { skip: skip || (driver === 'io_uring' ? false : 'on io_uring') }, () => withServer({ DRIVER: driver, TLS: '1' }, (port) => passes(port, 'open.jsonl')));
  it('open.jsonl, cut into random packets', { skip }, () => withServer({ DRIVER: driver }, (port) => passes(port, 'open.jsonl', '--reslice', '7')));
  it('app-auth with a token', { skip }, () => withServer({ DRIVER: driver, TOKEN: 't0ken' }, (port) =>
    passes(port, 'open.jsonl', '--with', 'token', '--canary-header', 'x-runner-token: t0ken', '--area', 'app-auth')));
  it('json-suite.jsonl', { skip }, () => withServer({ DRIVER: driver }, (port) => passes(port, 'json-suite.jsonl')));
});
