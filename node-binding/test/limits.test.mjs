// The limits of a head, each below, at and above its bound; and what can be said of every limit.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { describe, it } from 'node:test';
import { OptionError, TunnelServer } from 'fasttunnel';
import { afterwards, expectBound } from './support/bounds.mjs';
import { RawSocket } from './support/raw-socket.mjs';
import { onBothDrivers, withTunnel } from './support/tunnels.mjs';

const require = createRequire(import.meta.url);
const { LIMITS } = require('../dist/cjs/facts/facts.generated.js');
const { MULTIPART_DEFAULTS } = require('../dist/cjs/options/multipart.js');
const OPTIONS = readFileSync(new URL('../../docs/options.md', import.meta.url), 'utf8');

const tasks = { echo: (input) => input };

describe('every limit', () => {
  const server = (limits) => new TunnelServer({ auth: { allowAnonymous: true }, limits });

  for (const [name, { fallback, least, most }] of Object.entries(LIMITS)) {
    it(`${name}: from ${least} to ${most}, by default ${fallback}`, () => {
      for (const good of [least, fallback, most]) server({ [name]: good });
      for (const bad of [least - 1, most + 1, least + 0.5, String(fallback), null, NaN]) {
        assert.throws(() => server({ [name]: bad }), (error) => {
          assert.ok(error instanceof OptionError && error.option === `limits.${name}`, `${error}`);
          assert.match(error.message, new RegExp(`must be an integer from ${least} to ${most}.*, got `));
          return true;
        });
      }
      assert.ok(fallback >= least && fallback <= most);
    });

    it(`${name} and its default are in the table of docs/options.md`, () => {
      const [, said] = new RegExp(`^\\| \`${name}\` \\| ([^|]*) \\|`, 'm').exec(OPTIONS) ?? [];
      assert.equal(Number.parseInt(said, 10), fallback, `docs/options.md says ${said}`);
    });
  }

  it('docs/options.md names no other, and the defaults of forms', () => {
    const [table] = /\| option \| default \| range \| what happens when it is reached \|\n(?:\|.*\n)+/.exec(OPTIONS);
    assert.deepEqual([...table.matchAll(/^\| `(\w+)`/gm)].map(([, name]) => name).sort(), Object.keys(LIMITS).sort());
    for (const [name, bound] of Object.entries(MULTIPART_DEFAULTS)) {
      const [, said] = new RegExp(`^\\| \`${name}\` \\| (\\S+)`, 'm').exec(OPTIONS);
      assert.equal(said === 'none' ? Infinity : Number(said), bound, name);
    }
  });

  it('the names that node:http has for them are understood', () => {
    for (const [name, meant] of [['maxHeaderSize', 'maxHeadBytes'], ['maxHeadersCount', 'maxHeaders'], ['maxRequestsPerSocket', 'maxRequestsPerConnection'], ['headersTimeout', 'headTimeoutMs'], ['keepAliveTimeout', 'idleTimeoutMs']]) {
      assert.throws(() => server({ [name]: 1000 }), new RegExp(`limits\\.${name} is not an option\\. Did you mean limits\\.${meant}\\?`));
    }
  });
});

/** Pads to `bytes`, as head and body of it say. */
const padded = (bytes, before, after) => before + 'x'.repeat(bytes - before.length - after.length) + after;

onBothDrivers('limits of a head', (driver) => {
  const limited = (limits, body) => withTunnel({ driver, shards: 1, tasks, limits }, body);

  for (const maxHeadBytes of [512, 16_384, 65_536]) {
    it(`maxHeadBytes ${maxHeadBytes}: 431 and close`, () => limited(maxHeadBytes === 16_384 ? {} : { maxHeadBytes }, (tunnel) => (
      expectBound(tunnel, maxHeadBytes, (bytes) => padded(bytes, 'POST /__runner/task/echo HTTP/1.1\r\nHost: x\r\nX: ', '\r\n\r\n'), '431, closed')
    )));
  }

  for (const maxTargetBytes of [32, 8192, 60_000]) {
    const limits = { maxHeadBytes: 65_536, ...(maxTargetBytes === 8192 ? {} : { maxTargetBytes }) };
    it(`maxTargetBytes ${maxTargetBytes}: 414 and close`, () => limited(limits, (tunnel) => (
      expectBound(tunnel, maxTargetBytes, (bytes) => `POST ${padded(bytes, '/__runner/task/echo?', '')} HTTP/1.1\r\nHost: x\r\n\r\n`, '414, closed')
    )));
  }

  it('a target as long as it may be is still a part of its head: 431 and close', () => limited({ maxHeadBytes: 1000 }, (tunnel) => (
    expectBound(tunnel, 1000, (bytes) => padded(bytes, 'POST /__runner/task/echo?', ' HTTP/1.1\r\nHost: x\r\n\r\n'), '431, closed')
  )));

  /** A head of so many lines. */
  const lines = (count) => `POST /__runner/task/echo HTTP/1.1\r\nHost: x\r\n${'X: y\r\n'.repeat(count - 1)}\r\n`;

  // Up to 24 lines are read into another table than more.
  for (const maxHeaders of [2, 24, 25, 99, 100]) {
    it(`maxHeaders ${maxHeaders}: 431 and close`, () => limited(maxHeaders === 100 ? {} : { maxHeaders }, async (tunnel) => {
      await expectBound(tunnel, maxHeaders, lines, '431, closed');
      // The same behind other requests.
      const socket = await RawSocket.connect(tunnel);
      await socket.write([maxHeaders, maxHeaders - 1, maxHeaders, maxHeaders + 1, 1].map(lines).join(''));
      for (const expected of [200, 200, 200]) assert.equal((await socket.answer()).status, expected);
      assert.equal(await afterwards(socket, (await socket.answer()).status), '431, closed');
      socket.destroy();
    }));
  }

  it('maxHeaders 1: Host, and nothing else', () => limited({ maxHeaders: 1 }, (tunnel) => expectBound(tunnel, 1, (count) => lines(Math.max(count, 1)), '431, closed')));

  for (const keepAliveHintS of [0, 5, 7]) {
    it(`keepAliveHintS ${keepAliveHintS} is told`, () => limited(keepAliveHintS === 5 ? {} : { keepAliveHintS }, async (tunnel) => {
      const socket = await RawSocket.connect(tunnel);
      await socket.write(lines(1));
      assert.equal((await socket.answer()).headers['keep-alive'], `timeout=${keepAliveHintS}`);
      socket.destroy();
    }));
  }
});
