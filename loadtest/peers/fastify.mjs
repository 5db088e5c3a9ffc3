// fastify, with its own JSON parser; no schema, as ours needs none. HTTP2=1: over HTTP/2.
import { createRequire } from 'node:module';
import fastify from 'fastify';
import { BASE_PATH, headers, HOST, introduce, PORT, tasks } from './work.mjs';

const app = fastify(process.env.HTTP2 === '1' ? { http2: true } : {});
for (const [id, task] of Object.entries(tasks)) {
  app.post(`${BASE_PATH}/task/${id}`, async (request, reply) => {
    reply.headers(headers());
    return { ok: true, result: await task(request.body.input) };
  });
}
await app.listen({ port: PORT, host: HOST });
introduce(`fastify ${createRequire(import.meta.url)('fastify/package.json').version} on Node.js ${process.version}`);
