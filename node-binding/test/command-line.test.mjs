// The command line as a whole: help, wrong arguments, the version; and `bench`, which is short here and means nothing.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fasttunnel, installInto } from './support/command-line.mjs';
import { COMMANDS as RUNTIMES } from './support/runtimes.mjs';

const folder = mkdtempSync(join(tmpdir(), 'fasttunnel-command-line-'));
installInto(folder);
after(() => rmSync(folder, { recursive: true }));
const run = (args, options) => fasttunnel(folder, args, options);
const require = createRequire(import.meta.url);
const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
const { COMMANDS } = require('../dist/cjs/cli/commands.js');

describe('fasttunnel', () => {
  it('without arguments, and with --help, lists the commands', async () => {
    for (const args of [[], ['--help'], ['-h'], ['help']]) {
      const { status, stdout, stderr } = await run(args);
      assert.deepEqual([status, stderr], [0, '']);
      for (const name of ['serve MODULE', 'call URL ID [JSON]', 'doctor', 'bench', 'top ADDRESS']) assert.ok(stdout.includes(`\n  ${name}`), `${name} in ${stdout}`);
    }
  });

  it('has a help text for each command, which names all of its options and fits a terminal', async () => {
    for (const { name, options } of COMMANDS) {
      const { status, stdout } = await run([name, '--help']);
      assert.equal(status, 0);
      assert.match(stdout, new RegExp(`^Usage: fasttunnel ${name} `));
      for (const option of [...Object.keys(options), 'help']) assert.match(stdout, new RegExp(`^  --${option}( |$)`, 'm'));
      assert.equal((await run(['help', name])).stdout, stdout);
      for (const line of stdout.split('\n')) assert.ok(line.length <= 120, line);
    }
  });

  it('--version is that of the package', async () => {
    for (const option of ['--version', '-v']) assert.equal((await run([option])).stdout, `${version}\n`);
  });

  it('names the command or the option that was probably meant', async () => {
    for (const [args, text] of [
      [['srve'], 'There is no command srve. Did you mean serve?'],
      [['--verson'], 'There is no option --verson. Commands: serve, call, doctor, bench, top.'],
      [['install'], 'There is no command install. Commands: serve, call, doctor, bench, top.'],
      [['serve', 'x.js', '--prot', '1'], 'There is no option --prot. Did you mean --port?'],
      [['serve', 'x.js', '--tokn=secret'], 'There is no option --tokn. Did you mean --token?'],
      [['doctor', '-x'], 'There is no option -x. Options: --port, --json, --help.'],
      [['bench', '--constructor'], 'There is no option --constructor. Options: '],
    ]) {
      const { status, stdout, stderr } = await run(args);
      assert.deepEqual([status, stdout], [2, ''], stderr);
      assert.ok(stderr.startsWith(`fasttunnel: ${text}`), stderr);
      assert.doesNotMatch(stderr, /secret/, 'a value may be a token');
    }
  });

  it('says what is wrong with a value, or that there is none', async () => {
    for (const [args, text] of [
      [['serve', 'x.js', '--port', '99999'], '--port must be an integer from 0 to 65535, got 99999. The default is 7070.'],
      [['serve', 'x.js', '--port=abc'], "--port must be an integer from 0 to 65535, got 'abc'. The default is 7070."],
      [['serve', 'x.js', '--token'], '--token needs a value: --token TOKEN.'],
      [['serve', 'x.js', '--token', '--anonymous'], '--token needs a value: --token TOKEN, or --token=--anonymous if that is the value.'],
      [['serve', 'x.js', '--watch=yes'], '--watch takes no value, got "yes".'],
      [['serve', 'x.js', '--port', '1', '--port', '2'], '--port is given twice.'],
      [['serve'], 'Something is missing: fasttunnel serve MODULE'],
      [['serve', 'x.js', 'y.js'], '"y.js" is one too many: fasttunnel serve MODULE'],
      [['call', 'http://127.0.0.1'], 'Something is missing: fasttunnel call URL ID [JSON]'],
      [['bench', '--seconds', '0'], "--seconds must be a number from 0.1 to 60 (seconds), got '0'. The default is 2."],
    ]) {
      const { status, stderr } = await run(args);
      assert.equal(status, 2, stderr);
      assert.ok(stderr.startsWith(`fasttunnel: ${text}`), stderr);
    }
  });

  it('is what npx runs in an app that has installed the package', () => {
    const { status, stdout, stderr } = spawnSync('npx', ['fasttunnel', '--version'], { cwd: folder, encoding: 'utf8', timeout: 20_000 });
    assert.deepEqual([status, stdout], [0, `${version}\n`], stderr);
  });

  it('ends in peace when nobody reads what it prints', () => {
    const script = `${join(folder, 'node_modules/.bin/fasttunnel')} serve --help | true; echo "\${PIPESTATUS[0]}"`;
    const { stdout, stderr } = spawnSync('bash', ['-c', script], { encoding: 'utf8' });
    assert.deepEqual([stdout, stderr], ['0\n', '']);
  });
});

describe('fasttunnel bench', () => {
  const SHORT = ['bench', '--seconds', '0.2', '--connections', '4'];

  it('shows both servers, their ratio, and what cannot be concluded', { timeout: 60_000 }, async () => {
    const { status, stdout, stderr } = await run(SHORT);
    assert.equal(status, 0, stderr);
    assert.deepEqual(stderr.trim().split('\n'), [1, 2, 3].flatMap((round) => (round === 2 ? ['fasttunnel', 'node:http'] : ['node:http', 'fasttunnel']).map((name) => `round ${round} of 3: ${name}`)), 'they take turns');
    assert.match(stdout, /^Node \S+, fasttunnel \S+ on (io_uring|epoll), \d+ × .*, 4 connections, 3 turns of 0\.2 s each\n/);
    for (const name of ['requests/s', 'CPU per request, µs', 'median, µs', '99th percentile, µs']) assert.match(stdout, new RegExp(`^${name} +[\\d.,]+ +[\\d.,]+ +\\d+\\.\\d\\d +\\d+\\.\\d\\d to \\d+\\.\\d\\d$`, 'm'));
    assert.match(stdout, /^- One small call over loopback was measured\./m);
  });

  it('--json has every turn', { timeout: 60_000 }, async () => {
    const { stdout } = await run([...SHORT, '--json']);
    const { schema, settings, machine, turns, summary, remarks } = JSON.parse(stdout);
    assert.deepEqual([schema, settings, turns.length], [1, { seconds: 0.2, rounds: 3, connections: 4 }, 6]);
    assert.equal(machine.fasttunnel, version);
    for (const turn of turns) {
      for (const figure of ['requestsPerSecond', 'cpuUsPerRequest', 'p50Us', 'p99Us', 'callerProcessors']) assert.ok(turn[figure] > 0, JSON.stringify(turn));
      assert.ok(turn.p50Us <= turn.p99Us);
    }
    const { median } = summary.ratios.requestsPerSecond;
    assert.ok(Math.abs(median - summary.servers.fasttunnel.requestsPerSecond.median / summary.servers['node:http'].requestsPerSecond.median) < 1e-9);
    assert.ok(remarks.length > 0);
  });

  it('concludes nothing from turns that overlap, and says when the caller was at its limit', () => {
    const { remarksOf, summaryOf } = require('../dist/cjs/cli/bench/figures.js');
    const turn = (server, requestsPerSecond, callerProcessors = 0.5) => ({ server, round: 1, requestsPerSecond, cpuUsPerRequest: 1e6 / requestsPerSecond, p50Us: 1, p99Us: 2, callerProcessors });
    const remarks = (turns, processors = 8) => remarksOf(turns, summaryOf(turns), processors).join('\n');
    const overlapping = ['node:http', 'fasttunnel'].flatMap((server) => [100, 105, 110].map((requests) => turn(server, requests)));
    assert.match(remarks(overlapping), /Requests per second: no difference can be concluded.*\nCPU per request: no difference can be concluded/);
    const apart = [100, 101, 102].flatMap((requests) => [turn('node:http', requests), turn('fasttunnel', 3 * requests, 0.97)]);
    assert.doesNotMatch(remarks(apart), /no difference|differ by/);
    assert.match(remarks(apart), /What calls fasttunnel was at its own limit \(0\.97 processors\)/);
    assert.match(remarks(apart, 2), /share 2 processors/);
    const wild = [...apart, turn('node:http', 50)];
    assert.match(remarks(wild), /The turns of node:http differ by 52 %/);
    const { clear, median, least, most } = summaryOf(apart).ratios.requestsPerSecond;
    assert.deepEqual([clear, median], [true, 3]);
    assert.ok(least < 3 && most > 3);
  });
});

it('runs on every version of Node that the package supports', { timeout: 60_000 }, async () => {
  for (const [name, command] of Object.entries(RUNTIMES)) {
    if (!name.startsWith('Node')) continue;
    const { status, stdout, stderr } = await run(['doctor', '--json'], { command });
    assert.equal(status, 0, `${name}: ${stdout} ${stderr}`);
    assert.ok(JSON.parse(stdout).versions.runtime.startsWith(name), name);
  }
});
