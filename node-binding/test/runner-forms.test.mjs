// Multipart forms in a Runner app: nodeExposure and fastTunnel answer and log the same, Runner's clients and helpers work.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, unlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { bytesOf, field, FORM_TYPE, formBytes, manifest, noise, part, sentinel } from './support/forms.mjs';
import { RawSocket } from './support/raw-socket.mjs';
import { exposuresFor, R, TOKEN, withApp } from './support/runner-apps.mjs';
import { onBothDrivers, sleep } from './support/tunnels.mjs';

const { createHttpClient, createHttpMixedClient, createHttpSmartClient, createNodeFile, NodeInputFile, r, readInputFileToBuffer, Serializer, useExposureContext, writeInputFileToPath } = R;
const folder = mkdtempSync(join(tmpdir(), 'fasttunnel-forms-'));
after(() => rmSync(folder, { recursive: true }));

const conflict = r.error('app.errors.conflict').httpCode(409).format(({ key }) => `Conflict on ${key}`).build();
const task = (id, run) => r.task(`app.tasks.${id}`).run(run).build();
const meta = ({ name, type, size, lastModified, extra }) => ({ name, type, size, lastModified, extra });
const digest = (bytes) => createHash('sha256').update(bytes).digest('hex');
const BIG = noise(5 * 1024 * 1024, 21);

const items = [
  conflict,
  task('echo', async (input) => input),
  task('keys', async (input) => Object.keys(input ?? {})),
  task('read', async ({ file }) => {
    const bytes = await readInputFileToBuffer(file);
    return { ...meta(file), bytes: bytes.length, digest: digest(bytes) };
  }),
  task('instance', async (file) => [file instanceof NodeInputFile, file.constructor === NodeInputFile, Object.keys(file), Object.getOwnPropertyNames(Object.getPrototypeOf(file))]),
  task('same', async ({ a, b }) => [a === b, meta(a)]),
  task('twice', async (file) => {
    await file.resolve();
    try {
      return file.stream();
    } catch ({ id, message }) {
      return { id, message };
    }
  }),
  task('toPath', async (file) => {
    const path = join(folder, 'sub', `${Math.random()}`);
    const { bytesWritten } = await writeInputFileToPath(file, path);
    return [bytesWritten, digest(readFileSync(path))];
  }),
  task('toTemp', async (file) => {
    const { path, bytesWritten } = await file.toTempFile(folder);
    const text = digest(readFileSync(path));
    unlinkSync(path);
    return [bytesWritten, text, path.split('/').pop().replace(/\.\d{13}\.[a-z0-9]+$/, '')];
  }),
  task('fail', async () => conflict.throw({ key: 'early' })),
  task('readAndFail', async ({ file }) => {
    await readInputFileToBuffer(file);
    conflict.throw({ key: 'late' });
  }),
  task('broken', async () => { throw new Error('secret'); }),
  task('own', async ({ file } = {}) => {
    const { res } = useExposureContext();
    res.statusCode = 201;
    res.setHeader('x-own', 'yes');
    res.end('by myself');
    if (file !== undefined) await readInputFileToBuffer(file);
  }),
  task('ownAndFail', async () => {
    useExposureContext().res.end('by myself');
    conflict.throw({ key: 'after' });
  }),
  task('header', async (input) => {
    useExposureContext().res.setHeader('x-own', 'yes');
    return input;
  }),
  task('headerAndFail', async () => {
    useExposureContext().res.setHeader('x-own', 'yes');
    conflict.throw({ key: 'header' });
  }),
  task('back', async ({ file }) => file.stream()),
  task('wrapped', async ({ file }) => ({ stream: file.stream(), status: 202, contentType: 'text/plain', headers: { 'x-own': 'yes' } })),
  task('req', async () => {
    const { req, method } = useExposureContext();
    return [method, req.headers['content-type']];
  }),
  task('progress', async ({ file }) => {
    const { res } = useExposureContext();
    for await (const chunk of file.stream()) res.write(`${chunk.length},`);
    res.end('done');
  }),
  task('later', async ({ file }) => {
    await sleep(80);
    return digest(await readInputFileToBuffer(file));
  }),
];

const F1 = manifest({ file: sentinel('F1') });
const A = (more) => manifest(sentinel('A', more));
const small = part('F1', 'hello');

/** Id, parts, limits, how the form ends. Not here: forms that end inside of a file, which end nodeExposure's process. */
const SAME = {
  'a file': ['read', [F1, small]],
  'a file first': ['read', [small, F1]],
  'meta over part': ['read', [manifest({ file: sentinel('F1', { name: 'm', type: 't', size: 1, lastModified: 2, extra: { x: [1] } }) }), small]],
  'an odd name': ['read', [manifest({ file: sentinel('F1', { name: 5, type: null, size: 'x', extra: [] }) }), small]],
  'a name that is null': ['read', [manifest({ file: sentinel('F1', { name: null }) }), small]],
  'an empty name': ['read', [manifest({ file: sentinel('F1', { name: '' }) }), small]],
  'meta as text': ['read', [manifest({ file: sentinel('F1', 'text') }), small]],
  'meta as a number': ['read', [manifest({ file: sentinel('F1', 5) }), small]],
  'a name that is the fallback': ['read', [manifest({ file: sentinel('F1', { name: 'upload' }) }), small]],
  'the empty id': ['read', [manifest({ file: sentinel('') }), part('', 'x')]],
  'an id with a prefix': ['read', [manifest({ file: sentinel('file:F1') }), part('file:F1', 'x')]],
  'the same id twice': ['same', [manifest({ a: sentinel('F1', { name: 'a', size: 3 }), b: sentinel('F1', { name: 'b' }) }), small]],
  'the same part twice': ['keys', [F1, small, part('F1', 'again')]],
  'the class': ['instance', [A(), part('A', 'x')]],
  'read twice': ['twice', [A(), part('A', 'x')]],
  'to a path': ['toPath', [A(), part('A', 'bytes')]],
  'to a temporary file': ['toTemp', [A({ name: '../we ird/näme' }), part('A', 'bytes')]],
  'no sentinel': ['echo', [manifest({ a: 1 })]],
  'an undefined input': ['echo', [field('__manifest', '{"input":{"__type":"Undefined","value":null}}')]],
  'a bigint': ['echo', [field('__manifest', '{"input":{"n":{"__type":"BigInt","value":"7"}}}')]],
  'a graph': ['echo', [field('__manifest', '{"__graph":true,"version":1,"root":{"__ref":"o1"},"nodes":{"o1":{"kind":"object","value":{"input":{"__ref":"o2"}}},"o2":{"kind":"object","value":{"a":1}}}}')]],
  'an unknown type': ['echo', [field('__manifest', '{"input":{"__type":"Nobody","value":1}}')]],
  'a manifest that is text': ['echo', [field('__manifest', '"text"')]],
  'a manifest that is 0': ['echo', [field('__manifest', '0')]],
  'a second manifest': ['echo', [manifest(1), manifest(2)]],
  'no manifest': ['echo', [small]],
  'a missing part beats an error': ['fail', [F1]],
  'a missing part beats a result': ['keys', [F1]],
  'a missing part beats a plain error': ['broken', [F1]],
  'a missing part that is read': ['read', [F1]],
  'a stranger': ['keys', [F1, small, part('F2', 'x')]],
  'a typed error': ['fail', [F1, small]],
  'a typed error after reading': ['readAndFail', [F1, small]],
  'a plain error': ['broken', [F1, small]],
  'headers of its own': ['header', [manifest({ a: 1 })]],
  'headers of its own, and an error': ['headerAndFail', [manifest({ a: 1 })]],
  'headers of its own, and a missing part': ['header', [F1]],
  'an answer of its own': ['own', [manifest({})]],
  'an answer of its own, then reading': ['own', [F1, small]],
  'an answer of its own, and a missing part': ['own', [F1]],
  'an answer of its own, an error, and a missing part': ['ownAndFail', [F1]],
  'a file back': ['back', [F1, small]],
  'a file back, wrapped': ['wrapped', [F1, small]],
  'a file back, and a missing part': ['back', [manifest({ file: sentinel('F1'), other: sentinel('F2') }), small]],
  'a name in UTF-8': ['read', [F1, part('F1', 'x', { filename: 'Zo\u00eb \u20ac.txt' })]],
  'a name in Latin-1': ['read', [F1, Buffer.from(part('F1', 'x', { filename: 'Zo\u00eb.txt' }).toString(), 'latin1')]],
  'an id in UTF-8': ['read', [manifest({ file: sentinel('\u00e9') }), part('\u00e9', 'x')]],
  'a manifest that is a file': ['echo', [part('', '{"input":1}', { name: '__manifest', filename: 'blob', type: 'application/json' })]],
  'a manifest with a byte order mark': ['echo', [field('__manifest', '\ufeff{"input":1}')]],
  'the request': ['req', [manifest(1)]],
  'too large a file': ['keys', [F1, part('F1', 'x'.repeat(101))], { fileSize: 100 }],
  'just large enough': ['read', [F1, part('F1', 'x'.repeat(99))], { fileSize: 100 }],
  'too large a file, and an error': ['fail', [F1, part('F1', 'x'.repeat(101))], { fileSize: 100 }],
  'files and sentinels together': ['keys', [manifest([sentinel('1'), sentinel('2')]), part('1', 'x'), part('3', 'x')], { files: 2 }],
  'files before, and sentinels': ['keys', [part('3', 'x'), manifest([sentinel('1'), sentinel('2')]), part('1', 'x')], { files: 2 }],
  'as many files as may be': ['keys', [manifest([sentinel('1'), sentinel('2')]), part('1', 'x'), part('2', 'x')], { files: 2 }],
  'no files': ['echo', [manifest(1)], { files: 0 }],
  'no files, and a sentinel': ['echo', [A()], { files: 0 }],
  'too many fields': ['echo', [manifest(1), field('a', 'b')], { fields: 1 }],
  'too large a field': ['echo', [manifest(1), field('a', 'x'.repeat(50))], { fieldSize: 50 }],
  'a long name': ['echo', [manifest(1), field('a'.repeat(60), 'b')], { fieldNameSize: 20, headerPairs: 5 }],
  'a part of a limit': ['echo', [manifest(1)], { fields: 1.5 }],
};

onBothDrivers('forms of a Runner app', (driver) => {
  const { nodeExposure, fastTunnel } = exposuresFor(driver);

  /** What a form is answered, and what is logged. */
  const play = ({ port, logs }, [id, parts, , end]) => {
    const body = formBytes(parts, end);
    const head = `POST /__runner/task/app.tasks.${id} HTTP/1.1\r\nHost: a\r\nx-runner-token: ${TOKEN}\r\nx-runner-request-id: r1\r\nContent-Type: ${FORM_TYPE['content-type']}\r\nContent-Length: ${body.length}\r\n\r\n`;
    return exchange(port, Buffer.concat([Buffer.from(head), body]), logs);
  };

  it('are answered and logged as by nodeExposure', async () => {
    for (const [limits, cases] of byLimits()) {
      const http = limits === undefined ? {} : { limits: { multipart: JSON.parse(limits) } };
      const answers = {};
      for (const [name, exposure] of Object.entries({ nodeExposure, fastTunnel })) {
        await withApp(exposure, { items, http }, async (app) => {
          answers[name] = {};
          for (const [what, one] of cases) answers[name][what] = await play(app, one);
        });
      }
      for (const [what] of cases) assert.deepEqual([what, answers.fastTunnel[what]], [what, answers.nodeExposure[what]]);
    }
  });

  it('a Content-Encoding counts for nothing, as with nodeExposure', async () => {
    const body = gzipSync(formBytes([manifest(1)]));
    const requests = [
      ['application/json', gzipSync('{"input":1}')], ['application/json', Buffer.from('{"input":1}')], [FORM_TYPE['content-type'], body], [FORM_TYPE['content-type'], formBytes([manifest(1)])],
    ].map(([type, bytes]) => Buffer.concat([Buffer.from(`POST /__runner/task/app.tasks.echo HTTP/1.1\r\nHost: a\r\nx-runner-token: ${TOKEN}\r\nx-runner-request-id: r1\r\nContent-Type: ${type}\r\nContent-Encoding: gzip\r\nContent-Length: ${bytes.length}\r\n\r\n`), bytes]));
    const answers = [];
    for (const exposure of [nodeExposure, fastTunnel]) {
      await withApp(exposure, { items }, async ({ port, logs }) => {
        const all = [];
        for (const request of requests) all.push(await exchange(port, request, logs));
        answers.push(all);
      });
    }
    assert.deepEqual(answers[1], answers[0]);
    assert.deepEqual(answers[1].map(({ status }) => status), [400, 200, 400, 200]);
  });

  it('files keep typed values beside them', () => withApp(fastTunnel, { items: [...items, task('typed', async ({ at, map, set }) => [at instanceof Date, (await readInputFileToBuffer(map.get('file'))).toString(), set.size])] }, async (app) => {
    const text = new Serializer().stringify({ input: { at: new Date(5), map: new Map([['file', sentinel('A')]]), set: new Set([1, 2]) } });
    const { status, body } = await play(app, ['typed', [field('__manifest', text), part('A', 'in a map')]]);
    assert.deepEqual([status, body], [200, '{"ok":true,"result":[true,"in a map",2]}']);
  }));

  it('large files: read late, sent back, told of while they come', () => withApp(fastTunnel, { items }, async ({ url }) => {
    const send = async (id) => {
      const response = await fetch(`${url}/task/app.tasks.${id}`, { method: 'POST', headers: { ...FORM_TYPE, 'x-runner-token': TOKEN }, body: formBytes([F1, part('F1', BIG)]) });
      return [response.status, Buffer.from(await response.arrayBuffer())];
    };
    assert.deepEqual(JSON.parse((await send('later'))[1]), { ok: true, result: digest(BIG) });
    assert.equal(digest((await send('back'))[1]), digest(BIG));
    const [status, text] = await send('wrapped');
    assert.deepEqual([status, digest(text)], [202, digest(BIG)]);
    const told = (await send('progress'))[1].toString();
    assert.match(told, /^(\d+,)+done$/);
    assert.equal(told.split(',').slice(0, -1).reduce((sum, count) => sum + Number(count), 0), BIG.length);
  }));

  it("Runner's clients send files", () => withApp(fastTunnel, { items }, async ({ url: baseUrl }) => {
    const config = { baseUrl, auth: { token: TOKEN }, serializer: new Serializer() };
    const wanted = { name: 'n\u00e4me \u2603.bin', type: 'image/png', size: BIG.length, lastModified: 5, extra: { a: 1 }, bytes: BIG.length, digest: digest(BIG) };
    const said = { name: wanted.name, type: wanted.type, size: wanted.size, lastModified: 5, extra: { a: 1 } };
    for (const create of [createHttpSmartClient, createHttpMixedClient]) {
      const client = create(config);
      assert.deepEqual(await client.task('app.tasks.read', { file: createNodeFile(said, { stream: Readable.from(chunksOf(BIG)) }) }), wanted);
      assert.deepEqual(await client.task('app.tasks.read', { file: createNodeFile(said, { buffer: BIG }) }), wanted);
      const back = await client.task('app.tasks.back', { file: createNodeFile({ name: 'x' }, { buffer: BIG }) });
      assert.equal(digest(await bytesOf(back)), digest(BIG));
    }
    const file = { ...sentinel('F1', said), _web: { blob: new Blob([BIG]) } };
    assert.deepEqual(await createHttpClient(config).task('app.tasks.read', { file }), wanted);
  }));

  it('no room on disk is logged, once', () => withApp(fastTunnel, { items, engine: { tempDir: '/nonexistent/fasttunnel' } }, async (app) => {
    app.logs.length = 0;
    const { status, body, logs } = await play(app, ['later', [F1, part('F1', BIG)]]);
    assert.deepEqual([status, body], [500, '{"ok":false,"error":{"message":"Internal Error","code":"INTERNAL_ERROR"}}']);
    assert.equal(logs.length, 1);
    assert.match(logs[0].error, /cannot be kept in \/nonexistent\/fasttunnel/);
  }));
});

/** One app for all cases with the same limits. */
function byLimits() {
  const groups = new Map();
  for (const entry of Object.entries(SAME)) {
    const limits = JSON.stringify(entry[1][2]);
    groups.set(limits, [...(groups.get(limits) ?? []), entry]);
  }
  return groups;
}

function* chunksOf(bytes) {
  for (let at = 0; at < bytes.length; at += 30_000) yield bytes.subarray(at, at + 30_000);
}

/** One request on a connection of its own. Chunked bodies are put together. */
async function exchange(port, bytes, logs) {
  logs.length = 0;
  const socket = await RawSocket.connect({ port, host: '127.0.0.1' });
  await socket.write(bytes);
  const { status, headers, body } = await socket.answer();
  const chunked = headers['transfer-encoding'] === 'chunked';
  for (let turn = 0; chunked && !socket.rest.endsWith('0\r\n\r\n') && turn < 200; turn += 1) await sleep(5);
  await sleep(15);
  const text = chunked ? socket.rest.replace(/([0-9a-f]+)\r\n/g, '').replace(/\r\n/g, '') : body;
  socket.destroy();
  const { date: _date, 'content-length': _length, ...others } = headers;
  return { status, headers: Object.fromEntries(Object.entries(others).sort()), body: text, logs: logs.map(({ level, message, error, context }) => ({ level, message, error, context })) };
}
