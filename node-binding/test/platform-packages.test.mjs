// Where the addon is found: in a checkout, and in the package of a platform, wherever npm or another has put it; and what
// is said on systems for which there is none.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ADDON, copy, madeFor } from './support/elves.mjs';

const home = fileURLToPath(new URL('..', import.meta.url));
const { TARGETS } = createRequire(import.meta.url)('../dist/cjs/native/place.js');
const folder = mkdtempSync(join(tmpdir(), 'fasttunnel-places-'));
after(() => rmSync(folder, { recursive: true }));

let apps = 0;

/** An app whose `node_modules` has the package, with platform packages beside it or wherever `at` says. */
function appWith(platforms, { at = 'node_modules', main = 'node_modules/fasttunnel' } = {}) {
  const app = join(folder, `app-${apps += 1}`);
  cpSync(join(home, 'dist'), join(app, main, 'dist'), { recursive: true });
  copyFileSync(join(home, 'package.json'), join(app, main, 'package.json'));
  for (const [target, file] of Object.entries(platforms)) {
    const place = join(app, at, `fasttunnel-${target}`);
    mkdirSync(place, { recursive: true });
    const name = `fasttunnel.${target}.node`;
    writeFileSync(join(place, 'package.json'), JSON.stringify({ name: `fasttunnel-${target}`, version: '0.1.0', main: name }));
    copyFileSync(file, join(place, name));
  }
  return app;
}

/** What a program says in an app: `loaded`, or the error. */
function say(app, { script = '', how = 'import', entry, use = 'module.loadNative().factsHash()' } = {}) {
  const file = join(app, 'app.cjs');
  writeFileSync(file, `${script}
    (async () => { const module = ${entry === undefined ? `require(${JSON.stringify(join(app, 'node_modules/fasttunnel/dist/cjs/native/load.js'))})` : `await ${how}(${JSON.stringify(entry)})`}; ${use}; console.log('loaded'); })()
      .catch(({ name, code, message, tried }) => console.log(JSON.stringify({ name, code, message, tried })));`);
  const { status, stdout, stderr } = spawnSync(process.execPath, [file], { cwd: app, encoding: 'utf8', env: { ...process.env, FASTTUNNEL_NATIVE_PATH: '' } });
  assert.equal(status, 0, stderr);
  return stdout.trim() === 'loaded' ? 'loaded' : JSON.parse(stdout);
}

describe('the addon is found', () => {
  const foreign = copy(ADDON, join(folder, 'foreign.node'), madeFor(183));

  it('in the package of the platform, beside the package', () => {
    assert.equal(say(appWith({ 'linux-x64-gnu': ADDON })), 'loaded');
  });

  it('in a package of the platform within the package, as a manager nests another version', () => {
    assert.equal(say(appWith({ 'linux-x64-gnu': ADDON }, { at: 'node_modules/fasttunnel/node_modules' })), 'loaded');
  });

  it("behind a link, as pnpm lays packages out, and not in the app's own folder", () => {
    const store = 'node_modules/.pnpm/fasttunnel@0.1.0/node_modules';
    const app = appWith({ 'linux-x64-gnu': ADDON }, { at: store, main: `${store}/fasttunnel` });
    symlinkSync(join('.pnpm', 'fasttunnel@0.1.0', 'node_modules', 'fasttunnel'), join(app, 'node_modules', 'fasttunnel'));
    assert.equal(say(app), 'loaded');
  });

  it('when packages of other platforms are installed as well', () => {
    assert.equal(say(appWith({ 'linux-arm64-gnu': foreign, 'linux-x64-musl': foreign, 'linux-x64-gnu': ADDON })), 'loaded');
  });

  it('in native/ of a checkout rather than in a package', () => {
    const app = appWith({ 'linux-x64-gnu': foreign });
    mkdirSync(join(app, 'node_modules/fasttunnel/native'));
    copyFileSync(ADDON, join(app, 'node_modules/fasttunnel/native/fasttunnel.linux-x64-gnu.node'));
    assert.equal(say(app), 'loaded');
  });

  it('nowhere: the error says for which packages it looked', () => {
    const app = appWith({});
    const { name, code, message, tried } = say(app);
    assert.deepEqual([name, code], ['NativeLoadError', 'FASTTUNNEL_NATIVE_LOAD']);
    assert.deepEqual(tried, [join(app, 'node_modules/fasttunnel/native/fasttunnel.linux-x64-gnu.node'), 'fasttunnel-linux-x64-gnu', 'fasttunnel-linux-x64-musl']);
    assert.match(message, /native addon is missing/);
  });
});

describe('a system for which there is no addon', () => {
  const as = (platform, arch) => `Object.defineProperty(process, 'platform', { value: '${platform}' }); Object.defineProperty(process, 'arch', { value: '${arch}' });`;

  for (const [platform, arch] of [['win32', 'x64'], ['darwin', 'arm64'], ['freebsd', 'x64'], ['linux', 'riscv64']]) {
    it(`is told so when it imports the package: ${platform} on ${arch}`, () => {
      const app = appWith({ 'linux-x64-gnu': ADDON });
      for (const [how, entry] of [['import', 'fasttunnel'], ['import', 'fasttunnel/runner'], ['require', 'fasttunnel'], ['require', 'fasttunnel/runner']]) {
        const { name, code, message } = say(app, { script: as(platform, arch), how, entry, use: '' });
        assert.deepEqual([name, code], ['NativeLoadError', 'FASTTUNNEL_NATIVE_LOAD'], `${how} ${entry}`);
        assert.ok(message.includes(`no native addon for ${platform} ${arch}`) && TARGETS.every((target) => message.includes(target)), message);
      }
    });
  }

  it('imports it where an addon is named', () => {
    const script = `${as('linux', 'riscv64')} process.env.FASTTUNNEL_NATIVE_PATH = '/nowhere';`;
    assert.equal(say(appWith({}), { script, entry: 'fasttunnel', use: '' }), 'loaded');
  });
});

it('the targets are those of package.json, of which the packages are made', () => {
  const { napi } = JSON.parse(readFileSync(join(home, 'package.json'), 'utf8'));
  const names = napi.targets.map((triple) => {
    const [cpu, , os, abi] = triple.split('-');
    return `${os}-${{ x86_64: 'x64', aarch64: 'arm64' }[cpu]}-${abi}`;
  });
  assert.deepEqual(names, [...TARGETS]);
});
