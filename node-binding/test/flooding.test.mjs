// Bodies and heads whose names were chosen to be slow: the time for them grows with their size, and no faster.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { RawSocket } from './support/raw-socket.mjs';
import { R } from './support/runner-apps.mjs';
import { onBothDrivers, post, withTunnel } from './support/tunnels.mjs';

const object = (count, keyOf) => `{${Array.from({ length: count }, (_, index) => `"${keyOf(index)}":${index}`).join(',')}}`;

/** Bodies by size; `count` keys at least. */
const BODIES = {
  'keys that look like indices': [20_000, (count) => object(count, (index) => index)],
  // An index is its own hash to V8: these share the low bits of it.
  'indices that share their low bits': [20_000, (count) => object(count, (index) => (index * 2 ** 12) % (2 ** 32 - 1))],
  'indices from above': [20_000, (count) => object(count, (index) => 2 ** 32 - 2 - index)],
  'many keys': [50_000, (count) => object(count, (index) => `k${index}`)],
  'keys with one prefix': [10_000, (count) => object(count, (index) => `${'p'.repeat(100)}${index}`)],
  'keys that are escaped': [10_000, (count) => object(count, (index) => `\\u006b\\u00${(16 + (index % 200)).toString(16)}${index}`)],
  'one key again and again': [50_000, (count) => object(count, () => 'same')],
  'keys that are to be dropped': [50_000, (count) => object(count, (index) => ['__proto__', 'constructor', 'prototype'][index % 3])],
  'records of nothing': [20_000, (count) => `[${Array(count).fill('{"__type":"Undefined","value":null}').join(',')}]`],
};

/** CPU time of this process, client and shards included: other processes do not count. The least of several, without pauses. */
async function leastMs(times, run) {
  let least = Infinity;
  for (let round = 0; round < times; round++) {
    const before = process.cpuUsage();
    await run();
    const { user, system } = process.cpuUsage(before);
    least = Math.min(least, (user + system) / 1000);
  }
  return least;
}

/** Eight times the size takes eight times as long, 64 times where it is not linear; what is over in no time may vary. */
function assertLinear(what, eighth, whole, mostMs) {
  assert.ok(whole < Math.max(32 * eighth, 30), `${what}: ${whole.toFixed(1)} ms, and ${eighth.toFixed(1)} ms for an eighth`);
  assert.ok(whole < mostMs, `${what}: ${whole.toFixed(1)} ms`);
}

onBothDrivers('flooding', (driver) => {
  for (const [codec, serializer] of [['plain JSON', undefined], ["Runner's serializer", new R.Serializer()]]) {
    it(`bodies: ${codec}`, () => withTunnel({ driver, serializer, tasks: { count: (input) => Object.keys(input).length } }, async (tunnel) => {
      for (const [what, [count, bodyOf]] of Object.entries(BODIES)) {
        const send = (size) => {
          const body = `{"input":${bodyOf(size)}}`;
          return leastMs(4, async () => assert.equal((await post(tunnel, '/task/count', body)).status, 200, what));
        };
        // The first is slow for other reasons.
        await send(10);
        assertLinear(what, await send(count / 8), await send(count), 1000);
      }
    }));
  }

  it('header lines that look like the one that is looked for', () => withTunnel({ driver, auth: { token: 'secret' }, limits: { maxHeadBytes: 65_536 }, tasks: { count: (_input, { headers }) => Object.keys(headers).length } }, async (tunnel) => {
    const request = (lines) => {
      const alike = Array.from({ length: lines - 3 }, (_, index) => `x-runner-tok${String(index).padStart(2, '0')}: ${'v'.repeat(80)}\r\n`);
      return Buffer.from(`POST /__runner/task/count HTTP/1.1\r\nHost: x\r\n${alike.join('')}x-runner-token: secret\r\nContent-Length: 2\r\n\r\n{}`.repeat(100));
    };
    const socket = await RawSocket.connect(tunnel);
    const send = (lines) => {
      const bytes = request(lines);
      return leastMs(5, async () => {
        await socket.write(bytes);
        for (let index = 0; index < 100; index++) assert.equal((await socket.answer()).body, `{"ok":true,"result":${lines + 1}}`);
      });
    };
    await send(5);
    assertLinear('100 requests of 96 lines', await send(12), await send(96), 1000);
    socket.destroy();
  }));
});
