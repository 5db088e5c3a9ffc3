// Every link of the Markdown files leads somewhere, here and where the package is published.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { anchorsOf, linksOf } from './support/markdown.mjs';

const home = fileURLToPath(new URL('..', import.meta.url));
const root = join(home, '..');

/** Markdown files in a folder and those below it that are ours. */
function markdownIn(folder) {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return entry.name === 'node_modules' ? [] : markdownIn(path);
    return entry.name.endsWith('.md') ? [path] : [];
  });
}

const FILES = ['README.md', 'ARCHITECTURE.md', 'SECURITY.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'fuzz/README.md', ...['docs', 'benches', 'loadtest'].flatMap(markdownIn)];

describe('links', () => {
  for (const file of FILES) {
    it(`of ${file} lead to files and headings that exist`, () => {
      for (const { path, anchor } of linksOf(join(root, file))) {
        const target = path === '' ? join(root, file) : join(root, dirname(file), path);
        assert.ok(existsSync(target), `${file}: there is no ${path}`);
        if (anchor !== '') assert.ok(anchorsOf(target).has(anchor), `${file}: ${path === '' ? file : path} has no heading #${anchor}`);
      }
    });
  }

  it('reach every document from README', () => {
    const linked = new Set(linksOf(join(root, 'README.md')).map(({ path }) => path));
    for (const file of ['ARCHITECTURE.md', 'SECURITY.md', 'CONTRIBUTING.md', 'CHANGELOG.md', ...markdownIn('docs')]) assert.ok(linked.has(file), `README.md does not link ${file}`);
  });

  it('of the README in the package do not depend on the files beside it', () => {
    const { status, stderr } = spawnSync(process.execPath, [join(home, 'scripts', 'readme.mjs')], { encoding: 'utf8' });
    assert.equal(status, 0, stderr);
    const packed = join(home, 'README.md');
    assert.deepEqual(linksOf(packed).filter(({ path }) => path !== ''), []);
    const onGitHub = [...readFileSync(packed, 'utf8').matchAll(/\]\(https:\/\/github\.com\/bluelibs\/fasttunnel\/(?:blob|raw)\/HEAD\/([^)#]+)/g)].map(([, path]) => path);
    assert.deepEqual(onGitHub, linksOf(join(root, 'README.md')).map(({ path }) => path).filter((path) => path !== ''));
    for (const path of onGitHub) assert.ok(existsSync(join(root, path)), path);
  });
});
