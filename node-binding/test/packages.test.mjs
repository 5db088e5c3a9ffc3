// What `make pack` has made, as users get it: what is in the packages, what the addons need, and README's examples in
// folders into which npm, pnpm and yarn have installed them, without Rust.
import assert from 'node:assert/strict';
import { execFile, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { GLIBC_FLOOR, MANIFEST, TARGETS } from '../packaging/targets.mjs';
import { freePort } from '../../loadtest/attacks/servers/free-port.mjs';
import { codeBlocks, commandsOf, isShown } from './support/markdown.mjs';
import { packagesIn, platformsIn, serveRegistry } from './support/registry.mjs';

const require = createRequire(import.meta.url);
const home = fileURLToPath(new URL('..', import.meta.url));
const root = join(home, '..');
const PACKAGES = packagesIn(join(home, 'packages'));
const STAGE = join(root, 'target/packages/stage/npm');
const PLATFORMS = platformsIn(STAGE);
const ROOT = PACKAGES.find(({ manifest }) => manifest.name === MANIFEST.name);
const ADDONS = PACKAGES.filter((one) => one !== ROOT).map((one) => ({ ...one, target: TARGETS.find(({ name }) => one.manifest.name.endsWith(name)) }));
const host = TARGETS.find(({ isHost }) => isHost);

const folder = mkdtempSync(join(tmpdir(), 'fasttunnel-packages-'));
after(() => rmSync(folder, { recursive: true }));

const entriesOf = (tarball) => execFileSync('tar', ['-tzf', tarball], { encoding: 'utf8' }).trim().split('\n').map((path) => path.replace(/^package\//, ''));

/** The folder of a tarball's content. */
function unpacked({ file }) {
  const place = join(folder, 'unpacked', basename(file));
  mkdirSync(place, { recursive: true });
  execFileSync('tar', ['-xzf', file, '-C', place]);
  return join(place, 'package');
}

it('the package and that of this platform are there', () => {
  assert.ok(ROOT !== undefined && ADDONS.some(({ target }) => target === host), 'run `make pack`');
});

describe('the package', () => {
  const files = entriesOf(ROOT.file);

  it('is as large as docs/packages.md says, and so is that of this platform', () => {
    const rows = [...readFileSync(join(root, 'docs', 'packages.md'), 'utf8').matchAll(/^\| `(fasttunnel[\w-]*)` \| .* \| ([\d.]+), ([\d.]+) \|$/gm)];
    const compared = rows.filter(([, name]) => PACKAGES.some(({ manifest }) => manifest.name === name));
    assert.ok(compared.length >= 1);
    for (const [, name, ...stated] of compared) {
      const { file } = PACKAGES.find(({ manifest }) => manifest.name === name);
      const sizes = [statSync(file).size, execFileSync('tar', ['-xOzf', file], { maxBuffer: 2 ** 27 }).length].map((bytes) => bytes / 1e6);
      stated.map(Number).forEach((size, place) => assert.ok(Math.abs(sizes[place] / size - 1) < 0.15, `${name}: ${size} MB stated, ${sizes[place].toFixed(2)} MB found`));
    }
  });

  it('has a licence, a README and what the build has made, and nothing else', () => {
    const others = files.filter((path) => !/^dist\/(?:cjs|esm)\/[\w/.-]+\.(?:js|js\.map|mjs|d\.ts|d\.mts)$/.test(path));
    assert.deepEqual(others.sort(), ['LICENSE', 'README.md', 'package.json']);
  });

  it('has every file that its package.json names', () => {
    const textsOf = (value) => (typeof value === 'string' ? [value] : Object.values(value).flatMap(textsOf));
    const { exports, main, types, bin = {}, typesVersions } = ROOT.manifest;
    const names = textsOf([exports, main, types, bin, typesVersions]);
    assert.ok(names.length >= 8);
    for (const name of names) assert.ok(files.includes(name.replace(/^\.\//, '')), name);
  });

  it('runs nothing when it is installed, needs no other package, and is for every system', () => {
    for (const key of ['scripts', 'dependencies', 'devDependencies', 'os', 'cpu', 'libc', 'private', 'napi']) assert.equal(ROOT.manifest[key], undefined, key);
    assert.deepEqual(ROOT.manifest.engines, MANIFEST.engines);
  });

  it('names the package of every platform in exactly its version', () => {
    assert.deepEqual(ROOT.manifest.optionalDependencies, Object.fromEntries(TARGETS.map(({ name }) => [`fasttunnel-${name}`, ROOT.manifest.version])));
  });

  it('has maps to its sources, and these in them', () => {
    const place = unpacked(ROOT);
    for (const path of files.filter((name) => name.endsWith('.js'))) {
      assert.ok(readFileSync(join(place, path), 'utf8').trimEnd().endsWith(`//# sourceMappingURL=${basename(path)}.map`), path);
      const { sources, sourcesContent } = JSON.parse(readFileSync(join(place, `${path}.map`), 'utf8'));
      assert.equal(sources.length, 1);
      assert.equal(sourcesContent[0], readFileSync(join(home, path.replace('dist/cjs', 'lib').replace(/js$/, 'ts')), 'utf8'), path);
    }
  });

  it('has the README with links that lead out of the registry', () => {
    const links = [...readFileSync(join(unpacked(ROOT), 'README.md'), 'utf8').matchAll(/\]\(([^)]+)\)/g)].map(([, target]) => target);
    assert.ok(links.length > 10);
    for (const link of links) assert.match(link, /^https:\/\//);
  });
});

describe('the package of a platform', () => {
  it('says for what it is, in the words that npm, pnpm and yarn choose by', () => {
    assert.deepEqual(PLATFORMS.map(({ name }) => name).sort(), TARGETS.map(({ name }) => `fasttunnel-${name}`).sort());
    for (const { name, abi, file } of TARGETS) {
      const { os, cpu, libc, main, files, license, engines, version, scripts, dependencies } = PLATFORMS.find((one) => one.name === `fasttunnel-${name}`);
      assert.deepEqual({ os, cpu, libc, main, files, license, engines, version, scripts, dependencies }, {
        os: ['linux'], cpu: [name.split('-')[1]], libc: [abi === 'musl' ? 'musl' : 'glibc'], main: file, files: [file], license: 'MIT', engines: MANIFEST.engines, version: MANIFEST.version, scripts: undefined, dependencies: undefined,
      });
    }
  });

  for (const one of ADDONS) {
    const { target } = one;
    const tool = (name, ...args) => execFileSync(name, [...args, join(unpacked(one), target.file)], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });

    it(`has the addon, a licence and a README, and nothing else: ${target.name}`, () => {
      assert.deepEqual(entriesOf(one.file).sort(), ['LICENSE', 'README.md', target.file, 'package.json']);
    });

    it(`needs ${target.abi === 'musl' ? 'no library but libc.so' : `no newer glibc than ${GLIBC_FLOOR}, and no library but its own`}: ${target.name}`, () => {
      const needed = [...tool('readelf', '-d').matchAll(/\(NEEDED\).*\[(.+)\]/g)].map(([, name]) => name);
      const versions = [...tool('readelf', '-V').matchAll(/Name: (\S+)/g)].map(([, name]) => name);
      if (target.abi === 'musl') return assert.deepEqual([needed, versions], [['libc.so'], []]);
      assert.ok(needed.includes('libc.so.6') && versions.length > 0);
      for (const name of needed) assert.match(name, /^(?:libc\.so\.6|libm\.so\.6|libdl\.so\.2|libpthread\.so\.0|librt\.so\.1|ld-linux-.*\.so\.\d)$/);
      const minor = (version) => Number(/^GLIBC_2\.(\d+)/.exec(version)?.[1] ?? Infinity);
      for (const version of versions) assert.ok(minor(version) <= minor(`GLIBC_${GLIBC_FLOOR}`), version);
    });

    it(`has neither symbols nor paths of the machine that built it, and says where its debug information is: ${target.name}`, () => {
      const bytes = readFileSync(join(unpacked(one), target.file));
      for (const path of [root, process.env.HOME, '/.rustup/', '/registry/src/']) if (path !== '/') assert.equal(bytes.indexOf(path === '/registry/src/' ? `${process.env.HOME}/.cargo${path}` : path), -1, path);
      const sections = tool('readelf', '-SW');
      assert.doesNotMatch(sections, /\.symtab|\.debug_/);
      assert.match(sections, /\.gnu_debuglink/);
      assert.match(tool('readelf', '-p', '.gnu_debuglink'), new RegExp(`${target.file}\\.debug`));
      assert.match(execFileSync('readelf', ['-SW', join(home, 'packages/debug', `${target.file}.debug`)], { encoding: 'utf8' }), /\.debug_line/);
    });
  }
});

describe('what is published', () => {
  for (const { file, manifest } of PACKAGES) {
    it(`is what npm would publish: ${manifest.name}`, () => {
      const { status, stdout, stderr } = spawnSync('npm', ['publish', file, '--dry-run', '--json', '--access', 'public', '--tag', 'latest'], { encoding: 'utf8', cwd: folder });
      assert.equal(status, 0, stderr);
      const said = JSON.parse(stdout);
      const { name, version, entryCount } = said[manifest.name] ?? said;
      assert.deepEqual({ name, version, entryCount }, { name: manifest.name, version: MANIFEST.version, entryCount: entriesOf(file).length });
    });
  }
});

describe('npm pack in the checkout', () => {
  const checkout = join(folder, 'checkout');
  const place = join(checkout, 'node-binding');
  const words = ([command, ...args] = [process.execPath, 'packaging/prepack.mjs']) => {
    const { status, stderr } = spawnSync(command, args, { cwd: place, encoding: 'utf8' });
    assert.notEqual(status, 0);
    return /prepack: .*/.exec(stderr)?.[0];
  };

  before(() => {
    for (const path of ['engine/Cargo.toml', 'engine/src', 'engine/assets', 'Cargo.toml', 'Cargo.lock', ...['Cargo.toml', 'build.rs', 'src', 'lib', 'dist', 'tsconfig.json', 'package.json', 'scripts'].map((name) => `node-binding/${name}`)]) cpSync(join(root, path), join(checkout, path), { recursive: true });
    cpSync(join(home, 'packaging'), join(place, 'packaging'), { recursive: true, filter: (path) => basename(path) !== 'node_modules' });
    cpSync(join(root, 'target/packages/addons'), join(checkout, 'target/packages/addons'), { recursive: true });
  });

  it('says what to run instead', () => {
    assert.match(words(['npm', 'pack', '--silent']), /this folder is a checkout, not a package: run `make pack`/);
  });

  it('refuses an addon that was built from other sources, and TypeScript', () => {
    const change = (path) => writeFileSync(join(checkout, path), `${readFileSync(join(checkout, path), 'utf8')}\n// changed`);
    change('engine/src/lib.rs');
    assert.match(words(), /the addon for .* was built from other sources.*make pack/);
    change('node-binding/lib/index.ts');
    assert.match(words(), /dist\/ was built from other sources.*make pack/);
  });

  it('refuses a tree that is not built', () => {
    rmSync(join(place, 'dist'), { recursive: true });
    assert.match(words(), /there is no dist\/: run `make pack`/);
  });
});

/** What an app may have, and no Rust: no cargo, no rustc. */
const PATH = join(folder, 'bin');
mkdirSync(PATH);
for (const name of ['bash', 'sh', 'env', 'sed', 'dirname', 'uname', 'curl', 'npm']) symlinkSync(execFileSync('bash', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim(), join(PATH, name));
symlinkSync(process.execPath, join(PATH, 'node'));

const blocks = codeBlocks(join(root, 'README.md'));
const program = blocks.find(({ kind, language }) => kind === 'file' && language === 'js');
const calls = blocks.filter(({ kind, name }) => kind === 'call' && name === program.name).flatMap(({ code }) => commandsOf(code));
const tsc = join(dirname(require.resolve('typescript/package.json')), 'bin/tsc');

/** README's program in each form that a module may have: file name to text. */
const FORMS = {
  'server.mjs': program.code,
  'server.cjs': `(async () => {\n${program.code.replace(/^import (.+) from ('.+');$/gm, 'const $1 = require($2);').replace(/^export /gm, '')}})();\n`,
  'server.mts': program.code,
};

/** Starts README's program in an app's folder, and makes README's calls. */
async function serves(app, file, [command, ...args]) {
  const port = String(await freePort());
  const adapted = (text) => text.replaceAll('7070', port);
  writeFileSync(join(app, file), adapted(FORMS[file]));
  let started = file;
  if (file.endsWith('.mts')) {
    const { status, stdout } = spawnSync(process.execPath, [tsc, '--strict', '--module', 'nodenext', '--target', 'es2022', '--types', 'node', '--outDir', 'out', file], { cwd: app, encoding: 'utf8' });
    assert.equal(`${status} ${stdout}`, '0 ');
    started = 'out/server.mjs';
  }
  const child = spawn(command, [...args, started], { cwd: app, env: { PATH, HOME: folder, RUNNER_TOKEN: 'secret' }, stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = once(child, 'exit');
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text) => { stderr += text; });
  try {
    await Promise.race([once(child.stdout, 'data'), ended.then(() => { throw new Error(`it ended: ${stderr}`); })]);
    assert.ok(calls.length > 0);
    for (const { command: call, shown } of calls) {
      const { stdout } = await promisify(execFile)('bash', ['--norc', '-o', 'pipefail', '-c', adapted(call)], { timeout: 10_000, env: { PATH } });
      assert.ok(isShown(stdout, shown), `${call}: ${stdout}`);
    }
  } finally {
    child.kill('SIGTERM');
    const killer = setTimeout(() => child.kill('SIGKILL'), 5000);
    await ended;
    clearTimeout(killer);
  }
}

describe('an app that has installed the package', () => {
  let registry;
  before(async () => { registry = await serveRegistry(PACKAGES, STAGE); });
  after(() => registry.close());

  const tools = join(home, 'packaging/node_modules');
  const node = process.execPath;

  /** How each installs it, and how it starts a program. */
  const MANAGERS = {
    npm: { install: () => ['npm', 'install', 'fasttunnel', '--no-audit', '--no-fund', '--registry', registry.url, '--cache', join(folder, 'npm-cache')] },
    pnpm: { install: () => [node, join(tools, 'pnpm/bin/pnpm.cjs'), 'add', 'fasttunnel', '--registry', registry.url, '--store-dir', join(folder, 'pnpm-store')] },
    // It fetches all, and throws away what is for another processor; it knows nothing of libcs.
    'yarn 1': { fetches: TARGETS, install: () => [node, join(tools, 'yarn/bin/yarn.js'), 'add', 'fasttunnel', '--registry', registry.url, '--cache-folder', join(folder, 'yarn-cache'), '--non-interactive'] },
    'yarn 4, Plug and Play': {
      files: () => ({ 'yarn.lock': '', '.yarnrc.yml': `npmRegistryServer: '${registry.url}'\nunsafeHttpWhitelist: ['127.0.0.1']\nenableTelemetry: false\npnpEnableEsmLoader: true\nenableGlobalCache: false\nglobalFolder: ./global\n` }),
      install: () => [node, join(tools, '@yarnpkg/cli-dist/bin/yarn.js'), 'add', 'fasttunnel'],
      start: [node, join(tools, '@yarnpkg/cli-dist/bin/yarn.js'), 'node'],
      // The compiler has no part in its search.
      forms: ['server.mjs', 'server.cjs'],
    },
  };

  async function install(app, [command, ...args]) {
    const child = spawn(command, args, { cwd: app, env: { PATH, HOME: folder, CI: 'true', NO_COLOR: '1' }, stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => { said += text; });
    const [status] = await once(child, 'close');
    assert.equal(status, 0, said);
  }

  function appOf(name, files = {}) {
    const app = join(folder, name.replace(/\W+/g, '-'));
    mkdirSync(app);
    for (const [file, text] of Object.entries({ 'package.json': '{"name":"app","private":true}', ...files })) writeFileSync(join(app, file), text);
    return app;
  }

  it('has no Rust', () => {
    assert.notEqual(spawnSync('bash', ['--norc', '-c', 'command -v cargo || command -v rustc'], { env: { PATH } }).status, 0);
  });

  for (const [name, { files, install: command, start = [node], forms = Object.keys(FORMS), fetches = [host] }] of Object.entries(MANAGERS)) {
    it(`with ${name} runs README's example as ${forms.join(', ')}, and fetches ${fetches.length === 1 ? 'the addon of this platform alone' : 'every addon'}`, { timeout: 120_000 }, async () => {
      const app = appOf(name, files?.());
      const before = registry.asked.length;
      await install(app, command());
      assert.deepEqual([...new Set(registry.asked.slice(before))].sort(), ['fasttunnel', ...fetches.map(({ name: target }) => `fasttunnel-${target}`)].sort());
      if (forms.includes('server.mts')) {
        mkdirSync(join(app, 'node_modules/@types'), { recursive: true });
        symlinkSync(join(home, 'node_modules/@types/node'), join(app, 'node_modules/@types/node'));
      }
      for (const form of forms) await serves(app, form, start);
    });
  }

  it('with npm gets the addon of another platform when it asks for it, and a lock file that has all of them', { timeout: 60_000 }, async () => {
    const app = appOf('another platform');
    const before = registry.asked.length;
    await install(app, [...MANAGERS.npm.install(), '--os', 'linux', '--cpu', 'arm64', '--libc', 'musl']);
    assert.deepEqual([...new Set(registry.asked.slice(before))].filter((name) => name !== 'fasttunnel'), ['fasttunnel-linux-arm64-musl']);
    const { packages } = JSON.parse(readFileSync(join(app, 'package-lock.json'), 'utf8'));
    assert.deepEqual(Object.keys(packages).filter((path) => path !== '').sort(), ['node_modules/fasttunnel', ...TARGETS.map(({ name }) => `node_modules/fasttunnel-${name}`)].sort());
  });

  for (const [name, file] of [['pnpm', 'pnpm-workspace.yaml'], ['yarn 4, Plug and Play', '.yarnrc.yml']]) {
    it(`with ${name} gets the addons of the platforms that ${file} names`, { timeout: 60_000 }, async () => {
      const files = MANAGERS[name].files?.() ?? {};
      files[file] = `${files[file] ?? ''}supportedArchitectures:\n  os: [linux]\n  cpu: [x64, arm64]\n  libc: [glibc, musl]\n`;
      const before = registry.asked.length;
      // Stores of their own: what is in one already is not asked for.
      await install(appOf(`platforms of ${name}`, files), MANAGERS[name].install().map((word) => word.replace(/(-store|-cache)$/, '$1-2')));
      assert.deepEqual([...new Set(registry.asked.slice(before))].sort(), ['fasttunnel', ...TARGETS.map(({ name: target }) => `fasttunnel-${target}`)].sort());
    });
  }
});
