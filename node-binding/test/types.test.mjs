// What ships declares its types for older compilers than ours, too.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

const require = createRequire(import.meta.url);
const home = fileURLToPath(new URL('..', import.meta.url));

/** What a compiler says about a project, line by line. */
function complaints(compiler, project) {
  const { stdout } = spawnSync(process.execPath, [require.resolve(`${compiler}/bin/tsc`), '-p', project], { cwd: home, encoding: 'utf8' });
  return stdout.split('\n').filter((line) => line !== '');
}

describe('types', () => {
  it('compile with TypeScript 5.0, the floor that README names, without skipLibCheck and without naming node in types', () => {
    assert.match(require('typescript-5.0/package.json').version, /^5\.0\./);
    for (const name of ['README.md', 'docs/runtimes.md']) assert.match(readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8'), /TypeScript 5\.0 and newer/);
    const said = complaints('typescript-5.0', 'test/types/tsconfig.floor.json');
    // Runner's own declarations want a package that it does not bring.
    const [runners, ours] = [said.filter((line) => line.startsWith('node_modules/@bluelibs/runner/')), said.filter((line) => !line.startsWith('node_modules/@bluelibs/runner/'))];
    assert.deepEqual(ours, []);
    assert.ok(runners.every((line) => line.includes("'express'")), runners.join('\n'));
  });
});
