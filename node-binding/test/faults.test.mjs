// What the system does to a process: it is stopped, its clock is set, its disk is full, its clients vanish.
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { FORM_TYPE, formBytes, manifest, part, sentinel } from './support/forms.mjs';
import { withProgram } from './support/processes.mjs';
import { RawSocket, taskBytes } from './support/raw-socket.mjs';
import { E500, callTask, onBothDrivers, sleep, until, withTunnel } from './support/tunnels.mjs';

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'fasttunnel-faults-'));
after(() => rmSync(directory, { recursive: true, force: true }));

/** Whether a command does here what the test needs: containers forbid some of it. */
const works = (command, ...args) => spawnSync(command, args, { stdio: 'ignore', timeout: 10_000 }).status === 0;
const lacks = (what, there) => (there ? false : `${what} is not to be had here`);

const add = taskBytes('app.tasks.add', { a: 1, b: 2 });
const SUM = '{"ok":true,"result":3}';

onBothDrivers('a process', (driver) => {
  const listening = (limits, env, body) => {
    const options = JSON.stringify({ driver, shards: 2, limits });
    return withProgram(process.execPath, [path('fixtures/ending.mjs'), 'never', options], env, body);
  };

  /** Sends the rest of a request, and takes the answer to all of it. */
  const complete = async (socket, rest = '') => {
    if (rest !== '') await socket.write(rest);
    const { status, body } = await socket.answer();
    assert.deepEqual([status, body], [200, SUM]);
  };

  it('that was stopped and goes on: the time in between makes nobody late', () => listening({ headTimeoutMs: 1000, idleTimeoutMs: 1500, handlerTimeoutMs: 1500 }, {}, async (program) => {
    const connect = (count) => Promise.all(Array.from({ length: count }, () => RawSocket.connect(program)));
    const [idle, half, caller] = await connect(3);
    await idle.write(add);
    await complete(idle);
    await half.write(add.slice(0, 30));
    await caller.write(taskBytes('app.tasks.wait', 700));
    await sleep(100);
    program.child.kill('SIGSTOP');
    // The kernel accepts for it.
    const early = await connect(40);
    for (const socket of early.slice(0, 20)) await socket.write(add);
    for (const socket of early.slice(20)) await socket.write(add.slice(0, 30));
    await sleep(3000);
    program.child.kill('SIGCONT');
    await sleep(400);
    for (const socket of early.slice(0, 20)) await complete(socket);
    for (const socket of early.slice(20)) await complete(socket, add.slice(30));
    await complete(half, add.slice(30));
    await complete(idle, add);
    assert.equal((await caller.answer()).body, '{"ok":true,"result":"waited"}');
    // And from then on everybody is, as before.
    const [silent] = await connect(1);
    const since = performance.now();
    await silent.write(add.slice(0, 30));
    assert.equal((await silent.answer()).status, 408);
    const waited = performance.now() - since;
    assert.ok(waited > 900 && waited < 1600, `408 after ${waited} ms`);
    for (const socket of [idle, half, caller, silent, ...early]) socket.destroy();
  }));

  // A handler that does nothing: every wait of the shards ends with EINTR.
  const handled = "process.once('SIGUSR2', () => console.log('interrupted')); process.on('SIGUSR2', () => {});";
  const python = lacks('python3', works('python3', '--version'));
  it('whose shards are interrupted a thousand times a second: every call is answered, deadlines hold', { skip: python }, () => {
    const options = JSON.stringify({ driver, shards: 2, limits: { headTimeoutMs: 1000 } });
    return withProgram(process.execPath, ['--import', `data:text/javascript,${handled}`, path('fixtures/ending.mjs'), 'never', options], {}, async (program) => {
      const { pid } = program.child;
      const named = (thread) => readFileSync(`/proc/${pid}/task/${thread}/comm`, 'utf8').startsWith('fasttunnel-');
      const shards = readdirSync(`/proc/${pid}/task`).filter(named);
      assert.equal(shards.length, 2);
      const storm = spawn('python3', [path('fixtures/signal-storm.py'), pid, 2500, ...shards], { stdio: ['ignore', 'pipe', 'inherit'] });
      let sent = '';
      storm.stdout.on('data', (text) => { sent += text; });
      const over = once(storm, 'close');
      await until(() => program.lines.includes('interrupted'), 'it has begun');
      const half = await RawSocket.connect(program);
      const since = performance.now();
      await half.write(add.slice(0, 30));
      let calls = 0;
      await Promise.all(Array.from({ length: 16 }, async (_, client) => {
        while (storm.exitCode === null) {
          const socket = await RawSocket.connect(program);
          const input = { a: client, b: (calls += 1), padding: 'x'.repeat(calls % 3 === 0 ? 200_000 : 10) };
          // In one go, and in pieces.
          const bytes = taskBytes('app.tasks.addAsync', input).repeat(4);
          await socket.write(bytes.slice(0, bytes.length - 9));
          await socket.write(bytes.slice(bytes.length - 9));
          for (let left = 4; left > 0; left -= 1) {
            const { status, body } = await socket.answer();
            assert.deepEqual([status, body], [200, `{"ok":true,"result":${input.a + input.b}}`]);
          }
          socket.destroy();
        }
      }));
      const [code] = await over;
      assert.equal(code, 0);
      assert.ok(Number(sent) > 500 && calls > 16, `${sent.trim()} signals, ${calls} times 4 calls`);
      assert.equal((await half.answer()).status, 408);
      assert.ok(performance.now() - since > 900);
      half.destroy();
      program.child.kill('SIGTERM');
      assert.equal((await program.ended).stderr, '', 'a panic would show there');
    });
  });

  const cc = lacks('a C compiler', works('cc', '--version'));
  it('whose wall clock jumps by a day, there and back: only Date changes', { skip: cc }, async () => {
    const [library, shift] = [join(directory, 'wall-clock.so'), join(directory, `shift-${driver}`)];
    execFileSync('cc', ['-shared', '-fPIC', '-O1', '-o', library, path('fixtures/wall-clock.c'), '-ldl']);
    writeFileSync(shift, '0');
    await listening({ headTimeoutMs: 1000, idleTimeoutMs: 5000, handlerTimeoutMs: 3000 }, { LD_PRELOAD: library, WALL_CLOCK_SHIFT: shift }, async (program) => {
      const idle = await RawSocket.connect(program);
      for (const days of [1, -1]) {
        const [half, caller] = [await RawSocket.connect(program), await RawSocket.connect(program)];
        await half.write(add.slice(0, 30));
        await caller.write(taskBytes('app.tasks.wait', 600));
        await sleep(100);
        writeFileSync(shift, String(days * 86_400));
        await sleep(300);
        await idle.write(add);
        const { status, headers } = await idle.answer();
        assert.equal(status, 200);
        const off = (Date.parse(headers.date) - Date.now()) / 86_400_000;
        assert.ok(Math.abs(off - days) < 0.001, `Date is ${off} days off, the clock ${days}`);
        assert.equal((await caller.answer()).status, 200);
        const since = performance.now();
        assert.equal((await half.answer()).status, 408);
        assert.ok(performance.now() - since < 1200);
        half.destroy();
        caller.destroy();
      }
      idle.destroy();
    });
  });

  const small = 'mount -t tmpfs -o size=1m none "$0" && exec "$@"';
  const tmpfs = lacks('a mount namespace', works('unshare', '-m', 'sh', '-c', small, directory, 'true'));
  const limit = lacks('prlimit', works('prlimit', '--version'));
  for (const [what, skip, code, command, args] of [
    ['the disk is full', tmpfs, 'ENOSPC', 'unshare', ['-m', 'sh', '-c', small]],
    ['a file may not grow', limit, 'EFBIG', 'prlimit', ['--fsize=1048576']],
  ]) {
    const files = mkdtempSync(join(directory, 'files-'));
    it(`${what}: the call whose file does not fit fails, the others go on, no file stays`, { skip }, () => {
      return withProgram(command, [...args, ...(code === 'ENOSPC' ? [files] : []), process.execPath, path('fixtures/spooling.mjs'), files, driver], {}, async (program) => {
        const send = async (id, first) => {
          const input = manifest({ first: sentinel('F1'), last: sentinel('F2') });
          const body = formBytes([input, part('F1', Buffer.alloc(first)), part('F2', Buffer.alloc(1000))]);
          const response = await fetch(`${program.url}/task/${id}`, { method: 'POST', headers: FORM_TYPE, body });
          return [response.status, await response.text()];
        };
        const fits = [200, '{"ok":true,"result":[1000,300000]}'];
        assert.deepEqual(await send('backwards', 300_000), fits);
        const [large, sum, next] = await Promise.all([send('backwards', 4_000_000), callTask(program, 'add', { a: 1, b: 2 }), send('backwards', 1000)]);
        assert.deepEqual(large, [500, E500]);
        assert.equal(sum.text, SUM);
        assert.deepEqual(next, [200, '{"ok":true,"result":[1000,1000]}']);
        await until(() => program.lines.length > 0, 'the application is told');
        assert.deepEqual(program.lines.map((line) => JSON.parse(line)), [{ name: 'SpoolError', code }]);
        await until(async () => {
          const { result } = JSON.parse((await callTask(program, 'files', 1)).text);
          return result.open === 0 && result.named.length === 0;
        }, 'every file is gone');
        assert.deepEqual(await send('backwards', 300_000), fits);
      });
    });
  }

  it('whose peers are killed in the middle of streams, both ways: bodies fail, sources end', async () => {
    const seen = [];
    const tasks = {
      take: async (_input, { body }) => { try { for await (const _chunk of body) seen.push('chunk'); } catch (error) { seen.push(error.code); throw error; } },
      give: async function* () { try { for (;;) { yield Buffer.alloc(65_536); await sleep(1); } } finally { seen.push('source ended'); } },
    };
    await withTunnel({ driver, shards: 1, tasks }, async (tunnel) => {
      const client = `
        const { request } = require('node:http');
        const open = (id, headers) => request({ host: '127.0.0.1', port: ${tunnel.port}, path: '/__runner/task/' + id, method: 'POST', headers });
        const upload = open('take', { 'content-type': 'application/octet-stream' });
        setInterval(() => upload.write('x'.repeat(10_000)), 1);
        open('give', { 'content-type': 'application/json' }).on('response', (response) => response.resume()).end('{"input":1}');`;
      const peers = Array.from({ length: 3 }, () => spawn(process.execPath, ['-e', client], { stdio: 'ignore' }));
      await until(() => seen.filter((what) => what === 'chunk').length > 100 && tunnel.stats().live === 6, 'streams are under way');
      peers.forEach((peer) => peer.kill('SIGKILL'));
      await until(() => seen.filter((what) => what === 'source ended').length === 3 && seen.filter((what) => what === 'ECONNRESET').length === 3, 'both sides know');
      await until(() => tunnel.stats().live === 0 && tunnel.stats().shards[0].connections === 0, 'nothing is left');
      assert.equal(tunnel.stats().shards[0].panics, 0);
    });
  });

  // A socket in repair mode is closed without a word to its peer.
  const vanish = `
import socket, sys
for _ in range(20):
    peer = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
    peer.sendall(b"POST / HTTP/1.1\\r\\n")
    peer.setsockopt(6, 19, 1)
    peer.close()
`;
  const repair = lacks('TCP repair', works('python3', '-c', 'import socket; socket.socket().setsockopt(6, 19, 1)'));
  it('whose peers vanish without a word: cut when their time is over', { skip: repair }, () => withTunnel({ driver, shards: 1, limits: { headTimeoutMs: 500 } }, async (tunnel) => {
    execFileSync('python3', ['-c', vanish, String(tunnel.port)]);
    const { connections, accepted } = tunnel.stats().shards[0];
    assert.ok(accepted === 0 || connections > 0, 'the end of their process is not seen');
    await until(() => tunnel.stats().shards[0].accepted === 20 && tunnel.stats().shards[0].connections === 0, 'they are cut', 3000);
  }));
});
