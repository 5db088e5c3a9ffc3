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
const tsc = (...options) => execFileSync(process.execPath, [require.resolve('typescript/package.json').replace(/package\.json$/, 'bin/tsc'), '-p', root, ...options], { stdio: 'inherit' });
tsc();

const SUPPORTED = join(dist, 'esm', 'native', 'supported.mjs');
mkdirSync(dirname(SUPPORTED), { recursive: true });
writeFileSync(SUPPORTED, "import { checkPlatform } from '../../cjs/native/load.js';\n\ncheckPlatform();\n");

for (const entry of ['index', 'runner/index', 'client/index', 'utilities/index', 'proxy/index', 'electron/index', 'opentelemetry/index']) {
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

buildForBrowsers();

// npm does so when it installs the package; a link to a checkout runs it as it is.
chmodSync(join(dist, 'cjs', 'cli', 'bin.js'), 0o755);

writeFileSync(distStamp(), sources);

/**
 * The client for bundlers that pack for browsers: as ES modules, so that they leave out what is not used, and without modules
 * of Node. Nothing else of the package is in that bundle, so a copy of a class is the only one.
 */
function buildForBrowsers() {
  const compiled = join(dist, 'browser');
  const place = join(dist, 'esm', 'browser');
  tsc('--module', 'es2022', '--moduleResolution', 'bundler', '--outDir', compiled, '--declaration', 'false', '--sourceMap', 'false', '--inlineSources', 'false');
  /** What stands for a file that needs Node. */
  const standIns = { 'options/show.js': 'browser/show.js', 'client/random.js': 'browser/random.js' };
  const seen = new Set();
  const copy = (file) => {
    if (seen.has(file)) return;
    seen.add(file);
    const text = readFileSync(join(compiled, file), 'utf8').replace(/\bfrom '(\.[^']+)'/g, (_, name) => {
      const imported = join(dirname(file), name);
      const used = standIns[imported] ?? imported;
      copy(used);
      return `from '${relative(dirname(file), used).replace(/^(?!\.)/, './').replace(/js$/, 'mjs')}'`;
    });
    const target = join(place, file.replace(/js$/, 'mjs'));
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, text);
  };
  copy('browser/index.js');
  rmSync(compiled, { recursive: true });
  writeFileSync(join(place, 'browser', 'index.d.mts'), "export * from '../../../cjs/browser/index.js';\n");
}
