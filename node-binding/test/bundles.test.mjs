// Apps that are packed into one file, with the package left outside and packed in: as esbuild, webpack, rollup, Vite and Bun
// do it, and as a single executable. An addon cannot be packed in: it is said what helps, and it does.
import assert from 'node:assert/strict';
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { after, describe, it } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { ADDON } from './support/elves.mjs';
import { COMMANDS, requireFrom, run } from './support/runtimes.mjs';

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

  /** The build of a server, as `vite build --ssr` makes it. */
  async 'vite (app.mjs)'(outfile, external) {
    const { build } = await import(pathToFileURL(requireFrom.resolve('vite')).href);
    await build({
      root: folder, configFile: false, logLevel: 'error', ssr: external.length > 0 ? { external } : { noExternal: true },
      build: { ssr: ENTRY, outDir: dirname(outfile), emptyOutDir: true, rollupOptions: { output: { entryFileNames: basename(outfile) } } },
    });
  },

  'bun (app.mjs)': (outfile, external) => bunBuild(outfile, external, '--target=node', '--format=esm'),
  'bun (app.cjs)': (outfile, external) => bunBuild(outfile, external, '--target=node', '--format=cjs'),
};

/** Bun writes the place of the package into what it packs: so it is packed as on another machine, where that place is not. */
async function bunBuild(outfile, external, ...options) {
  const machine = place('another-machine');
  const home = join(machine, 'node_modules', 'fasttunnel');
  for (const part of ['dist', 'native', 'package.json']) cpSync(new URL(`../${part}`, import.meta.url), join(home, part), { recursive: true });
  copyFileSync(ENTRY, join(machine, 'app.mjs'));
  const { status, stderr } = await run([COMMANDS.Bun[0], 'build', 'app.mjs', '--outfile', outfile, ...options, ...external.map((name) => `--external=${name}`)], { cwd: machine });
  assert.equal(status, 0, stderr);
  rmSync(machine, { recursive: true });
}

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

    const looks = ['esbuild (app.cjs)', 'webpack (app.cjs)'].includes(name);
    it(`${looks ? 'serves' : 'does not look'} with its addon beside it`, async () => {
      const outfile = place(`${packer}-${file}`, 'inside', file);
      copyFileSync(ADDON, join(dirname(outfile), 'fasttunnel.linux-x64-gnu.node'));
      assert.match(await say([process.execPath, outfile]), looks ? /^{"ok":true,"result":3}$/ : MISSING);
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

it('an executable that Bun has compiled says what helps, and serves with its addon named', { timeout: 60_000 }, async () => {
  const program = place('bun-app');
  await bunBuild(program, [], '--compile');
  assert.match(await say([program]), MISSING);
  assert.equal(await say([program], { FASTTUNNEL_NATIVE_PATH: ADDON }), SUM);
});
