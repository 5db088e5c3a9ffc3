// `fasttunnel/native`: listing directories.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, linkSync, mkdirSync, readdirSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { listDirectory, OptionError, readFile, UtilityError, walkDirectory } from 'fasttunnel/native';
import { IN_MEMORY, withFolder } from './support/folders.mjs';
import { until } from './support/tunnels.mjs';

const NATIVE = new URL('../dist/esm/utilities/index.mjs', import.meta.url).href;
const code = (expected, path) => (error) => error instanceof UtilityError && error.code === expected && (path === undefined || error.path === path);
const names = (entries) => entries.map(({ name }) => name).sort();
const paths = (entries, folder) => entries.map(({ path }) => path.slice(folder.length + 1)).sort();

/** a, d/b, d/e/c, d/e/f/g */
function tree(file) {
  mkdirSync(file('d/e/f'), { recursive: true });
  for (const name of ['a', 'd/b', 'd/e/c', 'd/e/f/g']) writeFileSync(file(name), name);
}

describe('listDirectory', () => {
  it('tells name, path, kind, size and time of each entry', () => withFolder(async (file, folder) => {
    writeFileSync(file('a'), 'hello');
    utimesSync(file('a'), 1, 1_234_567.25);
    mkdirSync(file('d'));
    symlinkSync('a', file('l'));
    execFileSync('mkfifo', [file('f')]);
    const server = createServer().listen(file('s'));
    await once(server, 'listening');
    const entries = (await listDirectory(folder)).sort((one, other) => (one.name < other.name ? -1 : 1));
    server.close();
    assert.deepEqual(entries.map(({ name, kind }) => `${name} ${kind}`), ['a file', 'd directory', 'f fifo', 'l symlink', 's socket']);
    const { mtimeMs } = statSync(file('d'));
    assert.deepEqual(entries[0], { name: 'a', path: file('a'), kind: 'file', size: 5, modified: 1_234_567_250 });
    assert.ok(Math.abs(entries[1].modified - mtimeMs) < 0.01);
    assert.equal((await listDirectory('/dev')).find(({ name }) => name === 'null').kind, 'characterDevice');
    assert.deepEqual(await listDirectory(file('d')), []);
  }));

  it('lists what is in its directories when it is recursive, which ends', () => withFolder(async (file, folder) => {
    tree(file);
    assert.deepEqual(paths(await listDirectory(folder), folder), ['a', 'd']);
    assert.deepEqual(paths(await listDirectory(folder, false), folder), ['a', 'd']);
    const all = ['a', 'd', 'd/b', 'd/e', 'd/e/c', 'd/e/f', 'd/e/f/g'];
    for (const options of [true, { recursive: true }, { recursive: true, followSymlinks: true }]) assert.deepEqual(paths(await listDirectory(folder, options), folder), all);
    assert.deepEqual((await listDirectory(folder, true)).map(({ path }) => path.split('/').length).join(''), [...all].sort((a, b) => a.split('/').length - b.split('/').length).map((path) => folder.split('/').length + path.split('/').length).join(''), 'nearer ones first');
    assert.deepEqual(names(await listDirectory(`${folder}/`, true)), ['a', 'b', 'c', 'd', 'e', 'f', 'g']);
    assert.equal((await listDirectory(`${folder}/`)).find(({ name }) => name === 'a').path, file('a'), 'no second slash');
  }));

  it('goes as deep as maxDepth', () => withFolder(async (file, folder) => {
    tree(file);
    for (const [maxDepth, expected] of [[1, ['a', 'd']], [2, ['a', 'd', 'd/b', 'd/e']], [3, ['a', 'd', 'd/b', 'd/e', 'd/e/c', 'd/e/f']]]) {
      assert.deepEqual(paths(await listDirectory(folder, { recursive: true, maxDepth }), folder), expected);
    }
  }));

  it('fails when there are more entries than maxEntries', () => withFolder(async (file, folder) => {
    tree(file);
    assert.equal((await listDirectory(folder, { recursive: true, maxEntries: 7 })).length, 7);
    await assert.rejects(listDirectory(folder, { recursive: true, maxEntries: 6 }), code('FASTTUNNEL_TOO_MANY_ENTRIES', folder));
  }));

  it('comes to an end in loops of links, and enters each directory once', () => withFolder(async (file, folder) => {
    tree(file);
    symlinkSync('..', file('d/up'));
    symlinkSync('../..', file('d/e/top'));
    symlinkSync('e', file('d/again'));
    symlinkSync('self', file('self'));
    symlinkSync('nothing', file('broken'));
    const without = ['a', 'broken', 'd', 'd/again', 'd/b', 'd/e', 'd/e/c', 'd/e/f', 'd/e/f/g', 'd/e/top', 'd/up', 'self'];
    assert.deepEqual(paths(await listDirectory(folder, true), folder), without);
    const followed = await listDirectory(folder, { recursive: true, followSymlinks: true });
    assert.equal(followed.length, without.length, 'no entry twice');
    const kinds = Object.fromEntries(followed.map(({ name, kind }) => [name, kind]));
    assert.deepEqual([kinds.up, kinds.top, kinds.again, kinds.self, kinds.broken], ['directory', 'directory', 'directory', 'symlink', 'symlink']);
  }));

  it('gives the bytes of a path that is not UTF-8, which all functions take', () => withFolder(async (file, folder) => {
    const bytes = (name) => Buffer.concat([Buffer.from(`${folder}/`), name]);
    const odd = Buffer.from([0x66, 0xff, 0x6f]);
    mkdirSync(bytes(odd));
    const within = Buffer.concat([bytes(odd), Buffer.from('/b')]);
    writeFileSync(within, 'inside');
    writeFileSync(file('é\n'), '');
    const entries = await listDirectory(folder, true);
    const found = Object.fromEntries(entries.map((entry) => [entry.name, entry]));
    assert.deepEqual(Object.keys(found).sort(), ['b', 'f\ufffdo', 'é\n']);
    assert.ok(found['f\ufffdo'].pathBytes.equals(bytes(odd)));
    assert.deepEqual([found.b.path, found.b.pathBytes.equals(within)], [`${folder}/f\ufffdo/b`, true]);
    assert.equal('pathBytes' in found['é\n'], false);
    assert.equal((await readFile(found.b.pathBytes)).toString(), 'inside');
    assert.deepEqual(names(await listDirectory(found['f\ufffdo'].pathBytes)), ['b']);
  }));

  it('says why it cannot', () => withFolder(async (file, folder) => {
    writeFileSync(file('a'), '');
    await assert.rejects(listDirectory(file('missing')), (error) => code('ENOENT', file('missing'))(error) && error.syscall === 'scandir');
    await assert.rejects(listDirectory(file('a')), code('ENOTDIR', file('a')));
    for (const wrong of [{ maxDepth: 0 }, { maxEntries: 0.5 }, { recursive: 1 }, { depth: 1 }]) await assert.rejects(listDirectory(folder, wrong), OptionError);
    assert.throws(() => walkDirectory(folder, { maxDepth: 0 }), /walkDirectory\.maxDepth must be an integer from 1/);
  }));

  it('names the directory that it may not read', (t) => withFolder(async (file, folder) => {
    tree(file);
    chmodSync(folder, 0o755);
    chmodSync(file('d/e'), 0o700);
    // Root may read everything; what it has shut others may not.
    if (process.getuid() !== 0) chmodSync(file('d/e'), 0);
    const script = `import('${NATIVE}').then(({ listDirectory }) => listDirectory(process.argv[1], true)).then(() => console.log('listed'), (error) => console.log(error.code, error.syscall, error.path));`;
    const user = process.getuid() === 0 ? { uid: 65_534, gid: 65_534 } : {};
    const { stdout, stderr } = spawnSync(process.execPath, ['-e', script, folder], { ...user, cwd: '/', encoding: 'utf8' });
    chmodSync(file('d/e'), 0o700);
    if (/Cannot find module|EACCES.*(?:dist|node_modules)|FASTTUNNEL_NATIVE_LOAD/.test(stderr + stdout)) return t.skip('another user cannot load this checkout');
    assert.equal(stdout, `EACCES scandir ${file('d/e')}\n`, stderr);
  }));

  it('lists 100 000 entries, walks through them, stops early, and is aborted', () => withFolder(async (file, folder) => {
    // Links to few files: they cost no inode each.
    mkdirSync(file('many'));
    for (let entry = 0; entry < 100_000; entry += 1) {
      if (entry % 50_000 === 0) writeFileSync(file(`many/${entry}`), '');
      else linkSync(file(`many/${entry - (entry % 50_000)}`), file(`many/${entry}`));
    }
    const entries = await listDirectory(folder, true);
    assert.deepEqual([entries.length, new Set(entries.map(({ path }) => path)).size], [100_001, 100_001]);
    let walked = 0;
    for await (const { kind } of walkDirectory(folder)) walked += Number(kind === 'file');
    assert.equal(walked, 100_000);
    walked = 0;
    for await (const entry of walkDirectory(folder)) {
      walked += Number(entry.path.startsWith(folder));
      if (walked === 5000) break;
    }
    assert.equal(walked, 5000);
    const controller = new AbortController();
    const listing = listDirectory(folder, { recursive: true, signal: controller.signal });
    setTimeout(() => controller.abort('enough'), 5);
    await assert.rejects(listing, (error) => error.name === 'AbortError' && error.code === 'ABORT_ERR' && error.cause === 'enough');
    await assert.rejects(async () => {
      const stopped = new AbortController();
      for await (const _entry of walkDirectory(folder, { signal: stopped.signal })) stopped.abort();
    }, code('ABORT_ERR'));
    await assert.rejects(listDirectory(folder, { signal: AbortSignal.abort() }), code('ABORT_ERR'));
  }, IN_MEMORY));

  it('does not stumble over directories that go while it walks', () => withFolder(async (file, folder) => {
    for (let entry = 0; entry < 300; entry += 1) {
      mkdirSync(file(`d${entry}`));
      writeFileSync(file(`d${entry}/a`), '');
    }
    const listing = listDirectory(folder, true);
    for (let entry = 0; entry < 300; entry += 2) rmSync(file(`d${entry}`), { recursive: true });
    const found = new Set(names(await listing));
    for (let entry = 1; entry < 300; entry += 2) assert.ok(found.has(`d${entry}`));
  }));

  it('keeps no descriptor', () => withFolder(async (file, folder) => {
    tree(file);
    const descriptors = () => readdirSync('/proc/self/fd').length;
    await listDirectory(folder, true);
    const before = descriptors();
    for (let round = 0; round < 20; round += 1) {
      await listDirectory(folder, true);
      for await (const { name } of walkDirectory(folder)) assert.ok(name);
    }
    assert.ok(descriptors() <= before + 2, `${before}, then ${descriptors()}`);
    assert.ok(existsSync(folder));
  }));
});

describe('walks that are left early', () => {
  it('hold no descriptor any more', () => withFolder(async (file, folder) => {
    for (let number = 0; number < 9000; number += 1) writeFileSync(file(`${number}`), '');
    const descriptors = () => readdirSync('/proc/self/fd').length;
    const left = async () => { for await (const _entry of walkDirectory(folder)) break; };
    await left();
    const before = descriptors();
    for (let walk = 0; walk < 20; walk += 1) await left();
    await until(() => descriptors() <= before + 1, 'they are closed, without a collector');
  }, IN_MEMORY));
});

describe('a walk that is aborted', () => {
  it('gives nothing more, not even what was read ahead', () => withFolder(async (file, folder) => {
    for (let number = 0; number < 10; number += 1) writeFileSync(file(`${number}`), '');
    for (const most of [1, 2, 10]) {
      const controller = new AbortController();
      let seen = 0;
      await assert.rejects(async () => {
        for await (const _entry of walkDirectory(folder, { signal: controller.signal })) if ((seen += 1) === most) controller.abort();
      }, { name: 'AbortError', code: 'ABORT_ERR' });
      assert.equal(seen, most);
    }
  }));
});
