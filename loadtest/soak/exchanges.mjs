// What a client asks, and the very bytes that it has to be answered.
import { digestOf, MOST_BYTES, patternOf } from './pattern.mjs';

/** Lower than the default, so that 413 costs little. */
export const MAX_BODY_BYTES = 512 * 1024;

const BASE = '/__runner';
const BOUNDARY = 'soak-b0undary';
const TEXTS = ['', 'plain', 'with "quotes" and \\ backslashes', 'ünïcödé \u2028 and 🚇', '\u0000\u001f\n\t', ']},{"id":"not-mine"}', '\r\n\r\nHTTP/1.1 200 OK\r\n'];

const head = (line, lines) => [`${line}`, 'Host: soak', ...lines, '', ''].join('\r\n');

/** A body in chunks of chance lengths. */
export function chunked(dice, body, trailers = {}) {
  const pieces = [];
  for (let at = 0; at < body.length;) {
    const piece = body.subarray(at, at + dice.between(1, Math.max(1, Math.ceil(body.length / 3))));
    pieces.push(Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n'));
    at += piece.length;
  }
  const lines = Object.entries(trailers).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.concat([...pieces, Buffer.from(`0\r\n${lines.join('')}\r\n`)]);
}

/** A request as bytes, and where its body begins. */
function requestOf(dice, { id, path, type, body, lines = [], method = 'POST', token = 'soak', version = '1.1', close = false }) {
  const content = Buffer.isBuffer(body) ? body : Buffer.from(body);
  const inChunks = version === '1.1' && content.length > 0 && dice.once(4);
  const fields = [
    ...(token === null ? [] : [`x-runner-token: ${token}`]),
    `x-runner-request-id: ${id}`,
    `x-soak: ${id}`,
    `Content-Type: ${type}`,
    inChunks ? 'Transfer-Encoding: chunked' : `Content-Length: ${content.length}`,
    ...(close ? ['Connection: close'] : []),
    ...lines,
  ];
  const start = Buffer.from(head(`${method} ${BASE}${path} HTTP/${version}`, fields));
  return { bytes: Buffer.concat([start, inChunks ? chunked(dice, content) : content]), bodyAt: start.length, inChunks };
}

const json = (value) => Buffer.from(JSON.stringify(value));
const ok = (result) => ({ status: 200, body: Buffer.from(`{"ok":true,"result":${JSON.stringify(result)}}`) });
const failed = (status, error) => ({ status, body: json({ ok: false, error }) });
const INTERNAL = failed(500, { message: 'Internal Error', code: 'INTERNAL_ERROR' });

function task(dice, id, name, input, expect, how) {
  return { ...requestOf(dice, { id, path: `/task/soak.${name}`, type: 'application/json', body: json({ input }), ...how }), expect, runs: true };
}

function small(dice, id, how) {
  const input = { id, n: dice.between(-1e6, 1e6) / 8, look: dice.once(4), text: dice.pick(TEXTS) };
  if (dice.once(8)) input.absent = { __type: 'Undefined', value: null };
  if (dice.once(2)) return task(dice, id, 'sync', input, ok(input), how);
  // A microtask, or a timer.
  input.ms = dice.once(2) ? 0 : dice.between(1, 60);
  return task(dice, id, 'async', input, ok(input), how);
}

function large(dice, id, how) {
  const bytes = patternOf(id, dice.between(1_000, dice.once(4) ? 120_000 : 12_000));
  const input = { id, ms: 0, look: false, text: bytes.toString(dice.pick(['base64', 'latin1', 'hex'])) };
  return task(dice, id, dice.pick(['sync', 'async']), input, ok(input), how);
}

function failing(dice, id, how) {
  const why = dice.pick(['error', 'reject', 'task', 'cycle', 'bigint', 'thenable']);
  const expect = why === 'task' ? failed(409, { message: 'refused on purpose', code: 'INTERNAL_ERROR', id: 'soak.errors.refused', data: { id }, httpCode: 409 }) : INTERNAL;
  return task(dice, id, 'fail', { id, how: why }, expect, how);
}

function event(dice, id, how) {
  const payload = { id, text: dice.pick(TEXTS) };
  const returnPayload = dice.once(2);
  const expect = returnPayload ? ok({ ...payload, seen: true }) : { status: 200, body: Buffer.from('{"ok":true}') };
  const body = json({ payload, ...(returnPayload && { returnPayload }) });
  return { ...requestOf(dice, { id, path: '/event/soak.note', type: 'application/json', body, ...how }), expect, runs: true };
}

function download(dice, id, how) {
  const bytes = dice.once(5) ? dice.between(100_000, MOST_BYTES) : dice.between(0, 50_000);
  const input = { id, bytes, source: dice.pick(['readable', 'generator', 'web', 'blob']), length: dice.once(2) };
  return task(dice, id, 'download', input, { status: 200, body: patternOf(id, bytes) }, how);
}

/** An answer whose source fails: it breaks off, and the client sees that. */
function broken(dice, id, how) {
  const input = { id, bytes: dice.between(1, 200_000), source: 'broken', length: false };
  return { ...task(dice, id, 'download', input, { status: 200, body: patternOf(id, input.bytes) }, how), breaks: true };
}

function bytesUp(dice, id, name, expect, how) {
  const body = patternOf(id, dice.once(5) ? dice.between(100_000, MOST_BYTES) : dice.between(0, 50_000));
  return { ...requestOf(dice, { id, path: `/task/soak.${name}`, type: 'application/octet-stream', body, ...how }), expect: expect(body), runs: true };
}

const upload = (dice, id, how) => bytesUp(dice, id, 'upload', (body) => ok({ id, ...digestOf(body) }), how);
const through = (dice, id, how) => bytesUp(dice, id, 'through', (body) => ({ status: 200, body }), how);
const unread = (dice, id, how) => bytesUp(dice, id, 'unread', () => ok({ id }), how);

function form(dice, id, how) {
  const files = Array.from({ length: dice.between(1, 3) }, (_, index) => ({
    name: `file-${index}`, bytes: patternOf(`${id}/${index}`, dice.once(6) ? dice.between(60_000, 250_000) : dice.between(0, 8_000)), how: dice.pick(['stream', 'stream', 'store', 'leave']),
  }));
  const input = { id, how: files.map((file) => file.how), files: files.map(({ name }, index) => ({ $runnerFile: 'File', id: `F${index}`, meta: { name } })) };
  const part = (disposition, bytes) => [Buffer.from(`--${BOUNDARY}\r\nContent-Disposition: form-data; ${disposition}\r\n\r\n`), bytes, Buffer.from('\r\n')];
  const parts = files.map(({ name, bytes }, index) => part(`name="file:F${index}"; filename="${name}"`, bytes));
  // The manifest may come at any place.
  parts.splice(dice.once(3) ? dice.between(0, parts.length) : 0, 0, part('name="__manifest"', json({ input })));
  const body = Buffer.concat([...parts.flat(), Buffer.from(`--${BOUNDARY}--\r\n`)]);
  const read = files.map(({ name, bytes, how: way }) => ({ name, ...(way === 'stream' ? digestOf(bytes) : way === 'store' ? { bytes: bytes.length } : {}) }));
  return { ...requestOf(dice, { id, path: '/task/soak.form', type: `multipart/form-data; boundary=${BOUNDARY}`, body, ...how }), expect: ok({ id, files: read }), runs: true };
}

/** Good HTTP that no handler is to see. */
function refused(dice, id, how) {
  const [status, request] = dice.pick([
    [401, { token: null }],
    [401, { token: 'soap' }],
    [403, { path: '/task/soak.unknown' }],
    [404, { path: '/elsewhere' }],
    [405, { method: 'PUT' }],
    [400, { body: '{"input":' }],
    [400, { body: '{"input":{"id":"\u0001"}}' }],
    [413, { body: Buffer.alloc(MAX_BODY_BYTES + dice.between(1, 100_000), 'x') }],
    [400, { type: 'multipart/form-data', path: '/task/soak.form', body: 'no boundary' }],
  ]);
  return { ...requestOf(dice, { id, path: '/task/soak.sync', type: 'application/json', body: json({ input: { id } }), ...request, ...how }), expect: { status }, runs: false };
}

const KINDS = [[40, small], [8, large], [8, failing], [8, event], [8, download], [5, upload], [4, through], [3, form], [2, unread], [6, refused]];

/** The next exchange of a connection. */
export function exchange(dice, id, how) {
  const make = dice.weighed(KINDS);
  return { id, kind: make.name, ...make(dice, id, how) };
}

const one = (make) => (dice, id, how) => ({ id, kind: make.name, ...make(dice, id, how) });
export const smallExchange = one(small);
export const brokenExchange = one(broken);
export const uploadExchange = (dice, id, how) => one(dice.pick([upload, through, form]))(dice, id, how);

/** An answer that lasts: most of it is still to come when the first bytes are there. */
export function longDownload(dice, id) {
  const input = { id, bytes: MOST_BYTES, source: dice.pick(['readable', 'generator', 'web', 'blob']), length: dice.once(2) };
  return { id, kind: 'download', ...task(dice, id, 'download', input, { status: 200, body: patternOf(id, MOST_BYTES) }) };
}

/** Input that makes no sense or breaks a bound: one answer of `status`, then the end, whatever follows. */
export function malformed(dice, id) {
  const start = (lines) => head(`POST ${BASE}/task/soak.sync HTTP/1.1`, ['x-runner-token: soak', 'Content-Type: application/json', ...lines]);
  const body = json({ input: { id } });
  const [status, text] = dice.pick([
    [400, `${start([`Content-Length: ${body.length}`, 'Transfer-Encoding: chunked'])}${body}`],
    [400, `${start([`Content-Length: ${body.length}`, `Content-Length: ${body.length}`])}${body}`],
    [400, `${start([`Content-Length : ${body.length}`])}${body}`],
    [400, `${start([`Content-Length: +${body.length}`])}${body}`],
    [400, `${start(['X-A: b\rc', `Content-Length: ${body.length}`])}${body}`],
    [400, `${start(['Transfer-Encoding: chunked'])}${body.length.toString(16)}\r\n${body}0\r\n\r\n`],
    [400, `${start(['Transfer-Encoding: chunked'])}0x10\r\n${body}\r\n0\r\n\r\n`],
    [400, `${start(['Host: two', `Content-Length: ${body.length}`])}${body}`],
    [400, '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
    [413, `${start(['Content-Length: 2000000000'])}${body}`],
    [413, `${start(['Transfer-Encoding: chunked'])}77359400\r\n${body}`],
    [431, `${start([`X-Long: ${'y'.repeat(20_000)}`, `Content-Length: ${body.length}`])}${body}`],
  ]);
  return { id, kind: 'malformed', bytes: Buffer.from(text, 'latin1'), expect: { status }, runs: false };
}
