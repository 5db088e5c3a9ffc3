// How native code wakes JavaScript: both ways, and what is left of them.
import assert from 'node:assert/strict';
import { createHook } from 'node:async_hooks';
import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { http, task, withBridge } from './support/bridges.mjs';
import { sleep, until } from './support/tunnels.mjs';

const native = createRequire(import.meta.url)('../dist/cjs/native/addon.js').addon();
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

describe('a ring that cannot be made', { skip: native.refuseCall === undefined && 'this addon ships: no call of its fails on demand' }, () => {
  /** Opens a bridge, if it can; its ring, or why it could not, and how many async contexts were made for it: all are gone. */
  const withoutCall = async (name) => {
    const contexts = new Set();
    let made = 0;
    const hook = createHook({
      init(id, type) {
        if (type !== 'FASTTUNNEL_RING') return;
        contexts.add(id);
        made += 1;
      },
      destroy(id) { contexts.delete(id); },
    }).enable();
    const { NativeTunnel } = native;
    let callback;
    native.NativeTunnel = class extends NativeTunnel {
      constructor(...args) {
        callback = new WeakRef(args[4]);
        native.refuseCall(name);
        super(...args);
      }
    };
    try {
      const ring = await withBridge({ ring: 'loop', entries }, async (bridge) => {
        assert.equal((await http(bridge)('POST', '/__runner/task/app.tasks.double', { headers, body })).text, '{"ok":true,"result":40}');
        return bridge.stats().ring;
      }).catch((error) => error.message);
      // Both are given back in their own time: one with the next turn, the other with a collection.
      await until(() => contexts.size === 0, 'the async context of the ring is gone');
      await until(() => { globalThis.gc(); return callback.deref() === undefined; }, 'the function of the ring is collected');
      return { ring, made };
    } finally {
      native.NativeTunnel = NativeTunnel;
      hook.disable();
    }
  };

  for (const [name, made] of [['napi_async_init', 0], ['napi_create_reference', 1], ['napi_add_async_cleanup_hook', 1]]) {
    it(`leaves no async context and no reference: ${name} fails`, async () => {
      assert.deepEqual(await withoutCall(name), { ring: `${name} failed`, made });
    });
  }
  it('leaves neither when uv_async_init fails, and a threadsafe function rings instead', async () => {
    assert.deepEqual(await withoutCall('uv_async_init'), { ring: 'threadsafe', made: 1 });
  });
  it('is held against one that can be made', async () => {
    assert.deepEqual(await withoutCall('none'), { ring: 'loop', made: 1 });
  });
});

it('is that of the event loop by default', () => withBridge({ entries }, (bridge) => {
  assert.equal(bridge.stats().ring, 'loop');
}));

for (const way of ['close', 'terminate']) {
  it(`ends with its worker thread when nobody else has loaded the addon: ${way}`, { timeout: 60_000 }, async () => {
    const { stdout } = await promisify(execFile)(process.execPath, [WORKERS, way]);
    assert.equal(stdout, 'all ended\n');
  });
}
