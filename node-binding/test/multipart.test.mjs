// Multipart forms over HTTP, on both drivers: files that are read, left, sent back and refused, next to other calls.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, unlinkSync } from 'node:fs';
import { it } from 'node:test';
import { TaskError } from 'fasttunnel';
import { BOUNDARY, bytesOf, field, FORM_TYPE, formBytes, manifest, noise, part, partHead, sentinel, temporary } from './support/forms.mjs';
import { RawSocket, taskBytes } from './support/raw-socket.mjs';
import { E500, onBothDrivers, sleep, until, withTunnel } from './support/tunnels.mjs';

const KIB = 1024;
const MIB = 1024 * KIB;
const BIG = noise(6 * MIB, 3);
const OTHER = noise(2 * MIB, 5);
const digest = (bytes) => createHash('sha256').update(bytes).digest('hex');
const limit = (what) => [413, `{"ok":false,"error":{"message":"${what} limit exceeded","code":"PAYLOAD_TOO_LARGE"}}`];

const read = async (file) => {
  const bytes = await bytesOf(file.stream());
  return { bytes: bytes.length, digest: digest(bytes) };
};
const whole = (bytes) => ({ bytes: bytes.length, digest: digest(bytes) });

/** What handlers make of their forms; `seen` is what they have noticed. */
const tasksWith = (seen) => ({
  read: async (input) => read(input.file),
  meta: async ({ file }) => {
    await bytesOf(file.stream());
    return { name: file.name, type: file.type, size: file.size, lastModified: file.lastModified, extra: file.extra };
  },
  inOrder: async (files) => {
    const all = [];
    for (const file of files) all.push(await read(file));
    return all;
  },
  backwards: async (files) => {
    const left = files[0].stream();
    const all = [];
    for (const file of files.slice(1).reverse()) all.push(await read(file));
    left.destroy();
    return all;
  },
  together: async (files) => Promise.all(files.map(read)),
  ignore: async (input) => ({ name: input.file.name }),
  fail: async () => { throw new TaskError('early', { id: 'app.errors.early', data: {}, httpCode: 409 }); },
  back: async (input) => input.file.stream(),
  first: async (input) => {
    for await (const chunk of input.file.stream()) return chunk.length > 0;
  },
  slowly: async (input) => {
    let bytes = 0;
    for await (const chunk of input.file.stream()) {
      bytes += chunk.length;
      seen.push(bytes);
      await sleep(20);
    }
    return bytes;
  },
  stuck: async (input, { signal }) => {
    signal.addEventListener('abort', () => seen.push('aborted'));
    const stream = input.file.stream();
    stream.once('readable', () => seen.push('readable'));
    await new Promise((resolve) => stream.on('error', resolve)).then((error) => seen.push(error.code));
  },
  readOrTell: async (input) => {
    seen.push('started');
    await bytesOf(input.file.stream()).catch((error) => { seen.push(error.code); throw error; });
  },
  late: async (input) => {
    await sleep(100);
    return read(input.file);
  },
  temp: async ({ file }) => file.toTempFile(),
  echo: async (input) => input,
  plain: async () => 'plain',
});

onBothDrivers('multipart forms', (driver) => {
  /** A tunnel whose files wait in a directory of the test's own, where nothing must be left. */
  const withForms = async (options, body) => {
    const temp = temporary();
    const seen = [];
    try {
      await withTunnel({ driver, shards: 1, tempDir: temp.directory, tasks: tasksWith(seen), ...options }, async (tunnel) => {
        await body(tunnel, { temp, seen });
        await until(() => temp.open().length === 0, 'every file is closed');
        assert.deepEqual(temp.names(), []);
      });
    } finally {
      temp.remove();
    }
  };
  const send = async (tunnel, id, parts, end) => {
    const response = await fetch(`${tunnel.url}/task/${id}`, { method: 'POST', headers: FORM_TYPE, body: formBytes(parts, end) });
    return { status: response.status, type: response.headers.get('content-type'), bytes: Buffer.from(await response.arrayBuffer()) };
  };
  const result = async (...args) => {
    const { status, bytes } = await send(...args);
    assert.equal(status, 200, bytes.toString());
    return JSON.parse(bytes.toString()).result;
  };
  const answer = async (...args) => {
    const { status, bytes } = await send(...args);
    return [status, bytes.toString()];
  };

  it('a file as the task reads it, small and large, before and behind the manifest', () => withForms({}, async (tunnel) => {
    const input = manifest({ file: sentinel('F1') });
    for (const bytes of [Buffer.alloc(0), Buffer.from('hello'), Buffer.from('\r\n--form-b0undar'), noise(64 * KIB), BIG]) {
      assert.deepEqual(await result(tunnel, 'read', [input, part('F1', bytes)]), whole(bytes));
      assert.deepEqual(await result(tunnel, 'read', [part('F1', bytes), input]), whole(bytes));
      assert.deepEqual(await result(tunnel, 'late', [input, part('F1', bytes)]), whole(bytes));
    }
  }));

  it('FormData of fetch', () => withForms({}, async (tunnel) => {
    const form = new FormData();
    form.append('__manifest', JSON.stringify({ input: { file: sentinel('F1', { size: BIG.length, extra: { a: 1 } }) } }));
    form.append('file:F1', new Blob([BIG], { type: 'image/png' }), 'pic.png');
    const response = await fetch(`${tunnel.url}/task/meta`, { method: 'POST', body: form });
    assert.deepEqual(await response.json(), { ok: true, result: { name: 'pic.png', type: 'image/png', size: BIG.length, lastModified: { __type: 'Undefined', value: null }, extra: { a: 1 } } });
  }));

  it('several files, read in any order', () => withForms({}, async (tunnel) => {
    const input = manifest([sentinel('A'), sentinel('B'), sentinel('C')]);
    const parts = [part('A', BIG), input, part('B', OTHER), part('C', BIG)];
    const all = [BIG, OTHER, BIG].map(whole);
    assert.deepEqual(await result(tunnel, 'inOrder', parts), all);
    assert.deepEqual(await result(tunnel, 'together', parts), all);
    const behind = [input, part('C', BIG), part('B', OTHER), part('A', BIG)];
    assert.deepEqual(await result(tunnel, 'inOrder', behind), all);
    assert.deepEqual(await result(tunnel, 'together', behind), all);
    assert.deepEqual(await result(tunnel, 'backwards', [input, part('B', OTHER), part('C', BIG), part('A', OTHER)]), [whole(BIG), whole(OTHER)]);
  }));

  it('what the task does not read does not hold up its answer', () => withForms({}, async (tunnel) => {
    const input = manifest({ file: sentinel('F1', { name: 'x' }) });
    assert.deepEqual(await result(tunnel, 'ignore', [input, part('F1', BIG)]), { name: 'x' });
    assert.equal(await result(tunnel, 'first', [input, part('F1', BIG)]), true);
    assert.deepEqual(await result(tunnel, 'read', [part('ZZ', BIG), input, part('YY', BIG), part('F1', OTHER)]), whole(OTHER));
    assert.deepEqual(await answer(tunnel, 'fail', [input, part('F1', BIG)]),
      [409, '{"ok":false,"error":{"message":"early","code":"INTERNAL_ERROR","id":"app.errors.early","data":{},"httpCode":409}}']);
  }));

  it('a file goes back as it came', () => withForms({}, async (tunnel) => {
    const { status, type, bytes } = await send(tunnel, 'back', [manifest({ file: sentinel('F1') }), part('F1', BIG)]);
    assert.deepEqual([status, type, digest(bytes)], [200, 'application/octet-stream', digest(BIG)]);
  }));

  it('to a file of its own', () => withForms({}, async (tunnel) => {
    const { path, bytesWritten } = await result(tunnel, 'temp', [manifest({ file: sentinel('F1') }), part('F1', BIG)]);
    assert.equal(bytesWritten, BIG.length);
    assert.equal(digest(readFileSync(path)), digest(BIG));
    unlinkSync(path);
  }));

  it('a reader that is slow holds the client back', () => withForms({}, async (tunnel, { seen, temp }) => {
    const socket = await RawSocket.connect(tunnel);
    const bytes = noise(24 * MIB, 9);
    const body = formBytes([manifest({ file: sentinel('F1') }), part('F1', bytes)]);
    await socket.write(head('slowly', body.length));
    const written = socket.write(body);
    await until(() => seen.length > 3, 'the task reads');
    const [before, waiting] = [seen.at(-1), socket.socket.writableLength];
    await sleep(300);
    // It took what the task took: its few pieces, and not all there is.
    assert.ok(waiting > MIB && socket.socket.writableLength > MIB, `${socket.socket.writableLength} bytes wait`);
    assert.ok(seen.at(-1) - before < 8 * MIB);
    assert.deepEqual(temp.open(), [], 'nothing goes to disk while the task reads');
    socket.destroy();
    await written;
    await until(() => tunnel.stats().live === 0, 'the call is over');
  }));

  it('failures of the form, instead of what the task says; the connection stays', () => withForms({ limits: { multipart: { fileSize: 1000, files: 2, fieldSize: 400, fields: 3, parts: 5 } } }, async (tunnel, { seen }) => {
    const input = manifest({ file: sentinel('F1') });
    const small = part('F1', 'x');
    const cases = {
      'too large a file': [['readOrTell', [input, part('F1', noise(1001))]], limit('File size')],
      'just too large': [['readOrTell', [input, part('F1', noise(1000))]], limit('File size')],
      'too large, and not read': [['ignore', [input, part('F1', noise(5000))]], limit('File size')],
      'too large, before the manifest': [['readOrTell', [part('F1', noise(5000)), input]], limit('File size')],
      'too many files': [['ignore', [input, small, part('B', 'x'), part('C', 'x')]], limit('Files')],
      'too many sentinels': [['echo', [manifest([sentinel('A'), sentinel('B'), sentinel('C')])]], limit('Files')],
      'too large a field': [['echo', [manifest(1), field('a', 'x'.repeat(400))]], limit('Field')],
      'too large a manifest': [['echo', [manifest('x'.repeat(400))]], limit('Field')],
      'too many fields': [['echo', [manifest(1), field('a', '1'), field('b', '1'), field('c', '1')]], limit('Fields')],
      'too many parts': [['ignore', [field('a', '1'), input, field('b', '1'), small, part('B', 'x'), field('c', '')]], limit('Parts')],
      'no such file': [['readOrTell', [input, part('F2', 'x')]], [400, '{"ok":false,"error":{"message":"Missing file part: F1","code":"MISSING_FILE_PART"}}']],
      'a file that is a field': [['readOrTell', [input, field('file:F1', 'x')]], [400, '{"ok":false,"error":{"message":"Missing file part: F1","code":"MISSING_FILE_PART"}}']],
      'a manifest that is a file': [['echo', [part('', '{"input":1}', { name: '__manifest', filename: 'blob', type: 'application/json' })]], [400, '{"ok":false,"error":{"message":"The part __manifest must be a field, not a file: send it without a file name","code":"MISSING_MANIFEST"}}']],
      'no manifest': [['echo', [small]], [400, '{"ok":false,"error":{"message":"Missing manifest","code":"MISSING_MANIFEST"}}']],
      'an empty one': [['echo', [field('__manifest', '')]], [400, '{"ok":false,"error":{"message":"Missing manifest","code":"MISSING_MANIFEST"}}']],
      'a broken one': [['echo', [field('__manifest', '{')]], [400, '{"ok":false,"error":{"message":"Invalid manifest","code":"INVALID_MULTIPART"}}']],
      'two of them': [['echo', [manifest(1), manifest(2)]], [400, '{"ok":false,"error":{"message":"Invalid manifest","code":"INVALID_MULTIPART"}}']],
      'an end inside of a file': [['readOrTell', [input, partHead('file:F1'), 'begun'], ''], [400, '{"ok":false,"error":{"message":"Invalid multipart payload","code":"INVALID_MULTIPART"}}']],
      'an end before the manifest': [['echo', [`--${BOUNDARY}\r\nContent-Disposition: form-data; name="__manifest"\r\n\r\n{`], ''], [400, '{"ok":false,"error":{"message":"Invalid multipart payload","code":"INVALID_MULTIPART"}}']],
      'no form at all': [['echo', ['nothing'], ''], [400, '{"ok":false,"error":{"message":"Invalid multipart payload","code":"INVALID_MULTIPART"}}']],
    };
    const socket = await RawSocket.connect(tunnel);
    for (const [what, [[id, parts, end], expected]] of Object.entries(cases)) {
      const body = formBytes(parts, end);
      await socket.write(Buffer.concat([Buffer.from(head(id, body.length)), body]));
      const { status, body: text } = await socket.answer();
      assert.deepEqual([status, text], expected, what);
      await socket.write(taskBytes('plain', 1));
      assert.equal((await socket.answer()).body, '{"ok":true,"result":"plain"}', what);
    }
    socket.destroy();
    await until(() => tunnel.stats().live === 0, 'every task is done');
    assert.ok(seen.filter((what) => what === 'FASTTUNNEL_FILE_REFUSED').length >= 3, 'readers are told');
  }));

  it('names are UTF-8 where they can be, else Latin-1', () => withForms({}, async (tunnel) => {
    const named = async (filename) => (await result(tunnel, 'meta', [manifest({ file: sentinel('F1') }), part('F1', 'x', { filename })])).name;
    assert.equal(await named('Zo\u00eb \u20ac \ud83d\ude00.txt'), 'Zo\u00eb \u20ac \ud83d\ude00.txt');
    const latin1 = Buffer.from(partHead('file:F1', 'Zo\u00eb.txt').toString(), 'latin1');
    assert.equal((await result(tunnel, 'meta', [manifest({ file: sentinel('F1') }), Buffer.concat([latin1, Buffer.from('x\r\n')])])).name, 'Zo\u00eb.txt');
    const extended = `--${BOUNDARY}\r\nContent-Disposition: form-data; name="file:F1"; filename="\u00e9"; filename*=UTF-8''%e2%82%ac\r\n\r\nx\r\n`;
    assert.equal((await result(tunnel, 'meta', [manifest({ file: sentinel('F1') }), extended])).name, '\u20ac');
    // So are their ids.
    assert.deepEqual(await result(tunnel, 'read', [manifest({ file: sentinel('\u00e9\u20ac') }), part('\u00e9\u20ac', 'x')]), whole(Buffer.from('x')));
    const form = new FormData();
    form.append('__manifest', JSON.stringify({ input: { file: sentinel('F1') } }));
    form.append('file:F1', new File(['x'], 'Zo\u00eb \u20ac.txt'));
    const answer = await fetch(`${tunnel.url}/task/meta`, { method: 'POST', body: form });
    assert.equal((await answer.json()).result.name, 'Zo\u00eb \u20ac.txt');
  }));

  it('a task knows what its file is called, and of several when it waits for them', async () => {
    const seen = [];
    const tasks = {
      one: ({ file }) => { const { name, type } = file; return { name, type }; },
      several: async ({ a, b }) => {
        seen.push(a.name, b.name);
        const left = a.stream();
        const { stream } = await b.resolve();
        seen.push(b.name);
        left.destroy();
        return (await bytesOf(stream)).toString();
      },
      never: async ({ a, b }) => { a.stream().destroy(); const { stream } = await b.resolve(); await bytesOf(stream).catch(({ code }) => seen.push(code)); },
      saved: async ({ a, b }) => { a.stream().destroy(); const { path } = await b.toTempFile(temp.directory); unlinkSync(path); return path.split('/').pop().split('.').slice(0, 2).join('.'); },
      named: async ({ file }) => { seen.push(file.name); return (await bytesOf(file.stream())).toString(); },
    };
    const temp = temporary();
    await withTunnel({ driver, tasks, tempDir: temp.directory }, async (tunnel) => {
      /** Each part comes alone, and late. */
      const slowly = async (id, parts, end) => {
        const pieces = [...parts.map((one) => Buffer.from(one)), formBytes([], end)];
        const socket = await RawSocket.connect(tunnel);
        await socket.write(`POST /__runner/task/${id} HTTP/1.1\r\nHost: h\r\nContent-Type: ${FORM_TYPE['content-type']}\r\nContent-Length: ${pieces.reduce((bytes, piece) => bytes + piece.length, 0)}\r\n\r\n`);
        for (const piece of pieces) {
          await socket.write(piece);
          await sleep(30);
        }
        const { status, body } = await socket.answer();
        socket.destroy();
        return [status, JSON.parse(body).result ?? JSON.parse(body).error.code];
      };
      const both = manifest({ a: sentinel('A'), b: sentinel('B') });
      const [A, B] = [part('A', noise(300 * KIB), { filename: 'a.bin' }), part('B', 'bytes of b', { filename: 'b.txt' })];
      assert.deepEqual(await slowly('one', [manifest({ file: sentinel('F1') }), part('F1', 'x', { filename: 'photo.png', type: 'image/png' })]), [200, { name: 'photo.png', type: 'image/png' }]);
      assert.deepEqual(await slowly('several', [both, A, B]), [200, 'bytes of b']);
      assert.deepEqual(seen.splice(0), ['a.bin', 'upload', 'b.txt']);
      assert.deepEqual(await slowly('saved', [both, A, B]), [200, 'b.txt']);
      assert.deepEqual(await slowly('never', [both, A]), [400, 'MISSING_FILE_PART']);
      await until(() => seen.length > 0, 'the reader is told');
      assert.deepEqual(seen.splice(0), ['FASTTUNNEL_FILE_REFUSED']);
      // A file that the manifest names is not waited for.
      assert.deepEqual(await slowly('named', [manifest({ file: sentinel('F1', { name: 'mine' }) }), part('F1', 'x')]), [200, 'x']);
      assert.deepEqual(seen.splice(0), ['mine']);
      // What never comes does not start.
      assert.deepEqual(await slowly('named', [manifest({ file: sentinel('F1') })]), [400, 'MISSING_FILE_PART']);
      assert.deepEqual(await slowly('named', [manifest({ file: sentinel('F1') })], '--'), [400, 'INVALID_MULTIPART']);
      const gone = await RawSocket.connect(tunnel);
      await gone.write(`POST /__runner/task/named HTTP/1.1\r\nHost: h\r\nContent-Type: ${FORM_TYPE['content-type']}\r\nContent-Length: 9999\r\n\r\n${manifest({ file: sentinel('F1') })}`);
      await until(() => tunnel.stats().live === 1, 'the call has come');
      gone.destroy();
      await until(() => tunnel.stats().live === 0, 'the call is over');
      assert.deepEqual(seen, []);
    });
    temp.remove();
  });

  it('without bounds', () => withForms({ limits: { multipart: { fileSize: Infinity, files: Infinity, fields: Infinity, fieldSize: Infinity } } }, async (tunnel) => {
    const many = Array.from({ length: 200 }, (_, index) => `${index}`);
    const all = await result(tunnel, 'inOrder', [...many.map((id) => field(id, id)), manifest(many.map((id) => sentinel(id))), ...many.map((id) => part(id, id))]);
    assert.deepEqual(all, many.map((id) => whole(Buffer.from(id))));
    const text = 'x'.repeat(3 * MIB);
    assert.equal(await result(tunnel, 'echo', [manifest(text)]), text);
    const large = noise(22 * MIB, 11);
    assert.deepEqual(await result(tunnel, 'read', [manifest({ file: sentinel('F1') }), part('F1', large)]), whole(large));
  }));

  it('typed values of a serializer stay what they are', () => {
    const serializer = {
      parse: (text) => JSON.parse(text, (_key, value) => (value?.__date === undefined ? (value?.__map === undefined ? value : new Map(value.__map)) : new Date(value.__date))),
      stringify: (value) => JSON.stringify(value),
    };
    const tasks = { typed: async ({ at, map }) => [at instanceof Date, at.getTime(), await read(map.get('file'))] };
    return withForms({ serializer, tasks }, async (tunnel) => {
      const input = manifest({ at: { __date: 5 }, map: { __map: [['file', sentinel('F1')]] } });
      assert.deepEqual(await result(tunnel, 'typed', [input, part('F1', OTHER)]), [true, 5, whole(OTHER)]);
    });
  });

  it('keys that could reach a prototype are dropped', () => withForms({}, async (tunnel) => {
    assert.deepEqual(await result(tunnel, 'echo', [field('__manifest', '{"input":{"__proto__":{"polluted":1},"a":1}}')]), { a: 1 });
    assert.equal({}.polluted, undefined);
  }));

  it('a client that goes: readers fail, the signal aborts, nothing is left', () => withForms({}, async (tunnel, { seen, temp }) => {
    const input = manifest({ file: sentinel('F1') });
    // While the task reads, with a part of the file on disk, and before the task.
    for (const [id, start, what] of [
      ['readOrTell', [input, partHead('file:F1'), 'begun'], () => seen.includes('started')],
      ['stuck', [input, partHead('file:F1'), noise(60 * KIB)], () => seen.includes('readable')],
      ['late', [part('X', BIG), input, partHead('file:F1'), noise(200 * KIB)], () => tunnel.stats().live > 0],
      ['readOrTell', [part('X', BIG), partHead('file:F1'), noise(300 * KIB)], () => temp.open().length === 2],
    ]) {
      seen.length = 0;
      const socket = await RawSocket.connect(tunnel);
      await socket.write(head(id, 10 * MIB));
      await socket.write(formBytes(start, ''));
      await until(what, `${id} is under way`);
      socket.socket.resetAndDestroy();
      await until(() => tunnel.stats().live === 0, 'the call is over');
      if (id !== 'late' && what() !== true) assert.ok(seen.includes('ECONNRESET') || !seen.includes('started'), `${id}: ${seen}`);
      if (id === 'stuck') assert.ok(seen.includes('aborted') && seen.includes('ECONNRESET'), `${seen}`);
      await until(() => temp.open().length === 0, 'every file is closed');
    }
  }));

  it('no room on disk is a failure of that call alone, and is told', async () => {
    const errors = [];
    await withForms({ tempDir: '/nonexistent/fasttunnel', onError: (error) => errors.push(error) }, async (tunnel) => {
      const input = manifest({ file: sentinel('F1') });
      const [[status, text], other] = await Promise.all([answer(tunnel, 'late', [input, part('F1', BIG)]), result(tunnel, 'read', [input, part('F1', BIG)])]);
      assert.deepEqual([status, text], [500, E500]);
      assert.deepEqual(other, whole(BIG));
      assert.deepEqual(errors.map(({ name, code }) => [name, code]), [['SpoolError', 'ENOENT']]);
      assert.deepEqual(await result(tunnel, 'ignore', [input, part('F1', BIG)]), { name: 'part.txt' });
    });
  });

  it('many at once, among calls without files', () => withForms({}, async (tunnel) => {
    const calls = Array.from({ length: 60 }, async (_, index) => {
      const bytes = noise(50 * KIB * (index % 9), index);
      const input = manifest({ file: sentinel('F1') });
      switch (index % 4) {
        case 0: return assert.deepEqual(await result(tunnel, 'read', [input, part('F1', bytes)]), whole(bytes));
        case 1: return assert.deepEqual(await result(tunnel, 'late', [part('F1', bytes), input]), whole(bytes));
        case 2: return assert.equal(digest((await send(tunnel, 'back', [input, part('F1', bytes)])).bytes), digest(bytes));
        default: return assert.equal(await result(tunnel, 'echo', [manifest(index)]), index);
      }
    });
    await Promise.all(calls);
  }));

  it('events do not take them', () => withForms({ events: { notify: () => {} } }, async (tunnel) => {
    const response = await fetch(`${tunnel.url}/event/notify`, { method: 'POST', headers: FORM_TYPE, body: formBytes([manifest(1)]) });
    assert.equal(response.status, 400);
  }));

  it('closing the tunnel ends what waits', async () => {
    const temp = temporary();
    const seen = [];
    await withTunnel({ driver, shards: 1, tempDir: temp.directory, drainTimeoutMs: 50, tasks: tasksWith(seen) }, async (tunnel) => {
      const socket = await RawSocket.connect(tunnel);
      await socket.write(head('readOrTell', 10 * MIB));
      await socket.write(formBytes([part('F0', noise(300 * KIB)), manifest({ file: sentinel('F1'), other: sentinel('F0') }), partHead('file:F1'), 'begun'], ''));
      await until(() => seen.includes('started') && temp.open().length === 1, 'it reads');
      await tunnel.close();
      await until(() => seen.length === 2, 'its reader is told');
      await until(() => temp.open().length === 0, 'every file is closed');
      socket.destroy();
    });
    temp.remove();
  });
});

const head = (id, length) =>
  `POST /__runner/task/${id} HTTP/1.1\r\nHost: localhost\r\nContent-Type: ${FORM_TYPE['content-type']}\r\nContent-Length: ${length}\r\n\r\n`;
