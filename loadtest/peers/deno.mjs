// Deno.serve; run by deno.
import process from 'node:process';
import { answer, headers, HOST, introduce, NOT_FOUND, PORT, taskAt } from './work.mjs';

const pathOf = (url) => url.slice(url.indexOf('/', 'http://'.length));

Deno.serve({ port: PORT, hostname: HOST, onListen: () => introduce(`Deno.serve of Deno ${process.versions.deno}`) }, async (request) => {
  const task = taskAt(pathOf(request.url));
  if (request.method !== 'POST' || task === undefined) return new Response(NOT_FOUND, { status: 404, headers: headers() });
  return new Response(await answer(task, await request.text()), { headers: headers() });
});
