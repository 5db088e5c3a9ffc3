// docs/troubleshooting.md has every code that an error, a warning or an answer carries, and no other.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const read = (...path) => readFileSync(join(root, ...path), 'utf8');
const page = read('docs', 'troubleshooting.md');

/** The codes in a column of the tables of a section. */
function codesOf(section, column) {
  const text = page.slice(page.indexOf(`## ${section}`)).split(/^## /m)[1];
  const cells = text.split('\n').filter((line) => line.startsWith('| ')).map((line) => line.split(' | ')[column]);
  return cells.flatMap((cell) => [...(cell ?? '').matchAll(/`([A-Z][A-Z0-9_]+)`/g)].map(([, code]) => code));
}

/** All `FASTTUNNEL_…` of the TypeScript that are no names of environment variables or async resources. */
function codesInSources() {
  const files = readdirSync(join(root, 'node-binding', 'lib'), { recursive: true }).filter((name) => name.endsWith('.ts'));
  const codes = files.flatMap((name) => {
    const text = read('node-binding', 'lib', name);
    return [...text.matchAll(/(?:AsyncResource\(|_VARIABLE = )?['"](FASTTUNNEL_[A-Z_]+)['"]/g)].filter(([match]) => /^['"]/.test(match)).map(([, code]) => code);
  });
  return new Set(codes);
}

describe('troubleshooting', () => {
  it('has every code of the package, and no other', () => {
    const inPage = new Set([...page.matchAll(/`(FASTTUNNEL_[A-Z_]+)`/g)].map(([, code]) => code));
    assert.deepEqual([...inPage].sort(), [...codesInSources()].sort());
  });

  it('has every code that the system may give an address, and no code twice', async () => {
    const codes = codesOf('Errors of the package', 0);
    assert.deepEqual(codes.filter((code, at) => codes.indexOf(code) !== at), []);
    const { ERRNO } = await import('../dist/cjs/facts/facts.generated.js');
    const inPage = codes.filter((code) => code.startsWith('E'));
    for (const name of [...Object.keys(ERRNO), 'ENOTFOUND', 'EAI_AGAIN']) assert.ok(inPage.includes(name), name);
  });

  it('has every status and code of an answer', () => {
    const refusals = new Set([...read('engine', 'src', 'tunnel', 'envelope.rs').matchAll(/facts!\(\s*(\d+),\s*"([A-Z_]+)"/g)].map(([, status, code]) => `${status} ${code}`));
    assert.ok(refusals.size > 20);
    const text = page.slice(page.indexOf('## Answers')).split(/^## /m)[1];
    const rows = text.split('\n').filter((line) => /^\| \d/.test(line));
    const inPage = rows.flatMap((row) => [...row.split(' | ')[1].matchAll(/`([A-Z_]+)`/g)].map(([, code]) => `${row.slice(2, 5)} ${code}`));
    assert.deepEqual(inPage.sort(), [...refusals].sort());
  });
});
