// The reader of answers, from bytes in pieces of every size; and what it refuses.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { describe, it } from 'node:test';
import fc from 'fast-check';

const require = createRequire(import.meta.url);
const { AnswerReader, AnswerError } = require('../dist/cjs/client/answer-reader.js');
const { Layout } = require('../dist/cjs/client/layout.js');

/** Reads pieces as the answers to requests with the ids 1, 2, …; the memory of a piece is overwritten when it was read. */
function read(pieces, { asked = 100, maxBytes = 1 << 20, layout = new Layout(), leave = () => false } = {}) {
  const got = [];
  const sink = {
    expected: () => (got.length < asked ? `id-${got.length + 1}` : undefined),
    leave,
    answer: ({ status, requestId, close, keepMs, retryAfter }, text) => { got.push({ status, text, requestId, close, keepMs, retryAfter }); },
  };
  const reader = new AnswerReader(sink, layout, maxBytes);
  for (const piece of pieces) {
    const memory = Buffer.from(piece);
    reader.read(memory);
    memory.fill(0x78);
  }
  reader.end();
  return got;
}

const own = (number, body, date = 'Sun, 06 Nov 1994 08:49:37 GMT') =>
  `HTTP/1.1 200 OK\r\nx-runner-request-id: id-${number}\r\nAccess-Control-Allow-Origin: *\r\ncontent-type: application/json; charset=utf-8\r\ncontent-length: ${Buffer.byteLength(body)}\r\n` +
  `X-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\nDate: ${date}\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\n\r\n${body}`;
const plain = (body, lines = '') => `HTTP/1.1 200 OK\r\n${lines}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
const chunked = (...chunks) => `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunks.map((chunk) => `${Buffer.byteLength(chunk).toString(16)};x=y\r\n${chunk}\r\n`).join('')}0\r\nTrailer: x\r\n\r\n`;

const STREAM = [own(1, '{"ok":true,"result":3}'), own(2, '{"ok":true,"result":"\u2603\u00e9"}'), 'HTTP/1.1 100 Continue\r\n\r\n', 'HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n', own(3, '{"ok":true}', 'Sun, 06 Nov 1994 08:49:38 GMT'),
  plain('{"a":1}', 'server: x\r\n'), chunked('{"b"', ':', '"\u2603"}'), 'HTTP/1.1 204 No Content\r\n\r\n', 'HTTP/1.1 503 \r\ncontent-length: 0\r\nRetry-After: 2\r\nkeep-alive: max=5, timeout=7\r\n\r\n', own(8, '{"ok":true,"result":8}'),
  'HTTP/1.0 200 OK\r\n\r\n{"until":"the end"}'];
const TEXTS = ['{"ok":true,"result":3}', '{"ok":true,"result":"\u2603\u00e9"}', '{"ok":true}', '{"a":1}', '{"b":"\u2603"}', '', '', '{"ok":true,"result":8}', '{"until":"the end"}'];

describe('answers', () => {
  const bytes = Buffer.from(STREAM.join(''));
  const whole = read([bytes]);

  it('are read in every framing', () => {
    assert.deepEqual(whole.map(({ text }) => text), TEXTS);
    assert.deepEqual(whole.map(({ status }) => status), [200, 200, 200, 200, 200, 204, 503, 200, 200]);
    assert.deepEqual(whole.map(({ close }) => close), [...Array(8).fill(false), true]);
    assert.equal(whole[6].retryAfter, '2');
    assert.equal(whole[6].keepMs, 7000);
    assert.equal(whole[0].keepMs, 5000);
  });

  it('are the same split in two anywhere', () => {
    const shape = ({ status, text, close, keepMs }) => ({ status, text, close, keepMs });
    for (let at = 0; at <= bytes.length; at++) assert.deepEqual(read([bytes.subarray(0, at), bytes.subarray(at)]).map(shape), whole.map(shape), `split at ${at}`);
    assert.deepEqual(read(Array.from(bytes, (byte) => Buffer.of(byte))).map(shape), whole.map(shape));
  });

  it('are the same in pieces of any size', () => {
    fc.assert(fc.property(fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1 }), (sizes) => {
      const pieces = [];
      for (let at = 0, index = 0; at < bytes.length; index++) {
        const size = sizes[index % sizes.length];
        pieces.push(bytes.subarray(at, at + size));
        at += size;
      }
      assert.deepEqual(read(pieces).map(({ text }) => text), TEXTS);
    }), { numRuns: 100 });
  });

  it('that are written alike are recognised, and what differs in a byte is read anew', () => {
    const layout = new Layout();
    read([own(1, '1')], { layout });
    const text = own(2, '22');
    assert.ok(layout.recognises(text, 0, 'id-2'));
    assert.equal(text.slice(layout.start, layout.start + layout.length), '22');
    const head = text.indexOf('\r\n\r\n') + 4;
    for (let at = 0; at < head; at++) {
      const changed = `${text.slice(0, at)}\x01${text.slice(at + 1)}`;
      assert.equal(layout.recognises(changed, 0, 'id-2'), false, JSON.stringify(changed.slice(Math.max(0, at - 10), at + 10)));
    }
    assert.ok(layout.isOwn);
  });

  it('that a proxy has written anew are not taken for our own', () => {
    for (const answer of [own(1, '1').replace('X-Frame', 'x-frame'), own(1, '1').replace('Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n', ''), own(1, '1').replace('Keep-Alive', 'via: x\r\nKeep-Alive')]) {
      const layout = new Layout();
      read([answer], { layout });
      assert.equal(layout.isOwn, false);
    }
  });
});

describe('no answers are', () => {
  const REFUSED = {
    'what is no HTTP': 'SSH-2.0-OpenSSH\r\n',
    'what is no HTTP, without an end of line': '\x16\x03\x01',
    'another version': 'HTTP/2.0 200 OK\r\n\r\n',
    'a status of two digits': 'HTTP/1.1 20 OK\r\n\r\n',
    'a change of protocol': 'HTTP/1.1 101 Switching Protocols\r\n\r\n',
    'a line without a colon': 'HTTP/1.1 200 OK\r\nnonsense\r\n\r\n',
    'a folded line': 'HTTP/1.1 200 OK\r\na: b\r\n c\r\ncontent-length: 0\r\n\r\n',
    'a blank before the colon': 'HTTP/1.1 200 OK\r\ncontent-length : 1\r\n\r\n1',
    'a bare line feed in a head': 'HTTP/1.1 200 OK\r\na: b\nc: d\r\ncontent-length: 0\r\n\r\n',
    'two lengths': 'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n1',
    'a negative length': 'HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n',
    'a length beside chunks': 'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n',
    'a coding that nobody has asked for': 'HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n',
    'a chunk without a size': 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nx\r\n',
    'a chunk that is longer than it says': 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n',
    'more than may be, by its length': 'HTTP/1.1 200 OK\r\ncontent-length: 1000001\r\n\r\n',
    'more than may be, in chunks': `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${'ffff\r\n'.padEnd(65541, 'x')}\r\n`.concat(`fffff\r\n`),
    'a head without an end': `HTTP/1.1 200 OK\r\n${'a: b\r\n'.repeat(20_000)}`,
  };
  for (const [what, text] of Object.entries(REFUSED)) {
    it(what, () => {
      assert.throws(() => read([Buffer.from(text, 'latin1')], { maxBytes: 1_000_000 }), AnswerError);
      assert.throws(() => read(Array.from(Buffer.from(text.slice(0, 70_000), 'latin1'), (byte) => Buffer.of(byte)).concat(Buffer.from(text.slice(70_000), 'latin1')), { maxBytes: 1_000_000 }), AnswerError);
    });
  }

  it('those that nobody has asked for', () => {
    assert.throws(() => read([Buffer.from(plain('1') + plain('2'))], { asked: 1 }), /nobody has asked for/);
    assert.throws(() => read([Buffer.from(plain('1')), Buffer.from('H')], { asked: 1 }), /nobody has asked for/);
  });

  it('a notice that nobody has asked for, unless it is taken as such', () => {
    const notice = 'HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nConnection: close\r\n\r\n';
    assert.throws(() => read([Buffer.from(plain('1') + notice)], { asked: 1 }), /nobody has asked for/);
    assert.deepEqual(read([Buffer.from(plain('1') + notice + plain('2'))], { leave: () => true }).map(({ text }) => text), ['1']);
    assert.deepEqual(read([Buffer.from(plain('1')), Buffer.from(notice)], { asked: 1, leave: () => true }).map(({ text }) => text), ['1']);
    // With the id of a request, or on a connection that goes on, it is an answer.
    for (const [what, instead] of [['content-length', 'x-runner-request-id: id-1\r\ncontent-length'], ['Connection: close', 'Connection: keep-alive']]) {
      assert.deepEqual(read([Buffer.from(notice.replace(what, instead))], { leave: () => true }).map(({ status }) => status), [408]);
    }
  });

  it('random bytes', () => {
    fc.assert(fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 5 }), (pieces) => {
      try {
        read(pieces.map((piece) => Buffer.from(piece)));
      } catch (error) {
        assert.ok(error instanceof AnswerError, `${error}`);
      }
    }), { numRuns: 300 });
    const heads = fc.array(fc.constantFrom('HTTP/1.1 200 OK\r\n', 'content-length: 5\r\n', 'transfer-encoding: chunked\r\n', '\r\n', '5\r\n', 'hello', '\r\n\r\n', '0\r\n\r\n', ': ', 'x'), { maxLength: 12 });
    fc.assert(fc.property(heads, (parts) => {
      try {
        read(parts.map((part) => Buffer.from(part)));
      } catch (error) {
        assert.ok(error instanceof AnswerError, `${error}`);
      }
    }), { numRuns: 1000 });
  });
});
