// node:http without a framework; node:https under TLS; with HTTP2=1 node:http2, which has the same functions.
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import { pem } from './tls.mjs';
import { answer, headers, HOST, introduce, NOT_FOUND, PORT, taskAt } from './work.mjs';

const listener = (request, response) => {
  const send = (status, text) => response.writeHead(status, { ...headers(), 'content-length': Buffer.byteLength(text) }).end(text);
  const task = taskAt(request.url);
  if (request.method !== 'POST' || task === undefined) return send(404, NOT_FOUND);
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => {
    const body = chunks.length === 1 ? chunks[0] : Buffer.concat(chunks);
    answer(task, body.toString()).then((text) => send(200, text), (error) => send(500, JSON.stringify({ ok: false, error: { message: error.message } })));
  });
};
const plain = process.env.HTTP2 === '1' ? http2 : http;
const server = pem === undefined ? plain.createServer(listener) : https.createServer(pem, listener);
const name = plain === http2 ? 'node:http2' : 'node:http';
server.listen(PORT, HOST, () => introduce(`${pem === undefined ? name : 'node:https'} of Node.js ${process.version}`));
