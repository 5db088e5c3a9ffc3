// What the vectors of ../shared/http say of applications, over HTTP/2: each request that HTTP/2 can say gets the answer that the
// same bytes get over HTTP/1.1, which vectors.test.mjs holds against what the vectors expect. Skipped where they are not there.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { inflateSync } from 'node:zlib';
import { OF_THE_CONNECTION, request, translated, withSession } from './support/http2.mjs';
import { RawSocket } from './support/raw-socket.mjs';
import { withTunnel } from './support/tunnels.mjs';

const VECTORS = process.env.FASTTUNNEL_VECTORS ?? fileURLToPath(new URL('../../../shared/http', import.meta.url));
const skip = existsSync(`${VECTORS}/open.jsonl`) ? false : `no vectors at ${VECTORS}`;

const tasks = { 'app.tasks.add': ({ a, b }) => a + b };
const events = { 'app.events.notify': () => {} };

/** The bytes of a request, as run.py makes them. */
function bytesOf(vector) {
  const decoded = (part, prefix) => (part[`${prefix}zb64`] === undefined ? Buffer.from(part[`${prefix}b64`], 'base64') : inflateSync(Buffer.from(part[`${prefix}zb64`], 'base64')));
  if (vector.request_parts === undefined) return decoded(vector, 'request_');
  return Buffer.concat(vector.request_parts.flatMap((part) => Array(part.n ?? 1).fill(decoded(part, ''))));
}

const comparable = (status, headers, body) => [
  status,
  Object.fromEntries(Object.entries(headers).filter(([name]) => !name.startsWith(':') && !OF_THE_CONNECTION.includes(name)).map(([name, value]) => [name, name === 'x-runner-request-id' ? 'one' : String(value)])),
  body.replace(/"requestId":"[^"]*"/, '"requestId":"one"'),
];

async function overHttp1(tunnel, bytes) {
  const socket = await RawSocket.connect(tunnel);
  try {
    await socket.write(bytes);
    const { status, headers, body } = await socket.answer();
    return comparable(status, headers, body);
  } finally {
    socket.destroy();
  }
}

const overHttp2 = (session, { fields, body }) =>
  request(session, fields, body.length === 0 ? undefined : body).then(({ status, headers, text }) => comparable(status, headers, text), (error) => String(error));

async function play(vectors, auth, atLeast) {
  const different = [];
  let played = 0;
  await withTunnel({ tasks, events, auth }, (tunnel) => withSession(tunnel, async (session) => {
    for (const { id, ...vector } of vectors) {
      const bytes = bytesOf(vector);
      const said = translated(bytes);
      if (said === undefined) continue;
      played += 1;
      try {
        assert.deepEqual(await overHttp2(session, said), await overHttp1(tunnel, bytes));
      } catch (error) {
        different.push(`${id}: ${error.message}`);
      }
    }
  }));
  assert.deepEqual(different, [], different.join('\n'));
  assert.ok(played >= atLeast, `${played} vectors`);
}

const vectorsOf = (file) => readFileSync(`${VECTORS}/${file}`, 'utf8').trim().split('\n').map((line) => JSON.parse(line));
const isOpen = ({ needs, send }) => needs === undefined && send === undefined;

it('requests of applications, over HTTP/2', { skip }, () => play(vectorsOf('open.jsonl').filter((vector) => vector.area.startsWith('app-') && isOpen(vector)), { allowAnonymous: true }, 100));
it('tokens, over HTTP/2', { skip }, () => play(vectorsOf('open.jsonl').filter(({ area, needs }) => area === 'app-auth' && needs?.includes('token')), { token: 't0ken' }, 9));
it('the JSON suite, over HTTP/2', { skip }, () => play(vectorsOf('json-suite.jsonl').filter(isOpen), { allowAnonymous: true }, 250));
