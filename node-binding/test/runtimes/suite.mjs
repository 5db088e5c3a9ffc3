// What every runtime has to get right, as a program of its own: runs by itself on any of them, and prints what it has
// seen, as JSON, when all of it was right. Run by ../runtimes.test.mjs.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { fastTunnel, TaskError } from 'fasttunnel';
import * as native from 'fasttunnel/native';
import { fastTunnel as exposure, loadRunner } from 'fasttunnel/runner';

const CALLS = 500;
const WORKERS = 4;
const STREAM_BYTES = 3_000_000;

const auth = { token: 't0ken' };
const headers = { 'x-runner-token': auth.token };
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const hash = (bytes) => createHash('sha256').update(bytes).digest('hex');

async function until(check, what) {
  for (let turn = 0; !(await check()); turn += 1) {
    if (turn === 500) throw new Error(`timed out waiting until ${what}`);
    await sleep(10);
  }
}

/** What was aborted. */
let aborted = 0;

const tasks = {
  'app.tasks.add': async ({ a, b }) => a + b,
  'app.tasks.conflict': () => { throw new TaskError('Conflict', { id: 'app.errors.conflict', httpCode: 409 }); },
  'app.tasks.hash': async (_input, { body }) => {
    const sum = createHash('sha256');
    for await (const chunk of body) sum.update(chunk);
    return sum.digest('hex');
  },
  'app.tasks.numbers': async function* ({ bytes }) {
    for (let sent = 0; sent < bytes; sent += 10_000) yield Buffer.alloc(10_000, sent / 10_000);
  },
  'app.tasks.store': async ({ file }) => {
    const chunks = [];
    for await (const chunk of file.stream()) chunks.push(chunk);
    return { name: file.name, hash: hash(Buffer.concat(chunks)) };
  },
  'app.tasks.wait': (_input, { signal }) => new Promise((resolve) => {
    signal.addEventListener('abort', () => { aborted += 1; resolve(); });
  }),
};

/** However busy the machine is: calls wait for their turn. */
const open = (options) => fastTunnel({ auth, tasks, limits: { queueTimeoutMs: 0 }, onError: (error) => { throw error; }, ...options });

function post(tunnel, id, body, more = {}) {
  return fetch(`${tunnel.url}/task/${id}`, { method: 'POST', body, ...more, headers: { ...headers, ...more.headers } });
}

const call = async (tunnel, id, input, more) => {
  const response = await post(tunnel, id, JSON.stringify({ input }), { ...more, headers: { 'content-type': 'application/json' } });
  return { status: response.status, body: await response.json() };
};

const isGone = (tunnel) => call(tunnel, 'app.tasks.add', { a: 1, b: 2 }).then(() => false, () => true);

const CHECKS = {
  async calls(tunnel) {
    for (let n = 0; n < 20; n += 1) {
      // Asleep in between: each of them has to wake JavaScript.
      await sleep(2);
      assert.deepEqual((await call(tunnel, 'app.tasks.add', { a: n, b: 1 })).body, { ok: true, result: n + 1 });
    }
    const many = await Promise.all(Array.from({ length: CALLS }, (_, a) => call(tunnel, 'app.tasks.add', { a, b: 1 })));
    assert.deepEqual(many.map(({ body }) => body.result), many.map((_, a) => a + 1));
  },

  async refusals(tunnel) {
    const { status, body } = await call(tunnel, 'app.tasks.conflict', {});
    assert.deepEqual([status, body.error.id], [409, 'app.errors.conflict']);
    assert.equal((await fetch(`${tunnel.url}/task/app.tasks.add`, { method: 'POST', body: '{}' })).status, 401);
  },

  async streams(tunnel) {
    const bytes = Buffer.alloc(STREAM_BYTES, 'stream');
    const up = await post(tunnel, 'app.tasks.hash', bytes, { headers: { 'content-type': 'application/octet-stream' } });
    assert.deepEqual(await up.json(), { ok: true, result: hash(bytes) });
    const down = await post(tunnel, 'app.tasks.numbers', JSON.stringify({ input: { bytes: STREAM_BYTES } }), { headers: { 'content-type': 'application/json' } });
    const expected = Buffer.concat(Array.from({ length: STREAM_BYTES / 10_000 }, (_, n) => Buffer.alloc(10_000, n)));
    assert.equal(hash(Buffer.from(await down.arrayBuffer())), hash(expected));
  },

  async forms(tunnel) {
    const bytes = Buffer.alloc(300_000, 'file');
    const form = new FormData();
    form.append('__manifest', JSON.stringify({ input: { file: { $runnerFile: 'File', id: 'F1', meta: { name: 'a.bin' } } } }));
    form.append('file:F1', new Blob([bytes]), 'a.bin');
    const response = await post(tunnel, 'app.tasks.store', form);
    assert.deepEqual(await response.json(), { ok: true, result: { name: 'a.bin', hash: hash(bytes) } });
  },

  async aborts(tunnel) {
    const controller = new AbortController();
    const waiting = call(tunnel, 'app.tasks.wait', {}, { signal: controller.signal });
    await until(() => tunnel.stats().live === 1, 'the call has come');
    controller.abort();
    await assert.rejects(waiting);
    await until(() => aborted === 1, 'its handler hears that the client has gone');
  },

  /** In Runner, and behind a server of Node's API: through connections inside of the process. */
  async attached() {
    const { globals, r, run } = loadRunner().module;
    const add = r.task('app.tasks.add').run(tasks['app.tasks.add']).build();
    const tunnels = r.resource('app.tunnel').tags([globals.tags.tunnel]).init(async () => ({ mode: 'server', transport: 'http', tasks: [add.id] })).build();
    const app = r.resource('app').register([add, tunnels, exposure.with({ http: { auth } })]).build();
    const running = await run(app, { logs: { printThreshold: null }, shutdownHooks: false });
    const server = running.getResourceValue(exposure).createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = `http://127.0.0.1:${server.address().port}/__runner`;
    for (let n = 0; n < 5; n += 1) assert.deepEqual(await call({ url }, add.id, { a: n, b: 1 }), { status: 200, body: { ok: true, result: n + 1 } });
    server.closeAllConnections?.();
    server.close();
    await running.dispose();
  },

  /** `fasttunnel/native`, whose operations are fetched when the ring says so. */
  async utilities() {
    const folder = mkdtempSync(join(tmpdir(), 'fasttunnel-runtimes-'));
    try {
      const [file, bytes] = [join(folder, 'a'), Buffer.alloc(STREAM_BYTES, 'file')];
      await native.writeFile(file, bytes);
      assert.equal(hash(await native.readFile(file)), hash(bytes));
      assert.deepEqual((await native.listDirectory(folder)).map(({ name, kind, size }) => [name, kind, size]), [['a', 'file', STREAM_BYTES]]);
      assert.equal((await native.executeCommand('cat', [], { stdin: 'hello' })).stdout, 'hello');
      const running = native.executeCommand('sleep', ['1000'], { signal: AbortSignal.timeout(50) });
      await assert.rejects(running, ({ name, code, signal }) => name === 'AbortError' && code === 'ABORT_ERR' && signal === 'SIGTERM');
      await assert.rejects(native.readFile(folder), ({ code, syscall, message }) => code === 'EISDIR' && syscall === 'read' && message.includes(folder));
      await assert.rejects(native.executeCommand('no-such-command'), { code: 'ENOENT' });
    } finally {
      rmSync(folder, { recursive: true });
    }
  },

  async workers() {
    const before = await afterWorker();
    for (let n = 1; n < WORKERS; n += 1) assert.deepEqual(await afterWorker(), before, `after ${n + 1} workers as after the first`);
  },
};

/** Descriptors of ours that are open when a worker has served and was terminated: the shards' own, and where they listen. */
async function afterWorker() {
  const worker = new Worker(new URL(import.meta.url));
  const [tunnel] = await once(worker, 'message');
  assert.equal((await call(tunnel, 'app.tasks.add', { a: 1, b: 2 })).body.result, 3);
  await worker.terminate();
  // Deno says so before it has.
  await until(() => isGone(tunnel), 'a worker that was terminated listens no more');
  await sleep(100);
  const links = readdirSync('/proc/self/fd').map((name) => {
    try {
      return readlinkSync(`/proc/self/fd/${name}`);
    } catch {
      // The descriptor of the folder itself.
      return '';
    }
  });
  return links.filter((link) => /^anon_inode:\[(eventfd|timerfd|io_uring)\]/.test(link)).sort();
}

if (isMainThread) {
  const tunnel = await open({ gracefulSignals: true });
  const { driver } = tunnel;
  const { ring } = tunnel.stats();
  for (const check of Object.values(CHECKS)) await check(tunnel);
  assert.ok(tunnel.stats().drains > 20);
  await tunnel.close();
  assert.ok(await isGone(tunnel));
  console.log(JSON.stringify({ passed: Object.keys(CHECKS), driver, ring }));
} else {
  const { url } = await open({ shards: 2 });
  parentPort.postMessage({ url });
}
