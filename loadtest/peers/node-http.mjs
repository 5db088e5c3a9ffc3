// node:http without a framework; node:https under TLS.
import http from 'node:http';
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
const server = pem === undefined ? http.createServer(listener) : https.createServer(pem, listener);
server.listen(PORT, HOST, () => introduce(`${pem === undefined ? 'node:http' : 'node:https'} of Node.js ${process.version}`));
