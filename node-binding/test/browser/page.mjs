// The program for browsers, packed by esbuild, with the servers that it calls and what they have to come to.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { fastTunnel, TaskError } from 'fasttunnel';
import { requireFrom } from '../support/runtimes.mjs';

const TOKEN = 't0ken';
const HOME = fileURLToPath(new URL('../..', import.meta.url));

/** Starts what the program calls, under TLS if that is said: { url: of a page that runs it, bundle, outcomes: a promise, http2Connections, close }. */
export async function openPage(outfile, tls) {
  const { build } = requireFrom('esbuild');
  let report;
  const outcomes = new Promise((resolve) => { report = resolve; });
  const tried = {};
  const scripted = createServer(async (request, response) => {
    const cors = { 'access-control-allow-origin': '*', 'access-control-allow-headers': '*, x-runner-token' };
    const name = request.url.split('/').at(-1);
    if (request.method === 'OPTIONS') return response.writeHead(204, cors).end();
    const body = await text(request);
    const times = (tried[name] = (tried[name] ?? 0) + 1);
    const json = (status, value) => response.writeHead(status, { ...cors, 'content-type': 'application/json' }).end(JSON.stringify(value));
    const actions = {
      report: () => { response.writeHead(204, cors).end(); report(JSON.parse(body)); },
      'page.html': () => response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><script type="module" src="bundle.mjs"></script>'),
      'bundle.mjs': () => response.writeHead(200, { 'content-type': 'text/javascript' }).end(readFileSync(outfile)),
      busy: () => (times === 1 ? json(503, { ok: false, error: { message: 'busy', code: 'SERVICE_UNAVAILABLE' } }) : json(200, { ok: true, result: times })),
      'busy-again': () => json(503, { ok: false, error: { message: 'busy', code: 'SERVICE_UNAVAILABLE' } }),
      lost: () => request.socket.destroy(),
      'lost-twice': () => (times < 3 ? request.socket.destroy() : json(200, { ok: true, result: 'third' })),
      elsewhere: () => response.writeHead(307, { ...cors, location: '/task/stolen' }).end(),
      unheard: () => json(200, { ok: true }),
      large: () => json(200, { ok: true, result: 'x'.repeat(JSON.parse(body).input) }),
      page: () => response.writeHead(200, { ...cors, 'content-type': 'text/html' }).end('<p>a page</p>'),
    };
    (actions[name] ?? (() => response.writeHead(404).end()))();
  });
  await once(scripted.listen(0, '127.0.0.1'), 'listening');
  const origin = `http://127.0.0.1:${scripted.address().port}`;

  const heard = [];
  let aborted;
  const whenAborted = new Promise((resolve) => { aborted = resolve; });
  const tunnel = await fastTunnel({
    auth: { token: TOKEN },
    tls,
    cors: { origin: [origin], exposedHeaders: ['x-runner-request-id'] },
    tasks: {
      'app.tasks.add': ({ a, b }) => a + b,
      'app.tasks.echo': (input) => input,
      'app.tasks.typeOf': (input) => typeof input,
      'app.tasks/odd id ü': () => 'odd',
      'app.tasks.heard': () => heard,
      'app.tasks.rows': async function* ({ count }) { for (let row = 0; row < count; row++) yield `row ${row}\n`; },
      'app.tasks.endless': async function* () { for (;;) { yield 'x'; await new Promise((resolve) => setTimeout(resolve, 5)); } },
      'app.tasks.body': (_, { body }) => text(body),
      'app.tasks.upper': async function* (_, { body }) { for await (const chunk of body) yield String(chunk).toUpperCase(); },
      'app.tasks.files': async ({ title, list, made }) => {
        const files = [];
        for (const file of [...list, made]) files.push([file.name, file.type, file.extra, await text((await file.resolve()).stream)]);
        return { title, files };
      },
      'app.tasks.headers': (_, { headers }) => [headers['x-tenant'], headers['x-runner-request-id']],
      'app.tasks.slow': (_, { signal }) => new Promise((resolve) => signal.addEventListener('abort', () => { aborted(); resolve(); })),
      'app.tasks.waitForAbort': () => whenAborted.then(() => 'its signal has aborted'),
      'app.tasks.conflict': () => { throw new TaskError('Conflict', { id: 'app.errors.conflict', data: { key: 1 }, httpCode: 409 }); },
    },
    events: { 'app.events.notify': (payload) => { heard.push(payload); }, 'app.events.mark': (payload) => { payload.marked = true; } },
  });

  const nobody = createServer();
  await once(nobody.listen(0, '127.0.0.1'), 'listening');
  const closed = `http://127.0.0.1:${nobody.address().port}/__runner`;
  await new Promise((resolve) => nobody.close(resolve));

  const define = { TUNNEL: tunnel.url, SCRIPTED: origin, NOBODY: closed, REPORT: `${origin}/report` };
  const { metafile } = await build({
    entryPoints: [fileURLToPath(new URL('program.mjs', import.meta.url))], outfile, absWorkingDir: HOME, bundle: true, format: 'esm', platform: 'browser', metafile: true, logLevel: 'error',
    define: Object.fromEntries(Object.entries(define).map(([name, value]) => [name, JSON.stringify(value)])),
    // Where Node's own are, nobody sees them.
    banner: { js: 'const process = undefined, Buffer = undefined;' },
  });
  return {
    url: `${origin}/page.html`, bundle: outfile, files: Object.keys(metafile.inputs), outcomes, tried,
    http2Connections: () => tunnel.stats().shards.reduce((total, shard) => total + shard.http2Connections, 0),
    async close() {
      scripted.close();
      scripted.closeAllConnections();
      await tunnel.close();
    },
  };
}

/** What the program has to say, wherever it runs. */
export function checkOutcomes(outcomes, tried, scheme = 'http') {
  const of = (name) => outcomes[name];
  const got = (name, expected) => assert.deepEqual(of(name), expected, name);
  const fails = (name, expected, message) => {
    const { message: said, ...rest } = of(name);
    assert.deepEqual(rest, expected, name);
    assert.match(said, message, name);
  };
  got('task', 3);
  got('undefined both ways', ['undefined', true]);
  got('an odd id', 'odd');
  got('event', [true, [{ n: 1 }]]);
  got('event with result', { n: 1, marked: true });
  got('an answer as a stream', [true, 200, 'application/octet-stream', 'row 0\nrow 1\nrow 2\n']);
  got('a stream that is cancelled', true);
  fails('a value where a stream was wanted', { kind: 'RemoteError', code: 'INVALID_RESPONSE', status: 200, data: 3 }, /use client\.task$/);
  fails('a stream where a value was wanted', { kind: 'RemoteError', code: 'INVALID_RESPONSE', status: 200 }, /use client\.stream$/);
  got('bodies of every kind', ['text ü', 'bytes', 'blob', 'stream', 'iterator']);
  got('a body, and an answer as a stream', 'ROWS');
  fails('a body that fails', { kind: 'RangeError' }, /^the source has failed$/);
  got('files', { title: 'ü', files: [['a.pdf', 'application/pdf', null, 'a file'], ['upload', 'image/png', null, 'a blob'], ['b.csv', 'text/csv', { n: 1 }, 'from a stream']] });
  got('headers and ids', ['a', 'mine-1']);
  got('a serializer', '12345678901234567890');
  got('an abort', ['no longer wanted', 'its signal has aborted']);
  got('an abort before', 'before');
  fails('a time-out', { kind: 'CallError', code: 'FASTTUNNEL_TIMEOUT', maybeRan: true }, new RegExp(`^task "app\\.tasks\\.slow" has no answer of ${scheme}:.* after 50 ms`));
  fails('an error with data', { kind: 'RemoteError', code: 'INTERNAL_ERROR', status: 409, data: { key: 1 } }, /^Conflict$/);
  fails('a wrong token', { kind: 'RemoteError', code: 'UNAUTHORIZED', status: 401 }, /^Unauthorized$/);
  fails('an unknown id', { kind: 'RemoteError', code: 'FORBIDDEN', status: 403 }, /^Task nope not exposed$/);
  fails('nobody listens', { kind: 'CallError', code: 'FASTTUNNEL_CONNECTION_LOST', maybeRan: true }, /has no answer of http:.*Is the server running, does its `cors` allow this page/);
  got('a server that is busy once', { value: 2 });
  fails('a server that is busy, a call with a body', { kind: 'RemoteError', code: 'SERVICE_UNAVAILABLE', status: 503 }, /^busy$/);
  fails('a call that is lost', { kind: 'CallError', code: 'FASTTUNNEL_CONNECTION_LOST', maybeRan: true }, /has no answer/);
  got('a call that is lost and may run twice', { value: 'third' });
  fails('a redirect', { kind: 'CallError', code: 'FASTTUNNEL_CONNECTION_LOST', maybeRan: true }, /has no answer/);
  fails('a page instead of an answer', { kind: 'RemoteError', code: 'INVALID_RESPONSE', status: 200 }, /no envelope.*base path included/);
  fails('an event of which the server gives no payload back', { kind: 'RemoteError', code: 'INVALID_RESPONSE', status: 200 }, /did not include result/);
  const [fits, tooLarge, tooLargeAsStream] = of('answers of many bytes');
  assert.equal(fits, 2000);
  for (const { message, ...rest } of [tooLarge, tooLargeAsStream]) {
    assert.deepEqual(rest, { kind: 'CallError', code: 'FASTTUNNEL_BAD_ANSWER', maybeRan: true });
    assert.match(message, /more than 2048 bytes \(maxAnswerBytes\)/);
  }
  const wrong = of('options that are wrong').map(({ kind, message }) => `${kind}: ${message}`);
  for (const [index, said] of [/^OptionError: url is missing/, /^OptionError: url must begin with http/, /^OptionError: url must begin with http:\/\/ or https:\/\/.*no Unix domain sockets/, /^OptionError: connections has no effect here/, /^OptionError: retrys is not an option\. Did you mean retries\?/, /^OptionError: timeoutMs must be an integer from 0/, /^OptionError: auth\.token must be a string/, /^OptionError: credentials must be one of 'same-origin', 'include', 'omit', got 'all'/].entries()) assert.match(wrong[index], said);
  assert.equal(wrong.length, 8);
  fails('a call whose options are wrong', { kind: 'OptionError', code: 'FASTTUNNEL_BAD_OPTION' }, /^timeout is not an option\./);
  got('counts', [true, 1, 1, 0]);
  const [ended, late] = of('a client that is destroyed');
  assert.deepEqual([ended.code, ended.maybeRan, late.code, late.maybeRan], ['FASTTUNNEL_CLOSED', true, 'FASTTUNNEL_CLOSED', false]);
  got('what there is of Node', ['undefined', 'undefined']);
  // The body was sent once; the redirect was not followed.
  assert.deepEqual([tried['busy-again'], tried.stolen], [1, undefined]);
}
