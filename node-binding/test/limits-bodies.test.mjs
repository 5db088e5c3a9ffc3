// The limits of bodies, each below, at and above its bound.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { afterwards, expectBound, callBytes, verdict } from './support/bounds.mjs';
import { BOUNDARY, field, FORM_TYPE, formBytes, manifest, part, sentinel } from './support/forms.mjs';
import { postBytes, RawSocket } from './support/raw-socket.mjs';
import { onBothDrivers, withTunnel } from './support/tunnels.mjs';

// It answers the same whatever it gets: results have a depth of their own.
const tasks = { echo: () => 'fine', length: async (_input, { body }) => { let bytes = 0; for await (const chunk of body) bytes += chunk.length; return bytes; } };
const events = { notify: () => {} };
const CHUNKED = { 'content-length': undefined, 'transfer-encoding': 'chunked' };
const MEBIBYTE = 1024 * 1024;

/** JSON text of so many bytes; of none, nothing. */
const textOf = (bytes) => (bytes < 2 ? '1'.repeat(bytes) : `"${'x'.repeat(bytes - 2)}"`);
/** The text in chunks of at most `most` bytes. */
const chunksOf = (text, most = 1000, extension = '') => {
  let chunks = '';
  for (let at = 0; at < text.length; at += most) {
    const chunk = text.slice(at, at + most);
    chunks += `${chunk.length.toString(16)}${extension}\r\n${chunk}\r\n`;
  }
  return `${chunks}0\r\n`;
};

onBothDrivers('limits of a body', (driver) => {
  const limited = (limits, body) => withTunnel({ driver, shards: 1, tasks, events, limits }, body);

  for (const [what, limits, bound] of [
    ['0', { maxBodyBytes: 0 }, 0],
    ['1000', { maxBodyBytes: 1000 }, 1000],
    ["1000 by Runner's name", { json: { maxSize: 1000 } }, 1000],
    ['2 MiB, the default', {}, 2 * MEBIBYTE],
    ['3 MiB', { maxBodyBytes: 3 * MEBIBYTE }, 3 * MEBIBYTE],
  ]) {
    // What is left of the body is read, so that the connection stays.
    it(`maxBodyBytes ${what}: 413`, () => limited(limits, async (tunnel) => {
      await expectBound(tunnel, bound, (bytes) => callBytes(textOf(bytes)), '413, open');
      await expectBound(tunnel, bound, (bytes) => `${callBytes(chunksOf(textOf(bytes)), CHUNKED)}\r\n`, '413, open');
    }));

    it(`maxBodyBytes ${what}: 413 from the head alone`, () => limited({ ...limits, maxDiscardedBytes: 99_999 }, async (tunnel) => {
      assert.equal(await verdict(tunnel, callBytes('', { 'content-length': bound + 100_000 })), '413, closed');
    }));
  }

  for (const maxDiscardedBytes of [0, 1000, 300_000]) {
    it(`maxDiscardedBytes ${maxDiscardedBytes}: closed`, () => limited({ maxDiscardedBytes }, async (tunnel) => {
      /** The body comes when its request is answered. */
      const afterAnswer = async (headers, body) => {
        const socket = await RawSocket.connect(tunnel);
        await socket.write(postBytes('/__runner/task/unknown', '', headers));
        const answer = await socket.answer();
        await socket.write(body);
        const verdict = await afterwards(socket, answer.status);
        socket.destroy();
        return `${verdict}, ${answer.headers.connection}`;
      };
      for (const bytes of [maxDiscardedBytes - 1, maxDiscardedBytes, maxDiscardedBytes + 1]) {
        if (bytes < 0) continue;
        // Of what is declared, the client is told.
        assert.equal(await afterAnswer({ 'content-length': bytes }, textOf(bytes)), bytes <= maxDiscardedBytes ? '403, open, keep-alive' : '403, closed, close', `${bytes}`);
        if (bytes < 20) continue;
        // Whatever stands around the chunks counts.
        const content = bytes - '123456\r\n\r\n0\r\n\r\n'.length;
        const chunked = `${content.toString(16).padStart(6, '0')}\r\n${'x'.repeat(content)}\r\n0\r\n\r\n`;
        assert.equal(await afterAnswer(CHUNKED, chunked), bytes <= maxDiscardedBytes ? '403, open, keep-alive' : '403, closed, keep-alive', `${bytes} in chunks`);
      }
      if (maxDiscardedBytes === 0) assert.equal(await afterAnswer(CHUNKED, '0\r\n\r\n'), '403, closed, close');
    }));
  }

  it('maxBodyBytes says nothing of bytes that a task streams', () => limited({ maxBodyBytes: 10 }, async (tunnel) => {
    assert.equal(await verdict(tunnel, postBytes('/__runner/task/length', 'x'.repeat(1000), { 'content-type': 'application/octet-stream' })), '200, open');
  }));

  /** So many arrays and objects, one inside of the other, around `leaf`. */
  const nested = (containers, leaf, kinds) => {
    const objects = Array.from({ length: containers }, (_, index) => (kinds === 'mixed' ? index % 3 === 1 : kinds === 'objects'));
    return objects.map((object) => (object ? '{"k":' : '[')).join('') + leaf + objects.reverse().map((object) => (object ? '}' : ']')).join('');
  };

  for (const maxJsonDepth of [1, 2, 5, 1001]) {
    it(`maxJsonDepth ${maxJsonDepth}: 400`, () => limited(maxJsonDepth === 1001 ? {} : { maxJsonDepth }, async (tunnel) => {
      for (const kinds of ['arrays', 'objects', 'mixed']) {
        // A value inside so many containers is too deep, so that the innermost of as many has to be empty. One with a number
        // that only JavaScript can read is judged by somebody else.
        for (const leaf of ['1', '"[["', '1e999', '{}', '[ ]']) {
          await expectBound(tunnel, maxJsonDepth, (containers) => callBytes(nested(containers, leaf, kinds)), '400, open', { first: maxJsonDepth });
        }
      }
      // The envelope is one of them.
      await expectBound(tunnel, maxJsonDepth, (containers) => callBytes(containers < 1 ? '1' : `{"input":${nested(containers - 1, '1', 'arrays')}}`), '400, open', { first: maxJsonDepth });
      await expectBound(tunnel, maxJsonDepth, (containers) => postBytes('/__runner/event/notify', containers < 1 ? '1' : `{"payload":${nested(containers - 1, '1', 'arrays')}}`), '400, open', { first: maxJsonDepth });
      // Wide is not deep; nor is a body for which the checker gives its memory back.
      if (maxJsonDepth > 1) assert.equal(await verdict(tunnel, callBytes(`[${'1,'.repeat(100_000)}1]`)), '200, open');
      await expectBound(tunnel, maxJsonDepth, (containers) => callBytes(nested(containers, '1', 'mixed')), '400, open', { first: maxJsonDepth });
    }));
  }

  it('maxJsonDepth holds for the manifest of a form: 400', () => limited({ maxJsonDepth: 4 }, (tunnel) => expectBound(
    tunnel, 4, (containers) => formOf([field('__manifest', `{"input":${nested(containers - 1, '1', 'mixed')}}`)]), '400, open', { first: 4 },
  )));

  for (const maxChunkExtensionBytes of [0, 2, 100, 4096]) {
    it(`maxChunkExtensionBytes ${maxChunkExtensionBytes}: 413 and close`, () => limited(maxChunkExtensionBytes === 4096 ? {} : { maxChunkExtensionBytes }, async (tunnel) => {
      const extension = (bytes) => (bytes === 0 ? '' : padded(bytes, ';'));
      const once = (bytes) => callBytes(`1${extension(bytes)}\r\n1\r\n0\r\n\r\n`, CHUNKED);
      // One byte of extension would be a `;` without a name, which is malformed, unless even that is too much.
      for (const [bytes, expected] of [[maxChunkExtensionBytes - 1, '200, open'], [maxChunkExtensionBytes, '200, open'], [maxChunkExtensionBytes + 1, '413, closed']]) {
        if (bytes === 0 || bytes > 1 || expected !== '200, open') assert.equal(await verdict(tunnel, once(bytes)), expected, `${bytes}`);
      }
      // All chunks together, also of a body that nobody wants.
      const chunks = Math.floor(maxChunkExtensionBytes / 4);
      const many = (more) => `${chunksOf('1'.repeat(chunks + more), 1, ';abc')}\r\n`;
      if (chunks > 0) assert.equal(await verdict(tunnel, callBytes(many(0), CHUNKED)), '200, open');
      assert.equal(await verdict(tunnel, callBytes(many(1), CHUNKED)), '413, closed');
      assert.equal(await verdict(tunnel, postBytes('/__runner/task/unknown', many(1), CHUNKED)), '403, closed');
    }));
  }

  for (const maxTrailerBytes of [0, 20, 8192]) {
    it(`maxTrailerBytes ${maxTrailerBytes}: 431 and close`, () => limited(maxTrailerBytes === 8192 ? {} : { maxTrailerBytes }, async (tunnel) => {
      const trailer = (bytes) => callBytes(`1\r\n1\r\n0\r\n${bytes < 5 ? 'X:\r\n'.slice(0, bytes && 4) : padded(bytes, 'X:', '\r\n')}\r\n`, CHUNKED);
      await expectBound(tunnel, maxTrailerBytes, trailer, '431, closed');
    }));
  }

  for (const maxHeaders of [3, 100]) {
    it(`maxHeaders ${maxHeaders} counts the lines behind a chunked body as well: 431 and close`, () => limited(maxHeaders === 100 ? {} : { maxHeaders }, (tunnel) => (
      expectBound(tunnel, maxHeaders, (count) => callBytes(`1\r\n1\r\n0\r\n${'X: y\r\n'.repeat(count)}\r\n`, { ...CHUNKED, 'content-type': undefined }), '431, closed')
    )));
  }
});

const padded = (bytes, before, after = '') => before + 'x'.repeat(Math.max(0, bytes - before.length - after.length)) + after;

/** A call of `echo` with a form. */
function formOf(parts) {
  const body = formBytes(parts);
  return Buffer.concat([Buffer.from(`POST /__runner/task/echo HTTP/1.1\r\nHost: x\r\nContent-Type: ${FORM_TYPE['content-type']}\r\nContent-Length: ${body.length}\r\n\r\n`), body]);
}

onBothDrivers('limits of a form', (driver) => {
  const input = manifest(1);
  const fields = (count) => Array.from({ length: count }, (_, index) => field(`f${index}`, 'x'));
  const files = (count) => Array.from({ length: count }, (_, index) => part(`F${index}`, 'x'));
  // The first number that is too much: sizes and `parts` count as exceeded when they are reached.
  const cases = [
    ['fileSize', 1000, 1000, (bytes) => [input, part('F1', 'x'.repeat(bytes))]],
    ['fileSize', undefined, 20 * MEBIBYTE, (bytes) => [input, part('F1', Buffer.alloc(bytes, 'x'))]],
    ['files', 3, 4, (count) => [input, ...files(count)]],
    ['files', undefined, 11, (count) => [input, ...files(count)]],
    ['files', 0, 1, (count) => [input, ...files(count)]],
    ['fieldSize', 100, 100, (bytes) => [input, field('a', 'x'.repeat(bytes))]],
    ['fieldSize', undefined, MEBIBYTE, (bytes) => [input, field('a', 'x'.repeat(bytes))]],
    ['fields', 3, 4, (count) => [input, ...fields(count - 1)]],
    ['fields', undefined, 101, (count) => [input, ...fields(count - 1)]],
    ['parts', 5, 5, (count) => [input, ...files(2), ...fields(count - 3)]],
  ];
  for (const [name, bound, first, make] of cases) {
    it(`multipart.${name} ${bound ?? 'by default'}: 413`, () => withTunnel({ driver, shards: 1, tasks, limits: bound === undefined ? {} : { multipart: { [name]: bound } } }, async (tunnel) => {
      for (const n of [first - 2, first - 1, first]) {
        if (n < 0) continue;
        const status = await verdict(tunnel, formOf(make(n)));
        assert.match(status, n < first ? /^200, open$/ : /^413, /, `${n} where ${first} is too much`);
      }
    }));
  }

  it('multipart.files bounds the files that a manifest names: 413', () => withTunnel({ driver, shards: 1, tasks: { names: (list) => list.length }, limits: { multipart: { files: 3 } } }, async (tunnel) => {
    const named = (count) => {
      const body = formBytes([manifest(Array.from({ length: count }, (_, index) => sentinel(`F${index}`))), ...files(Math.min(count, 3))]);
      return Buffer.concat([Buffer.from(`POST /__runner/task/names HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=${BOUNDARY}\r\nContent-Length: ${body.length}\r\n\r\n`), body]);
    };
    await expectBound(tunnel, 3, named, '413, open');
  }));
});
