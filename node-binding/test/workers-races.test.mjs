// Workers that come, fail and go at the same time.
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fastTunnel, TunnelServer } from 'fasttunnel';
import { callTask, sleep, until } from './support/tunnels.mjs';

const folder = mkdtempSync(join(tmpdir(), 'fasttunnel-races-'));
after(() => rmSync(folder, { recursive: true }));

let modules = 0;
/** A module whose workers can tell, by `nth()`, how many have loaded it before. */
function module(text) {
  const file = join(folder, `module-${modules++}.mjs`);
  writeFileSync(file, `
    import { writeFileSync } from 'node:fs';
    import { setTimeout as sleep } from 'node:timers/promises';
    const nth = () => {
      for (let n = 0; ; n++) try { writeFileSync(${JSON.stringify(file)} + '.' + n, '', { flag: 'wx' }); return n; } catch {}
    };
    ${text}`);
  return file;
}
const open = (handlers, options = {}) => fastTunnel({ auth: { allowAnonymous: true }, workers: 2, onError: () => {}, handlers, ...options });
const statuses = async (calls) => (await Promise.all(calls)).map(({ status }) => status);

describe('workers', () => {
  it('join once, also when one is started again while the tunnel begins', async () => {
    const tunnel = await open(module(`
      const n = nth();
      if (n === 0) throw new Error('not yet');
      await sleep(n === 1 ? 400 : 900);
      export const tasks = { wait: () => sleep(100, n) };`));
    try {
      assert.deepEqual(tunnel.stats().workers.map(({ state }) => state), ['running', 'running']);
      assert.deepEqual(new Set(await statuses(Array.from({ length: 30 }, () => callTask(tunnel, 'wait', {})))), new Set([200]));
      assert.equal(tunnel.stats().workers.reduce((sum, { calls }) => sum + calls, 0), 30, 'all calls are of a worker that is known');
    } finally {
      await tunnel.close();
    }
  });

  it('that are exchanged while they are loaded get no calls any more', async () => {
    const tunnel = await open(module(`
      const n = nth();
      if (n === 1) await sleep(1200);
      export const tasks = { exit: () => process.exit(1), wait: () => sleep(1500, n) };
      export const close = () => sleep(1000);`), { workers: 1 });
    try {
      assert.equal((await callTask(tunnel, 'exit', {})).status, 503);
      await until(() => tunnel.stats().workers[0].state === 'starting', 'it is started again');
      await sleep(300);
      const reloading = tunnel.reload();
      await until(() => tunnel.stats().workers[0].state === 'running', 'the new one runs');
      const calls = [];
      for (let call = 0; call < 12; call++) {
        calls.push(callTask(tunnel, 'wait', {}));
        await sleep(100);
      }
      await reloading;
      assert.deepEqual(await statuses(calls), Array.from(calls, () => 200));
    } finally {
      await tunnel.close();
    }
  });

  it('that are being exchanged end with the tunnel, and reload() rejects', async () => {
    const threads = () => readdirSync('/proc/self/task').length;
    const before = threads();
    const tunnel = await open(module(`
      if (nth() > 1) await new Promise((resolve) => setTimeout(resolve, 2 ** 30));
      export const tasks = { add: ({ a, b }) => a + b };`));
    const outcome = tunnel.reload().then(() => 'exchanged', ({ code }) => code);
    await sleep(500);
    await tunnel.close();
    assert.equal(await Promise.race([outcome, sleep(2000)]), 'FASTTUNNEL_CLOSED');
    await until(() => threads() <= before, 'no thread is left');
  });

  it('that leave have ended when close() resolves', async () => {
    const threads = () => readdirSync('/proc/self/task').length;
    const before = threads();
    const tunnel = await open(module(`
      export const tasks = { n: () => 0 };
      let n = nth();
      export const close = () => n === 0 ? sleep(2500) : undefined;`), { workers: 1 });
    const first = tunnel.stats().workers[0].threadId;
    const reloading = tunnel.reload();
    await until(() => tunnel.stats().workers[0].threadId !== first, 'the new one runs');
    await tunnel.close();
    await until(() => threads() <= before, 'no thread is left', 500);
    await reloading;
  });

  it('that are still loaded do not hold up close()', async () => {
    const threads = () => readdirSync('/proc/self/task').length;
    const before = threads();
    const handlers = module(`
      if (nth() > 0) await new Promise((resolve) => setTimeout(resolve, 2 ** 30));
      export const tasks = { n: () => 0 };`);
    const server = new TunnelServer({ auth: { allowAnonymous: true }, workers: 2, onError: () => {}, handlers });
    const outcome = server.listen().then(() => 'listens', ({ code }) => code);
    await sleep(500);
    assert.equal(await Promise.race([server.close().then(() => 'closed'), sleep(3000)]), 'closed');
    assert.equal(await outcome, 'FASTTUNNEL_CLOSED');
    await until(() => threads() <= before, 'no thread is left');
  });

  it('for which there is no thread are tried again, and do not end the process', async () => {
    const { Seat } = await import('../dist/cjs/workers/seat.js');
    const ends = join(folder, 'ends.mjs');
    writeFileSync(ends, 'process.exit(7);');
    const errors = [];
    const setup = { place: 0, workers: { module: '' }, options: { auth: {}, limits: {} }, entry: ends, onError: ({ message }) => void errors.push(message) };
    const seat = new Seat(setup, () => {});
    await assert.rejects(seat.load(), /code 7/);
    // Refused at once, as a thread is that the system cannot make.
    setup.entry = 'no-path';
    await until(() => errors.length === 3, 'it is tried again');
    await seat.close();
    assert.match(errors[0], /code 7/);
    assert.match(errors[1], /ERR_WORKER_PATH|absolute path/);
  });
});
