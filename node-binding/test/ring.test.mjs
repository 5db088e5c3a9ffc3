// How native code wakes JavaScript: both ways, and what is left of them.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { http, task, withBridge } from './support/bridges.mjs';
import { sleep } from './support/tunnels.mjs';

const WORKERS = fileURLToPath(new URL('fixtures/workers-only.mjs', import.meta.url));
const BRIDGES = fileURLToPath(new URL('support/bridges.mjs', import.meta.url));
const body = JSON.stringify({ input: 20 });
const headers = { 'content-type': 'application/json' };
const entries = [task('app.tasks.double', async (n) => n * 2), task('app.tasks.wait', (n) => sleep(n).then(() => n))];

for (const ring of ['loop', 'threadsafe']) {
  describe(`woken by a ring of the kind ${ring}`, () => {
    it('says so, and answers calls one by one and many at once', () => withBridge({ ring, entries }, async (bridge) => {
      assert.equal(bridge.stats().ring, ring);
      const call = http(bridge);
      for (let round = 0; round < 20; round += 1) {
        // Asleep in between: each of them has to wake.
        await sleep(2);
        assert.equal((await call('POST', '/__runner/task/app.tasks.double', { headers, body })).text, '{"ok":true,"result":40}');
      }
      const many = await Promise.all(Array.from({ length: 200 }, (_, n) => call('POST', `/__runner/task/app.tasks.${n % 2 === 0 ? 'double' : 'wait'}`, { headers, body })));
      assert.deepEqual(many.map(({ text }) => text), many.map((_, n) => `{"ok":true,"result":${n % 2 === 0 ? 40 : 20}}`));
    }));

    it('does not keep the process alive, and lets it end in the middle of calls', async () => {
      // A bridge holds the process by a timer of its own; without that nothing may.
      const script = `
        import { task, withBridge } from ${JSON.stringify(BRIDGES)};
        await withBridge({ ring: '${ring}', entries: [task('app.tasks.double', (n) => n * 2)] }, async (bridge) => {
          bridge.unref();
          const response = await fetch('http://127.0.0.1:' + bridge.port + '/__runner/task/app.tasks.double', { method: 'POST', headers: ${JSON.stringify(headers)}, body: '${body}' });
          console.log(await response.text());
          await new Promise(() => {});
        });`;
      const { code, stdout, stderr } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], { timeout: 10_000 }).catch((error) => error);
      // 13: nothing was left to wait for while a top-level await had not settled.
      assert.equal(code, 13, stderr);
      assert.match(stdout, /"result":40/);
    });
  });
}

it('is that of the event loop by default', () => withBridge({ entries }, (bridge) => {
  assert.equal(bridge.stats().ring, 'loop');
}));

for (const way of ['close', 'terminate']) {
  it(`ends with its worker thread when nobody else has loaded the addon: ${way}`, { timeout: 60_000 }, async () => {
    const { stdout } = await promisify(execFile)(process.execPath, [WORKERS, way]);
    assert.equal(stdout, 'all ended\n');
  });
}
