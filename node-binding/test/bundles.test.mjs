// Apps that are packed into one file, with the package left outside and packed in: as esbuild, webpack and rollup do it,
// and as a single executable. An addon cannot be packed in: it is said what helps, and it does.
import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ADDON } from './support/elves.mjs';
import { requireFrom, run } from './support/runtimes.mjs';

const folder = mkdtempSync(join(tmpdir(), 'fasttunnel-bundles-'));
after(() => rmSync(folder, { recursive: true }));
const place = (...names) => join(folder, ...names);

mkdirSync(place('node_modules'));
symlinkSync(fileURLToPath(new URL('..', import.meta.url)), place('node_modules', 'fasttunnel'));
writeFileSync(place('package.json'), '{"name":"app"}');
const ENTRY = place('app.mjs');
writeFileSync(ENTRY, `
  import { fastTunnel } from 'fasttunnel';
  const answer = async () => {
    const tunnel = await fastTunnel({ auth: { allowAnonymous: true }, tasks: { 'app.tasks.add': ({ a, b }) => a + b } });
    const response = await fetch(tunnel.url + '/task/app.tasks.add', { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"input":{"a":1,"b":2}}' });
    const text = await response.text();
    await tunnel.close();
    return text;
  };
  answer().then(console.log, ({ name, message }) => console.log(name + ': ' + message));
`);

const esbuild = (options) => requireFrom('esbuild').build({ entryPoints: [ENTRY], bundle: true, platform: 'node', logLevel: 'error', ...options });

const PACKERS = {
  'esbuild (app.cjs)': (outfile, external) => esbuild({ outfile, external, format: 'cjs' }),

  'esbuild (app.mjs)'(outfile, external) {
    // What esbuild needs where CommonJS that wants modules of Node becomes a part of an ES module.
    const banner = { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" };
    return esbuild({ outfile, external, format: 'esm', banner });
  },

  async 'webpack (app.cjs)'(outfile, external) {
    const stats = await promisify(requireFrom('webpack'))({
      mode: 'production', target: 'node', context: folder, entry: ENTRY, output: { path: dirname(outfile), filename: basename(outfile) },
      externals: Object.fromEntries(external.map((name) => [name, `commonjs ${name}`])),
    });
    const { errors, warnings } = stats.toJson();
    assert.deepEqual([...errors, ...warnings].map(({ message }) => message), []);
  },

  async 'rollup (app.mjs)'(outfile, external) {
    const { rollup } = requireFrom('rollup');
    const [commonjs, nodeResolve] = [requireFrom('@rollup/plugin-commonjs'), requireFrom('@rollup/plugin-node-resolve').nodeResolve];
    const bundle = await rollup({ input: ENTRY, external: [...external, /^node:/], plugins: [nodeResolve({ preferBuiltins: true }), commonjs({ ignoreDynamicRequires: true })], onwarn: () => {} });
    await bundle.write({ file: outfile, format: 'es' });
    await bundle.close();
  },
};

const SUM = '{"ok":true,"result":3}';
const MISSING = /^NativeLoadError: fasttunnel's native addon is missing: the package was packed into a bundle.*Mark fasttunnel external in the bundler's options, or set FASTTUNNEL_NATIVE_PATH/;

/** Runs a bundle, and says what it has printed. */
async function say(program, env = {}) {
  const { status, stdout, stderr } = await run(program, { cwd: folder, env: { FASTTUNNEL_NATIVE_PATH: '', ...env } });
  assert.equal(status, 0, stderr);
  return stdout.trim();
}

for (const [name, pack] of Object.entries(PACKERS)) {
  describe(`an app packed by ${name}`, () => {
    const [, packer, file] = /^(\w+) \((.+)\)$/.exec(name);
    const packed = async (external) => {
      const outfile = place(`${packer}-${file}`, external.length === 0 ? 'inside' : 'outside', file);
      mkdirSync(dirname(outfile), { recursive: true });
      await pack(outfile, external);
      return outfile;
    };

    it('serves with the package outside', async () => {
      assert.equal(await say([process.execPath, await packed(['fasttunnel'])]), SUM);
    });

    it('says what helps with the package inside, and serves with it', async () => {
      const command = [process.execPath, await packed([])];
      assert.match(await say(command), MISSING);
      assert.equal(await say(command, { FASTTUNNEL_NATIVE_PATH: ADDON }), SUM);
    });
  });
}

it('a single executable says what helps, and serves with its addon beside it or named', { timeout: 60_000 }, async () => {
  const [main, config, blob, program] = ['sea.cjs', 'sea.json', 'sea.blob', 'sea/app'].map((name) => place(name));
  await PACKERS['esbuild (app.cjs)'](main, []);
  writeFileSync(config, JSON.stringify({ main, output: blob, disableExperimentalSEAWarning: true }));
  const prepared = await run([process.execPath, '--experimental-sea-config', config], { cwd: folder });
  assert.equal(prepared.status, 0, prepared.stderr);
  mkdirSync(dirname(program));
  copyFileSync(process.execPath, program);
  await requireFrom('postject').inject(program, 'NODE_SEA_BLOB', readFileSync(blob), { sentinelFuse: 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2' });
  assert.match(await say([program]), MISSING);
  assert.equal(await say([program], { FASTTUNNEL_NATIVE_PATH: ADDON }), SUM);
  copyFileSync(ADDON, join(dirname(program), 'fasttunnel.linux-x64-gnu.node'));
  assert.equal(await say([program]), SUM);
});
