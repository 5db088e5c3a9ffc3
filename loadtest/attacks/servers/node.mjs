// node:http with its defaults, answering what the tunnel answers; node:https under TLS.
import http from 'node:http';
import https from 'node:https';
import { pem } from '../../peers/tls.mjs';

const MAX_BODY_BYTES = 2 * 1024 * 1024;

const server = (pem ? https : http).createServer(pem ?? {}, (request, response) => {
  const chunks = [];
  let size = 0;
  const answer = (status, body) => {
    response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
    response.end(body);
  };
  request.on('error', () => {});
  request.on('data', (chunk) => {
    size += chunk.length;
    if (size <= MAX_BODY_BYTES) chunks.push(chunk);
  });
  request.on('end', () => {
    if (size > MAX_BODY_BYTES) return answer(413, '{"ok":false}');
    try {
      const { input } = JSON.parse(Buffer.concat(chunks));
      return answer(200, JSON.stringify({ ok: true, result: request.url.endsWith('echo') ? input : input.a + input.b }));
    } catch {
      return answer(400, '{"ok":false}');
    }
  });
});
server.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ port: server.address().port, version: process.version })));
process.once('SIGTERM', () => process.exit());
