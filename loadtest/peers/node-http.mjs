// node:http without a framework.
import { createServer } from 'node:http';
import { answer, headers, HOST, introduce, NOT_FOUND, PORT, taskAt } from './work.mjs';

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
server.listen(PORT, HOST, () => introduce(`node:http of Node.js ${process.version}`));
