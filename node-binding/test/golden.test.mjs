// What nodeExposure was seen to answer, and what it should have answered where it never did, replayed against fastTunnel, on
// both drivers. Skipped (and said so) where the recordings are not there. Where we depart on purpose, golden-departures.json says why; what stays is checked here.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { withFolder } from './support/folders.mjs';
import { onBothDriversAtOnce } from './support/tunnels.mjs';

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url));
const GOLDEN = process.env.FASTTUNNEL_GOLDEN ?? path('../../../shared/golden');
const DEPARTURES = JSON.parse(readFileSync(path('golden-departures.json'), 'utf8'));
const skip = existsSync(`${GOLDEN}/replay.mjs`) ? false : `no golden corpus at ${GOLDEN}`;

/** How a reason begins, and what such a departure leaves as it was. */
const KINDS = {
  // Refused instead of normalised: 400 or 404, and nothing has run.
  'URL: ': (want, got) => {
    assert.ok([400, 404].includes(got.response?.status), `status ${got.response?.status}`);
    assert.equal(got.effects, undefined);
  },
  // A parser's own answers: the text and the headers are ours.
  'node:http: ': (want, got) => {
    assert.equal(got.response?.status, want.response?.status);
    assert.equal(got.connection, want.connection);
  },
  // CONTRACT 23, the right-hand column: a test of its own holds it.
  'D': () => {},
  // Another test holds it.
  'timing: ': (want, got) => {
    assert.deepEqual(got.response, want.response);
    assert.equal(got.connection, want.connection);
  },
  'workers: ': (want, got) => {
    assert.deepEqual(got.response, want.response);
    assert.equal(got.connection, want.connection);
  },
  // Results that are streams here and plain objects there.
  'stream: ': (want, got) => {
    assert.equal(got.response?.status, 200);
    assert.equal(got.response.headers['content-type'], 'application/octet-stream');
    assert.equal(got.connection, want.connection);
  },
};

/** The departures through a server of node:http's, which has its own parser and its own way to lose a client. */
const THROUGH_CREATE_SERVER = {
  ...Object.fromEntries(Object.entries(DEPARTURES).filter(([, reason]) => !reason.startsWith('node:http: '))),
  'abort/client-half-close-during-task-counts-as-abort': 'timing: node:http closes first, the signal aborts a moment later; attach.test.mjs waits for it',
};

function replay(driver, through, ...more) {
  const args = [`${GOLDEN}/replay.mjs`, `--launcher=${path('fixtures/golden-launcher.mjs')}`, '--verbose', ...more];
  const env = { ...process.env, RUNNER_ROOT: path('..'), FASTTUNNEL_DRIVER: driver, FASTTUNNEL_THROUGH: through, FASTTUNNEL_GOLDEN: GOLDEN };
  return new Promise((resolve) => {
    execFile(process.execPath, args, { env, maxBuffer: 256 * 2 ** 20, timeout: 240_000 }, (_error, stdout, stderr) => resolve({ stdout, stderr }));
  });
}

/** The cases that differ, with what was wanted and what came. */
function differences(stdout) {
  return new Map(Array.from(stdout.matchAll(/^FAIL (.+) \n {2}want (.+) \n {2}got {2}(.+)$/gm), ([, name, want, got]) => [name, { want: JSON.parse(want), got: JSON.parse(got) }]));
}

async function compare(driver, through, departures, { logs = true, count = 455, corpus } = {}) {
  const { stdout, stderr } = await replay(driver, through, ...(logs ? ['--logs'] : []), ...(corpus === undefined ? [] : [`--corpus=${corpus}`]));
  const [, passed, failed] = /^(\d+) passed, (\d+) failed, 0 skipped$/m.exec(stdout) ?? assert.fail(`${stdout.slice(-2000)}\n${stderr.slice(-4000)}`);
  const differing = differences(stdout);
  assert.equal(differing.size, Number(failed), 'every difference is told');
  const unexpected = [];
  for (const [name, { want, got }] of differing) {
    const reason = departures[name];
    const kind = Object.keys(KINDS).find((prefix) => reason?.startsWith(prefix));
    try {
      assert.ok(kind, 'it does not depart on purpose');
      KINDS[kind](want, got);
    } catch (error) {
      unexpected.push(`${name}: ${error.message}\n  want ${JSON.stringify(want)}\n  got  ${JSON.stringify(got)}`);
    }
  }
  assert.deepEqual(unexpected, [], unexpected.join('\n'));
  const stale = Object.keys(departures).filter((name) => !differing.has(name));
  assert.deepEqual(stale, [], 'these no longer depart');
  assert.equal(Number(passed) + differing.size, count);
}

/** What workers answer: most of all, and each way in which JavaScript is asked. Every configuration is an app in three threads. */
const OF_WORKERS = ['std', 'validatorAndToken', 'validatorMany', 'corsFunction', 'listIds', 'twoTunnels', 'open', 'customTypes', 'noAsyncContext', 'mpLimits'];

/** Those cases, and how they depart: what handlers note is noted in their worker, and so is what the app logs of calls. */
function corpusOfWorkers() {
  const cases = JSON.parse(readFileSync(`${GOLDEN}/open.json`, 'utf8')).cases.filter(({ app }) => OF_WORKERS.includes(app.config));
  const noted = cases.filter(({ effects }) => effects !== undefined).map(({ name }) => [name, 'workers: what its handler notes is noted in the worker']);
  const departures = Object.entries({ ...Object.fromEntries(noted), ...DEPARTURES }).filter(([name]) => cases.some((one) => one.name === name));
  return { cases, departures: Object.fromEntries(departures) };
}

onBothDriversAtOnce('golden corpus', (driver) => {
  it('open.json', { skip, timeout: 300_000 }, () => compare(driver, 'listen', DEPARTURES));
  // The same code answers on both drivers, and what lies under it has tests of its own: once is enough.
  it('open.json under TLS', { skip: skip || (driver === 'epoll' ? false : 'on epoll'), timeout: 300_000 }, () => compare(driver, 'tls', DEPARTURES));
  it('open.json through createServer()', { skip, timeout: 300_000 }, () => compare(driver, 'createServer', THROUGH_CREATE_SERVER));

  const here = driver === 'io_uring' ? process.env.FASTTUNNEL_TEST_PLACEMENT === 'inline' && 'workers take calls from threads' : 'on io_uring';
  it('most of open.json with workers', { skip: skip || here, timeout: 300_000 }, () => withFolder(async (file) => {
    const { cases, departures } = corpusOfWorkers();
    writeFileSync(file('part.json'), JSON.stringify({ cases }));
    await compare(driver, 'workers', departures, { logs: false, count: cases.length, corpus: file('part.json') });
  }));

  it('known_hangs.json', { skip, timeout: 120_000 }, async () => {
    const corpus = `${GOLDEN}/known_hangs.json`;
    const answered = differences((await replay(driver, 'listen', '--logs', `--corpus=${corpus}`)).stdout);
    for (const { name, recommended } of JSON.parse(readFileSync(corpus, 'utf8')).cases) {
      const { response, timedOut, connection } = answered.get(name)?.got ?? {};
      assert.equal(timedOut, undefined, `${name}: it is answered`);
      if (recommended.status === undefined) {
        // An answer that has begun and cannot go on.
        assert.deepEqual([response.truncated, connection], [true, 'closed'], name);
        continue;
      }
      const told = Object.fromEntries(['status', 'body', 'bodyLength'].filter((key) => key in recommended).map((key) => [key, response[key]]));
      const { note: _why, ...wanted } = recommended;
      assert.deepEqual(told, wanted, name);
      assert.equal(connection, 'kept', name);
    }
  });
});
