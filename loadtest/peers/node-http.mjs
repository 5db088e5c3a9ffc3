// node:http without a framework; with HTTP2=1 node:http2, which has the same functions.
import http from 'node:http';
import http2 from 'node:http2';
import { answer, headers, HOST, introduce, NOT_FOUND, PORT, taskAt } from './work.mjs';

const { createServer } = process.env.HTTP2 === '1' ? http2 : http;
const server = createServer((request, response) => {
  const send = (status, text) => response.writeHead(status, { ...headers(), 'content-length': Buffer.byteLength(text) }).end(text);
  const task = taskAt(request.url);
  if (request.method !== 'POST' || task === undefined) return send(404, NOT_FOUND);
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => {
    const body = chunks.length === 1 ? chunks[0] : Buffer.concat(chunks);
    answer(task, body.toString()).then((text) => send(200, text), (error) => send(500, JSON.stringify({ ok: false, error: { message: error.message } })));
  });
});
server.listen(PORT, HOST, () => introduce(`${createServer === http2.createServer ? 'node:http2' : 'node:http'} of Node.js ${process.version}`));
