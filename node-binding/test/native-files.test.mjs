// `fasttunnel/native`: reading and writing files.
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:buffer';
import { constants as constantsOfFiles, chmodSync, existsSync, mkdirSync, openSync, closeSync, readFileSync, readdirSync, statSync, symlinkSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { describe, it } from 'node:test';
import { freemem } from 'node:os';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { OptionError, readFile, UtilityError, writeFile } from 'fasttunnel/native';
import { IN_MEMORY, withFolder } from './support/folders.mjs';
import { sleep } from './support/tunnels.mjs';

const NATIVE = new URL('../dist/esm/utilities/index.mjs', import.meta.url).href;
const failed = (details) => (error) => {
  assert.ok(error instanceof UtilityError, error);
  for (const [name, value] of Object.entries(details)) assert.deepEqual(error[name], value, name);
  return true;
};
const aborted = (reason) => failed({ name: 'AbortError', code: 'ABORT_ERR', cause: reason });

/** Threads of this process with that name. */
const threads = (name) => readdirSync('/proc/self/task').filter((id) => readFileSync(`/proc/self/task/${id}/comm`, 'utf8').startsWith(name)).length;
const fifo = (path) => { execFileSync('mkfifo', [path]); return path; };

describe('readFile', () => {
  it('gives a file\'s bytes, whatever its size and however it is named', () => withFolder(async (file) => {
    for (const size of [0, 1, 1024, 65_536, 65_537, 1_000_003, 20_000_000]) {
      const bytes = Buffer.alloc(size, Buffer.from([0, 1, 255, 10, 13, 128, 7]));
      writeFileSync(file('a'), bytes);
      for (const path of [file('a'), Buffer.from(file('a')), pathToFileURL(file('a'))]) {
        const read = await readFile(path);
        assert.ok(Buffer.isBuffer(read) && read.equals(bytes), `${size}`);
      }
    }
  }));

  it('reads files that do not know their size', async () => {
    assert.match((await readFile('/proc/self/status')).toString(), /^Name:.*\nUmask:/);
  });

  it('says with code, path and system call why it cannot', () => withFolder(async (file, folder) => {
    await assert.rejects(readFile(file('missing')), failed({ code: 'ENOENT', path: file('missing'), syscall: 'open', errno: -2, message: `ENOENT: no such file or directory, open '${file('missing')}'` }));
    await assert.rejects(readFile(folder), failed({ code: 'EISDIR', path: folder, syscall: 'read' }));
    writeFileSync(file('a'), '');
    await assert.rejects(readFile(`${file('a')}/b`), failed({ code: 'ENOTDIR', syscall: 'open' }));
    symlinkSync(file('loop'), file('loop'));
    await assert.rejects(readFile(file('loop')), failed({ code: 'ELOOP', syscall: 'open' }));
    await assert.rejects(readFile(file('x'.repeat(300))), failed({ code: 'ENAMETOOLONG' }));
    await assert.rejects(readFile(''), failed({ code: 'ENOENT' }));
    const error = await readFile(file('missing')).catch((thrown) => thrown);
    assert.deepEqual([error.cause.message, error.cause.code], ['no such file or directory', 'ENOENT']);
    assert.match(error.stack, /native-files\.test/, 'it tells who has called');
  }));

  it('says so when the process may not', (t) => withFolder(async (file, folder) => {
    writeFileSync(file('secret'), 'a');
    chmodSync(file('secret'), 0);
    chmodSync(folder, 0o755);
    const script = `import('${NATIVE}').then(({ readFile }) => readFile(process.argv[1])).then(() => console.log('read'), (error) => console.log(error.code, error.syscall, error.path === process.argv[1]));`;
    // Root may read everything; somebody else is nobody who can read this checkout everywhere.
    const user = process.getuid() === 0 ? { uid: 65_534, gid: 65_534 } : {};
    const { stdout, stderr } = spawnSync(process.execPath, ['-e', script, file('secret')], { ...user, cwd: '/', encoding: 'utf8' });
    if (/Cannot find module|EACCES.*(?:dist|node_modules)|FASTTUNNEL_NATIVE_LOAD/.test(stderr + stdout)) return t.skip('another user cannot load this checkout');
    assert.equal(stdout, 'EACCES open true\n', stderr);
  }));

  it('refuses more than maxBytes, and what never ends', () => withFolder(async (file) => {
    writeFileSync(file('a'), 'x'.repeat(100));
    assert.equal((await readFile(file('a'), { maxBytes: 100 })).length, 100);
    await assert.rejects(readFile(file('a'), { maxBytes: 99 }), failed({ code: 'FASTTUNNEL_TOO_LARGE', path: file('a'), syscall: undefined }));
    await assert.rejects(readFile('/dev/zero', { maxBytes: 1_000_000 }), failed({ code: 'FASTTUNNEL_TOO_LARGE' }));
    await assert.rejects(readFile('/dev/zero'), /has more than 67108864 bytes\. Raise maxBytes/);
    await assert.rejects(readFile('/proc/self/status', { maxBytes: 10 }), failed({ code: 'FASTTUNNEL_TOO_LARGE' }));
  }));

  it('reads a file of 2 GiB, and refuses one beyond the largest Buffer without reading it', { skip: freemem() < 5 * 2 ** 30 && 'less than 5 GiB of memory are free' }, () => withFolder(async (file) => {
    writeFileSync(file('sparse'), 'begin');
    truncateSync(file('sparse'), 2 ** 31);
    const fd = openSync(file('sparse'), 'r+');
    writeSync(fd, 'end', 2 ** 31 - 3);
    closeSync(fd);
    const bytes = await readFile(file('sparse'));
    assert.deepEqual([bytes.length, bytes.toString('utf8', 0, 6), bytes.toString('utf8', 2 ** 31 - 3)], [2 ** 31, 'begin\0', 'end']);
    const most = Math.min(constants.MAX_LENGTH, 2 ** 32);
    truncateSync(file('sparse'), most + 1);
    const started = performance.now();
    await assert.rejects(readFile(file('sparse')), failed({ code: 'FASTTUNNEL_TOO_LARGE', message: `readFile: '${file('sparse')}' has more than ${most} bytes. Raise maxBytes, or read it in pieces with createReadStream of node:fs.` }));
    assert.ok(performance.now() - started < 1000);
  }, IN_MEMORY));

  it('reads a FIFO until all who have written are gone', () => withFolder(async (file) => {
    const path = fifo(file('fifo'));
    const reading = readFile(path);
    await sleep(20);
    const fd = openSync(path, 'w');
    writeSync(fd, 'one, ');
    await sleep(20);
    writeSync(fd, 'two');
    closeSync(fd);
    assert.equal((await reading).toString(), 'one, two');
  }));

  it('keeps no thread for FIFOs that nobody writes to, and aborts them', () => withFolder(async (file) => {
    const path = fifo(file('fifo'));
    writeFileSync(file('a'), 'a');
    const controllers = Array.from({ length: 50 }, () => new AbortController());
    const reading = controllers.map(({ signal }) => readFile(path, { signal }));
    assert.equal((await readFile(file('a'))).toString(), 'a', 'others are not held up');
    await sleep(30);
    assert.ok(threads('fasttunnel-util') <= 4 && threads('fasttunnel-wait') === 1);
    controllers.forEach((controller, index) => controller.abort(`reason ${index}`));
    const outcomes = await Promise.allSettled(reading);
    outcomes.forEach(({ reason }, index) => aborted(`reason ${index}`)(reason));
  }));

  it('is aborted in every phase: before, while it waits for a thread, while it reads, and not afterwards', () => withFolder(async (file) => {
    writeFileSync(file('a'), '');
    truncateSync(file('a'), 200 * 2 ** 20);
    await assert.rejects(readFile(file('missing'), { signal: AbortSignal.abort('before') }), aborted('before'));
    const many = Array.from({ length: 8 }, () => {
      const controller = new AbortController();
      return { controller, reading: readFile(file('a'), { signal: controller.signal }) };
    });
    many.at(-1).controller.abort('waits');
    await assert.rejects(many.at(-1).reading, aborted('waits'));
    for (const { controller } of many) controller.abort('reads');
    // One that had read everything before is not aborted any more.
    const outcomes = await Promise.allSettled(many.map(({ reading }) => reading));
    for (const { reason } of outcomes.filter(({ status }) => status === 'rejected')) aborted(reason.cause)(reason);
    const controller = new AbortController();
    assert.equal((await readFile('/proc/self/comm', { signal: controller.signal })).length > 0, true);
    controller.abort();
  }, IN_MEMORY));

  it('does not hold up the event loop', () => withFolder(async (file) => {
    writeFileSync(file('a'), '');
    truncateSync(file('a'), 200 * 2 ** 20);
    const reading = readFile(file('a'));
    let turns = 0;
    let done = false;
    void reading.then(() => { done = true; });
    while (!done) { await sleep(1); turns += 1; }
    assert.ok(turns > 5, `${turns} turns meanwhile`);
  }, IN_MEMORY));

  it('answers fifty at a time', () => withFolder(async (file) => {
    for (let index = 0; index < 50; index += 1) writeFileSync(file(`${index}`), `${index}`.repeat(index * 1000));
    const all = await Promise.all(Array.from({ length: 50 }, (_, index) => readFile(file(`${index}`))));
    all.forEach((bytes, index) => assert.equal(bytes.toString(), `${index}`.repeat(index * 1000)));
  }));

  it('names the option, the value and the fix', async () => {
    await assert.rejects(readFile(7), OptionError);
    await assert.rejects(readFile('a\0b'), /path must not have a zero in it/);
    await assert.rejects(readFile('a', { maxbytes: 1 }), /maxbytes is not an option\. Did you mean readFile\.maxBytes\?/);
    await assert.rejects(readFile('a', { maxBytes: -1 }), /readFile\.maxBytes must be an integer from 0/);
    await assert.rejects(readFile('a', { signal: new AbortController() }), /Pass controller\.signal/);
  });
});

describe('writeFile', () => {
  it('writes text and bytes of every kind and size', () => withFolder(async (file) => {
    const large = Buffer.alloc(5_000_001, 'abc');
    const shared = new Uint8Array(new SharedArrayBuffer(3)).fill(65);
    for (const [data, expected] of [['täxt', Buffer.from('täxt')], ['', Buffer.alloc(0)], [large, large], [new Uint16Array([0x4241]), Buffer.from('AB')], [new Uint8Array([65]).buffer, Buffer.from('A')], [new DataView(new ArrayBuffer(4), 1, 2), Buffer.alloc(2)], [shared, Buffer.from('AAA')]]) {
      for (const options of [{}, { atomic: false }, { fsync: true }, { fsync: true, atomic: false }]) {
        await writeFile(file('a'), data, options);
        assert.ok(readFileSync(file('a')).equals(expected));
      }
    }
    assert.deepEqual(readdirSync(file('.')), ['a']);
  }));

  it('replaces a file as a whole: whoever reads sees the old one or the new one', () => withFolder(async (file) => {
    const [old, next] = [Buffer.alloc(3_000_000, 'o'), Buffer.alloc(7_000_000, 'n')];
    await writeFile(file('a'), old);
    let writing = true;
    let seen = 0;
    const looking = (async () => {
      while (writing) {
        const bytes = readFileSync(file('a'));
        assert.ok(bytes.equals(old) || bytes.equals(next), `${bytes.length} bytes`);
        seen += 1;
        await sleep(0);
      }
    })();
    for (let round = 0; round < 5; round += 1) await writeFile(file('a'), round % 2 === 0 ? next : old);
    writing = false;
    await looking;
    assert.ok(seen > 5);
  }));

  it('gives a new file its mode, keeps that of an old one, and writes through links', () => withFolder(async (file) => {
    const modeOf = (name) => statSync(file(name)).mode & 0o777;
    const umask = process.umask();
    await writeFile(file('a'), 'a', { mode: 0o640 });
    assert.equal(modeOf('a'), 0o640 & ~umask);
    await writeFile(file('b'), 'b');
    assert.equal(modeOf('b'), 0o666 & ~umask);
    chmodSync(file('b'), 0o751);
    await writeFile(file('b'), 'c');
    assert.equal(modeOf('b'), 0o751);
    mkdirSync(file('elsewhere'));
    symlinkSync('elsewhere/target', file('link'));
    writeFileSync(file('elsewhere/target'), 'old');
    await writeFile(file('link'), 'new');
    assert.deepEqual([readFileSync(file('elsewhere/target'), 'utf8'), readdirSync(file('elsewhere')).length], ['new', 1]);
  }));

  it('says why it cannot, and leaves nothing beside the file', () => withFolder(async (file, folder) => {
    await assert.rejects(writeFile(file('missing/a'), ''), failed({ code: 'ENOENT', syscall: 'open', path: file('missing/a') }));
    mkdirSync(file('directory'));
    for (const atomic of [true, false]) await assert.rejects(writeFile(file('directory'), '', { atomic }), failed({ code: 'EISDIR', syscall: 'open' }));
    await assert.rejects(writeFile('/dev/full', 'a', { atomic: false }), failed({ code: 'ENOSPC', syscall: 'write', path: '/dev/full' }));
    await assert.rejects(writeFile('/proc/self/nothing', 'a'), failed({ syscall: 'open' }));
    assert.deepEqual(readdirSync(folder), ['directory']);
  }));

  it('does not put a file in the place of a device or a FIFO', () => withFolder(async (file) => {
    await assert.rejects(writeFile('/dev/null', 'a'), failed({ code: 'EINVAL', path: '/dev/null' }));
    await writeFile('/dev/null', 'a', { atomic: false });
    assert.ok(statSync('/dev/null').isCharacterDevice());
    const path = fifo(file('fifo'));
    await assert.rejects(writeFile(path, 'a'), /write with atomic: false/);
    await assert.rejects(writeFile(path, 'a', { atomic: false }), failed({ code: 'ENXIO' }));
  }));

  it('leaves the old file when it is aborted, at whatever time', () => withFolder(async (file) => {
    writeFileSync(file('a'), 'old');
    const data = Buffer.alloc(64 * 2 ** 20, 'n');
    await assert.rejects(writeFile(file('a'), data, { signal: AbortSignal.abort('before') }), aborted('before'));
    let abortedOnes = 0;
    for (const ms of [0, 1, 3, 6, 10, 20]) {
      const before = readFileSync(file('a')).length;
      const controller = new AbortController();
      const timer = setTimeout(() => controller.abort('later'), ms);
      const outcome = await writeFile(file('a'), data, { signal: controller.signal }).then(() => 'written', aborted('later'));
      clearTimeout(timer);
      abortedOnes += Number(outcome === true);
      assert.equal(readFileSync(file('a')).length, outcome === 'written' ? data.length : before);
      assert.deepEqual(readdirSync(file('.')), ['a'], `after ${ms} ms`);
    }
    assert.ok(abortedOnes > 0);
  }));

  it('notices that its data went elsewhere', () => withFolder(async (file) => {
    const data = new Uint8Array(30 * 2 ** 20);
    const writing = writeFile(file('a'), data);
    structuredClone(data, { transfer: [data.buffer] });
    await assert.rejects(writing, failed({ code: 'FASTTUNNEL_DATA_CHANGED' }));
    assert.deepEqual(readdirSync(file('.')), []);
  }));

  it('names the option, the value and the fix', async () => {
    await assert.rejects(writeFile('a', 7), /data must be text or bytes, got 7/);
    await assert.rejects(writeFile('a', '', { mode: 0o10000 }), /writeFile\.mode must be an integer from 0 to 4095/);
    await assert.rejects(writeFile('a', '', { atomic: 'yes' }), /writeFile\.atomic must be true or false/);
    assert.equal(existsSync('a'), false);
  });
});

it('a process lives as long as an operation does, and no longer', () => {
  const script = `import('${NATIVE}').then(async ({ readFile }) => { await readFile('/proc/self/comm'); const { length } = await readFile(${JSON.stringify(fileURLToPath(import.meta.url))}); console.log(length > 1000); });`;
  const started = performance.now();
  const { stdout, status } = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8', timeout: 20_000 });
  assert.deepEqual([stdout, status], ['true\n', 0]);
  assert.ok(performance.now() - started < 15_000);
});

describe('signals', () => {
  it('of a library that go wrong cost nobody else an operation', () => withFolder(async (file) => {
    writeFileSync(file('a'), 'a');
    const signal = { aborted: false, addEventListener() {}, removeEventListener() { throw new Error('of the library'); } };
    const reads = [readFile(file('a'), { signal }), ...Array.from({ length: 20 }, () => readFile(file('a')))];
    for (const read of await Promise.all(reads)) assert.equal(read.toString(), 'a');
    await assert.rejects(readFile(file('a'), { signal: { aborted: false, addEventListener() {} } }), /readFile\.signal must be an AbortSignal/);
  }));

  it('may be shared by many operations without a warning, and abort all of them', () => withFolder(async (file) => {
    fifo(file('fifo'));
    const controller = new AbortController();
    const warnings = [];
    const hear = (warning) => warnings.push(warning);
    process.on('warning', hear);
    const reads = Array.from({ length: 50 }, () => readFile(file('fifo'), { signal: controller.signal }));
    await sleep(50);
    controller.abort();
    for (const { reason } of await Promise.allSettled(reads)) assert.equal(reason?.code, 'ABORT_ERR');
    process.off('warning', hear);
    assert.deepEqual(warnings, []);
  }));
});

describe('arguments', () => {
  it('that are wrong are errors that say what to write', async () => {
    for (const [begin, message] of [
      [() => readFile('/etc/hosts', 'utf8'), /^readFile\.options must be an object, got 'utf8'/],
      [() => readFile('/etc/hosts', { encoding: 'utf8' }), /Did you mean \(await readFile\(path\)\)\.toString\(\)\?/],
      [() => readFile(new URL('https://example.com/a')), /^path must be the URL of a file .*got 'https:\/\/example\.com\/a'/],
      [() => readFile(new URL('file:///a%2Fb')), /^path must be the URL of a file/],
      [() => writeFile('/dev/null', '', { mode: '0644' }), /^writeFile\.mode must be an integer from 0 to 4095 \(0o7777\), got '0644'\. Write for example 0o644\./],
    ]) await assert.rejects(begin, (error) => error instanceof OptionError && message.test(error.message), String(message));
  });

  it('are not taken from Object.prototype', () => {
    const script = `import('${NATIVE}').then(async ({ executeCommand, readFile }) => {
      Object.assign(Object.prototype, { maxBytes: 1, cwd: Buffer.from('/'), stdin: Buffer.from('evil'), env: { EVIL: '1' }, timeoutMs: 1 });
      const { stdout } = await executeCommand('sh', ['-c', 'pwd; echo "$EVIL"; cat'], {});
      process.stdout.write(stdout + (await readFile('/etc/passwd', {})).length);
    });`;
    const { stdout, stderr } = spawnSync(process.execPath, ['-e', script], { cwd: '/tmp', encoding: 'utf8' });
    assert.equal(stdout, `/tmp\n\n${statSync('/etc/passwd').size}`, stderr);
  });
});

describe('a process without descriptors', () => {
  it('gets the system\'s error from the first operation on', () => {
    const script = `import('${NATIVE}').then(async ({ executeCommand, init, listDirectory, readFile, writeFile }) => {
      init();
      const { openSync } = require('node:fs');
      try { for (;;) openSync('/dev/null'); } catch {}
      for (const begin of [() => readFile('/etc/passwd'), () => writeFile('/tmp/x', ''), () => listDirectory('/'), () => executeCommand('true')]) await begin().catch((error) => console.log(error.name, error.code));
    });`;
    const { stdout, stderr } = spawnSync('bash', ['-c', `ulimit -n 64; exec "${process.execPath}" -e "$0"`, script], { encoding: 'utf8' });
    assert.equal(stdout, 'UtilityError EMFILE\n'.repeat(4), stderr);
  });
});

describe('what others do meanwhile', () => {
  it('is waited for: a FIFO takes more than it holds as its reader reads', () => withFolder(async (file) => {
    const reader = spawn('sh', ['-c', `exec 3<"$0"; sleep 0.3; wc -c <&3`, fifo(file('fifo'))], { stdio: ['ignore', 'pipe', 'inherit'] });
    let counted = '';
    reader.stdout.on('data', (text) => { counted += text; });
    while (await writeFile(file('fifo'), '', { atomic: false }).then(() => false, (error) => error.code === 'ENXIO')) await sleep(10);
    await writeFile(file('fifo'), Buffer.alloc(300_000), { atomic: false });
    await once(reader, 'close');
    assert.equal(counted.trim(), '300000');
  }));

  it('is not waited for beyond an abort', () => withFolder(async (file) => {
    const fd = openSync(fifo(file('fifo')), constantsOfFiles.O_RDONLY | constantsOfFiles.O_NONBLOCK);
    await assert.rejects(writeFile(file('fifo'), Buffer.alloc(300_000), { atomic: false, signal: AbortSignal.timeout(50) }), { code: 'ABORT_ERR' });
    closeSync(fd);
  }));

  it('leaves nothing half written when the process exits', () => withFolder(async (file, folder) => {
    const script = `import('${NATIVE}').then(({ writeFile }) => {
      for (let number = 0; number < 20; number += 1) writeFile(process.argv[1] + '/' + number, Buffer.alloc(16e6));
      setTimeout(() => process.exit(), 30);
    });`;
    spawnSync(process.execPath, ['-e', script, folder]);
    assert.deepEqual(readdirSync(folder).filter((name) => name.endsWith('.tmp')), []);
  }, IN_MEMORY));
});

describe('a file that is replaced', () => {
  it('loses set-user-ID and set-group-ID: it may have another owner', () => withFolder(async (file) => {
    writeFileSync(file('a'), '');
    chmodSync(file('a'), 0o6755);
    await writeFile(file('a'), 'a');
    assert.equal(statSync(file('a')).mode & 0o7777, 0o755);
  }));

  it('is made where a link leads to nothing yet', () => withFolder(async (file) => {
    mkdirSync(file('there'));
    symlinkSync('there/second', file('first'));
    symlinkSync('../target', file('there/second'));
    await writeFile(file('first'), 'a');
    assert.equal(readFileSync(file('target'), 'utf8'), 'a');
    symlinkSync('nowhere/file', file('lost'));
    await assert.rejects(writeFile(file('lost'), 'a'), failed({ code: 'ENOENT' }));
  }));
});
