// Builds dist/: the implementation once, as CommonJS, and thin ES modules that re-export it. Two
// copies of the code would mean two classes called TaskError in one process, and `instanceof` lies.
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { distStamp, hashOfJavaScript } from '../packaging/sources.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const dist = join(root, 'dist');
const require = createRequire(import.meta.url);

const sources = hashOfJavaScript();
rmSync(dist, { recursive: true, force: true });
execFileSync(process.execPath, [require.resolve('typescript/package.json').replace(/package\.json$/, 'bin/tsc'), '-p', root], {
  stdio: 'inherit',
});

const SUPPORTED = join(dist, 'esm', 'native', 'supported.mjs');
mkdirSync(dirname(SUPPORTED), { recursive: true });
writeFileSync(SUPPORTED, "import { checkPlatform } from '../../cjs/native/load.js';\n\ncheckPlatform();\n");

for (const entry of ['index', 'runner/index', 'client/index', 'utilities/index']) {
  const implementation = join(dist, 'cjs', `${entry}.js`);
  const names = Object.keys(require(implementation)).sort();
  const wrapper = join(dist, 'esm', `${entry}.mjs`);
  mkdirSync(dirname(wrapper), { recursive: true });
  const from = relative(dirname(wrapper), implementation);
  // An ES module that throws is an error of `import()`; of CommonJS that throws, Node 18 and 20 end the process as well.
  const check = /require\("[./]+native\/supported\.js"\)/.test(readFileSync(implementation, 'utf8')) ? `import '${relative(dirname(wrapper), SUPPORTED).replace(/^(?!\.)/, './')}';\n` : '';
  writeFileSync(wrapper, `${check}export {\n${names.map((name) => `  ${name},\n`).join('')}} from './${from}';\n`.replace("'./../", "'../"));
  writeFileSync(wrapper.replace(/\.mjs$/, '.d.mts'), `export * from './${from}';\n`.replace("'./../", "'../"));
}

// npm does so when it installs the package; a link to a checkout runs it as it is.
chmodSync(join(dist, 'cjs', 'cli', 'bin.js'), 0o755);

writeFileSync(distStamp(), sources);
