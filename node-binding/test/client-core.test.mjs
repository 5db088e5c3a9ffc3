// The calling end, against a tunnel: what calls give, and how they travel.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { createRequire } from 'node:module';
import { promisify } from 'node:util';
import { TaskError } from 'fasttunnel';
import { createClient, CallError, OptionError, RemoteError } from 'fasttunnel/client';
import { answerTo, scriptedServer } from './support/scripted-server.mjs';
import { sleep, until, withTunnel } from './support/tunnels.mjs';

const { Serializer } = createRequire(import.meta.url)('@bluelibs/runner');
const TOKEN = 't0ken';
const folder = mkdtempSync(join(tmpdir(), 'fasttunnel-client-'));
after(() => rmSync(folder, { recursive: true }));

const tasks = {
  'app.tasks.add': async ({ a, b }) => a + b,
  'app.tasks.echo': (input) => input,
  'app.tasks.headers': (_input, { headers }) => headers,
  'app.tasks.id': (_input, { requestId }) => requestId,
  'app.tasks.conflict': ({ key }) => { throw new TaskError(`Conflict on ${key}`, { id: 'app.errors.conflict', data: { key }, httpCode: 409 }); },
  'app.tasks.broken': async () => { throw new Error('secret detail'); },
  'app.tasks.slow': async (ms) => { await sleep(ms); return ms; },
  'a/b \u00fc': () => 'odd id',
};
const seen = [];
const events = {
  'app.events.notify': (payload) => { seen.push(payload); },
  'app.events.mark': (payload) => { payload.marked = true; },
};

/** A client of a tunnel, both for one test. */
const withClient = (body, tunnelOptions = {}, clientOptions = {}) =>
  withTunnel({ auth: { token: TOKEN }, tasks, events, ...tunnelOptions }, async (tunnel) => {
    const client = createClient({ url: tunnel.url, auth: { token: TOKEN }, ...clientOptions });
    try {
      await body(client, tunnel);
    } finally {
      await client.close();
    }
  });

describe('a client', () => {
  it('gives results as they were returned', () => withClient(async (client) => {
    assert.equal(await client.task('app.tasks.add', { a: 1, b: 2 }), 3);
    assert.equal(await client.task('a/b \u00fc'), 'odd id');
    assert.equal(await client.task('app.tasks.echo'), undefined);
    for (const value of [null, 0, -1.5, '', 'text \u2603 \ud83d\ude00', '"}', [1, [2]], { a: { b: null } }, [undefined], { a: undefined }, true, { constructor1: 1, __x: 'a' }, 'x'.repeat(300_000), '\u2603'.repeat(100_000)]) {
      assert.deepEqual(await client.task('app.tasks.echo', value), value);
    }
  }));

  it('gives typed values with a serializer', () => withClient(async (client) => {
    const value = { at: new Date(0), map: new Map([['k', new Set([1])]]), big: 12n, nothing: undefined };
    assert.deepEqual(await client.task('app.tasks.echo', value), value);
    assert.equal(await client.task('app.tasks.add', { a: 1, b: 2 }), 3);
  }, { serializer: new Serializer() }, { serializer: new Serializer() }));

  it('gives errors of handlers and refusals as RemoteErrors', () => withClient(async (client) => {
    await assert.rejects(client.task('app.tasks.conflict', { key: 'k1' }), (error) => {
      assert.ok(error instanceof RemoteError);
      const { name, message, code, status, id, data, httpCode, requestId } = error;
      assert.deepEqual({ name, message, code, status, id, data, httpCode }, { name: 'RemoteError', message: 'Conflict on k1', code: 'INTERNAL_ERROR', status: 409, id: 'app.errors.conflict', data: { key: 'k1' }, httpCode: 409 });
      assert.match(requestId, /^[\w-]{5}\d{7}$/);
      return true;
    });
    await assert.rejects(client.task('app.tasks.broken'), { code: 'INTERNAL_ERROR', message: 'Internal Error', status: 500 });
    await assert.rejects(client.task('nope'), { code: 'FORBIDDEN', message: 'Task nope not exposed', status: 403 });
    await assert.rejects(client.task('app.tasks.echo', 'x'.repeat(3 * 2 ** 20)), { code: 'PAYLOAD_TOO_LARGE', status: 413 });
    assert.equal(await client.task('app.tasks.add', { a: 1, b: 2 }), 3);
  }));

  it('says what is wrong with a token', () => withClient(async (client) => {
    await assert.rejects(client.task('app.tasks.add', { a: 1, b: 2 }), { code: 'UNAUTHORIZED', status: 401 });
  }, {}, { auth: { token: 'wrong' } }));

  it('sends tokens and headers as HTTP has them, beside bodies that are UTF-8', () => withClient(async (client) => {
    assert.equal(await client.task('app.tasks.echo', 'caf\u00e9 \u2603'), 'caf\u00e9 \u2603');
    const headers = await client.task('app.tasks.headers', 'caf\u00e9', { headers: { 'X-Tenant': 'a' } });
    assert.equal(headers['x-tenant'], 'a');
    assert.equal(headers['x-city'], 'K\u00f6ln');
  }, { auth: { token: 'caf\u00e9', header: 'x-key' } }, { auth: { token: 'caf\u00e9', header: 'X-Key' }, headers: { 'x-city': 'K\u00f6ln' } }));

  it('names each request, or lets its caller do so', () => withClient(async (client) => {
    const first = await client.task('app.tasks.id');
    assert.match(first, /^[\w-]{5}\d{7}$/);
    assert.notEqual(await client.task('app.tasks.id'), first);
    assert.equal(await client.task('app.tasks.id', undefined, { headers: { 'X-Runner-Request-Id': 'my:own' } }), 'my:own');
    await assert.rejects(client.task('app.tasks.id', undefined, { headers: { 'x-runner-request-id': 'no id' } }), OptionError);
  }));

  it('emits events, and gives their payloads back when asked to', () => withClient(async (client) => {
    seen.length = 0;
    assert.equal(await client.event('app.events.notify', { message: 'hi' }), undefined);
    assert.equal(await client.event('app.events.notify'), undefined);
    assert.deepEqual(seen, [{ message: 'hi' }, undefined]);
    assert.deepEqual(await client.eventWithResult('app.events.mark', { n: 1 }), { n: 1, marked: true });
    await assert.rejects(client.event('nope'), { code: 'FORBIDDEN' });
  }));

  it('calls over a Unix socket, by its path or by the url that the tunnel tells', async () => {
    const socketPath = join(folder, 'one.sock');
    await withTunnel({ socketPath, tasks, basePath: '/base' }, async (tunnel) => {
      for (const options of [{ url: tunnel.url }, { socketPath, url: 'http://any/base' }]) {
        await using(createClient(options), async (client) => assert.equal(await client.task('app.tasks.add', { a: 1, b: 2 }), 3));
      }
    });
  });

  it('answers each of many calls at a time with its own result', () => withClient(async (client) => {
    for (let round = 0; round < 20; round++) {
      const calls = Array.from({ length: 500 }, (_, index) => (index % 50 === 0 ? client.task('app.tasks.slow', index % 7) : client.task('app.tasks.add', { a: index, b: round })));
      assert.deepEqual(await Promise.all(calls), Array.from({ length: 500 }, (_, index) => (index % 50 === 0 ? index % 7 : index + round)));
    }
    const { calls, results, errors, failed, timedOut, aborted, outstanding, queued, servers: [server] } = client.stats();
    assert.deepEqual({ calls, results, errors, failed, timedOut, aborted, outstanding, queued }, { calls: 10_000, results: 10_000, errors: 0, failed: 0, timedOut: 0, aborted: 0, outstanding: 0, queued: 0 });
    assert.equal(server.kind, 'fasttunnel');
  }));

  it('sends all calls of a tick in one write', async () => {
    const server = await scriptedServer((request, socket) => socket.write(answerTo(request, request.input)));
    await using(createClient({ url: server.url, pipelining: 32, connections: 1 }), async (client) => {
      await client.task('warm');
      await until(() => client.stats().servers[0].kind === 'fasttunnel', 'it is known');
      const [connection] = server.connections;
      connection.chunks.length = 0;
      const numbers = Array.from({ length: 32 }, (_, index) => index);
      assert.deepEqual(await Promise.all(numbers.map((number) => client.task('t', number))), numbers);
      assert.equal(connection.chunks.length, 1);
    });
    await server.close();
  });

  it('closes once every call has ended, and takes no more', () => withTunnel({ tasks }, async (tunnel) => {
    const client = createClient({ url: tunnel.url });
    const slow = client.task('app.tasks.slow', 50);
    const closing = client.close();
    await assert.rejects(client.task('app.tasks.add', { a: 1, b: 2 }), { name: 'CallError', code: 'FASTTUNNEL_CLOSED', maybeRan: false });
    assert.equal(await slow, 50);
    await closing;
    assert.equal(client.stats().servers[0].connections, 0);
    await client[Symbol.asyncDispose ?? Symbol.for('nodejs.asyncDispose')]();
  }));

  it('ends the calls under way when it is destroyed', () => withTunnel({ tasks }, async (tunnel) => {
    const client = createClient({ url: tunnel.url });
    assert.equal(await client.task('app.tasks.add', { a: 1, b: 2 }), 3);
    const slow = client.task('app.tasks.slow', 5000);
    await sleep(20);
    client.destroy();
    await assert.rejects(slow, { code: 'FASTTUNNEL_CLOSED', maybeRan: true });
    await until(() => client.stats().servers[0].connections === 0, 'its connections are closed');
  }));

  it('lets the process end when no call is under way', () => withTunnel({ tasks }, async (tunnel) => {
    const script = `
      const { createClient } = require('fasttunnel/client');
      let answered;
      createClient({ url: ${JSON.stringify(tunnel.url)} }).task('app.tasks.slow', 50).then(() => { answered = performance.now(); });
      process.on('exit', () => console.log(performance.now() - answered));`;
    const { stdout } = await promisify(execFile)(process.execPath, ['-e', script], { cwd: new URL('..', import.meta.url), timeout: 20_000 });
    assert.ok(Number(stdout) < 1000, `it has ended ${stdout} ms after its answer`);
  }));

  it('needs no addon', async () => {
    const script = "require('fasttunnel/client'); console.log(Object.keys(require.cache).filter((name) => /\\.node$|native|bridge/.test(name.slice(process.cwd().length))).length)";
    const { stdout } = await promisify(execFile)(process.execPath, ['-e', script], { cwd: new URL('..', import.meta.url) });
    assert.equal(stdout, '0\n');
  });
});

describe('options of a client', () => {
  it('have the defaults and ranges that docs/client.md says', () => {
    const { NUMBERS } = createRequire(import.meta.url)('../dist/cjs/client/settings.js');
    const page = readFileSync(new URL('../../docs/client.md', import.meta.url), 'utf8');
    for (const [name, { fallback = '`auto`', least, most }] of Object.entries(NUMBERS)) {
      const [, said, range] = new RegExp(`^\\| \`${name}\` \\| ([^|]*) \\| ([^|]*) \\|`, 'm').exec(page) ?? [];
      assert.deepEqual([said, range?.replace('`auto`, ', '')], [String(fallback), `${least} to ${most}`], name);
    }
  });

  const WRONG = [
    [{}, 'url', /url is missing/],
    [{ url: 'ftp://x' }, 'url', /must begin with http:/],
    [{ url: 'http://' }, 'url', /must be a url/],
    [{ url: 'http://u:secret@x' }, 'url', /must not hold a user or a password, got '\(hidden\)'/],
    [{ url: 'http://x?y' }, 'url', /query/],
    [{ url: 'http://x', urls: ['http://x'] }, 'urls', /cannot be combined/],
    [{ urls: [] }, 'urls', /list of urls/],
    [{ socketPath: '' }, 'socketPath', /path of a Unix domain socket/],
    [{ url: 'http://x', timeout: 1 }, 'timeout', /Did you mean timeoutMs/],
    [{ url: 'http://x', baseUrl: 'http://y' }, 'baseUrl', /Did you mean url/],
    [{ url: 'http://x', timeoutMs: -1 }, 'timeoutMs', /integer from 0/],
    [{ url: 'http://x', pipelining: 'full' }, 'pipelining', /integer from 1 to 1024/],
    [{ url: 'http://x', auth: { token: '' } }, 'auth.token', /environment variable/],
    [{ url: 'http://x', auth: { token: 'a\r\nb' } }, 'auth.token', /header can carry/],
    [{ url: 'http://x', headers: { host: 'y' } }, 'headers.host', /sets itself/],
    [{ url: 'http://x', headers: { 'x-a': 'a\r\nb' } }, 'headers.x-a', /header can carry/],
    [{ url: 'http://x', headers: { 'X-Runner-Request-Id': 'a' } }, 'headers.X-Runner-Request-Id', /same for all requests/],
    [{ url: 'http://x', serializer: {} }, 'serializer', /parse and stringify/],
  ];
  for (const [options, option, message] of WRONG) {
    it(`are refused: ${JSON.stringify(options)}`, () => {
      assert.throws(() => createClient(options), (error) => error instanceof OptionError && error.option === option && message.test(error.message));
    });
  }

  it('of a call are checked, and cost no request', async () => {
    await using(createClient({ url: 'http://127.0.0.1:1/' }), async (client) => {
      for (const [options, option] of [[{ timeout: 1 }, 'timeout'], [{ signal: {} }, 'signal'], [{ timeoutMs: 1.5 }, 'timeoutMs'], [{ headers: { connection: 'close' } }, 'headers.connection'], [{ headers: { 'x-a': 'K\u00f6ln' } }, 'headers'], [{ idempotent: 1 }, 'idempotent']]) {
        await assert.rejects(client.task('t', 1, options), (error) => error instanceof OptionError && error.option === option, JSON.stringify(options));
      }
      for (const id of ['', 5, '\ud800']) await assert.rejects(client.task(id), { name: 'OptionError', option: 'id' });
      await assert.rejects(client.task('t', 1n), TypeError);
      assert.equal(client.stats().calls, 0);
    });
  });

  it('and errors are of the same classes for import and require', () => {
    const required = createRequire(import.meta.url)('fasttunnel/client');
    assert.equal(required.CallError, CallError);
  });
});

async function using(client, body) {
  try {
    return await body(client);
  } finally {
    await client.close();
  }
}
