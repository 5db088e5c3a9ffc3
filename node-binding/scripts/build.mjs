// Builds dist/: the implementation once, as CommonJS, and thin ES modules that re-export it. Two
// copies of the code would mean two classes called TaskError in one process, and `instanceof` lies.
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const dist = join(root, 'dist');
const require = createRequire(import.meta.url);

rmSync(dist, { recursive: true, force: true });
execFileSync(process.execPath, [require.resolve('typescript/package.json').replace(/package\.json$/, 'bin/tsc'), '-p', root], {
  stdio: 'inherit',
});

for (const entry of ['index', 'runner/index', 'utilities/index']) {
  const implementation = join(dist, 'cjs', `${entry}.js`);
  const names = Object.keys(require(implementation)).sort();
  const wrapper = join(dist, 'esm', `${entry}.mjs`);
  mkdirSync(dirname(wrapper), { recursive: true });
  const from = relative(dirname(wrapper), implementation);
  writeFileSync(wrapper, `export {\n${names.map((name) => `  ${name},\n`).join('')}} from './${from}';\n`.replace("'./../", "'../"));
  writeFileSync(wrapper.replace(/\.mjs$/, '.d.mts'), `export * from './${from}';\n`.replace("'./../", "'../"));
}
