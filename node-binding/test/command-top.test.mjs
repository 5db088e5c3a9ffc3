// `fasttunnel top`: what a tunnel does, in a terminal or as text.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fastTunnel } from 'fasttunnel';
import { fasttunnel, installInto, serving } from './support/command-line.mjs';
import { callTask, until } from './support/tunnels.mjs';

const require = createRequire(import.meta.url);
const { figuresOf, quantile } = require('../dist/cjs/cli/top/figures.js');
const { screen } = require('../dist/cjs/cli/top/screen.js');

const folder = mkdtempSync(join(tmpdir(), 'fasttunnel-top-'));
const program = installInto(folder);
after(() => rmSync(folder, { recursive: true }));

const ESCAPES = '\x1b]0;title\x07\x1b[2J\u202eevil';
const tasks = { add: ({ a, b }) => a + b, slow: async () => { await new Promise((resolve) => setTimeout(resolve, 30)); }, fails: () => { throw new Error('on purpose'); }, [ESCAPES]: () => 1 };

/** The numbers behind a name, in what is printed. */
function row(text, name) {
  const line = text.split('\n').find((one) => one.startsWith(name)) ?? assert.fail(`no line ${name} in\n${text}`);
  return line.slice(name.length).trim().split(/\s{2,}|(?<=[µm]?s) /).map((cell) => cell.trim());
}

describe('fasttunnel top', () => {
  const socketPath = join(folder, 'admin.sock');
  let tunnel;
  let calling = true;
  let caller;
  before(async () => {
    tunnel = await fastTunnel({ admin: { socketPath }, auth: { allowAnonymous: true }, tasks, onError: () => {} });
    for (const id of ['fails', 'unknown', ESCAPES]) await callTask(tunnel, id, 1);
    const call = async () => {
      while (calling) {
        await callTask(tunnel, 'add', { a: 1, b: 2 });
        await callTask(tunnel, 'slow', 1);
      }
    };
    caller = call();
  });
  after(async () => {
    calling = false;
    await caller;
    await tunnel.close();
  });

  for (const args of [['--once'], []]) {
    it(`prints the figures as text ${args.length > 0 ? 'when it is told to' : 'where there is no terminal'}, from a unix socket`, async () => {
      const { status, stdout, stderr } = await fasttunnel(folder, ['top', `unix:${socketPath}`, '--interval-ms', '500', ...args]);
      assert.deepEqual([status, stderr], [0, '']);
      assert.match(stdout, /^fasttunnel {3}unix:\S+admin\.sock {3}ready {3}(io_uring|epoll), threads, \d+ shards? {3}up \d/);
      assert.doesNotMatch(stdout, /\x1b/);
      const [rate] = row(stdout, 'add');
      assert.ok(Number(rate) > 2, stdout);
      assert.match(row(stdout, 'slow')[1], /^(2[89]|[3-9]\d|\d{3}) ms$/, stdout);
      assert.equal(row(stdout, 'fails').at(-1), '1');
      assert.deepEqual(row(stdout, 'status 403').at(-1), '1');
      for (const phase of ['parse', 'queue', 'js', 'write']) assert.match(row(stdout, phase)[0], /\d (µs|ms)/);
      assert.match(row(stdout, 'main')[0], /^\d+ %$/);
      assert.ok(stdout.indexOf('\nslow') < stdout.indexOf('\nadd') && stdout.indexOf('\nadd') < stdout.indexOf('\nfails'), 'those that were called come first, and of them the slowest');
    });
  }

  it('lets nothing of a tunnel steer the terminal', async () => {
    const { stdout } = await fasttunnel(folder, ['top', `unix:${socketPath}`, '--once', '--interval-ms', '100']);
    assert.ok(stdout.includes('?]0;title??[2J?evil'), stdout);
  });

  it('says what is wrong with an address', async () => {
    const other = createServer((request, response) => response.end('{"no":"figures"}'));
    await once(other.listen(0, '127.0.0.1'), 'listening');
    const at = `http://127.0.0.1:${other.address().port}`;
    for (const [address, code, pattern] of [
      ['http://127.0.0.1:1', 3, /no answer from http:\/\/127\.0\.0\.1:1: .*Nothing listens there/],
      [`unix:${folder}/none.sock`, 3, /There is no such socket/],
      [tunnel.url, 1, /answers \/stats with 404.*option admin/],
      [at, 1, /answers \/stats with 200, and no figures/],
      ['127.0.0.1:7071', 2, /Did you mean http:\/\/127\.0\.0\.1:7071\?/],
    ]) {
      const { status, stdout, stderr } = await fasttunnel(folder, ['top', address, '--once']);
      assert.equal(stdout, '');
      assert.match(stderr, pattern);
      assert.equal(status, code, stderr);
    }
    other.close();
  });

  const withoutScript = spawnSync('script', ['--version']).status !== 0 && 'no script(1) of util-linux here';
  it('refreshes on a terminal, and leaves it as it was', { skip: withoutScript, timeout: 30_000 }, async () => {
    const child = spawn('script', ['-qfec', `stty rows 40 cols 90; exec "${program}" top unix:${socketPath} --interval-ms 200`, '/dev/null'], { env: { ...process.env, NO_COLOR: '' } });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (piece) => { text += piece; });
    const ended = once(child, 'close');
    await until(() => text.split('\x1b[H').length > 3, 'it has refreshed', 10_000);
    assert.ok(text.startsWith('\x1b[?1049h\x1b[?25l') && text.includes('\x1b[1mfasttunnel\x1b[0m') && text.includes('\x1b[32mready\x1b[0m'), JSON.stringify(text.slice(0, 300)));
    child.stdin.write('q');
    const [code] = await ended;
    assert.equal(code, 0);
    assert.ok(text.endsWith('\x1b[?25h\x1b[?1049l'), JSON.stringify(text.slice(-100)));
  });

  it('finds the address that `serve --admin-port --dashboard` prints', async () => {
    writeFileSync(join(folder, 'tasks.mjs'), 'export const one = () => 1;\n');
    await serving(folder, ['./tasks.mjs', '--anonymous', '--port', '0', '--admin-port', '0', '--dashboard'], async ({ said }) => {
      const [, admin] = /^health on (\S+)\/livez and \/readyz, figures on \/metrics and \/dashboard$/m.exec(said.stdout);
      assert.equal((await fetch(`${admin}/dashboard`)).status, 200);
      const { status, stdout } = await fasttunnel(folder, ['top', admin, '--interval-ms', '100']);
      assert.equal(status, 0);
      assert.match(stdout, /No task was called yet\.[^]*Nothing was refused\./);
    });
    const { status, stderr } = await fasttunnel(folder, ['serve', './tasks.mjs', '--anonymous', '--dashboard']);
    assert.equal(status, 2);
    assert.match(stderr, /--dashboard needs a port to be shown on: add --admin-port PORT\./);
  });
});

describe('figures between two reports', () => {
  const histogram = (...counts) => ({ count: counts.at(-1), buckets: counts.map((count, index) => ({ leUs: 100 * 2 ** index, count })) });
  const shard = (calls, js) => ({ calls, inFlight: 1, connections: 2, heldBytes: 3, turnedAway: 0, evicted: 0, overloaded: calls, shed: 0, refusals: { 401: calls }, phases: { parse: histogram(0, 0), queue: histogram(0, 0), js, write: histogram(0, 0) } });
  const report = (upMs, calls, js) => ({ upMs, driver: 'epoll', placement: 'threads', ready: 'ok', live: 0, shards: [shard(calls, js), shard(0, histogram(0, 0))], loops: [], tasks: [{ kind: 'task', id: 'a', count: calls, failed: 0, sumUs: 100 * calls, buckets: [[100, calls]] }], process: { cpuSeconds: upMs / 2000 } });

  it('are differences, by the time between them', () => {
    const { callRate, processors, phases, tasks: of, refusals, refusalRate } = figuresOf(report(3000, 50, histogram(20, 50)), report(1000, 10, histogram(10, 10)));
    assert.deepEqual([callRate, processors, refusalRate], [20, 0.5, 40]);
    // 40 calls: 10 up to 100 µs, 30 up to 200.
    assert.deepEqual(phases.find(({ phase }) => phase === 'js'), { phase: 'js', p50Us: 100 + (100 * 10) / 30, p99Us: 100 + (100 * 29.6) / 30 });
    assert.deepEqual(of, [{ name: 'a', rate: 20, meanUs: 100, p99Us: 99, failed: 0, recent: true }]);
    assert.deepEqual(refusals, [{ reason: 'status 401', rate: 20, total: 50 }, { reason: 'too many calls', rate: 20, total: 50 }]);
    assert.equal(quantile([[100, 0]], 0, 0.5), undefined);
  });

  it('of a tunnel that was started anew, count from its start', () => {
    const { callRate, seconds } = figuresOf(report(500, 5, histogram(5, 5)), report(9000, 700, histogram(7, 700)));
    assert.deepEqual([callRate, seconds], [10, 0.5]);
  });

  it('fit into any width', () => {
    const now = report(3000, 50, histogram(20, 50));
    for (const columns of [20, 40, 80, 200]) {
      const lines = screen(now, figuresOf(now, report(1000, 10, histogram(10, 10))), { shown: 'http://127.0.0.1:7071', columns, tasks: 10, styled: false });
      assert.ok(lines.length > 15);
      if (columns >= 80) assert.ok(lines.every((line) => line.length <= columns), lines.join('\n'));
    }
  });
});
