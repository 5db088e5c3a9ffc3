// Where the package is not the only one of its kind, nor its runtime a plain Node: many workers, several copies in one
// process, programs that give no memory of others to JavaScript (Electron).
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { startTraffic } from './fixtures/traffic.mjs';
import { ADDON, importsOf } from './support/elves.mjs';
import { withProgram } from './support/processes.mjs';
import { RawSocket, taskBytes } from './support/raw-socket.mjs';
import { callTask, onBothDrivers, sleep, until } from './support/tunnels.mjs';

const WORKER = new URL('fixtures/worker.mjs', import.meta.url);
const WORKERS = 50;
/** So many live at a time. */
const TOGETHER = 10;

onBothDrivers('workers', (driver) => {
  it(`${WORKERS} of them, ${TOGETHER} at a time, serve and are terminated in traffic, and leave nothing behind`, { timeout: 60_000 }, async () => {
    const wave = async () => {
      const workers = Array.from({ length: TOGETHER }, () => new Worker(WORKER, { workerData: { driver } }));
      const places = await Promise.all(workers.map(async (worker) => (await once(worker, 'message'))[0]));
      const traffics = await Promise.all(places.map((place) => startTraffic(place, 2)));
      await until(() => traffics.every(({ answers }) => answers > 4), 'every worker answers', 20_000);
      await Promise.all(workers.map((worker) => worker.terminate()));
      const answers = traffics.reduce((sum, traffic) => sum + traffic.answers, 0);
      for (const traffic of traffics) await traffic.stop();
      return answers;
    };
    await wave();
    await sleep(100);
    const before = held();
    for (let count = TOGETHER; count < WORKERS; count += TOGETHER) assert.ok(await wave() > 4 * TOGETHER);
    await until(() => held().threads <= before.threads && held().descriptors <= before.descriptors, `${JSON.stringify(held())} are back to ${JSON.stringify(before)}`);
  });
});

/** Threads and descriptors of this process. */
function held() {
  return { threads: readdirSync('/proc/self/task').length, descriptors: readdirSync('/proc/self/fd').length };
}

describe('two copies of the package in one process', () => {
  const folder = mkdtempSync(join(tmpdir(), 'fasttunnel-embedders-'));
  after(() => rmSync(folder, { recursive: true }));
  const copies = ['0.1.0', '0.0.9'].map((version) => install(join(folder, version), version));
  const FIXTURE = fileURLToPath(new URL('fixtures/side-by-side.mjs', import.meta.url));
  const withCopies = (body) => withProgram(process.execPath, [FIXTURE, ...copies], {}, body);

  it('serve side by side, know each other\'s errors, and one closes without the other', () => withCopies(async ({ tunnels, distinct }) => {
    assert.equal(distinct, 2);
    for (let round = 0; round < 20; round += 1) {
      for (const tunnel of tunnels) assert.equal((await callTask(tunnel, 'app.tasks.add', { a: round, b: 1 })).text, `{"ok":true,"result":${round + 1}}`);
    }
    for (const tunnel of tunnels) {
      const { status, text } = await callTask(tunnel, 'conflict');
      assert.deepEqual([status, JSON.parse(text).error.id], [409, 'app.errors.taken']);
    }
    await callTask(tunnels[1], 'close', 0);
    await assert.rejects(callTask(tunnels[0], 'app.tasks.add', { a: 1, b: 2 }));
    assert.equal((await callTask(tunnels[1], 'app.tasks.add', { a: 1, b: 2 })).status, 200);
  }));

  for (const [name, order] of [['first', [600, 50]], ['second', [50, 600]]]) {
    it(`on a signal both answer what is under way, also when the ${name} takes longer; then the process ends by it`, () => withCopies(async ({ child, tunnels, ended }) => {
      const sockets = [];
      for (const [index, tunnel] of tunnels.entries()) {
        sockets.push(await RawSocket.connect(tunnel));
        await sockets[index].write(taskBytes('wait', order[index]));
      }
      await sleep(20);
      child.kill('SIGTERM');
      const answers = await Promise.all(sockets.map((socket) => socket.answer()));
      assert.deepEqual(answers.map(({ body }) => body), order.map((ms) => `{"ok":true,"result":${ms}}`));
      const late = new Promise((_resolve, reject) => setTimeout(reject, 5000, new Error('the process lives on')).unref());
      const { code, signal, stderr } = await Promise.race([ended, late]);
      assert.deepEqual([code, signal, stderr], [null, 'SIGTERM', '']);
    }));
  }
});

/** A copy of the package in an app of its own, under another version; with an addon of its own. */
function install(app, version) {
  const home = join(app, 'node_modules', 'fasttunnel');
  cpSync(new URL('../dist', import.meta.url), join(home, 'dist'), { recursive: true });
  const stated = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  writeFileSync(join(home, 'package.json'), JSON.stringify({ ...stated, version }));
  cpSync(new URL('../native', import.meta.url), join(home, 'native'), { recursive: true });
  return app;
}

describe('a program that gives JavaScript no memory but its own', () => {
  it('can load the addon: it makes no external buffers, which Electron refuses', () => {
    const imported = importsOf(ADDON).filter((name) => name.startsWith('napi_'));
    assert.ok(imported.includes('napi_create_buffer_copy') && imported.length > 50, 'the search sees what the addon imports');
    assert.deepEqual(imported.filter((name) => name.includes('external')), []);
  });
});
