// The file that keeps the CA of a proxy: who replaces it, and what is taken for none.
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { describe, it } from 'node:test';
import { createLocalCA, keepLocalCA, OptionError } from '../dist/esm/proxy/index.mjs';
import { certificate, early } from './support/certificates.mjs';

const folder = mkdtempSync(join(tmpdir(), 'fasttunnel-local-ca-kept-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const MODULE = new URL('../dist/esm/proxy/index.mjs', import.meta.url).href;
const soon = certificate({ name: 'soon', days: 10 }).pem;

/** A file that holds this. */
function file(name, text) {
  const path = join(folder, name);
  writeFileSync(path, text, { mode: 0o600 });
  return path;
}

/** What lies there, under its name and beside it. */
const beside = (path) => readdirSync(folder).filter((name) => name.startsWith(basename(path)));

/** Where processes agree on the CA that comes after one. */
const next = (path, { cert }) => `${path}.next-${createHash('sha256').update(cert).digest('hex').slice(0, 16)}`;

describe('the file of a local CA', { timeout: 60_000 }, () => {
  it('is replaced by the same CA for all processes that come at once', async () => {
    const program = join(folder, 'keep.mjs');
    writeFileSync(program, `import { keepLocalCA } from ${JSON.stringify(MODULE)};\nprocess.on('message', (file) => process.send(keepLocalCA(file).cert));\nprocess.send('ready');\n`);
    const children = Array.from({ length: 3 }, () => fork(program));
    await Promise.all(children.map((child) => once(child, 'message')));
    for (let round = 0; round < 10; round += 1) {
      const path = file(`soon-${round}.pem`, soon.key + soon.cert);
      const kept = await Promise.all(children.map(async (child) => {
        child.send(path);
        return (await once(child, 'message'))[0];
      }));
      assert.equal(new Set([...kept, keepLocalCA(path).cert]).size, 1);
      assert.deepEqual(beside(path), [basename(path)], 'nothing else is left');
    }
    for (const child of children) child.disconnect();
  });

  it('is replaced by what a process has left that ended before it was done, and by another if that is of no use', () => {
    const [path, left] = [file('left.pem', soon.key + soon.cert), createLocalCA()];
    writeFileSync(next(path, soon), left.key + left.cert, { mode: 0o600 });
    assert.equal(keepLocalCA(path).cert, left.cert);
    assert.ok(readFileSync(path, 'latin1').includes(left.cert));
    const [stale, old] = [file('stale.pem', soon.key + soon.cert), certificate({ name: 'old', days: 5 }).pem];
    writeFileSync(next(stale, soon), old.key + old.cert, { mode: 0o600 });
    const { cert } = keepLocalCA(stale);
    assert.match(new X509Certificate(cert).subject, /fasttunnel local CA/);
    assert.equal(keepLocalCA(stale).cert, cert);
    assert.deepEqual([beside(path), beside(stale)], [['left.pem'], ['stale.pem']]);
  });

  it('is replaced when its CA is not valid yet: a clock that was ahead is none for ever', () => {
    const { cert, key } = early();
    const path = file('early.pem', key + cert);
    const kept = keepLocalCA(path);
    assert.ok(Date.parse(new X509Certificate(kept.cert).validFrom) < Date.now());
    assert.equal(keepLocalCA(path).cert, kept.cert);
  });

  it('may hold what certifies the CA, too', () => {
    const [ca, above] = [createLocalCA(), certificate().pem.cert];
    assert.equal(keepLocalCA(file('chain.pem', ca.key + ca.cert + above)).cert, ca.cert + above);
  });

  it('is refused when it is broken or of another user, with what to do, and is left as it is', () => {
    const { key, cert } = createLocalCA();
    const junk = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
    for (const text of ['', key, cert, key + junk, (key + cert).slice(0, -100)]) {
      const path = file('broken.pem', text);
      assert.throws(() => keepLocalCA(path), (error) => error instanceof OptionError && error.option === 'file' && /does not hold a CA and its key in PEM.*Remove the file/.test(error.message) && !error.message.includes('PRIVATE'));
      assert.equal(readFileSync(path, 'latin1'), text);
    }
    const path = file('foreign.pem', key + cert);
    const { geteuid } = process;
    process.geteuid = () => geteuid() + 1;
    try {
      assert.throws(() => keepLocalCA(path), (error) => error instanceof OptionError && /belongs to another user/.test(error.message));
    } finally {
      process.geteuid = geteuid;
    }
    assert.equal(keepLocalCA(path).cert, cert);
  });
});
