// `fasttunnel/client` as bundlers pack it for browsers: over fetch, without a module of Node. `make browser` runs the same in Chromium.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import * as client from 'fasttunnel/client';
import { checkOutcomes, openPage } from './browser/page.mjs';
import { COMMANDS, run } from './support/runtimes.mjs';

const folder = mkdtempSync(join(tmpdir(), 'fasttunnel-browser-'));
after(() => rmSync(folder, { recursive: true }));

describe('the client for browsers', () => {
  it('has the names of the client for Node, and nothing of Node in its bundle', async () => {
    const page = await openPage(join(folder, 'names.mjs'));
    await page.close();
    const files = page.files.filter((file) => file.startsWith('dist/'));
    assert.ok(files.includes('dist/esm/browser/browser/index.mjs'));
    assert.deepEqual(files.filter((file) => !file.startsWith('dist/esm/browser/')), []);
    assert.doesNotMatch(readFileSync(page.bundle, 'utf8'), /(?:from|import|require)\s*\(?\s*["'](?:node:)?[a-z]/);
    const browser = await import('../dist/esm/browser/browser/index.mjs');
    assert.deepEqual(Object.keys(browser).sort(), Object.keys(client).sort());
  });

  for (const name of ['Node 24', 'Bun', 'Deno']) {
    it(`does by the fetch of ${name} what it should`, { timeout: 60_000 }, async () => {
      const page = await openPage(join(folder, `${name.replaceAll(' ', '-')}.mjs`));
      try {
        const { status, stderr } = await run([...COMMANDS[name], page.bundle]);
        assert.equal(status, 0, stderr);
        checkOutcomes(await page.outcomes, page.tried);
      } finally {
        await page.close();
      }
    });
  }
});
