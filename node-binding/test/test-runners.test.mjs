// The tests of docs/testing.md, each run by the test runner that it is written for.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { codeBlocks } from './support/markdown.mjs';

const home = fileURLToPath(new URL('runners', import.meta.url));
const packages = join(home, 'node_modules');
const blocks = codeBlocks(fileURLToPath(new URL('../../docs/testing.md', import.meta.url))).filter(({ kind }) => kind === 'test');

/** How each runner is started, the name that it knows a test by, and what it says when the one test has passed. */
const RUNNERS = {
  node: { file: 'add.test.mjs', ways: [['--test']], passed: /^(?:#|ℹ) pass 1$/m },
  vitest: { file: 'add.test.mjs', ways: ['forks', 'threads'].map((pool) => [join(packages, 'vitest/vitest.mjs'), 'run', '--pool', pool]), passed: /Tests +1 passed/ },
  jest: { file: 'add.test.cjs', ways: [[join(packages, 'jest/bin/jest.js'), '--testMatch', '**/*.test.cjs', '--detectOpenHandles']], passed: /Tests: +1 passed/ },
};

/** What a runner makes of a test: its status, and what it prints. */
function run(file, code, way) {
  // Below the runners, where both find their packages.
  const folder = mkdtempSync(join(home, 'example-'));
  try {
    writeFileSync(join(folder, 'package.json'), '{}');
    writeFileSync(join(folder, file), code);
    const env = { ...process.env, NO_COLOR: '1' };
    // Else Node.js takes the runner for a part of this one.
    delete env.NODE_TEST_CONTEXT;
    const { status, stdout, stderr } = spawnSync(process.execPath, way, { cwd: folder, env, encoding: 'utf8', timeout: 50_000 });
    return { status, output: stdout + stderr };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe('test runners', () => {
  it('all have an example', () => assert.deepEqual(blocks.map(({ name }) => name), Object.keys(RUNNERS)));

  for (const { name, code } of blocks) {
    for (const way of RUNNERS[name].ways) {
      it(`${name} ${way.slice(1).join(' ')}: the example passes, and ends`, { timeout: 60_000 }, () => {
        const { status, output } = run(RUNNERS[name].file, code, way);
        assert.equal(status, 0, output);
        assert.match(output, RUNNERS[name].passed);
        assert.doesNotMatch(output, /open handle|did not exit/);
      });
    }
  }

  it('jest --detectOpenHandles names a tunnel that was not closed, and the line that started it', { timeout: 60_000 }, () => {
    const { code } = blocks.find(({ name }) => name === 'jest');
    const forgotten = code.replace(/^afterAll.*\n/m, '');
    assert.notEqual(forgotten, code);
    const [way] = RUNNERS.jest.ways;
    // What the package has compiled is compiled again otherwise, as it lies in no node_modules here.
    const { output } = run(RUNNERS.jest.file, forgotten, [...way, '--transform', '{}', '--forceExit']);
    assert.match(output, RUNNERS.jest.passed);
    const line = forgotten.split('\n').findIndex((text) => text.includes('await fastTunnel(')) + 1;
    assert.match(output, new RegExp(`1 open handle[^]*●  FASTTUNNEL\n[^]*add\\.test\\.cjs:${line}:`));
  });
});
