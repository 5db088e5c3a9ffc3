// Addons that cannot be loaded: each says what is wrong with it, and what helps; and those that can, wherever they are.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ADDON, copy, madeFor, mappedBytes, withText } from './support/elves.mjs';

const DIST = fileURLToPath(new URL('../dist/', import.meta.url));
const NATIVE = join(DIST, 'cjs', 'native', 'load.js');
const folder = mkdtempSync(join(tmpdir(), 'fasttunnel-loading-'));
after(() => rmSync(folder, { recursive: true }));

/** As it is called since Node 23.5. */
const PERMISSION = process.allowedNodeEnvironmentFlags.has('--permission') ? '--permission' : '--experimental-permission';

const place = (...names) => join(folder, ...names);

/** Loads the addon in a process of its own: `loaded`, or the error. A process that dies of it fails the test. */
function load(file, { args = [], env = {}, cwd, program = process.execPath, native = NATIVE } = {}) {
  const script = `
    try { require(${JSON.stringify(native)}).loadNative().factsHash(); console.log('{"loaded":true}'); }
    catch ({ name, code, message, tried, cause }) {
      const causes = [];
      for (let at = cause; at !== undefined; at = at.cause) causes.push(at.message);
      console.log(JSON.stringify({ name, code, message, tried, causes }));
    }`;
  const { status, signal, stdout, stderr } = spawnSync(program, [...args, '-e', script], {
    cwd, encoding: 'utf8', env: { ...process.env, ...(file === undefined ? {} : { FASTTUNNEL_NATIVE_PATH: file }), ...env },
  });
  assert.deepEqual({ status, signal }, { status: 0, signal: null }, stderr);
  return JSON.parse(stdout);
}

/** Checks an error's text; the file and the platform are in each. */
function expectRefused({ name, code, message, tried }, file, ...texts) {
  assert.deepEqual([name, code, tried], ['NativeLoadError', 'FASTTUNNEL_NATIVE_LOAD', [file]]);
  for (const text of ['could not be loaded', `Tried: ${file}.`, 'Platform: linux x64', ...texts]) {
    assert.ok(typeof text === 'string' ? message.includes(text) : text.test(message), `${text} in: ${message}`);
  }
}

describe('an addon that is damaged', () => {
  const { size } = statSync(ADDON);
  const mapped = mappedBytes(ADDON);
  for (const bytes of [1, 16, 63, 64, 200, 4096, 70_000, Math.floor(mapped / 2), mapped - 4097, mapped - 1, size - 1]) {
    it(`is cut off after ${bytes === mapped - 1 ? 'all but a byte of what is mapped' : bytes === size - 1 ? 'all but a byte' : `${bytes} bytes`}: it is said, and the process lives`, () => {
      const file = copy(ADDON, place('cut.node'), (all) => all.subarray(0, bytes));
      expectRefused(load(file), file, bytes < 64 ? 'the file is no ELF file' : `the file is cut off: it has ${bytes} bytes and should have ${size}`, 'damaged: remove it and install or build again');
    });
  }

  it('is empty', () => {
    const file = place('empty.node');
    writeFileSync(file, '');
    expectRefused(load(file), file, 'the file is empty', 'damaged');
  });

  it('has tables that lead nowhere', () => {
    for (const at of [32, 40]) {
      const file = copy(ADDON, place('astray.node'), (bytes) => { bytes.writeBigUInt64LE(2n ** 64n - 1n, at); });
      expectRefused(load(file), file, 'the file is cut off', 'damaged');
    }
  });

  it('is a folder, or a pipe that nobody writes to', () => {
    const [inside, pipe] = [place('folder.node'), place('pipe.node')];
    mkdirSync(inside);
    execFileSync('mkfifo', [pipe]);
    for (const file of [inside, pipe]) expectRefused(load(file), file, 'it is no regular file', 'fasttunnel.linux-x64-gnu.node of the package for this platform');
  });
});

describe('an addon that is for another processor', () => {
  for (const [name, change] of [
    ['arm64', madeFor(183)],
    ['ia32', madeFor(3, { bits: 32 })],
    ['x64 with 32 bits', madeFor(62, { bits: 32 })],
    ['s390x', madeFor(22, { bigEndian: true })],
    ['machine 4711', madeFor(4711)],
  ]) {
    it(`says so: ${name}`, () => {
      const file = copy(ADDON, place('foreign.node'), change);
      expectRefused(load(file), file, `made for another processor, ${name}.`, 'Platform: linux x64 glibc', 'Install fasttunnel on the machine or in the image where it runs');
    });
  }
});

describe('an addon that is for another libc', () => {
  // As linkers name it, and as Alpine does.
  for (const [library, musl] of [['libc.so.6', 'libc.so'], ['ld-linux-x86-64.so.2', 'libc.musl-x86_64.so']]) {
    it(`says so when it is for musl, ${musl}, on a system with glibc`, () => {
      const file = copy(ADDON, place('musl.node'), withText(library, musl));
      expectRefused(load(file), file, 'the file is made for musl, and this system has glibc', 'Install fasttunnel on the machine or in the image where it runs');
    });
  }

  it('says so when it is for glibc, on a system with musl', () => {
    // A program whose loader has musl's name is what we know such a system by. Its libraries are not all there.
    const loader = '/lib64/ld-linux-x86-64.so.2';
    const musl = `/tmp/ld-musl-${process.pid}`;
    symlinkSync(loader, musl);
    try {
      const program = copy(process.execPath, place('node'), withText(loader, musl));
      const file = copy(ADDON, place('glibc.node'), withText('libgcc_s.so.1', 'libgcc_s.so.9'));
      const error = load(file, { program });
      expectRefused(error, file, 'Platform: linux x64 musl, Node 2', 'libgcc_s.so.9', 'built for glibc, and this system has musl', 'Install fasttunnel on the machine or in the image where it runs');
      assert.deepEqual(load(ADDON, { program }), { loaded: true }, 'what the system can load all the same is loaded');
    } finally {
      rmSync(musl);
    }
  });
});

describe('an addon that is for a newer system', () => {
  it('says which glibc it needs and which there is', () => {
    // A version that no system has yet, where the file names the newest that it needs.
    const needed = newestGlibc(readFileSync(ADDON, 'latin1'));
    const file = copy(ADDON, place('newer.node'), withText(`GLIBC_${needed}`, 'GLIBC_2.99'.slice(0, `GLIBC_${needed}`.length)));
    const error = load(file);
    const there = process.report.getReport().header.glibcVersionRuntime;
    expectRefused(error, file, /version `GLIBC_2\.99?' not found/, new RegExp(`The addon needs glibc 2\\.99? or newer, and this system has ${there}: use a newer distribution or container image`));
    assert.match(error.causes.join(), /GLIBC_2\.99?' not found/, 'what the linker says is the cause');
  });
});

function newestGlibc(text) {
  const versions = [...text.matchAll(/GLIBC_(2\.\d+)\0/g)].map(([, version]) => version);
  return versions.sort((a, b) => Number(b.slice(2)) - Number(a.slice(2)))[0];
}

/** The package as it is installed, without the package that holds the addon; with others beside it. */
function installed(name, ...others) {
  const modules = place(name, 'node_modules');
  const own = join(modules, 'fasttunnel');
  cpSync(DIST, join(own, 'dist'), { recursive: true });
  copyFileSync(new URL('../package.json', import.meta.url), join(own, 'package.json'));
  for (const other of others) mkdirSync(join(modules, other));
  return join(own, 'dist', 'cjs', 'native', 'load.js');
}

describe('an addon whose package is not there', () => {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  const WANTED = 'fasttunnel-linux-x64-gnu';

  it('says for which platform, what was tried, and the one command that mends it', () => {
    const error = load(undefined, { native: installed('lost'), env: { npm_config_user_agent: '', FASTTUNNEL_NATIVE_PATH: '' } });
    const { message } = error;
    assert.deepEqual([error.name, error.code], ['NativeLoadError', 'FASTTUNNEL_NATIVE_LOAD']);
    assert.match(message, new RegExp(`^fasttunnel's native addon is missing: the package ${WANTED} is not installed\\. Platform: linux x64 glibc 2\\.\\d+, Node \\d+\\.\\d+\\.\\d+\\. Tried: `));
    assert.ok(message.includes('It is an optional dependency; package managers leave those out with --omit=optional, and npm before 11.3'), message);
    assert.equal(message.split('Run `').length, 2, 'one command');
    assert.ok(message.endsWith(`Run \`npm install --save-optional ${WANTED}@${version}\`.`), message);
    assert.ok(error.tried.length > 0);
    assert.deepEqual(error.causes, error.tried.map((file) => `there is no ${file}`), 'each is a cause');
    for (const file of error.tried) assert.ok(message.includes(file));
  });

  it('names the package manager that has started it, and its command', () => {
    const native = installed('managed');
    for (const [agent, name, command] of [
      ['npm/10.8.2 node/v20.20.2 linux x64 workspaces/false', 'npm 10.8.2', 'npm install --save-optional '],
      ['pnpm/9.1.0 npm/? node/v20.20.2 linux x64', 'pnpm 9.1.0', 'pnpm add --save-optional '],
      ['yarn/4.5.0 npm/? node/v20.20.2 linux x64', 'yarn 4.5.0', 'yarn add --optional '],
      ['bun/1.4.5 npm/? node/v22.6.0 linux x64', 'bun 1.4.5', 'bun add --optional '],
    ]) {
      const { message } = load(undefined, { native, env: { npm_config_user_agent: agent, FASTTUNNEL_NATIVE_PATH: '' } });
      assert.match(message, new RegExp(`, ${name.replace(/\./g, '\\.')}\\. Tried: `));
      assert.ok(message.endsWith(`Run \`${command}${WANTED}@${version}\`.`), message);
    }
  });

  it('says that the packages of another platform were installed', () => {
    const { message } = load(undefined, { native: installed('foreign', 'fasttunnel-darwin-arm64', 'fasttunnel-linux-arm64-gnu', 'fasttunnel-extras'), env: { FASTTUNNEL_NATIVE_PATH: '' } });
    assert.ok(message.includes('Installed is fasttunnel-darwin-arm64, fasttunnel-linux-arm64-gnu: the packages were installed on another platform, or for one.'), message);
  });
});

describe('an addon that an installed package has for another platform', () => {
  it('says with which command the right one comes', () => {
    const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
    const native = installed('other-platform');
    const file = join(native, '../../../../native/fasttunnel.linux-x64-gnu.node');
    mkdirSync(join(file, '..'));
    for (const [change, what] of [[madeFor(183), 'processor'], [withText('libc.so.6', 'libc.so'), 'libc']]) {
      copy(ADDON, file, change);
      const { message } = load(undefined, { native, env: { FASTTUNNEL_NATIVE_PATH: '', npm_config_user_agent: '' } });
      assert.ok(message.endsWith(`have its addon for that ${what}. Run \`npm install --save-optional fasttunnel-linux-x64-gnu@${version}\`.`), message);
      // Another file was asked for: no package helps.
      assert.ok(load(file, { native }).message.endsWith(`have its addon for that ${what}.`));
    }
  });
});

describe('an addon that may not be loaded', () => {
  const expectNoAddons = (error) => expectRefused(error, ADDON, 'loading addons is disabled', 'Start without --no-addons');

  it('says that --no-addons forbids it', () => {
    expectNoAddons(load(ADDON, { args: ['--no-addons'] }));
    expectNoAddons(load(undefined, { args: ['--no-addons'] }));
    expectNoAddons(load(ADDON, { env: { NODE_OPTIONS: '--no-addons' } }));
  });

  it('says that --permission needs --allow-addons', () => {
    const args = [PERMISSION, '--allow-fs-read=*', '--no-warnings'];
    expectRefused(load(ADDON, { args }), ADDON, 'loading addons is disabled', 'Node runs with --permission: give it --allow-addons as well');
    expectNoAddons(load(ADDON, { args: [...args, '--allow-addons', '--no-addons'] }));
    assert.deepEqual(load(undefined, { args: [...args, '--allow-addons'] }), { loaded: true });
  });

  it('is loaded where its file may not be read by JavaScript', () => {
    const args = [PERMISSION, `--allow-fs-read=${DIST}*`, '--allow-addons', '--no-warnings'];
    for (const file of [ADDON, undefined]) assert.deepEqual(load(file, { args }), { loaded: true });
  });

  it('knows what the system forbids, and what it lacks', () => {
    const { fixFor } = createRequire(import.meta.url)(NATIVE);
    assert.match(fixFor('/mnt/x.node: failed to map segment from shared object: Operation not permitted'), /noexec/);
    assert.match(fixFor('/x.node: cannot open shared object file: Permission denied'), /read the file/);
    assert.match(fixFor('libc.musl-x86_64.so.1: cannot open shared object file: No such file or directory'), /installed elsewhere/);
  });
});

describe('FASTTUNNEL_NATIVE_PATH', () => {
  it('is relative to the working directory', () => {
    copy(ADDON, place('own.node'));
    assert.deepEqual(load('./own.node', { cwd: folder }), { loaded: true });
    assert.deepEqual(load('own.node', { cwd: folder }), { loaded: true });
    const { message, tried } = load('./own.node', { cwd: tmpdir() });
    assert.deepEqual(tried, [join(tmpdir(), 'own.node')]);
    assert.match(message, /missing.*Check FASTTUNNEL_NATIVE_PATH/);
  });

  it('may name a library as cargo does', () => {
    copy(ADDON, place('libfasttunnel_node.so'));
    assert.deepEqual(load('libfasttunnel_node.so', { cwd: folder }), { loaded: true });
  });

  it('takes a build of one\'s own, stripped of what is not needed to run', () => {
    const file = copy(ADDON, place('stripped.node'), (bytes) => {
      // What `llvm-strip --strip-sections` leaves.
      bytes.writeBigUInt64LE(0n, 40);
      bytes.writeUInt32LE(0, 60);
      return bytes.subarray(0, mappedBytes(ADDON));
    });
    assert.deepEqual(load(file), { loaded: true });
  });
});

it('the addon is loaded again by another copy of the script in the same thread, and both serve', async () => {
  // As a test runner does that has modules of its own for every file.
  const require = createRequire(import.meta.url);
  const tunnels = [];
  for (let copies = 0; copies < 3; copies += 1) {
    for (const name of Object.keys(require.cache)) if (name.startsWith(DIST)) delete require.cache[name];
    tunnels.push(await require('fasttunnel').fastTunnel({ auth: { allowAnonymous: true }, tasks: { 'app.tasks.which': () => copies } }));
  }
  try {
    for (const round of [1, 2]) {
      for (const [which, { url }] of tunnels.entries()) {
        const response = await fetch(`${url}/task/app.tasks.which`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' });
        assert.deepEqual(await response.json(), { ok: true, result: which }, `round ${round}`);
      }
    }
  } finally {
    for (const tunnel of tunnels) await tunnel.close();
  }
});
