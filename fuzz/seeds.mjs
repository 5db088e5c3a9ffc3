// Fills corpus/<target>/ with what a fuzzer starts from: seeds.json, and the vectors beside the repository where they
// are (../shared/http/*.jsonl, ../shared/golden/open.json). One file per input, named by its hash: running it again
// adds nothing.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { inflateSync } from 'node:zlib';

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url));
const SHARED = process.env.FASTTUNNEL_SHARED ?? path('../../shared');
/** Longer inputs make a fuzzer slow and teach it nothing. */
const MAX_BYTES = 4096;

const corpora = new Map();
function add(target, bytes) {
  if (bytes.length === 0 || bytes.length > MAX_BYTES) return;
  if (!corpora.has(target)) corpora.set(target, new Map());
  corpora.get(target).set(createHash('sha1').update(bytes).digest('hex'), bytes);
}

/** A connection's bytes, and the parts of it that smaller targets read. */
function addRequest(bytes) {
  for (const target of ['head', 'connection', 'llhttp']) add(target, bytes);
  // One byte in front picks a configuration.
  for (const choice of [0x02, 0x01, 0x29]) add('decide', Buffer.concat([Buffer.from([choice]), bytes]));
  const end = bytes.indexOf('\r\n\r\n');
  const head = bytes.subarray(0, end < 0 ? bytes.length : end).toString('latin1');
  const content = end < 0 ? Buffer.alloc(0) : bytes.subarray(end + 4);
  add(/^transfer-encoding:/im.test(head) ? 'chunked' : 'json', content);
  for (const target of ['route', 'target']) add(target, Buffer.from(head.split(' ')[1] ?? '', 'latin1'));
  addForm(head, content);
  // Mode and step of the pieces, then the body.
  for (const mode of ['b\0\x03', 'b\x01\x07']) add('frames', Buffer.concat([Buffer.from(mode, 'latin1'), content]));
  for (const [, value] of head.matchAll(/^x-runner-request-id:[ \t]*(.*?)\r?$/gim)) add('request_id', Buffer.from(value, 'latin1'));
}

/** A form, with the boundary that the target knows in place of its own. */
function addForm(head, content) {
  const [, type, boundary] = /^content-type:[ \t]*(multipart\/form-data.*?boundary="?([^"\r\n;]+).*?)\r?$/im.exec(head) ?? [];
  if (boundary === undefined) return;
  const body = content.toString('latin1').replaceAll(boundary, 'B-b');
  const disposition = /^content-disposition:[ \t]*(.*?)\r?$/im.exec(body)?.[1] ?? '';
  add('multipart', Buffer.from(body, 'latin1'));
  add('multipart', Buffer.from(`${disposition}\n${type}\0${body}`, 'latin1'));
}

/** Frames of HTTP/2 behind the preface, some of which are none (RFC 9113 4.1). The first byte says how they are cut. */
function addFrames() {
  const frame = (type, flags, stream, length) => Buffer.from([0, 0, length, type, flags, 0, 0, 0, stream, ...Array(length).fill(7)]);
  const kinds = [[1, 5, 1, 3], [1, 4, 3, 3], [1, 0, 5, 3], [9, 4, 5, 2], [0, 0, 3, 4], [0, 1, 3, 0], [3, 0, 3, 4], [4, 0, 0, 6], [4, 1, 0, 0], [6, 0, 0, 8], [8, 0, 0, 4], [2, 0, 1, 5], [7, 0, 0, 8], [5, 0, 1, 4], [99, 0, 0, 1]].map((kind) => frame(...kind));
  const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
  for (const cut of [0, 3, 200]) {
    add('frame_watch', Buffer.concat([Buffer.from([cut]), preface, ...kinds]));
    for (const kind of kinds) add('frame_watch', Buffer.concat([Buffer.from([cut]), preface, ...Array(12).fill(kind)]));
  }
}
addFrames();

const piece = ({ b64, zb64, n = 1 }) => {
  const bytes = b64 === undefined ? inflateSync(Buffer.from(zb64, 'base64')) : Buffer.from(b64, 'base64');
  return bytes.length * n > MAX_BYTES ? Buffer.alloc(MAX_BYTES + 1) : Buffer.concat(Array(n).fill(bytes));
};

function ofVectors(file) {
  for (const line of readFileSync(file, 'utf8').split('\n').filter(Boolean)) {
    const { request_b64: b64, request_zb64: zb64, request_parts: parts = [{ b64, zb64 }] } = JSON.parse(line);
    addRequest(Buffer.concat(parts.map(piece)));
  }
}

function ofGolden(file) {
  for (const { request } of JSON.parse(readFileSync(file, 'utf8')).cases) {
    const { parts = [request] } = request;
    const bytes = parts.map(({ text, base64, repeat }) => Buffer.from(base64 ?? (repeat ? repeat.text.repeat(Math.min(repeat.count, MAX_BYTES)) : text) ?? '', base64 ? 'base64' : 'utf8'));
    addRequest(Buffer.concat(bytes));
  }
}

for (const [target, inputs] of Object.entries(JSON.parse(readFileSync(path('seeds.json'), 'utf8')))) {
  for (const input of inputs) {
    const bytes = Buffer.from(input, 'latin1');
    if (target === 'request') addRequest(bytes);
    else add(target, bytes);
  }
}
for (const [file, read] of [['http/open.jsonl', ofVectors], ['http/json-suite.jsonl', ofVectors], ['golden/open.json', ofGolden]]) {
  if (existsSync(`${SHARED}/${file}`)) read(`${SHARED}/${file}`);
  else console.log(`no ${SHARED}/${file}: going without`);
}
// An answer's batch is an array of bodies.
for (const bytes of [...(corpora.get('json')?.values() ?? [])]) add('array', Buffer.concat([Buffer.from('['), bytes, Buffer.from(',{"a":["]"]}]')]));

for (const [target, inputs] of corpora) {
  mkdirSync(path(`corpus/${target}`), { recursive: true });
  for (const [name, bytes] of inputs) writeFileSync(path(`corpus/${target}/${name}`), bytes);
}
console.log([...corpora].map(([target, inputs]) => `${target} ${inputs.size}`).sort().join(', '));
