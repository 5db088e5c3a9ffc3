// Deno.serve; run by deno.
import process from 'node:process';
import { pem } from './tls.mjs';
import { answer, headers, HOST, introduce, NOT_FOUND, PORT, taskAt } from './work.mjs';

const pathOf = (url) => url.slice(url.indexOf('/', url.indexOf('//') + 2));

Deno.serve({ port: PORT, hostname: HOST, ...pem, onListen: () => introduce(`Deno.serve of Deno ${process.versions.deno}`) }, async (request) => {
  const task = taskAt(pathOf(request.url));
  if (request.method !== 'POST' || task === undefined) return new Response(NOT_FOUND, { status: 404, headers: headers() });
  return new Response(await answer(task, await request.text()), { headers: headers() });
});
