// Streams and files through the clients of @bluelibs/runner, unchanged, against nodeExposure and against fastTunnel: the
// same outcomes. The list is the rest of CLIENTS.md, section 5.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { Readable, Transform } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from 'fasttunnel/runner';
import { exposuresFor, R, TOKEN, withApp } from './support/runner-apps.mjs';
import { onBothDrivers, until } from './support/tunnels.mjs';

const { createHttpClient, createHttpMixedClient, createHttpSmartClient, createNodeFile, NodeInputFile, r, readInputFileToBuffer, RunnerError, Serializer, useExposureContext, writeInputFileToPath } = R;

const MIB = 2 ** 20;
const BIG = randomBytes(5 * MIB);
const hashOf = (bytes) => createHash('sha256').update(bytes).digest('hex');
const describe = ({ name, type, size, lastModified, extra }) => ({ name, type, size, lastModified, extra });

async function collect(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

const conflict = r.error('app.errors.conflict').httpCode(409).format(({ key }) => `Conflict on ${key}`).build();
const seen = [];
const task = (id, run) => r.task(id).run(run).build();
const upper = () => new Transform({ transform: (chunk, _encoding, done) => done(null, chunk.toString('latin1').toUpperCase()) });

const items = [
  conflict,
  task('app.files.store', async ({ file, note, when }) => {
    const bytes = await readInputFileToBuffer(file);
    return { ...describe(file), bytes: bytes.length, hash: hashOf(bytes), note, since: when instanceof Date ? when.getTime() : null, mine: file instanceof NodeInputFile };
  }),
  task('app.files.two', async ({ first, second }) => {
    // The second is read before the first: it is behind it in the form.
    const [b, a] = [await readInputFileToBuffer(second), await readInputFileToBuffer(first)];
    return [hashOf(a), hashOf(b)];
  }),
  task('app.files.toPath', async ({ file }) => {
    const { path, bytesWritten } = await file.toTempFile();
    try {
      return [bytesWritten, hashOf(await readFile(path))];
    } finally {
      await rm(path);
    }
  }),
  task('app.files.write', async ({ file }) => {
    const folder = await mkdtemp(join(tmpdir(), 'runner-files-'));
    try {
      const path = join(folder, 'file');
      const { bytesWritten } = await writeInputFileToPath(file, path);
      return [bytesWritten, hashOf(await readFile(path))];
    } finally {
      await rm(folder, { recursive: true });
    }
  }),
  task('app.files.fails', async ({ file }) => {
    await readInputFileToBuffer(file);
    conflict.throw({ key: file.name });
  }),
  task('app.files.back', async ({ file }) => file.stream()),
  task('app.octet.count', async (input) => {
    const bytes = await collect(useExposureContext().req);
    return { input, bytes: bytes.length, hash: hashOf(bytes) };
  }),
  task('app.octet.upper', async () => useExposureContext().req.pipe(upper())),
  task('app.octet.fails', async () => conflict.throw({ key: 'octet' })),
  task('app.octet.stream', async () => ({ stream: Readable.from([Buffer.from('one,'), Buffer.from('two')]), contentType: 'text/csv', status: 206 })),
  task('app.octet.waits', async () => {
    const { req, signal } = useExposureContext();
    signal.addEventListener('abort', () => seen.push(['aborted', signal.reason.id]), { once: true });
    await collect(req).catch(() => seen.push(['read failed']));
    // Its own failure must not be what ends the call.
    await new Promise(() => {});
  }),
];

/** What a caller learns of a failure. */
const failureOf = async (promise) => {
  try {
    return ['resolved', await promise];
  } catch (error) {
    const { message, code, id, data, httpCode } = error;
    return { runnerError: error instanceof RunnerError, message, code, id, data, httpCode };
  }
};

/** In pieces of no particular size, as a file or a socket gives them. */
async function* pieces(bytes) {
  for (let from = 0, size = 1; from < bytes.length; from += size, size = ((size * 7) % 50_021) + 1) yield bytes.subarray(from, from + size);
}
const streamOf = (bytes) => Readable.from(pieces(bytes), { objectMode: false });
const fileOf = (meta, bytes, id) => createNodeFile(meta, { stream: streamOf(bytes) }, id);
const bufferFile = (meta, bytes, id) => createNodeFile(meta, { buffer: bytes }, id);
/** What `createWebFile` makes: only its own module exports it. */
const blobFile = (meta, bytes, id = 'F1') => ({ $runnerFile: 'File', id, meta, _web: { blob: new Blob([bytes], { type: meta.type }) } });

const META = { name: 'Grüße \u{1f600}.bin', type: 'application/x-test', size: BIG.length, lastModified: 86_400_000, extra: { a: [1] } };

/** Calls of the clients that send Node streams and files. */
const NODE_CHECKS = {
  'a 5 MiB upload with meta and a non-ASCII name': (client) => client.task('app.files.store', { file: fileOf(META, BIG), note: 'n' }),
  'a buffer upload': (client) => client.task('app.files.store', { file: bufferFile({ name: 'b.txt', type: 'text/plain' }, Buffer.from('hello')) }),
  'an empty file': (client) => client.task('app.files.store', { file: bufferFile({ name: 'empty' }, Buffer.alloc(0)) }),
  'to a path': (client) => client.task('app.files.write', { file: fileOf({ name: 'a/b' }, BIG) }),
  'to a temporary file': (client) => client.task('app.files.toPath', { file: fileOf({ name: 'x' }, BIG) }),
  'a typed error behind a file': (client) => failureOf(client.task('app.files.fails', { file: fileOf({ name: 'k1' }, BIG.subarray(0, 300_000)) })),
  'a small file streamed back': async (client) => (await collect(await client.task('app.files.back', { file: bufferFile({ name: 'x' }, Buffer.from('back')) }))).toString(),
  'an octet-stream of 5 MiB': (client) => client.task('app.octet.count', streamOf(BIG)),
  'an error to an octet-stream': (client) => failureOf(client.task('app.octet.fails', streamOf(Buffer.from('x')))),
  'a streamed answer with a type': async (client) => {
    const answer = await client.task('app.octet.stream', streamOf(Buffer.from('x')));
    return [answer.statusCode, answer.headers['content-type'], (await collect(answer)).toString()];
  },
  'a duplex transform': async (client) => hashOf(await collect(await client.task('app.octet.upper', streamOf(BIG)))),
  'a duplex transform whose answer comes before the request has ended': async (client) => {
    const body = new Readable({ read() {} });
    const answering = client.task('app.octet.upper', body);
    body.push('first ');
    const answer = await answering;
    const chunks = answer[Symbol.asyncIterator]();
    const said = [(await chunks.next()).value.toString()];
    body.push('second');
    said.push((await chunks.next()).value.toString());
    body.push(null);
    return [...said, (await chunks.next()).done];
  },
};

onBothDrivers('runner files', (driver) => {
  const exposures = exposuresFor(driver);
  const config = ({ url }, more) => ({ baseUrl: url, auth: { token: TOKEN }, serializer: new Serializer(), errorRegistry: new Map([[conflict.id, conflict]]), ...more });
  const both = async (run) => {
    const outcomes = {};
    for (const [name, exposure] of Object.entries(exposures)) {
      seen.length = 0;
      outcomes[name] = await withApp(exposure, { items }, run);
    }
    assert.deepEqual(outcomes.fastTunnel, outcomes.nodeExposure);
    return outcomes.fastTunnel;
  };
  const ours = (run) => withApp(exposures.fastTunnel, { items }, run);

  for (const [kind, create] of Object.entries({ smart: createHttpSmartClient, mixed: createHttpMixedClient, 'fasttunnel/runner': createClient })) {
    for (const [what, check] of Object.entries(NODE_CHECKS)) {
      it(`${kind}: ${what}`, { timeout: 30_000 }, () => both((app) => check(create(config(app)))));
    }

    it(`${kind}: knows what it should`, async () => {
      const { hash, ...facts } = await both((app) => NODE_CHECKS['a 5 MiB upload with meta and a non-ASCII name'](create(config(app))));
      assert.equal(hash, hashOf(BIG));
      assert.deepEqual(facts, { ...META, bytes: BIG.length, note: 'n', since: null, mine: true });
    });

    it(`${kind}: two large files, the second read first (D1)`, { timeout: 30_000 }, async () => {
      const [a, b] = [BIG.subarray(0, 2 * MIB), BIG.subarray(2 * MIB)];
      const hashes = await ours((app) => create(config(app)).task('app.files.two', { first: fileOf({ name: 'a' }, a, 'A'), second: fileOf({ name: 'b' }, b, 'B') }));
      assert.deepEqual(hashes, [hashOf(a), hashOf(b)]);
    });

    it(`${kind}: a large file streamed back (D1)`, { timeout: 30_000 }, async () => {
      const back = await ours(async (app) => collect(await create(config(app)).task('app.files.back', { file: fileOf({ name: 'x' }, BIG) })));
      assert.equal(hashOf(back), hashOf(BIG));
    });

    it(`${kind}: leaves in the middle of an upload, and the task hears of it`, { timeout: 30_000 }, async () => {
      await ours(async (app) => {
        const body = new Readable({ read() {} });
        const call = create(config(app, { timeoutMs: 200 })).task('app.octet.waits', body);
        body.push('x');
        await assert.rejects(call);
        await until(() => seen.length === 2, 'signal and stream have told');
        assert.deepEqual(seen.toSorted(), [['aborted', 'runner.errors.cancellation'], ['read failed']]);
        await sleep(50);
        assert.equal(seen.length, 2, 'once');
      });
    });
  }

  // The mixed client sends a Blob by the smart one, which cannot.
  it('universal: a Blob upload', { timeout: 30_000 }, async () => {
    const { hash, name, type } = await both((app) => createHttpClient(config(app)).task('app.files.store', { file: blobFile({ name: 'ü.bin', type: 'image/png' }, BIG), note: 'blob' }));
    assert.deepEqual([hash, name, type], [hashOf(BIG), 'ü.bin', 'image/png']);
  });

  // The clients themselves make plain objects of what stands beside a file.
  it('a typed value beside a file keeps its type (D12)', async () => {
    const { since } = await ours(async ({ url }) => {
      const form = new FormData();
      form.append('__manifest', new Serializer().stringify({ input: { file: { $runnerFile: 'File', id: 'F1' }, when: new Date(5) } }));
      form.append('file:F1', new Blob(['x']), 'x');
      const response = await fetch(`${url}/task/app.files.store`, { method: 'POST', body: form, headers: { 'x-runner-token': TOKEN } });
      return (await response.json()).result;
    });
    assert.equal(since, 5);
  });

  it('500 uploads of a mebibyte at once: all arrive', { timeout: 120_000 }, async () => {
    const hashes = await ours(async (app) => {
      const client = createHttpSmartClient(config(app));
      return Promise.all(Array.from({ length: 500 }, async (_, n) => {
        const bytes = BIG.subarray(n, n + MIB);
        const { hash } = await client.task('app.files.store', { file: bufferFile({ name: `${n}` }, bytes) });
        return hash === hashOf(bytes);
      }));
    });
    assert.equal(hashes.filter(Boolean).length, 500);
  });
});
