// Calls name their handler by a number that the engine has given it: the same as long as the handler is the same, and to no
// other ever after.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { it } from 'node:test';
import { http, task, withBridge } from './support/bridges.mjs';

const native = createRequire(import.meta.url)('../dist/cjs/native/addon.js').addon();

it('a handler keeps the number that the engine gave it, and no other gets it', async () => {
  const { NativeTunnel } = native;
  /** The numbers that were asked for and those that were given, each time. */
  const seen = [];
  native.NativeTunnel = class extends NativeTunnel {
    setHandlers(handlers, allow) {
      const numbers = super.setHandlers(handlers, allow);
      seen.push([handlers.map(({ number }) => number ?? null), numbers]);
      return numbers;
    }
  };
  try {
    const [one, other, event] = [task('a', () => 1), task('b', () => 2), { kind: 'event', id: 'a', run: () => 3 }];
    await withBridge({ entries: [one, other] }, async (bridge) => {
      const answers = async (...ids) => {
        const texts = await Promise.all(ids.map(async (id) => (await http(bridge)('POST', `/__runner/task/${id}`, { body: 'null', headers: { 'content-type': 'application/json' } })).text));
        return texts.map((text) => JSON.parse(text).result);
      };
      assert.deepEqual(await answers('a', 'b'), [1, 2]);
      const changed = task('a', () => 4);
      bridge.setEntries([other, changed, event]);
      assert.deepEqual(await answers('a', 'b'), [4, 2]);
      // What is refused changes nothing.
      assert.throws(() => bridge.setEntries([one, one]), /handlers: Task a is registered twice/);
      assert.throws(() => bridge.setEntries([one], 'everything'), /policy/);
      assert.deepEqual(await answers('a', 'b'), [4, 2]);
      // Also one that was there before is a new one, when another has been in its place.
      bridge.setEntries([one, other, event]);
      assert.deepEqual(await answers('a', 'b'), [1, 2]);
      assert.deepEqual(seen, [[[1, null, null], [1, 2, 3]], [[null, 1, 3], [4, 1, 3]]]);
    });
  } finally {
    native.NativeTunnel = NativeTunnel;
  }
});
