// Attacks by form: requests that two readers could cut differently, or that are too large. One connection each.
import { Attacker, PATH, call, head, sleep, statuses } from './wire.mjs';

/** What a smuggled request would look like: its own answer is the proof that it was run. */
const SECOND = `GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n`;
const BODY = '{"input":{"a":1,"b":2}}';
const CHUNKED = `17\r\n${BODY}\r\n0\r\n\r\n`;
const request = (lines, content) => `${head(lines)}\r\n${content}`;

const length = (value) => request([`Content-Length: ${value}`], BODY);
const chunked = (content, ...lines) => request(['Transfer-Encoding: chunked', ...lines], content);

/**
 * `bytes`, and what a strict server does: one answer of these statuses, and the end. It may go on behind a body that it
 * has read to its end (`keep`), and wait for the rest of one (`waits`).
 */
export const FORMS = [
  { id: 'CL and TE', bytes: chunked(CHUNKED, 'Content-Length: 23') + SECOND, strict: [400] },
  { id: 'TE and CL', bytes: request(['Content-Length: 5', 'Transfer-Encoding: chunked'], `0\r\n\r\n${SECOND}`), strict: [400] },
  { id: 'two equal CL', bytes: request(['Content-Length: 23', 'Content-Length: 23'], BODY), strict: [400] },
  { id: 'two differing CL', bytes: request(['Content-Length: 23', 'Content-Length: 0'], BODY), strict: [400] },
  { id: 'CL: +23', bytes: length('+23'), strict: [400] },
  { id: 'CL: 23, 23', bytes: length('23, 23'), strict: [400] },
  { id: 'CL: 2^64+23', bytes: length('18446744073709551639'), strict: [400, 413] },
  { id: 'TE: xchunked', bytes: request(['Transfer-Encoding: xchunked'], CHUNKED), strict: [400, 501] },
  { id: 'TE: chunked, identity', bytes: request(['Transfer-Encoding: chunked, identity'], CHUNKED), strict: [400, 501] },
  { id: 'TE in HTTP/1.0', bytes: chunked(CHUNKED).replace('HTTP/1.1', 'HTTP/1.0'), strict: [400] },
  { id: 'blank before the colon', bytes: request(['Content-Length : 23'], BODY), strict: [400] },
  { id: 'obs-fold', bytes: request(['X-A: b', ' c', 'Content-Length: 23'], BODY), strict: [400] },
  { id: 'folded TE', bytes: request(['Transfer-Encoding:', ' chunked'], CHUNKED), strict: [400] },
  { id: 'LF only', bytes: length(23).replaceAll('\r\n', '\n'), strict: [400] },
  { id: 'bare CR in a value', bytes: request(['X-A: b\rTransfer-Encoding: chunked', 'Content-Length: 23'], BODY), strict: [400] },
  { id: 'NUL in a value', bytes: request(['X-A: b\0c', 'Content-Length: 23'], BODY), strict: [400] },
  { id: 'chunk size +17', bytes: chunked(`+${CHUNKED}`), strict: [400] },
  { id: 'chunk size 0x17', bytes: chunked(`0x${CHUNKED}`), strict: [400] },
  { id: 'empty chunk size', bytes: chunked(`\r\n${CHUNKED}`), strict: [400] },
  { id: 'chunk size 2^64+23', bytes: chunked(`10000000000000017\r\n${BODY}\r\n0\r\n\r\n`), strict: [400, 413] },
  { id: 'chunk longer than its size', bytes: chunked(`16\r\n${BODY}\r\n0\r\n\r\n`), strict: [400] },
  { id: 'LF in a chunk extension', bytes: chunked(`17;a\n${BODY}\r\n0\r\n\r\n`), strict: [400] },
  { id: 'LF only around chunks', bytes: chunked(CHUNKED.replaceAll('\r\n', '\n')), strict: [400] },
  { id: 'no Host', bytes: call().replace('Host: localhost\r\n', ''), strict: [400] },
  { id: 'two Hosts', bytes: request(['Host: other', 'Content-Length: 23'], BODY), strict: [400] },
  { id: '64 KB of header lines', bytes: request([...Array(64)].map((_, at) => `X-${at}: ${'y'.repeat(1000)}`), BODY), strict: [431] },
  { id: 'a megabyte without a line end', bytes: `GET /${'a'.repeat(1_000_000)}`, strict: [400, 414, 431] },
  { id: '5,000 header lines', bytes: request(Array(5000).fill('a: b'), BODY), strict: [431] },
  { id: '5,000 empty lines in front', bytes: '\r\n'.repeat(5000) + call(), strict: [400] },
  { id: 'CL: 10 GB', bytes: length(10_000_000_000), strict: [413], waits: true },
  { id: '3 MB body', bytes: request(['Content-Length: 3000000'], 'x'.repeat(3_000_000)), strict: [413], keep: true },
  { id: '3 MB in chunks', bytes: chunked(`2dc6c0\r\n${'x'.repeat(3_000_000)}\r\n0\r\n\r\n`), strict: [413], keep: true },
  { id: '64 KB of chunk extensions', bytes: chunked(`17;${'a'.repeat(65_536)}\r\n${BODY}\r\n0\r\n\r\n`), strict: [413] },
  { id: 'preface of HTTP/2.1', bytes: 'PRI * HTTP/2.1\r\n\r\nSM\r\n\r\n', strict: [400, 505] },
  { id: 'TLS hello', bytes: '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', strict: [400] },
];

/** Forms that are about the content's size are about limits that a proxy does not have. */
export const PROXY_FORMS = FORMS.filter(({ id }) => !/^(?:3 MB|CL: 10 GB)/.test(id));

/** The requests of a text, asked of a proxy by who can prove that he may, for a server at `port` of this machine. */
export const throughProxy = (text, proof, port) =>
  text.replace(/^(POST|GET) (\/\S*) (HTTP\/1\.[01]\r?\n)/gm, `$1 http://127.0.0.1:${port}$2 $3Proxy-Authorization: Basic ${proof}\r\n`);

const WAIT_MS = 2500;

/** Sends a form, and one good call behind it: `{ answers, closed, strict }`. */
export async function send(port, form, { waitMs = WAIT_MS, through = (text) => text } = {}) {
  const attacker = await Attacker.open(port);
  attacker.socket.write(Buffer.from(through(form.bytes + call(BODY, `${PATH}?behind`)), 'latin1'));
  for (let waited = 0; waited < waitMs && attacker.cutAt === null; waited += 20) await sleep(20);
  const answers = statuses(attacker.text);
  const closed = attacker.cutAt !== null;
  attacker.drop();
  const ended = Boolean(form.keep) || ((closed || Boolean(form.waits)) && answers.length === 1);
  return { answers, closed, strict: ended && form.strict.includes(answers[0]) };
}
