// The access log: what its lines say of requests, whoever has answered them, and what becomes of lines that cannot be written.
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { fastTunnel, OptionError } from 'fasttunnel';
import { placed } from './support/placed.mjs';
import { RawSocket, taskBytes } from './support/raw-socket.mjs';
import { exposuresFor, R, TOKEN, withApp } from './support/runner-apps.mjs';
import { callTask, onBothDrivers, until, withTunnel } from './support/tunnels.mjs';

const home = mkdtempSync(join(tmpdir(), 'fasttunnel-log-'));
after(() => rmSync(home, { recursive: true }));

let files = 0;
const fresh = () => join(home, `${(files += 1)}.log`);
const textOf = (path) => (existsSync(path) ? readFileSync(path, 'utf8') : '');
const linesOf = (path) => textOf(path).split('\n').slice(0, -1);
const written = (path, count) => until(() => linesOf(path).length >= count, `${count} lines are written`).then(() => linesOf(path));

const tasks = {
  add: async ({ a, b }) => a + b,
  bad: () => { throw new Error('broken'); },
  stream: () => Readable.from([Buffer.alloc(70_000, 'a'), Buffer.alloc(30_000, 'b')]),
  hang: () => new Promise(() => {}),
};

/** Sends bytes as they are, and closes once an answer has come. */
function raw(port, text) {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(text));
    let answer = '';
    socket.on('data', (chunk) => { answer += chunk; }).on('close', () => resolve(answer)).on('error', reject);
    socket.once('data', () => socket.end());
  });
}

onBothDrivers('the access log', (driver) => {
  it('names the client that a balancer or a trusted proxy names', async () => {
    const call = (lines) => `POST /__runner/task/add HTTP/1.1\r\nHost: a\r\n${lines}Content-Length: 25\r\n\r\n{"input":{"a":1,"b":2}}\r\n`;
    for (const [options, sent, remoteAddress, remotePort] of [
      [{ proxyProtocol: true }, `PROXY TCP4 203.0.113.9 127.0.0.1 4711 1\r\n${call('')}`, '203.0.113.9', 4711],
      [{ proxyProtocol: true }, 'PROXY TCP4 203.0.113.9 127.0.0.1 4711 1\r\nnonsense\r\n\r\n', '203.0.113.9', 4711],
      [{ trustProxy: 1 }, call('X-Forwarded-For: 203.0.113.8, 203.0.113.9\r\n'), '203.0.113.9', undefined],
    ]) {
      const path = fresh();
      await withTunnel({ driver, shards: 1, tasks, log: { path }, ...options }, async (tunnel) => {
        await raw(tunnel.port, sent);
        const line = JSON.parse((await written(path, 1))[0]);
        assert.deepEqual([line.remoteAddress, line.remotePort], [remoteAddress, remotePort]);
      });
    }
  });

  for (const placement of ['threads', 'inline']) {
    it(`has a line of every request, whoever has answered it (${placement})`, async () => {
      const path = fresh();
      await withTunnel({ driver, placement, shards: 1, auth: { token: 'secret' }, tasks, log: { path } }, async (tunnel) => {
        const auth = { 'x-runner-token': 'secret', 'x-runner-request-id': 'r-1' };
        const { text } = await callTask(tunnel, 'add', { a: 1, b: 2 }, { headers: { ...auth, 'user-agent': 'tester/1', referer: 'http://h/a?token=secret', traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' } });
        await callTask(tunnel, 'add', {}, { headers: { 'x-runner-token': 'wrong' } });
        await fetch(`${tunnel.url}/nowhere?key=secret`, { headers: auth });
        await callTask(tunnel, 'bad', {}, { headers: auth });
        const streamed = await callTask(tunnel, 'stream', {}, { headers: auth });
        await raw(tunnel.port, 'NO SENSE\r\n\r\n');
        const lines = (await written(path, 6)).map((line) => JSON.parse(line));
        assert.deepEqual(lines.map(({ method = '-', path: at = '-', status }) => `${method} ${at} ${status}`), [
          'POST /__runner/task/add 200', 'POST /__runner/task/add 401', 'GET /__runner/nowhere 404', 'POST /__runner/task/bad 500', 'POST /__runner/task/stream 200', '- - 400',
        ]);
        const [{ time, durationMs, remotePort, ...first }] = lines;
        assert.ok(Math.abs(Date.parse(time) - Date.now()) < 60_000, time);
        assert.ok(durationMs > 0 && durationMs < 10_000 && remotePort > 0);
        assert.deepEqual(first, {
          remoteAddress: '127.0.0.1', method: 'POST', path: '/__runner/task/add', httpVersion: '1.1', status: 200, bytes: text.length,
          requestId: 'r-1', userAgent: 'tester/1', referer: 'http://h/a', traceId: '0af7651916cd43dd8448eb211c80319c',
        });
        assert.equal(lines[4].bytes, streamed.text.length);
        assert.match(lines[1].requestId, /^[0-9a-f-]{36}$/, 'a fresh id is told as well');
        assert.doesNotMatch(textOf(path), /secret|wrong/);
        assert.deepEqual(tunnel.stats().log, { written: 6, dropped: 0, failed: 0 });
        assert.equal(statSync(path).mode & 0o777, 0o640 & ~process.umask());
      });
    });
  }

  it('is written in the Combined Log Format', async () => {
    const path = fresh();
    await withTunnel({ driver, ...placed({}), tasks, log: { path, format: 'combined' } }, async (tunnel) => {
      await callTask(tunnel, 'add', { a: 1, b: 2 }, { headers: { 'user-agent': 'a"b', referer: 'http://h/' } });
      const [line] = await written(path, 1);
      assert.match(line, /^127\.0\.0\.1 - - \[\d\d\/[A-Z][a-z]{2}\/\d{4}:\d\d:\d\d:\d\d \+0000\] "POST \/__runner\/task\/add HTTP\/1\.1" 200 22 "http:\/\/h\/" "a\\x22b"$/);
    });
  });

  it('has requests of HTTP/2, each in a line of its own', async () => {
    const path = fresh();
    await withTunnel({ driver, ...placed({}), tasks, log: { path } }, async (tunnel) => {
      const session = connectHttp2(`http://127.0.0.1:${tunnel.port}`);
      const call = (id) => new Promise((resolve, reject) => {
        const request = session.request({ ':method': 'POST', ':path': `/__runner/task/${id}?q=1` });
        let bytes = 0;
        request.on('error', reject).on('data', (chunk) => { bytes += chunk.length; }).on('close', () => resolve(bytes)).end('{"input":{"a":1,"b":2}}');
      });
      try {
        const [sum, , refusal] = await Promise.all(['add', 'stream', 'nobody'].map(call));
        const reset = session.request({ ':method': 'POST', ':path': '/__runner/task/hang' }).on('error', () => {});
        reset.end('{}');
        await until(() => tunnel.stats().live === 1, 'it runs');
        reset.close();
        const lines = (await written(path, 4)).map((line) => JSON.parse(line));
        assert.deepEqual(new Set(lines.map(({ path: at, status, bytes, httpVersion, aborted = false }) => `${at} ${status} ${bytes} ${httpVersion} ${aborted}`)), new Set([
          `/__runner/task/add 200 ${sum} 2.0 false`, '/__runner/task/stream 200 100000 2.0 false', `/__runner/task/nobody 403 ${refusal} 2.0 false`, '/__runner/task/hang 499 0 2.0 true',
        ]));
      } finally {
        session.destroy();
      }
    });
  });

  it('says of a client that has left that it has, and in which order others were answered', async () => {
    const path = fresh();
    await withTunnel({ driver, ...placed({}), tasks, log: { path } }, async (tunnel) => {
      const head = (id) => `POST /__runner/task/${id} HTTP/1.1\r\nHost: a\r\nContent-Length: 23\r\n\r\n{"input":{"a":1,"b":2}}`;
      const socket = connect(tunnel.port, '127.0.0.1', () => socket.write(head('hang') + head('add') + head('nobody')));
      socket.on('error', () => {});
      await until(() => tunnel.stats().live === 1, 'it runs');
      socket.destroy();
      const lines = (await written(path, 3)).map((line) => JSON.parse(line));
      assert.deepEqual(lines.map(({ path: at, status }) => `${at} ${status}`).sort(), ['/__runner/task/add 200', '/__runner/task/hang 499', '/__runner/task/nobody 403']);
      assert.equal(lines.find(({ status }) => status === 499).aborted, true);
    });
  });

  it('loses no line while its file is exchanged under load, and has all of them when the tunnel is closed', async () => {
    const path = fresh();
    let calls = 0;
    await withTunnel({ driver, ...placed({}), tasks, log: { path } }, async (tunnel) => {
      let done = false;
      const load = Promise.all(Array.from({ length: 4 }, async () => {
        while (!done) {
          await callTask(tunnel, 'add', { a: 1, b: 2 });
          calls += 1;
        }
      }));
      for (let round = 0; round < 3; round += 1) {
        await until(() => linesOf(path).length > 10, 'the file has lines');
        renameSync(path, `${path}.${round}`);
        assert.equal(tunnel.reopenLog(), tunnel);
      }
      done = true;
      await load;
    });
    const all = [path, ...[0, 1, 2].map((round) => `${path}.${round}`)].flatMap(linesOf);
    assert.equal(all.length, calls);
    assert.equal(new Set(all.map((line) => JSON.parse(line).requestId)).size, calls);
  });

  it('writes a sample evenly, and every refusal', async () => {
    const path = fresh();
    await withTunnel({ driver, ...placed({}), shards: 1, tasks, log: { path, sample: 0.25 } }, async (tunnel) => {
      for (let call = 0; call < 20; call += 1) await callTask(tunnel, 'add', { a: 1, b: 2 });
      for (let call = 0; call < 3; call += 1) await callTask(tunnel, 'nobody', {});
    });
    const lines = linesOf(path).map((line) => JSON.parse(line).status);
    assert.deepEqual([200, 403].map((status) => lines.filter((one) => one === status).length), [5, 3]);
  });

  it('tells once of a disk that is full, and serves on', async () => {
    const errors = [];
    const onError = (error, where) => errors.push(`${where.id}: ${error.message}`);
    await withTunnel({ driver, ...placed({}), tasks, onError, log: { path: '/dev/full' } }, async (tunnel) => {
      for (let call = 0; call < 3; call += 1) {
        assert.equal((await callTask(tunnel, 'add', { a: 1, b: 2 })).status, 200);
        await until(() => tunnel.stats().log.failed === call + 1, 'it is counted');
      }
      await until(() => errors.length > 0, 'it is told');
      assert.deepEqual([tunnel.stats().log.written, errors.length], [0, 1]);
      assert.match(errors[0], /^\(log\): The access log could not be written: No space left on device/);
    });
  });

  it('does not wait for a reader of a FIFO that takes nothing, and counts what it drops', { timeout: 60_000 }, async () => {
    const fifo = fresh();
    execFileSync('mkfifo', [fifo]);
    const { openSync, closeSync, constants } = await import('node:fs');
    const reader = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      await withTunnel({ driver, ...placed({}), shards: 1, tasks, log: { path: fifo } }, async (tunnel) => {
        // Long lines fill the pipe, and then the drawer: 8 MiB.
        const burst = `GET /${'a'.repeat(1000)} HTTP/1.1\r\nHost: a\r\nUser-Agent: ${'b'.repeat(1000)}\r\nReferer: ${'c'.repeat(1000)}\r\n\r\n`.repeat(16);
        const socket = connect(tunnel.port, '127.0.0.1');
        socket.on('data', () => {}).on('error', () => {});
        while (tunnel.stats().log.dropped === 0) await new Promise((resolve) => { socket.write(burst, resolve); });
        socket.destroy();
        assert.equal((await callTask(tunnel, 'add', { a: 1, b: 2 })).status, 200);
        // The writer goes on, or the end would wait for it in vain.
        closeSync(reader);
      });
    } finally {
      rmSync(fifo);
    }
  });

  it('gives a logger its lines, the last of them before the tunnel has closed', async () => {
    const lines = [];
    const logger = { info(line, message) { lines.push({ line, message, self: this === logger }); } };
    await withTunnel({ driver, ...placed({}), tasks, log: logger }, async (tunnel) => {
      await callTask(tunnel, 'add', { a: 1, b: 2 });
      await until(() => lines.length === 1, 'it has its line');
      await callTask(tunnel, 'nobody', {});
    });
    assert.deepEqual(lines.map(({ message, self }) => [message, self]), [['POST /__runner/task/add 200', true], ['POST /__runner/task/nobody 403', true]]);
    assert.deepEqual([lines[0].line.status, lines[0].line.bytes, lines[0].line.remoteAddress], [200, 22, '127.0.0.1']);
  });

  it('has a line of each request of a Runner app, and of those that workers answer', async () => {
    const [app, workers] = [fresh(), fresh()];
    const add = R.r.task('app.add').run(async ({ a, b }) => a + b).build();
    await withApp(exposuresFor(driver).fastTunnel, { items: [add], engine: { log: { path: app } } }, async ({ url, value }) => {
      const call = (token) => fetch(`${url}/task/app.add`, { method: 'POST', headers: { 'x-runner-token': token }, body: '{"input":{"a":1,"b":2}}' });
      assert.deepEqual([(await call(TOKEN)).status, (await call('wrong')).status], [200, 401]);
      await written(app, 2);
      renameSync(app, `${app}.1`);
      value.reopenLog();
    });
    assert.deepEqual([`${app}.1`, app].flatMap(linesOf).map((line) => JSON.parse(line).status), [200, 401]);
    const handlers = new URL('fixtures/workers/tasks.mjs', import.meta.url);
    await withTunnel({ driver, workers: 1, handlers, log: { path: workers } }, async (tunnel) => {
      await callTask(tunnel, 'add', { a: 1, b: 2 });
    });
    assert.equal(linesOf(workers).length, 1);
  });

  it('gives a logger the lines of what workers answer', async () => {
    const statuses = [];
    const handlers = new URL('fixtures/workers/tasks.mjs', import.meta.url);
    await withTunnel({ driver, workers: 1, handlers, log: { info: ({ status }) => statuses.push(status) } }, async (tunnel) => {
      await callTask(tunnel, 'add', { a: 1, b: 2 });
    });
    assert.deepEqual(statuses, [200]);
  });

  it('has a line of each request and none of what a client is told when the tunnel closes', async () => {
    const path = fresh();
    let socket;
    await withTunnel({ driver, tasks, log: { path, sample: 1 } }, async (tunnel) => {
      socket = await RawSocket.connect(tunnel);
      socket.write(taskBytes('add', { a: 1, b: 2 }, { connection: 'keep-alive, fasttunnel-notice' }));
      assert.equal((await socket.answer()).status, 200);
    });
    assert.equal((await socket.answer()).status, 408, 'that no further request is read');
    socket.destroy();
    assert.deepEqual(linesOf(path).map((line) => JSON.parse(line).status), [200]);
  });

  it('is written to standard output, also where that is a socket', async () => {
    const program = `
      const { fastTunnel } = await import(${JSON.stringify(import.meta.resolve('fasttunnel'))});
      const tunnel = await fastTunnel({ driver: '${driver}', auth: { allowAnonymous: true }, tasks: { add: () => 1 }, log: { path: '/dev/stdout' } });
      await fetch(tunnel.url + '/task/add', { method: 'POST' });
      await tunnel.close();`;
    // A child of Node's has a pipe that is a socket.
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program]);
    assert.equal(JSON.parse(stdout).status, 200);
  });

  it('goes on behind a line that a logger throws for, and is reopened while the tunnel closes', async () => {
    const [lines, errors, path] = [[], [], fresh()];
    let count = 0;
    const logger = { info: ({ path: of }) => { if ((count += 1) === 1) throw new Error('no'); lines.push(of); } };
    await withTunnel({ driver, ...placed({}), tasks, onError: (error, { id }) => errors.push(id), log: logger }, async (tunnel) => {
      await raw(tunnel.port, ['1', '2', '3'].map((id) => `POST /__runner/task/${id} HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n`).join(''));
      await until(() => count === 3, 'all are told');
    });
    assert.deepEqual([lines.length, errors], [2, ['(log)']]);
    await withTunnel({ driver, tasks: { slow: () => new Promise((resolve) => setTimeout(resolve, 200, 1)) }, log: { path } }, async (tunnel) => {
      const answer = callTask(tunnel, 'slow', {});
      await until(() => tunnel.stats().live === 1, 'it runs');
      const closing = tunnel.close();
      writeFileSync(path, '');
      renameSync(path, `${path}.1`);
      assert.equal(tunnel.reopenLog(), tunnel);
      assert.equal((await answer).status, 200);
      await closing;
      assert.equal(linesOf(path).length, 1);
    });
  });

  it('outlives a logger that throws', async () => {
    const errors = [];
    await withTunnel({ driver, ...placed({}), tasks, onError: (error, { id }) => errors.push(`${id}: ${error.message}`), log: { logger: { info() { throw new Error('no'); } } } }, async (tunnel) => {
      assert.equal((await callTask(tunnel, 'add', { a: 1, b: 2 })).status, 200);
      await until(() => errors.length === 1, 'it is told');
    });
    assert.deepEqual(errors, ['(log): no']);
  });
});

describe('the option log', () => {
  const open = (log) => fastTunnel({ auth: { allowAnonymous: true }, log });
  const cases = [
    [{ path: join(home, 'no', 'log') }, /^log\.path: ".*no\/log" cannot be written to: No such file or directory/],
    [{ path: home }, /^log\.path: ".*" cannot be written to: Is a directory/],
    [{ path: '' }, /^log\.path must be the path of a file/],
    [{}, /^log\.path must be the path of a file/],
    ['/var/log/a', /^log must be a logger with a method info, or an object/],
    [{ path: 'a', format: 'xml' }, /^log\.format must be one of 'json', 'combined'/],
    [{ path: 'a', sample: 2 }, /^log\.sample must be a number from 0 to 1/],
    [{ path: 'a', sample: NaN }, /^log\.sample must be a number from 0 to 1/],
    [{ path: 'a', logger: console }, /^log\.path cannot be combined with log\.logger/],
    [{ logger: {} }, /^log\.logger must have a method info/],
    [{ file: 'a' }, /^log\.file is not an option\. Did you mean log\.path\?/],
  ];
  for (const [log, message] of cases) {
    it(`refuses ${JSON.stringify(log)}, and says what would do`, async () => {
      await assert.rejects(async () => open(log), (error) => error instanceof OptionError && message.test(error.message) || assert.fail(String(error)));
    });
  }

  it('has no file to open again where there is none, and goes on with the one that it has where the new one cannot be opened', async () => {
    await withTunnel({ tasks }, async (tunnel) => assert.throws(() => tunnel.reopenLog(), { code: 'FASTTUNNEL_NOT_OFFERED' }));
    const folder = join(home, 'moves');
    mkdirSync(folder);
    const path = join(folder, 'log');
    await withTunnel({ tasks, log: { path } }, async (tunnel) => {
      renameSync(folder, `${folder}.away`);
      assert.throws(() => tunnel.reopenLog(), OptionError);
      await callTask(tunnel, 'add', { a: 1, b: 2 });
      await written(join(`${folder}.away`, 'log'), 1);
    });
  });
});
