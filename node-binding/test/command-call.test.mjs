// `fasttunnel call`: results on stdout, all else on stderr, and an exit code that tells them apart.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fastTunnel, TaskError } from 'fasttunnel';
import { fasttunnel, installInto } from './support/command-line.mjs';

const folder = mkdtempSync(join(tmpdir(), 'fasttunnel-call-'));
installInto(folder);
const heard = [];
let tunnel;
let onSocket;

const tasks = {
  'math.add': ({ a, b }) => a + b,
  echo: (input) => input,
  kind: (input) => (input === undefined ? 'undefined' : typeof input),
  text: (input) => String(input),
  nothing: () => {},
  headers: (_input, { headers }) => [headers['x-tenant'], headers['content-type']],
  conflict: () => { throw new TaskError('Taken', { id: 'app.errors.taken', data: { key: 'k' }, httpCode: 409 }); },
  fails: () => { throw new Error('inside'); },
  size: async (_input, { body }) => {
    let bytes = 0;
    for await (const chunk of body) bytes += chunk.length;
    return bytes;
  },
  lines: async function* ({ n }) { for (let line = 0; line < n; line += 1) yield `${line}\n`; },
  halts: async function* () { yield 'first'; await new Promise(() => {}); },
  breaks: async function* () { yield 'first'; throw new Error('broken'); },
  never: () => new Promise(() => {}),
  'an id/with ?': () => 'odd',
};

before(async () => {
  const options = { auth: { token: 's3cret' }, tasks, events: { note: (payload) => { heard.push(payload); } }, onError: () => {}, drainTimeoutMs: 100 };
  tunnel = await fastTunnel(options);
  onSocket = await fastTunnel({ ...options, socketPath: join(folder, 'app.sock'), basePath: '/api' });
});
after(async () => {
  await tunnel.close();
  await onSocket.close();
  rmSync(folder, { recursive: true });
});

const call = (args, options) => fasttunnel(folder, ['call', ...args], options);
const base = () => `http://127.0.0.1:${tunnel.port}`;
/** Runs a call with the token, and expects what it prints. */
async function expectPrinted(args, stdout, options) {
  const end = await call([base(), ...args, '--token', 's3cret'], options);
  assert.deepEqual([end.status, end.stdout, end.stderr], [0, stdout, ''], args.join(' '));
}
async function expectFailed(args, status, ...texts) {
  const { stdout, ...end } = await call(args);
  assert.deepEqual([end.status, stdout], [status, ''], end.stderr);
  for (const text of ['fasttunnel: ', ...texts]) assert.ok(end.stderr.includes(text), `${text} in ${end.stderr}`);
  assert.doesNotMatch(end.stderr, /\n    at |s3cret/);
}

describe('fasttunnel call', () => {
  it('prints the result as JSON', async () => {
    await expectPrinted(['math.add', '{"a":1,"b":2}'], '3\n');
    await expectPrinted(['echo', '{"a":[1,"é"]}'], '{\n  "a": [\n    1,\n    "é"\n  ]\n}\n');
    await expectPrinted(['echo', 'null'], 'null\n');
    await expectPrinted(['nothing'], '');
    await expectPrinted(['kind'], '"undefined"\n');
    await expectPrinted(['kind', '{}'], '"object"\n');
    await expectPrinted(['an id/with ?'], '"odd"\n');
  });

  it('reads the input from stdin for `-`', async () => {
    await expectPrinted(['math.add', '-'], '3\n', { input: '{"a":1,\n"b":2}\n' });
    const text = 'x'.repeat(1_000_000);
    await expectPrinted(['echo', '-'], `"${text}"\n`, { input: JSON.stringify(text) });
  });

  it('takes the token from the environment, and further headers', async () => {
    const { stdout } = await call([base(), 'headers', '--header', 'X-Tenant: 7', '--header=accept: */*'], { env: { FASTTUNNEL_TOKEN: 's3cret' } });
    assert.deepEqual(JSON.parse(stdout), ['7', 'application/json']);
  });

  it('needs no addon', () => expectPrinted(['math.add', '{"a":1,"b":2}'], '3\n', { env: { FASTTUNNEL_NATIVE_PATH: '/none/such.node' } }));

  it('emits events', async () => {
    await expectPrinted(['note', '{"text":"hi"}', '--event'], '');
    await expectPrinted(['note', '--event'], '');
    assert.deepEqual(heard, [{ text: 'hi' }, undefined]);
  });

  it('writes a streamed answer as it comes with --stream, and sends a body with --body', async () => {
    await expectPrinted(['lines', '{"n":3}', '--stream'], '0\n1\n2\n');
    writeFileSync(join(folder, 'bytes'), Buffer.alloc(100_000));
    await expectPrinted(['size', '--body', 'bytes'], '100000\n');
    await expectPrinted(['size', '--body', '-'], '7\n', { input: 'seven b' });
    const { status, stdout, stderr } = await call([base(), 'breaks', '--stream', '--token', 's3cret']);
    assert.deepEqual([status, stdout], [3, 'first'], stderr);
    assert.match(stderr, /no answer from .*: aborted\. The connection was cut before the answer was complete/);
  });

  it('calls over a Unix socket, by the address that a tunnel prints', async () => {
    for (const url of [onSocket.url, `unix:${join(folder, 'app.sock')}:/api/`]) {
      const { stdout, stderr } = await call([url, 'math.add', '{"a":1,"b":2}', '--token', 's3cret']);
      assert.equal(stdout, '3\n', stderr);
    }
    await expectFailed([`unix:${join(folder, 'app.sock')}`, 'echo', '--token', 's3cret'], 1, '404 NOT_FOUND', 'is the base path right?');
    await expectFailed([`unix:${join(folder, 'none.sock')}`, 'echo'], 3, 'There is no such socket: is it started?');
  });

  it('takes the base path of the URL, and the default one without a path', async () => {
    const own = await fastTunnel({ auth: { allowAnonymous: true }, basePath: '/', tasks });
    try {
      for (const [url, id] of [[`http://127.0.0.1:${own.port}/`, 'kind'], [own.url + '/', 'kind'], [tunnel.url, 'kind']]) {
        assert.equal((await call([url, id, '--token', 's3cret'])).stdout, '"undefined"\n', url);
      }
    } finally {
      await own.close();
    }
  });

  it('tells an error of the tunnel or of the task, with what helps: exit code 1', async () => {
    await expectFailed([base(), 'echo'], 1, '401 UNAUTHORIZED: Unauthorized\nIt wants a token: --token TOKEN.');
    await expectFailed([base(), 'echo', '--token', 'other'], 1, '401 UNAUTHORIZED', 'The token is not the right one.');
    await expectFailed([base(), 'ecko', '--token', 's3cret'], 1, '403 FORBIDDEN', 'is it spelled right');
    await expectFailed([base(), 'echo', '--event', '--token', 's3cret'], 1, '403 FORBIDDEN', 'or a task (without --event)?');
    await expectFailed([`${base()}/other`, 'echo', '--token', 's3cret'], 1, '404 NOT_FOUND', 'is the base path right?');
    await expectFailed([base(), 'conflict', '--token', 's3cret'], 1, '409 INTERNAL_ERROR: Taken (app.errors.taken)\n{\n  "key": "k"\n}');
    await expectFailed([base(), 'fails', '--token', 's3cret'], 1, '500 INTERNAL_ERROR: Internal Error');
    await expectFailed([base(), 'lines', '{"n":1}', '--token', 's3cret'], 1, 'application/octet-stream. If the task answers with a stream, add --stream.');
    // An error is no stream.
    await expectFailed([base(), 'conflict', '--stream', '--token', 's3cret'], 1, '409 INTERNAL_ERROR: Taken');
  });

  it('says of what is wrong with its arguments which it is: exit code 2', async () => {
    await expectFailed([base(), 'echo', '--token', 's3cret', '--token-header', 'a b'], 2, "--token-header must be the name of a request header, got 'a b'");
    await expectFailed([base(), 'size', '--token', 's3cret', '--body', folder], 2, `--body: ${folder} is a directory`);
    await expectFailed([base(), '', '--token', 's3cret'], 2, 'the id is empty');
  });

  it('tells that there was no answer: exit code 3', async () => {
    await expectFailed([base(), 'never', '--token', 's3cret', '--timeout-ms', '150'], 3, 'no answer from', 'within 150 ms (--timeout-ms)');
    await expectFailed(['http://127.0.0.1:1', 'echo'], 3, 'ECONNREFUSED', 'Nothing listens there');
    await expectFailed(['http://no.such.host.invalid', 'echo'], 3, 'no answer from http://no.such.host.invalid');
    await expectFailed([`https://127.0.0.1:${tunnel.port}`, 'echo'], 3, `no answer from https://127.0.0.1:${tunnel.port}: E`, 'What listens there does not speak TLS');
    assert.doesNotMatch((await call([`https://127.0.0.1:${tunnel.port}`, 'echo'])).stderr, /openssl/i);
    const { status, stdout, stderr } = await call([base(), 'halts', '--stream', '--token', 's3cret', '--timeout-ms', '300']);
    assert.deepEqual([status, stdout], [3, 'first']);
    assert.match(stderr, /nothing more from .* within 300 ms/);
    const silent = createTcpServer((socket) => socket.on('error', () => {}).end('220 smtp\r\n')).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    await expectFailed([`http://127.0.0.1:${silent.address().port}`, 'echo'], 3, 'does not speak HTTP');
    silent.close();
  });

  it('tells that what answers is no tunnel', async () => {
    const other = createServer((request, response) => response.writeHead(request.url.includes('fine') ? 200 : 502, { 'content-type': 'text/html' }).end('<html>')).listen(0, '127.0.0.1');
    await once(other, 'listening');
    const url = `http://127.0.0.1:${other.address().port}`;
    await expectFailed([url, 'echo'], 1, '502 Bad Gateway: the answer is not that of a tunnel.');
    await expectFailed([`${url}/fine`, 'echo'], 1, 'the answer is no JSON of a tunnel, but text/html.');
    other.close();
  });

  it('tells what is wrong with its arguments: exit code 2', async () => {
    await expectFailed([base(), 'echo', '{a:1}'], 2, 'the input is no JSON: ', `Quote it for the shell: '{"a":1}'`);
    await expectFailed([base(), 'note', 'text', '--event'], 2, 'the payload is no JSON: ');
    await expectFailed(['127.0.0.1:7070', 'echo'], 2, 'Did you mean http://127.0.0.1:7070?');
    await expectFailed(['ftp://a', 'echo'], 2, '"ftp://a" is no URL that can be called. Write for example http://');
    await expectFailed(['unix:', 'echo'], 2, 'names no socket');
    await expectFailed([base(), 'echo', '--header', 'nonsense'], 2, "--header 'x-tenant: 7'");
    await expectFailed([base(), 'echo', '--token', 'a\nb'], 2, 'the value of the header x-runner-token has characters that a header cannot carry.');
    await expectFailed([base(), 'echo', '1', '--body', 'x'], 2, '--body is the whole body');
    await expectFailed([base(), 'note', '--event', '--body', 'x'], 2, '--body is for tasks');
    await expectFailed([base(), 'size', '--body', 'none'], 2, '--body: ENOENT');
  });

  it('does not wait for the rest of a body that is refused', async () => {
    const args = [base(), 'size', '--body', '/dev/zero'];
    await expectFailed(args, 1, '401 UNAUTHORIZED');
  });
});
