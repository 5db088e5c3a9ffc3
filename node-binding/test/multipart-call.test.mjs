// Forms, frame by frame: what becomes of manifest, files and task, and that no file that is not read holds up the rest.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { after, afterEach, beforeEach, describe, it } from 'node:test';
import { PassThrough, Readable } from 'node:stream';
import { FileConsumedError, FileLostError, FileRefusedError, SpoolError } from 'fasttunnel';
import { bytesOf, Form, noise, quiet, sentinel, temporary, WINDOW } from './support/forms.mjs';
import { sleep, until } from './support/tunnels.mjs';

const require = createRequire(import.meta.url);
const { plainCodec } = require('../dist/cjs/values/codec.js');
const { CallFailure, RawAnswer, StreamAnswer } = require('../dist/cjs/calls/outcome.js');
const { LINGER_MS, UNREAD_BYTES } = require('../dist/cjs/files/file-part.js');

const NONE = { cors: false, security: false };
const ALL = { cors: true, security: true };
const KIB = 1024;
const MISSING_PART = [500, 'Internal Error', 'MISSING_FILE_PART'];
const describeFile = ({ name, type, size, lastModified, extra }) => ({ name, type, size, lastModified, extra });
const never = () => new Promise(() => {});

let temp;
beforeEach(() => {
  temp = temporary();
});
afterEach(async () => {
  assert.deepEqual(temp.names(), [], 'no file of ours has a name');
  temp.remove();
});
const form = (run, options = {}) => new Form(run, { directory: temp.directory, ...options });
const closed = () => until(() => temp.open().length === 0, 'every file is closed');

describe('manifest', () => {
  it('starts the task before the form has ended, and answers after', async () => {
    const call = form((input) => input.a + 1);
    call.input({ a: 1 });
    await quiet();
    assert.equal(call.runs, 1);
    assert.deepEqual(call.outcomes, []);
    call.end();
    assert.deepEqual(await call.outcome(), { result: 2 });
  });

  for (const [what, text, expected] of [
    ['no object', 'null', [400, 'Missing manifest', 'MISSING_MANIFEST']],
    ['a number', '5', [400, 'Missing manifest', 'MISSING_MANIFEST']],
    ['empty', '', [400, 'Missing manifest', 'MISSING_MANIFEST']],
    ['no JSON', '{bad', [400, 'Invalid manifest', 'INVALID_MULTIPART']],
    ['a byte order mark', '\ufeff{}', [400, 'Invalid manifest', 'INVALID_MULTIPART']],
  ]) {
    it(`${what}: ${expected[0]} at once`, async () => {
      const call = form(never);
      call.manifest(text);
      assert.deepEqual(await call.failure(), expected);
      assert.equal(call.runs, 0);
      call.end();
      assert.equal(call.outcomes.length, 1);
    });
  }

  for (const depth of [2, 3, 1001]) {
    it(`no value inside ${depth} levels, as in a JSON body`, async () => {
      const nested = (levels, leaf) => `{"input":${'['.repeat(levels - 1)}${leaf}${']'.repeat(levels - 1)}}`;
      for (const good of [nested(depth, ''), nested(depth - 1, '1'), nested(depth - 1, '"[[\\"[["')]) {
        assert.deepEqual(await form((input) => input !== undefined, { depth }).manifest(good).end().result(), true);
      }
      for (const bad of [nested(depth + 1, ''), nested(depth, '1'), nested(depth, '""')]) {
        const call = form(never, { depth });
        call.manifest(bad);
        assert.deepEqual(await call.failure(), [400, 'Invalid manifest', 'INVALID_MULTIPART']);
      }
    });
  }

  it('none: 400 at the end', async () => {
    const call = form(never);
    await call.whole('F1', 'hello');
    call.end();
    assert.deepEqual(await call.failure(), [400, 'Missing manifest', 'MISSING_MANIFEST']);
  });

  it('the input is the member input, and nothing else', async () => {
    for (const [manifest, input] of [['{}', undefined], ['{"a":1}', undefined], ['[1]', undefined], ['{"input":null}', null], ['{"input":[1]}', [1]]]) {
      assert.deepEqual(await form((given) => [given]).manifest(manifest).end().result(), [input]);
    }
  });

  it('a task that throws, rejects, or gives a thenable', async () => {
    const error = new Error('no');
    assert.deepEqual(await form(() => { throw error; }).input(1).end().outcome(), { error });
    assert.deepEqual(await form(async () => { throw error; }).input(1).end().outcome(), { error });
    assert.deepEqual(await form(() => ({ then: (done) => { done(1); done(2); } })).input(1).end().outcome(), { result: 1 });
  });
});

describe('hydration', () => {
  const typed = (value) => ({ ...plainCodec, parse: () => ({ input: value }) });
  const hydrated = async (value) => {
    let input;
    const call = form((given) => { input = given; }, { codec: typed(value), files: Infinity });
    call.manifest('x');
    await quiet();
    assert.equal(call.runs, 1);
    return input;
  };
  const isFile = (value) => typeof value?.stream === 'function';

  it('sentinels anywhere, and as the whole', async () => {
    assert.ok(isFile(await hydrated(sentinel('A'))));
    const input = await hydrated({ a: sentinel('A'), list: [1, [sentinel('B')], { c: sentinel('C') }], plain: { x: 1 } });
    assert.ok(isFile(input.a) && isFile(input.list[1][0]) && isFile(input.list[2].c));
    assert.deepEqual(input.plain, { x: 1 });
  });

  it('what only looks like one is data', async () => {
    const data = { a: { $runnerFile: 'File', id: 5 }, b: { $ejson: 'File', id: 'F1' }, c: { $runnerFile: 'file', id: 'F1' }, d: Object.create({ $runnerFile: 'File', id: 'F1' }) };
    assert.deepEqual(await hydrated(structuredClone(data)), structuredClone(data));
  });

  it('typed values keep what they are, and are looked into where they are Maps and Sets', async () => {
    class Money {
      amount = sentinel('in a class');
    }
    const map = new Map([[1, 2], ['file', sentinel('A')], [sentinel('K'), { deep: sentinel('B') }]]);
    const set = new Set(['first', sentinel('C'), 'last']);
    const plainMap = new Map([[{}, []]]);
    const given = { date: new Date(5), map, set, plainMap, money: new Money(), url: new URL('http://a/'), bytes: new Uint8Array([1]), big: 7n, none: undefined };
    const input = await hydrated(given);
    assert.ok(input.date instanceof Date && input.date.getTime() === 5);
    assert.equal(input.map, map);
    assert.deepEqual([...map.keys()].map((key) => (isFile(key) ? 'a file' : key)), [1, 'file', 'a file']);
    assert.ok(isFile(map.get('file')) && isFile([...map.values()][2].deep));
    assert.deepEqual([...set].map((member) => (isFile(member) ? 'a file' : member)), ['first', 'a file', 'last']);
    assert.equal(input.plainMap, plainMap);
    assert.ok(input.money instanceof Money && !isFile(input.money.amount));
    assert.ok(input.url instanceof URL && input.bytes instanceof Uint8Array && input.big === 7n && 'none' in input);
  });

  it('cycles and shared objects end', async () => {
    const shared = { file: sentinel('A') };
    const cycle = { shared, again: shared };
    cycle.self = cycle;
    cycle.map = new Map([['up', cycle]]);
    const input = await hydrated(cycle);
    assert.equal(input.self, input);
    assert.ok(isFile(input.shared.file));
    assert.equal(input.again, input.shared);
  });

  it('a key __proto__ is a key', async () => {
    const input = await hydrated(JSON.parse('{"__proto__":{"$runnerFile":"File","id":"A"},"x":{"__proto__":{"polluted":1}}}'));
    assert.equal(Object.getPrototypeOf(input), Object.prototype);
    assert.ok(isFile(Object.getOwnPropertyDescriptor(input, '__proto__').value));
    assert.equal({}.polluted, undefined);
    assert.equal(input.x.polluted, undefined);
  });

  it('what cannot be written stays', async () => {
    const input = await hydrated({ frozen: Object.freeze({ file: sentinel('A') }) });
    assert.deepEqual(input.frozen.file, sentinel('A'));
  });

  it('deep', async () => {
    let deep = sentinel('A');
    for (let level = 0; level < 50_000; level += 1) deep = level % 2 ? [deep] : { deep };
    let found = await hydrated(deep);
    for (let level = 0; level < 50_000; level += 1) found = Array.isArray(found) ? found[0] : found.deep;
    assert.ok(isFile(found));
  });

  it('one file per id', async () => {
    let input;
    const call = form((given) => { input = given; }, { files: 1 });
    call.input([sentinel('A', { name: 'first', size: 3 }), sentinel('A', { name: 'second' }), sentinel('A')]);
    await quiet();
    assert.equal(input[0], input[1]);
    assert.deepEqual(describeFile(input[2]), { name: 'second', type: undefined, size: 3, lastModified: undefined, extra: undefined });
  });
});

describe('what is said of a file', () => {
  const META = { name: 'm.bin', type: 'image/png', size: 99, lastModified: 5, extra: { a: [1] } };
  const said = async (meta, head, manifestFirst) => {
    const call = form(async (input) => { await bytesOf(input.stream()); return describeFile(input); });
    if (manifestFirst) call.input(sentinel('A', meta));
    await call.whole('A', 'x', head);
    if (!manifestFirst) call.input(sentinel('A', meta));
    return call.end().result();
  };
  const cases = [
    ['all by the manifest', META, { filename: 'part.txt', type: 'text/plain' }, META],
    ['the rest by the part', { name: 'm.bin' }, { filename: 'part.txt', type: 'text/x' }, { name: 'm.bin', type: 'text/x' }],
    ['without meta', undefined, { filename: 'part.txt', type: 'text/x' }, { name: 'part.txt', type: 'text/x' }],
    ['with null for it', null, { filename: 'part.txt', type: 'text/x' }, { name: 'part.txt', type: 'text/x' }],
    ['without any name', undefined, { type: 'application/octet-stream' }, { name: 'upload', type: 'application/octet-stream' }],
    ['called upload', { name: 'upload' }, { filename: 'part.txt', type: 'text/x' }, { name: 'upload', type: 'text/x' }],
  ];
  for (const [what, meta, head, expected] of cases) {
    it(what, async () => {
      const full = { type: undefined, size: undefined, lastModified: undefined, extra: undefined, ...expected };
      assert.deepEqual(await said(meta, head, true), full);
      assert.deepEqual(await said(meta, head, false), full);
    });
  }
});

it('what comes together with the manifest is known when the task starts', async () => {
  const call = form(describeFile).input(sentinel('A')).file('A', { filename: 'part.txt' });
  call.fileEnd().end();
  assert.equal((await call.result()).name, 'part.txt');
});

describe('numbers of files', () => {
  it('distinct sentinels count', async () => {
    const call = form(never, { files: 2 });
    call.input([sentinel('1'), sentinel('2'), sentinel('1'), sentinel('3')]);
    assert.deepEqual(await call.failure(), [413, 'Files limit exceeded', 'PAYLOAD_TOO_LARGE']);
    assert.equal(call.runs, 0);
  });

  it('so do files that nobody names, before and behind the manifest', async () => {
    for (const manifestFirst of [true, false]) {
      const call = form(never, { files: 2 });
      if (manifestFirst) call.input([sentinel('1')]);
      await call.whole('x', 'x');
      if (!manifestFirst) call.input([sentinel('1')]);
      assert.deepEqual(call.outcomes, []);
      call.file('y');
      assert.deepEqual(await call.failure(), [413, 'Files limit exceeded', 'PAYLOAD_TOO_LARGE']);
    }
  });

  it('no bound', async () => {
    const call = form(() => 'ok', { files: Infinity });
    call.input(Array.from({ length: 300 }, (_, index) => sentinel(`${index}`)));
    for (let index = 0; index < 300; index += 1) await call.whole(`${index}`, 'x');
    assert.equal(await call.end().result(), 'ok');
  });
});

describe('a form that fails', () => {
  const REFUSALS = [
    [1, 400, 'Invalid multipart payload', 'INVALID_MULTIPART'],
    [2, 400, 'Invalid manifest', 'INVALID_MULTIPART'],
    [3, 413, 'File size limit exceeded', 'PAYLOAD_TOO_LARGE'],
    [4, 413, 'Files limit exceeded', 'PAYLOAD_TOO_LARGE'],
    [5, 413, 'Field limit exceeded', 'PAYLOAD_TOO_LARGE'],
    [6, 413, 'Fields limit exceeded', 'PAYLOAD_TOO_LARGE'],
    [7, 413, 'Parts limit exceeded', 'PAYLOAD_TOO_LARGE'],
    [8, 500, 'Internal Error', 'STREAM_ERROR'],
  ];
  for (const [reason, ...expected] of REFUSALS) {
    it(`${expected.join(' ')}: before the task, and instead of its result, error or silence`, async () => {
      const early = form(never);
      early.parts.refused(reason);
      assert.deepEqual(await early.failure(), expected);
      for (const run of [() => 'result', () => { throw new Error('error'); }, never]) {
        const call = form(run).input(1);
        await quiet();
        call.parts.refused(reason);
        call.parts.refused(1);
        assert.deepEqual(await call.failure(), expected);
        assert.equal(call.outcomes.length, 1);
      }
    });
  }

  it('a sentinel without its file goes before a typed error', async () => {
    const call = form(() => { throw new CallFailure(409, '{"ok":false,"error":{"message":"x","code":"y"}}'); });
    call.input(sentinel('A')).end();
    assert.deepEqual(await call.failure(), MISSING_PART);
  });

  it('whoever reads a file that never comes is told', async () => {
    let seen;
    const call = form(async (input) => bytesOf(input.stream()).catch((error) => { seen = error; }));
    call.input(sentinel('A'));
    await quiet();
    call.end();
    assert.deepEqual(await call.failure(), MISSING_PART);
    assert.ok(seen instanceof FileRefusedError);
  });

  it('what the task noted counts only if its outcome does', async () => {
    for (const [fails, expected] of [[false, ['early', 'in time']], [true, []]]) {
      const told = [];
      let finish;
      const gate = new Promise((resolve) => { finish = resolve; });
      const call = form(async (_input, context) => {
        context.note(() => told.push('early'));
        await gate;
        context.note(() => told.push('in time'));
      });
      call.input(1);
      if (!fails) finish();
      await quiet();
      if (fails) call.parts.refused(3);
      else call.end();
      await call.outcome();
      finish();
      await quiet();
      assert.deepEqual(told, expected);
    }
  });

  it('a stream that was to be the answer is destroyed', async () => {
    const source = new PassThrough();
    const call = form(() => source).input(1);
    await quiet();
    call.parts.refused(3);
    await call.failure();
    assert.ok(source.destroyed);
    const late = new PassThrough();
    let finish;
    const slow = form(() => new Promise((resolve) => { finish = () => resolve(late); })).input(1);
    slow.parts.refused(3);
    await slow.failure();
    finish();
    await until(() => late.destroyed, 'the late stream is destroyed');
  });

  it('what the task has written by itself stays', async () => {
    const own = new RawAnswer(201, [], 'own', NONE);
    const call = form(() => own).input(1);
    call.parts.refused(3);
    assert.equal(await call.result(), own);
  });

  it('an envelope beside header lines of its own does not, the lines do', async () => {
    const lines = [['content-type', 'application/json'], ['x-own', 'yes']];
    const call = form(() => new RawAnswer(200, lines, '{}', ALL)).input(1);
    call.parts.refused(3);
    const { status, headers, body, own } = await call.result();
    assert.deepEqual([status, headers, JSON.parse(body).error.message, own], [413, lines, 'File size limit exceeded', ALL]);
  });

  it('what the task is writing by itself goes out at once, while it reads on', async () => {
    const own = new StreamAnswer(200, [], { start() {}, resume() {}, destroy() {} }, NONE);
    const reads = [];
    const call = form((input) => {
      void bytesOf(input.stream()).then((bytes) => reads.push(bytes), (error) => reads.push(error));
      return own;
    });
    call.input(sentinel('A'));
    assert.equal(await call.result(), own);
    const bytes = noise(700 * KIB);
    await call.whole('A', bytes);
    call.end();
    await until(() => reads.length > 0, 'it was read');
    assert.deepEqual(reads[0], bytes);
    assert.equal(call.outcomes.length, 1);
  });
});

describe('bytes', () => {
  const BYTES = noise(900 * KIB + 17);

  it('of every file arrive as they were: read at once, late, slowly, by pieces, from disk and back', async () => {
    const readers = {
      'at once': (file) => bytesOf(file.stream()),
      'resolved': async (file) => bytesOf((await file.resolve()).stream),
      'late': async (file) => { await sleep(60); return bytesOf(file.stream()); },
      'opened and late': async (file) => { const stream = file.stream(); await sleep(60); return bytesOf(stream); },
      'slowly': async (file) => {
        const chunks = [];
        for await (const chunk of file.stream()) {
          chunks.push(chunk);
          await sleep(1);
        }
        return Buffer.concat(chunks);
      },
      'in two goes': async (file) => {
        const stream = file.stream();
        const chunks = [];
        const ended = new Promise((resolve, reject) => stream.on('end', resolve).on('error', reject));
        stream.on('data', (chunk) => {
          if (chunks.push(chunk) !== 3) return;
          stream.pause();
          setTimeout(() => stream.resume(), 60);
        });
        await ended;
        return Buffer.concat(chunks);
      },
      'with read()': async (file) => {
        const stream = file.stream();
        const chunks = [];
        await new Promise((resolve, reject) => {
          stream.on('readable', () => { for (let chunk = stream.read(1000); chunk !== null; chunk = stream.read(1000)) chunks.push(chunk); const rest = stream.read(); if (rest) chunks.push(rest); });
          stream.on('end', resolve).on('error', reject);
        });
        return Buffer.concat(chunks);
      },
    };
    for (const [how, read] of Object.entries(readers)) {
      const call = form((input) => read(input.file)).input({ file: sentinel('A') });
      await call.whole('A', BYTES);
      assert.ok(Buffer.compare(await call.end().result(), BYTES) === 0, how);
      await closed();
    }
  });

  it('one by one, and no more memory for it', async () => {
    let go;
    const call = form(async (input) => { await new Promise((resolve) => { go = resolve; }); return bytesOf(input.stream()); }).input(sentinel('A'));
    call.file('A');
    const bytes = noise(100_000);
    for (let index = 0; index < bytes.length; index += 1) await call.data(bytes.subarray(index, index + 1));
    call.fileEnd().end();
    go();
    assert.deepEqual(await call.result(), bytes);
  });

  it('an empty file', async () => {
    const call = form(async (input) => (await bytesOf(input.stream())).length).input(sentinel('A'));
    await call.whole('A', '');
    assert.equal(await call.end().result(), 0);
  });

  it('a reader holds the body back, one window and what its stream takes ahead', async () => {
    const call = form(async (input) => {
      const stream = input.stream();
      await new Promise((resolve) => stream.once('readable', resolve));
      return never();
    }).input(sentinel('A'));
    call.file('A');
    await assert.rejects(call.data(BYTES, 200), /window is open/);
    assert.ok(call.sent <= WINDOW + 2 * 64 * KIB + 4 * KIB, `${call.sent} bytes were taken`);
    assert.deepEqual(temp.open(), []);
    call.parts.abandon(new Error('gone'));
  });

  it('what nobody reads goes to disk beyond a bound, without a name', async () => {
    const call = form(never).input(sentinel('A'));
    await call.whole('A', noise(UNREAD_BYTES));
    await quiet();
    assert.deepEqual(temp.open(), []);
    const more = form(never).input(sentinel('A'));
    await more.whole('A', noise(UNREAD_BYTES + 1));
    await until(() => temp.open().length === 1, 'the file is on disk');
    assert.deepEqual(temp.names(), []);
    call.parts.abandon(new Error('gone'));
    more.parts.abandon(new Error('gone'));
    await closed();
  });
});

describe('no form waits for ever', () => {
  const BIG = noise(600 * KIB, 7);
  const OTHER = noise(500 * KIB, 8);

  it('a file that the task does not read', async () => {
    const call = form(async () => { await sleep(50); return 'done'; }).input(sentinel('A'));
    await call.whole('A', BIG);
    assert.equal(await call.end().result(), 'done');
    await closed();
  });

  it('a file that nobody names, before the manifest and behind it', async () => {
    const call = form(async (input) => bytesOf(input.stream()));
    await call.whole('X', BIG);
    call.input(sentinel('A'));
    await call.whole('Y', BIG);
    await call.whole('A', OTHER);
    assert.deepEqual(await call.end().result(), OTHER);
    await closed();
  });

  it('a file before the manifest', async () => {
    const call = form(async (input) => bytesOf(input.stream()));
    await call.whole('A', BIG);
    call.input(sentinel('A')).end();
    assert.deepEqual(await call.result(), BIG);
    await closed();
  });

  it('the manifest in the middle of everything, read in the other order', async () => {
    const call = form(async ([a, b, c]) => [await bytesOf(c.stream()), await bytesOf(b.stream()), await bytesOf(a.stream())]);
    await call.whole('A', BIG);
    call.input([sentinel('A'), sentinel('B'), sentinel('C')]);
    await call.whole('B', OTHER);
    await call.whole('C', BIG);
    assert.deepEqual(await call.end().result(), [BIG, OTHER, BIG]);
    await closed();
  });

  it('two opened, the second read first', async () => {
    const call = form(async ([a, b]) => {
      const first = a.stream();
      // It has begun to flow, and then waits.
      await new Promise((resolve) => first.once('readable', resolve));
      const second = await bytesOf(b.stream());
      return [await bytesOf(first), second];
    }).input([sentinel('A'), sentinel('B')]);
    await call.whole('A', BIG);
    await call.whole('B', OTHER);
    assert.deepEqual(await call.end().result(), [BIG, OTHER]);
    await closed();
  });

  it('two read at the same time, one of them slowly', async () => {
    const slowly = async (stream) => {
      const chunks = [];
      for await (const chunk of stream) {
        chunks.push(chunk);
        await sleep(3);
      }
      return Buffer.concat(chunks);
    };
    const call = form(async ([a, b]) => Promise.all([slowly(a.stream()), bytesOf(b.stream())])).input([sentinel('A'), sentinel('B')]);
    await call.whole('A', BIG);
    await call.whole('B', OTHER);
    assert.deepEqual(await call.end().result(), [BIG, OTHER]);
    await closed();
  });

  it('a file that goes back as it came, bare and wrapped', async () => {
    for (const wrap of [(stream) => stream, (stream) => ({ stream, contentType: 'text/plain' }), (stream) => stream.pipe(new PassThrough())]) {
      const call = form((input) => wrap(input.stream())).input(sentinel('A'));
      await call.whole('A', BIG);
      const answer = await call.end().result();
      assert.ok(StreamAnswer.is(answer));
      const chunks = [];
      await new Promise((resolve, reject) => {
        answer.source.start({ hasRoom: true, write: (chunk) => { chunks.push(chunk); return true; }, end: resolve, fail: reject });
      });
      assert.deepEqual(Buffer.concat(chunks), BIG);
      await closed();
    }
  });

  it('a stream that opens its file only when it is sent', async () => {
    const call = form((input) => Readable.from((async function* () { yield* input.stream(); })())).input(sentinel('A'));
    await call.whole('A', BIG);
    const answer = await call.end().result();
    const chunks = [];
    await new Promise((resolve, reject) => {
      answer.source.start({ hasRoom: true, write: (chunk) => { chunks.push(chunk); return true; }, end: resolve, fail: reject });
    });
    assert.deepEqual(Buffer.concat(chunks), BIG);
    call.parts.abandon();
    await closed();
  });

  it('a task that fails before it reads', async () => {
    const error = new Error('early');
    const call = form(() => { throw error; }).input(sentinel('A'));
    await call.whole('A', BIG);
    assert.deepEqual(await call.end().outcome(), { error });
    assert.deepEqual(temp.open(), []);
  });

  it('a task that is done while others read on', async () => {
    let read;
    const call = form((input) => {
      read = (async () => { await sleep(50); return bytesOf(stream); })();
      const stream = input.stream();
      return 'accepted';
    }).input(sentinel('A'));
    await call.whole('A', BIG);
    assert.equal(await call.end().result(), 'accepted');
    call.parts.abandon();
    assert.deepEqual(await read, BIG);
    await closed();
  });

  it('a file that is opened and forgotten goes after a while, and not while it is read', async (t) => {
    let streams;
    const call = form((files) => { streams = files.map((file) => file.stream()); }).input([sentinel('A'), sentinel('B')]);
    await call.whole('A', BIG);
    await call.whole('B', BIG);
    await call.end().outcome();
    await until(() => temp.open().length === 2, 'both are on disk');
    t.mock.timers.enable({ apis: ['setTimeout'] });
    call.parts.abandon();
    const chunks = [];
    streams[1].on('data', (chunk) => chunks.push(chunk));
    await new Promise((resolve) => streams[1].once('data', resolve));
    streams[1].pause();
    t.mock.timers.tick(LINGER_MS);
    for (let turn = 0; turn < 10_000 && temp.open().length > 1; turn += 1) await new Promise(setImmediate);
    assert.equal(temp.open().length, 1);
    streams[1].resume();
    await new Promise((resolve) => streams[1].once('end', resolve));
    t.mock.timers.reset();
    assert.deepEqual(Buffer.concat(chunks), BIG);
    await closed();
    await assert.rejects(bytesOf(streams[0]), FileLostError);
  });

  it('a reader that stops midway: the rest is thrown away', async () => {
    const call = form(async (input) => {
      for await (const chunk of input.stream()) return chunk.length > 0;
    }).input(sentinel('A'));
    await call.whole('A', BIG);
    assert.equal(await call.end().result(), true);
    assert.deepEqual(temp.open(), []);
  });

  it('a reader that throws', async () => {
    const call = form((input) => new Promise((_, reject) => {
      input.stream().on('error', reject).on('data', () => { throw new Error('in a listener'); });
    })).input(sentinel('A'));
    await call.whole('A', BIG);
    await assert.rejects(call.end().result(), /in a listener/);
  });

  it('a limit that is hit in the same go in which the manifest ends', async () => {
    const call = form(async (input) => bytesOf(input.stream())).input(sentinel('A')).file('A');
    call.parts.data(noise(100));
    call.parts.refused(3);
    assert.deepEqual(await call.failure(), [413, 'File size limit exceeded', 'PAYLOAD_TOO_LARGE']);
  });

  it('a file of the same name again', async () => {
    const call = form(async (input) => bytesOf(input.stream())).input(sentinel('A'));
    await call.whole('A', OTHER);
    await call.whole('A', BIG);
    assert.deepEqual(await call.end().result(), OTHER);
  });

  it('a file that nobody had opened in time cannot be opened later', async () => {
    let file;
    const call = form((input) => { file = input; }).input(sentinel('A'));
    await call.whole('A', BIG);
    await call.end().outcome();
    await assert.rejects(bytesOf(file.stream()), (error) => error instanceof FileLostError && /"A" are gone: its call is over/.test(error.message));
  });
});

describe('no room on disk', () => {
  const BIG = noise(400 * KIB);
  const nowhere = '/nonexistent/fasttunnel';

  it('fails whoever reads the file, and the call if it went on', async () => {
    let seen;
    const call = form(async (input) => {
      await sleep(50);
      await bytesOf(input.stream()).catch((error) => { seen = error; });
      return 'went on';
    }, { directory: nowhere }).input(sentinel('A'));
    await call.whole('A', BIG);
    const { error } = await call.end().outcome();
    assert.equal(error, seen);
    assert.ok(error instanceof SpoolError);
    assert.equal(error.code, 'ENOENT');
    assert.match(error.message, /"A" cannot be kept in \/nonexistent\/fasttunnel: ENOENT.*tempDir/);
  });

  it("leaves the task's own failure, and tasks that did not want the file", async () => {
    const own = new Error('own');
    const failing = form(async (input) => {
      await sleep(50);
      await bytesOf(input.stream()).catch(() => { throw own; });
    }, { directory: nowhere }).input(sentinel('A'));
    await failing.whole('A', BIG);
    assert.deepEqual(await failing.end().outcome(), { error: own });
    const other = form(async () => { await sleep(50); return 'fine'; }, { directory: nowhere }).input(sentinel('A'));
    await other.whole('A', BIG);
    assert.equal(await other.end().result(), 'fine');
  });

  it('leaves the other files', async () => {
    const call = form(async ([a, b]) => [await bytesOf(b.stream()), await bytesOf(a.stream()).catch(({ code }) => code)], { directory: nowhere });
    call.input([sentinel('A'), sentinel('B')]);
    await call.whole('A', BIG);
    await call.whole('B', BIG);
    await assert.rejects(call.end().result(), SpoolError);
  });
});

describe('a client that goes', () => {
  const gone = () => Object.assign(new Error('aborted'), { code: 'ECONNRESET' });

  it('fails every file, and closes what was on disk', async () => {
    const seen = [];
    const call = form(async ([a, b, c]) => {
      await new Promise((resolve) => a.stream().once('readable', resolve));
      await Promise.all([bytesOf(b.stream()).catch((error) => seen.push(error.code)), bytesOf(c.stream()).catch((error) => seen.push(error.code))]);
      throw new Error('could not read');
    }).input([sentinel('A'), sentinel('B'), sentinel('C')]);
    await call.whole('A', noise(500 * KIB));
    await until(() => temp.open().length === 1, 'the first is on disk');
    call.file('B');
    await call.data(noise(10));
    call.parts.abandon(gone());
    await call.outcome();
    assert.deepEqual(seen, ['ECONNRESET', 'ECONNRESET']);
    assert.equal((await call.failure())[0], 499);
    await closed();
  });

  it('before the manifest', async () => {
    const call = form(never);
    await call.whole('A', noise(500 * KIB));
    call.parts.abandon(gone());
    assert.equal((await call.failure())[0], 499);
    assert.equal(call.runs, 0);
    await closed();
    call.input(1).end();
    assert.equal(call.runs, 0);
  });

  it('while a stream goes back', async () => {
    const call = form((input) => input.stream()).input(sentinel('A'));
    await call.whole('A', noise(500 * KIB));
    await call.end().outcome();
    assert.equal(temp.open().length, 1);
    call.parts.abandon(gone());
    await closed();
    assert.equal(call.outcomes.length, 1);
  });

  it('a file that is opened after that fails as well', async () => {
    let file;
    const call = form((input) => { file = input; return never(); }).input(sentinel('A'));
    await quiet();
    call.parts.abandon(gone());
    await assert.rejects(bytesOf(file.stream()), { code: 'ECONNRESET' });
  });
});

describe('a file', () => {
  it('is read once', async () => {
    const call = form(async (file) => {
      await bytesOf(file.stream());
      assert.throws(() => file.stream(), (error) => error instanceof FileConsumedError && error.code === 'FASTTUNNEL_FILE_CONSUMED');
      await assert.rejects(file.resolve(), FileConsumedError);
      await assert.rejects(file.toTempFile(temp.directory), FileConsumedError);
    }).input(sentinel('A'));
    await call.whole('A', 'x');
    await call.end().result();
  });

  it('goes to a file of its own', async () => {
    const bytes = noise(300 * KIB);
    const { directory, remove } = temporary();
    after(remove);
    const call = form((file) => file.toTempFile(`${directory}/new/er`)).input(sentinel('A', { name: '../wéird näme!.txt' }));
    await call.whole('A', bytes);
    const { path, bytesWritten } = await call.end().result();
    assert.equal(bytesWritten, bytes.length);
    assert.match(path.slice(directory.length), /^\/new\/er\/\.\._w_ird_n_me_\.txt\.\d{13}\.[a-z0-9]{8}$/);
    assert.deepEqual(readFileSync(path), bytes);
  });

  it('that breaks off leaves none', async () => {
    const call = form((file) => file.toTempFile(temp.directory)).input(sentinel('A')).file('A');
    await call.data('x');
    await quiet();
    call.parts.refused(8);
    assert.deepEqual(await call.failure(), [500, 'Internal Error', 'STREAM_ERROR']);
    await until(() => temp.names().length === 0, 'it is removed');
  });
});
