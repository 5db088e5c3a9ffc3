// What lies between a foreign server and the engine, without either: heads that are written, answers that are read.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { describe, it } from 'node:test';

const require = createRequire(import.meta.url);
const { AnswerReader } = require('../dist/cjs/in-process/answer-reader.js');
const { requestHead } = require('../dist/cjs/in-process/request-head.js');

/** What a reader makes of bytes that come in these pieces. */
function read(pieces, { toHead = false, answers = 1 } = {}) {
  const reader = new AnswerReader();
  const seen = [];
  const sink = {
    head: (status, reason, lines) => seen.push({ status, reason, lines, body: '' }),
    data: (bytes) => { seen.at(-1).body += bytes.toString('latin1'); },
    end: () => {
      seen.at(-1).over = true;
      if (seen.length < answers) reader.expect(sink, toHead);
    },
  };
  reader.expect(sink, toHead);
  const good = pieces.every((piece) => reader.read(Buffer.from(piece, 'latin1')));
  return { seen, good, idle: reader.idle, last: reader.last };
}

describe('answers of the engine', () => {
  const LENGTH = 'HTTP/1.1 200 OK\r\nx-a: 1\r\ncontent-length: 5\r\nConnection: keep-alive\r\n\r\nh\u00e9llo';
  const CHUNKED = 'HTTP/1.1 206 Some Of It\r\nTransfer-Encoding: chunked\r\nset-cookie: a\r\nset-cookie: b\r\nConnection: close\r\n\r\n3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n';
  const EMPTY = 'HTTP/1.1 204 No Content\r\nvary: Origin\r\n\r\n';

  it('are read however they are split', () => {
    const all = `HTTP/1.1 100 Continue\r\n\r\n${LENGTH}${EMPTY}${CHUNKED}`;
    const whole = read([all], { answers: 3 });
    assert.deepEqual(whole.seen, [
      { status: 200, reason: 'OK', lines: ['x-a', '1', 'content-length', '5', 'Connection', 'keep-alive'], body: 'h\u00e9llo', over: true },
      { status: 204, reason: 'No Content', lines: ['vary', 'Origin'], body: '', over: true },
      { status: 206, reason: 'Some Of It', lines: ['Transfer-Encoding', 'chunked', 'set-cookie', 'a', 'set-cookie', 'b', 'Connection', 'close'], body: 'abc0123456789', over: true },
    ]);
    assert.deepEqual([whole.good, whole.idle, whole.last], [true, true, true]);
    for (let size = 1; size < all.length; size += 1) {
      const pieces = Array.from({ length: Math.ceil(all.length / size) }, (_, index) => all.slice(index * size, (index + 1) * size));
      assert.deepEqual(read(pieces, { answers: 3 }), whole, `in pieces of ${size}`);
    }
  });

  it('to HEAD have no content, and 304 neither', () => {
    assert.deepEqual(read([LENGTH.slice(0, -5)], { toHead: true }).seen.map(({ body, over }) => [body, over]), [['', true]]);
    assert.deepEqual(read(['HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n']).seen.map(({ body, over }) => [body, over]), [['', true]]);
  });

  it('that are none are refused', () => {
    const refused = [
      'HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n', 'HTTP/1.1 2x0 OK\r\n\r\n', 'hello\r\n\r\n', 'HTTP/1.1 200 OK\r\nno colon\r\n\r\n', 'HTTP/1.1 200 OK\r\n: x\r\n\r\n',
      'HTTP/1.1 200 OK\r\n\r\nuntil the end', 'HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n', `${LENGTH}more`, `${CHUNKED}x`,
      CHUNKED.replace('A\r\n', '0x1\r\n'), CHUNKED.replace('abc\r\n', 'abcd\r\n'), `HTTP/1.1 200 OK\r\nx: ${'y'.repeat(2 ** 20)}`,
    ];
    for (const bytes of refused) assert.equal(read([bytes]).good, false, bytes.slice(0, 80));
    assert.deepEqual([read([LENGTH.slice(0, -1)]).idle, read([CHUNKED.slice(0, -2)]).idle], [false, false], 'not over yet');
  });
});

describe('requests for the engine', () => {
  const received = (rawHeaders, headers, more) => {
    const lower = {};
    for (let index = 0; index < rawHeaders.length; index += 2) {
      const key = rawHeaders[index].toLowerCase();
      lower[key] = lower[key] === undefined ? rawHeaders[index + 1] : `${lower[key]}, ${rawHeaders[index + 1]}`;
    }
    return { method: 'POST', httpVersionMajor: 1, rawHeaders, headers: { ...lower, ...headers }, ...more };
  };
  const write = (request, bodyLength, target = '/x') => {
    const head = requestHead(request, target, bodyLength);
    return head && [head.text.split('\r\n').slice(1, -2), head.framing];
  };

  it('keep the lines as they were received, but for those of the connection', () => {
    const raw = ['HOST', 'h', 'X-B', '2', 'x-a', '\u00e4', 'X-b', '3', 'Connection', 'keep-alive', 'Keep-Alive', 'timeout=5', 'Expect', '100-continue', 'TE', 'trailers', 'Upgrade', 'h2c', 'Content-Length', '7'];
    assert.deepEqual(write(received(raw)), [['HOST: h', 'X-B: 2', 'X-B: 3', 'x-a: \u00e4', 'Content-Length: 7'], 7]);
    const distinct = ['Host', 'h', 'X-B', '2', 'x-A', '1'];
    assert.deepEqual(write(received(distinct)), [['Host: h', 'X-B: 2', 'x-A: 1'], 0]);
    assert.equal(requestHead(received(distinct), '/a?b', undefined).text, 'POST /a?b HTTP/1.1\r\nHost: h\r\nX-B: 2\r\nx-A: 1\r\n\r\n');
  });

  it('carry what a middleware has made of the headers', () => {
    const request = received(['Host', 'h', 'X-User', 'forged', 'X-Gone', '1', 'X-Twice', 'a', 'X-Twice', 'b'], { 'x-user': 'known', 'x-new': ['1', '2'], 'x-number': 7 });
    delete request.headers['x-gone'];
    assert.deepEqual(write(request), [['Host: h', 'X-User: known', 'X-Twice: a', 'X-Twice: b', 'x-new: 1', 'x-new: 2', 'x-number: 7'], 0]);
  });

  it('say how long they are', () => {
    assert.deepEqual(write(received(['Host', 'h', 'Transfer-Encoding', 'gzip, chunked'])), [['Host: h', 'Transfer-Encoding: chunked'], 'chunked']);
    assert.deepEqual(write(received(['Host', 'h', 'Content-Length', '9']), 4), [['Host: h', 'Content-Length: 4'], 4]);
    assert.deepEqual(write(received(['Host', 'h', 'Transfer-Encoding', 'chunked']), 0), [['Host: h'], 0]);
    assert.deepEqual(write(received(['Host', 'h', 'Content-Length', '0'])), [['Host: h', 'Content-Length: 0'], 0]);
    // HTTP/2, and stand-ins: there may be a body all the same.
    assert.deepEqual(write(received([':method', 'GET', ':authority', 'a.example', 'x', '1'], {}, { httpVersionMajor: 2, method: 'GET' })), [['x: 1', 'Host: a.example', 'Transfer-Encoding: chunked'], 'chunked']);
    assert.deepEqual(write({ method: 'POST', headers: { host: 'h' } }), [['host: h', 'Transfer-Encoding: chunked'], 'chunked']);
    assert.deepEqual(write({ method: 'POST' }), [['Host: localhost', 'Transfer-Encoding: chunked'], 'chunked']);
  });

  it('that could be read as two are not written', () => {
    const good = { 'Host': 'h' };
    const bad = [
      [{ headers: { 'x\r\ny': '1' } }], [{ headers: { x: 'a\r\nb: c' } }], [{ headers: { x: 'a\0' } }], [{ headers: { x: '\u0416' } }], [{ headers: { 'content-length': '+5' } }],
      [{ headers: { 'content-length': '5, 5' } }], [{ headers: { 'content-length': ['5', '6'] } }], [{ headers: good, method: 'GET /x HTTP/1.1\r\n' }], [{ headers: good, method: '' }],
      [{ headers: good }, '/x y'], [{ headers: good }, '/x\r\n'], [{ headers: good }, ''],
    ];
    for (const [request, target] of bad) assert.equal(requestHead({ method: 'POST', ...request }, target ?? '/x', undefined), undefined, JSON.stringify([request, target]));
  });
});
