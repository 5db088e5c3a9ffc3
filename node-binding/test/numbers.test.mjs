// Every option that is a number, at its edges: the list is read from the published types, so that a new one is in it.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { describe, it } from 'node:test';
import { fastTunnel, OptionError, TunnelServer } from 'fasttunnel';
import { createClient } from 'fasttunnel/client';
import { ProxyServer } from 'fasttunnel/proxy';
import { fastTunnel as resource } from 'fasttunnel/runner';
import { CORS, withBridge } from './support/bridges.mjs';
import { atPath, CLIENT, PROXY, RUNNER, STANDALONE } from './support/number-options.mjs';
import { RawSocket } from './support/raw-socket.mjs';
import { exposuresFor, QUIET, R, withApp } from './support/runner-apps.mjs';

const require = createRequire(import.meta.url);
const { addon } = require('../dist/cjs/native/addon.js');
const { FACTS_HASH, LIMITS, MULTIPART, NUMBERS } = require('../dist/cjs/facts/facts.generated.js');

/** What no numeric option takes, whatever its range. */
const NEVER = (least) => [NaN, -Infinity, `${least}`, 'many', BigInt(least), null, true, [least], { valueOf: () => least }];
/** Counts and sizes of forms, and Runner's size of bodies, are compared only: fractions and Infinity have a meaning there. */
const isOpen = (path) => /multipart\.|^http\.limits\.json\./.test(path);
/** Where another option has to be given as well. */
const BESIDE = { readinessDelayMs: { gracefulSignals: true } };

const refusedBy = (path, { least, most }) => [least - 1, ...(isOpen(path) ? [] : [most + 1, least + 0.5, Infinity]), ...NEVER(least)];
const takenBy = (path, { least, most }) => (isOpen(path) ? [least, least + 0.5, Number.MAX_SAFE_INTEGER, Infinity] : [...new Set([least, most])]);

function expectOptionError(path) {
  return (error) => {
    assert.ok(error instanceof OptionError, `${error?.stack}`);
    assert.equal(error.option, path);
    assert.ok(error.message.includes(`${path} must be `) && /, got .+\. \S/.test(error.message), error.message);
    return true;
  };
}

/** The smallest call that there is: within every limit at its least. */
async function answersACall({ port, host = '127.0.0.1' }) {
  const socket = await RawSocket.connect({ port, host });
  await socket.write('POST /task/a HTTP/1.1\r\nHost: t\r\n\r\n');
  const { status, body } = await socket.answer();
  socket.destroy();
  return `${status} ${body}`;
}

describe('numbers, standalone', () => {
  const anonymous = { basePath: '/', auth: { allowAnonymous: true }, driver: 'epoll', shards: 1, tasks: { a: () => 1 } };

  for (const { path, bounds } of STANDALONE) {
    const options = (value) => atPath(path, value, { ...anonymous, ...BESIDE[path] });

    it(`${path}: nothing out of its range, and nothing that is no number, passes`, () => {
      assert.ok(bounds !== undefined, `no table of bounds has ${path}`);
      for (const value of refusedBy(path, bounds)) assert.throws(() => new TunnelServer(options(value)), expectOptionError(path), `${path}: ${String(value)}`);
    });

    it(`${path}: it serves with the least and with the most`, async () => {
      for (const value of takenBy(path, bounds)) {
        const tunnel = await fastTunnel(options(value));
        try {
          assert.equal(await answersACall(tunnel), '200 {"ok":true,"result":1}', `${path}: ${value}`);
        } finally {
          await tunnel.close();
        }
      }
    });
  }
});

describe("numbers, under Runner's configuration", () => {
  const task = R.r.task('a').run(async () => 1).build();
  const everything = R.r.resource('all').tags([R.globals.tags.tunnel]).init(async () => ({ mode: 'server', tasks: [task] })).build();
  const base = { http: { basePath: '/', listen: { port: 0, host: '127.0.0.1' }, auth: { allowAnonymous: true, token: undefined } }, engine: { driver: 'epoll', shards: 1 } };

  for (const { path, bounds } of RUNNER) {
    it(`${path}: nothing out of its range, and nothing that is no number, passes`, async () => {
      assert.ok(bounds !== undefined, `no table of bounds has ${path}`);
      for (const value of refusedBy(path, bounds)) {
        await assert.rejects(R.run(R.r.resource('app').register([resource.with(atPath(path, value, base))]).build(), QUIET), expectOptionError(path), `${path}: ${String(value)}`);
      }
    });

    it(`${path}: it serves with the least and with the most`, async () => {
      for (const value of takenBy(path, bounds)) {
        const { http, engine } = atPath(path, value, base);
        await withApp(exposuresFor('epoll').fastTunnel, { items: [task], tunnels: [everything], http, engine }, async ({ port }) => {
          assert.equal(await answersACall({ port }), '200 {"ok":true,"result":1}', `${path}: ${value}`);
        });
      }
    });
  }
});

describe('numbers of the client and of the proxy', () => {
  for (const [what, numbers, base, begin] of [
    ['client', CLIENT, { url: 'http://127.0.0.1:1' }, async (options) => createClient(options)],
    ['proxy', PROXY, { port: 0, driver: 'epoll', shards: 1 }, (options) => ProxyServer.start(options)],
  ]) {
    it(`${what}: all of them are known`, () => {
      assert.deepEqual([numbers.length >= 10, numbers.filter(({ bounds }) => bounds === undefined)], [true, []]);
    });

    for (const { path, bounds } of numbers) {
      it(`${what}, ${path}: nothing out of its range, and nothing that is no number, passes; the least and the most do`, async () => {
        for (const value of refusedBy(path, bounds)) await assert.rejects(begin(atPath(path, value, base)), expectOptionError(path), `${path}: ${String(value)}`);
        for (const value of path === 'port' ? [bounds.least] : takenBy(path, bounds)) {
          const begun = await begin(atPath(path, value, base));
          await (begun.stop?.() ?? begun.close());
        }
      });
    }
  }
});

describe('numbers that the engine has as well', () => {
  it('are all of them options', () => {
    // What stands in `workers`, which may be a number itself, and in `rateLimit`, which may be a list: their own tests hold them.
    const named = new Set([...STANDALONE.map(({ path }) => path.split('.').at(-1)), 'workers', 'blockedTimeoutMs', 'burst', 'maxConcurrent', 'maxCallers']);
    for (const name of [...Object.keys(LIMITS), ...Object.keys(NUMBERS), ...Object.keys(MULTIPART)]) assert.ok(named.has(name), name);
  });

  it('are the same in both languages, as one hash tells', () => {
    const text = readFileSync(new URL('../lib/facts/facts.generated.ts', import.meta.url), 'utf8');
    // Without what is for people, and without the hash itself.
    const stated = text.slice(text.indexOf('\n/** Number of calls')).replace(/^\/[/*].*\n/gm, '').replace(/^export const /gm, '').replaceAll(' as const;', ';').trimStart();
    assert.match(stated, /^CALLS = 0;\nGONE = 1;\n/);
    const hash = Buffer.from(stated).reduce((value, byte) => BigInt.asUintN(64, (value ^ BigInt(byte)) * 0x100000001b3n), 0xcbf29ce484222325n);
    assert.equal(hash.toString(16).padStart(16, '0'), FACTS_HASH);
    assert.equal(addon().factsHash(), FACTS_HASH);
  });

  it('are an OptionError where the engine refuses them, as is whatever else it refuses', async () => {
    // What the engine is never told: how long it waits at its end, and in front of it, and how many workers will join; and what it is told in a list.
    const { drainTimeoutMs: _end, ...limits } = LIMITS;
    const { readinessDelayMs: _before, workers: _many, blockedTimeoutMs: _long, burst: _most, maxConcurrent: _beside, maxCallers: _known, maxAge, ...numbers } = NUMBERS;
    const outOf = ({ least, most }) => [least - 1, most + 1];
    const ranges = [
      ...Object.entries(limits).flatMap(([option, range]) => outOf(range).map((value) => [option, { limits: { [option]: value } }])),
      ...Object.entries(numbers).flatMap(([option, range]) => outOf(range).map((value) => [option, { [option]: value }])),
      ...outOf(maxAge).map((value) => ['maxAge', { cors: { ...CORS, maxAge: value } }]),
    ];
    const others = {
      listen: { host: 'localhost' }, driver: { driver: 'kqueue' }, basePath: { basePath: '/a b' }, auth: { auth: { header: 'x', tokens: [''], allowAnonymous: false } },
      cors: { cors: { origin: 'a\nb', methods: [], allowedHeaders: [], exposedHeaders: [], credentials: false, varyOrigin: true } }, admin: { admin: { host: 'x', port: 0 } },
      handlers: { entries: [{ kind: 'task', id: 'a', run: () => 1 }, { kind: 'task', id: 'a', run: () => 1 }] }, options: { shards: 'x' },
    };
    for (const [option, options] of [...ranges, ...Object.entries(others)]) {
      await assert.rejects(withBridge(options, () => {}), (error) => {
        assert.ok(error instanceof OptionError, `${option}: ${error?.stack}`);
        assert.equal(error.option, option);
        assert.ok(error.cause instanceof Error);
        return true;
      });
    }
  });

  it('an addon with other numbers, or without the hash of them, is of another build', () => {
    const { checkBuild } = require('../dist/cjs/facts/layout.js');
    checkBuild(addon());
    checkBuild({ factsHash: () => FACTS_HASH });
    for (const other of [{ factsHash: () => FACTS_HASH.replace(/.$/, (digit) => (digit === '0' ? '1' : '0')) }, { factsHash: () => '' }, {}]) {
      assert.throws(() => checkBuild(other), /another version.*make build/);
    }
  });
});

describe('numbers in the documents', () => {
  const read = (name) => readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8');
  const table = read('docs/options.md');
  const rows = Object.fromEntries([...table.matchAll(/^\| `([\w.]+)` \| ([^|]*) \| ([^|]*) \|/gm)].map(([, name, says, range]) => [name.replace('cors.', ''), { says, range }]));

  it('has the time that a client has for its answer once it has closed its half', () => {
    const limits = read('engine/src/limits.rs');
    const constant = (name) => Number(new RegExp(`const ${name}: u64 = (\\d+);`).exec(limits)[1]);
    assert.ok(read('docs/operating.md').includes(`is still answered for ${constant('HALF_CLOSE_GRACE_MS')} ms. After that it counts as gone (\`signal\` aborts within ${(2 * constant('TIMER_MS')) / 1000} s`));
  });

  for (const [name, { fallback, least, most }] of [...Object.entries(LIMITS), ...Object.entries(NUMBERS)]) {
    it(`${name} has a row with its default and its range`, () => {
      assert.ok(name in rows, `no row for ${name}`);
      assert.equal(rows[name].says.split(/[ :]/, 1)[0], String(fallback ?? 'none'));
      assert.equal(rows[name].range, `${least} to ${most}`);
    });
  }

  it('have the figures of README as docs/performance.md has them', () => {
    /** The requests per second of a file's table, by row and column. */
    const figures = (name) => {
      const [header, , ...lines] = /^\| requests\/s.*\n(?:\|.*\n)+/m.exec(read(name))[0].trimEnd().split('\n').map((line) => line.split('|').slice(1, -1).map((cell) => cell.trim()));
      return new Map(lines.flatMap(([row, ...cells]) => cells.map((cell, column) => [`${row}: ${header[column + 1]}`, /[\d.]+[kM]?/.exec(cell)?.[0]])));
    };
    const [shown, all] = [figures('README.md'), figures('docs/performance.md')];
    assert.ok(shown.size >= 20);
    for (const [which, figure] of shown) assert.equal(figure, all.get(which), which);
  });
});
