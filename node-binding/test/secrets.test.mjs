// Tokens: nothing that a tunnel says holds one, and nothing of it keeps their texts once it listens.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { it, describe } from 'node:test';
import { inspect } from 'node:util';
import { getHeapSnapshot } from 'node:v8';
import { fastTunnel, metricsText, TunnelServer } from 'fasttunnel';
import { exposuresFor, post as postTo, R, withApp } from './support/runner-apps.mjs';
import { postBytes, RawSocket, taskBytes } from './support/raw-socket.mjs';
import { onBothDrivers } from './support/tunnels.mjs';

const GOOD = 'g00d-t0ken-7f3a9c';
const BAD = 'bad-t0ken-51e2d8';
const TELLS = /t0ken/;
const HEADER = 'x-runner-token';

/** Everything that is written to stdout and stderr while `body` runs. */
async function printed(body) {
  const texts = [];
  const originals = [process.stdout, process.stderr].map((stream) => [stream, stream.write]);
  for (const [stream, write] of originals) stream.write = (chunk, ...rest) => { texts.push(String(chunk)); return write.call(stream, chunk, ...rest); };
  try {
    await body();
  } finally {
    for (const [stream, write] of originals) stream.write = write;
  }
  return texts.join('');
}

/** Requests that end in every kind of answer; each carries a token. Those with `false` end the connection. */
const REQUESTS = [
  taskBytes('add', { a: 1 }, { [HEADER]: GOOD }),
  taskBytes('add', { a: 1 }, { [HEADER]: BAD }),
  taskBytes('add', { a: 1 }, { [HEADER]: `${GOOD} ` }),
  taskBytes('add', { a: 1 }, { [HEADER]: GOOD, 'X-Runner-Token': GOOD }),
  taskBytes('add', { a: 1 }, { authorization: `Bearer ${GOOD}` }),
  taskBytes('fails', 1, { [HEADER]: GOOD }),
  taskBytes('nope', 1, { [HEADER]: GOOD }),
  postBytes('/__runner/task/add', '{', { [HEADER]: GOOD }),
  postBytes('/__runner/task/add', 'x'.repeat(200), { [HEADER]: GOOD }),
  `GET /__runner/task/add HTTP/1.1\r\nHost: x\r\n${HEADER}: ${GOOD}\r\n\r\n`,
  `GET /__runner/discovery HTTP/1.1\r\nHost: x\r\n${HEADER}: ${GOOD}\r\n\r\n`,
  `OPTIONS /__runner/task/add HTTP/1.1\r\nHost: x\r\n${HEADER}: ${GOOD}\r\n\r\n`,
  `GET /elsewhere HTTP/1.1\r\nHost: x\r\n${HEADER}: ${GOOD}\r\n\r\n`,
  taskBytes('add', 1, { [HEADER]: GOOD, expect: 'wonders' }),
  `POST /__runner/task/add HTTP/1.1\r\nHost: x\r\n${HEADER}: ${GOOD}\r\nContent-Length: -1\r\n\r\n`,
  `POST /__runner/task/add HTTP/1.1\r\nHost: x\r\n${HEADER}: ${GOOD}\0\r\n\r\n`,
  `POST /__runner/task/add HTTP/1.1\r\nHost: x\r\n${HEADER}: ${GOOD}\r\nX: ${'y'.repeat(20_000)}\r\n\r\n`,
  `POST /__runner/task/add HTTP/1.1\r\nHost: x\r\n${HEADER}: ${GOOD}\r\nContent-Length: 20\r\n\r\n{`,
];

onBothDrivers('tokens', (driver) => {
  it('are in no answer, no report, no log and no statistics', async () => {
    const reports = [];
    const text = await printed(async () => {
      const tunnel = await fastTunnel({
        driver, auth: { token: [GOOD, `other-${GOOD}`] }, admin: { dashboard: true }, limits: { maxBodyBytes: 100, bodyTimeoutMs: 300 },
        tasks: { add: ({ a }) => a, fails: () => { throw new Error('on purpose'); } },
        onError: (...report) => reports.push(report),
      });
      const answers = [];
      for (const bytes of REQUESTS) {
        const socket = await RawSocket.connect(tunnel);
        await socket.write(bytes);
        answers.push(inspect(await socket.answer({ timeoutMs: 5000 })));
        socket.destroy();
      }
      assert.match(answers[0], /status: 200/);
      assert.match(answers[1], /status: 401/);
      const listens = await fastTunnel({ port: tunnel.port, driver, auth: { token: GOOD } }).catch((error) => error);
      assert.equal(listens.code, 'EADDRINUSE');
      const shown = await Promise.all(['metrics', 'stats', 'dashboard'].map(async (path) => (await fetch(`${tunnel.admin.url}/${path}`)).text()));
      assert.ok(shown.every((page) => page.length > 1000));
      const said = [
        ...answers, ...shown, inspect(reports, { depth: 10, showHidden: true }), inspect(tunnel, { depth: 10, showHidden: true }), JSON.stringify(tunnel), JSON.stringify(tunnel.stats()),
        metricsText(tunnel.stats()), inspect(listens, { depth: 10, showHidden: true }), listens.stack,
      ];
      await tunnel.close();
      assert.equal(reports.length, 1);
      for (const one of said) assert.doesNotMatch(one, TELLS);
    });
    assert.doesNotMatch(text, TELLS);
  });

  it('are not in what the default onError prints', async () => {
    const text = await printed(async () => {
      const tunnel = await fastTunnel({ driver, auth: { token: GOOD }, tasks: { fails: () => { throw new Error('on purpose'); } } });
      const socket = await RawSocket.connect(tunnel);
      await socket.write(taskBytes('fails', 1, { [HEADER]: GOOD }));
      assert.equal((await socket.answer()).status, 500);
      socket.destroy();
      await tunnel.close();
    });
    assert.match(text, /fasttunnel: task fails failed/);
    assert.doesNotMatch(text, TELLS);
  });

  it('are not in the logs of a Runner app, nor in the value of its resource', async () => {
    const { fastTunnel: exposure } = exposuresFor(driver);
    const fails = R.r.task('app.fails').run(async () => { throw new Error('on purpose'); }).build();
    const text = await printed(() => withApp(exposure, { items: [fails], http: { auth: { token: [GOOD, `other-${GOOD}`] } } }, async ({ url, logs, value }) => {
      for (const [path, token, status] of [['/task/app.fails', GOOD, 500], ['/task/app.fails', BAD, 401], ['/task/app.nope', GOOD, 403]]) {
        const { status: got, text: body } = await postTo(url, path, {}, { [HEADER]: token });
        assert.equal(got, status);
        assert.doesNotMatch(body, TELLS);
      }
      assert.ok(logs.some(({ message }) => message === 'exposure.auth.failure') && logs.some(({ message }) => message === 'exposure.task.error'));
      assert.doesNotMatch(inspect(logs, { depth: 10, showHidden: true }), TELLS);
      assert.doesNotMatch(inspect(value, { depth: 10, showHidden: true }), TELLS);
    }));
    assert.doesNotMatch(text, TELLS);
  });

  it('are not in the errors of a Runner app that cannot start', async () => {
    const { fastTunnel: exposure } = exposuresFor(driver);
    class Settings { auth = { token: GOOD }; }
    class Auth { token = GOOD; }
    for (const http of [{ auth: new Auth() }, { auth: GOOD }, { auth: [GOOD] }, { auth: { tokne: GOOD } }, { auth: { token: { GOOD } } }, { auth: { token: [GOOD, ''] } }, { token: GOOD }]) {
      await assert.rejects(withApp(exposure, { http }, () => {}), (error) => {
        assert.doesNotMatch(inspect(error, { depth: 10, showHidden: true }), TELLS);
        return /http/.test(error.message);
      });
    }
    for (const config of [{ http: new Settings() }, { http: GOOD }, new Settings(), GOOD]) {
      const app = R.r.resource('app').register([exposure.resource.with(config)]).build();
      await assert.rejects(async () => R.run(app, { logs: { printThreshold: null }, errorBoundary: false, shutdownHooks: false }), (error) => {
        assert.doesNotMatch(inspect(error, { depth: 10, showHidden: true }), TELLS);
        return true;
      });
    }
  });
});

/** Is it a string, or a part of one, that anybody still refers to? */
async function isOnTheHeap(needle) {
  const chunks = [];
  for await (const chunk of getHeapSnapshot()) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).includes(needle);
}

describe('the texts of tokens', () => {
  // In a function of its own: nothing of this test refers to the text when it has returned.
  const serverWith = (needle) => new TunnelServer({ auth: { token: needle.toString('latin1') } });
  const makeNeedle = () => Buffer.from(randomBytes(24).toString('hex'), 'latin1');

  it('are let go when the tunnel listens', async () => {
    const needle = makeNeedle();
    const server = serverWith(needle);
    assert.equal(await isOnTheHeap(needle), true, 'it needs them until then, and the search finds them');
    await server.listen();
    assert.equal(await isOnTheHeap(needle), false);
    // The engine knows them by their digests, also when it gets a new table.
    server.registerTask('late', () => 'done');
    for (const [token, status] of [[needle.toString('latin1'), 200], ['wrong', 401]]) {
      const response = await fetch(`${server.url}/task/late`, { method: 'POST', headers: { [HEADER]: token }, body: '{}' });
      assert.equal(response.status, status);
    }
    await server.close();
  });

  it('are kept while it may still listen, and let go when it is closed', async () => {
    const taken = await fastTunnel({ auth: { allowAnonymous: true } });
    const needle = makeNeedle();
    const server = new TunnelServer({ port: taken.port, auth: { token: needle.toString('latin1') } });
    await assert.rejects(server.listen(), { code: 'EADDRINUSE' });
    const { port } = taken;
    await taken.close();
    await server.listen();
    const response = await fetch(`http://127.0.0.1:${port}/__runner/task/none`, { method: 'POST', headers: { [HEADER]: 'wrong' } });
    assert.equal(response.status, 401);
    await server.close();
    const idle = makeNeedle();
    await serverWith(idle).close();
    assert.equal(await isOnTheHeap(idle), false);
  });
});
