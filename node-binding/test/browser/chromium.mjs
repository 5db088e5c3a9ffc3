// The client for browsers in Chromium, on a page of another origin than the tunnel's. `make browser`
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { certificate } from '../support/certificates.mjs';
import { checkOutcomes, openPage } from './page.mjs';

const program = process.argv[2] ?? 'chromium-headless-shell';

/** Runs the page, and looks at what it has come to. */
async function tryIn(scheme, tls, ...more) {
  const folder = mkdtempSync(join(tmpdir(), 'fasttunnel-chromium-'));
  const page = await openPage(join(folder, 'bundle.mjs'), tls);
  const browser = spawn(program, ['--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--remote-debugging-port=0', `--user-data-dir=${folder}`, ...more, page.url], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  browser.stderr.setEncoding('utf8').on('data', (text) => { said += text; });
  const ended = new Promise((resolve) => browser.once('error', resolve).once('exit', resolve));
  try {
    const late = sleep(60_000, undefined, { ref: false });
    const outcomes = await Promise.race([page.outcomes, late, ended.then(() => undefined)]);
    if (outcomes === undefined) throw new Error(`${program} has reported nothing: ${said}`);
    checkOutcomes(outcomes, page.tried, scheme);
    // Browsers speak HTTP/2 only where TLS agrees on it.
    assert.equal(page.http2Connections() > 0, scheme === 'https');
    console.log(`${Object.keys(outcomes).length} outcomes in Chromium are as they should be, by ${scheme}, HTTP/${scheme === 'https' ? '2' : '1.1'}`);
  } finally {
    browser.kill('SIGKILL');
    await ended;
    // Processes of the browser's may hold its other end for longer.
    browser.stderr.destroy();
    await page.close();
    rmSync(folder, { recursive: true, maxRetries: 5 });
  }
}

await tryIn('http');
// Nobody has certified it.
await tryIn('https', certificate().pem, '--ignore-certificate-errors');
