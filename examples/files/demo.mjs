// What `make run-files` shows: each of the three once, from Node, and where the page is.
import { randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ListenError } from 'fasttunnel';
import { download, transform, upload } from './client.mjs';

const token = process.env.RUNNER_TOKEN ?? 'files-token';
const MIB = 2 ** 20;
const once = process.argv.includes('--once');

const { tunnel, pageUrl, close } = await import('./server.mjs').catch((error) => {
  if (error instanceof ListenError) {
    console.error(`${error.message}\nFor example: PORT=7071 make run-files`);
    process.exit(1);
  }
  throw error;
});

const bar = (done, total) => {
  const width = Math.round((done / total) * 40);
  process.stdout.write(`\r  [${'#'.repeat(width)}${' '.repeat(Math.max(0, 40 - width))}] ${(done / MIB).toFixed(1)} of ${(total / MIB).toFixed(1)} MiB`);
};

const folder = await mkdtemp(join(tmpdir(), 'fasttunnel-demo-'));
try {
  const [path, copy, bytes] = [join(folder, 'original'), join(folder, 'copy'), 64 * MIB];
  const file = await open(path, 'w');
  for (let left = bytes; left > 0; left -= MIB) await file.write(randomBytes(MIB));
  await file.close();

  console.log('Upload, as a form:');
  const stored = await upload(tunnel.url, token, path, 'Grüße.bin', 'application/x-demo', (sent) => bar(Math.min(sent, bytes), bytes));
  console.log(`\n  ${JSON.stringify(stored)}`);

  console.log('Download:');
  await download(tunnel.url, token, stored.id, createWriteStream(copy), bar);
  console.log();

  console.log('Transform, both ways at the same time:');
  const { request, answered } = transform(tunnel.url, token, 'app.text.upper');
  request.write('what is sent first ');
  const response = await answered;
  const chunks = response.setEncoding('latin1')[Symbol.asyncIterator]();
  for (const next of ['comes back before ', 'the last is sent', null]) {
    console.log(`  < ${(await chunks.next()).value}`);
    if (next === null) request.end();
    else request.write(next);
  }
  if (!(await chunks.next()).done) throw new Error('the answer did not end');
} finally {
  await rm(folder, { recursive: true, force: true });
}

if (once) await close();
else console.log(`\nThe same from a browser: ${pageUrl}\nCtrl-C stops it.`);
