// Tasks over node:http, at any free port: what `make overload` and `make bench-workers` compare with.
import { createServer } from 'node:http';

/** Answers calls of `tasks` as a tunnel does, and resolves to the port. */
export function serveTasks(tasks) {
  const server = createServer((request, response) => {
    const task = tasks[request.url.slice('/__runner/task/'.length)];
    let text = '';
    request.setEncoding('utf8').on('data', (piece) => { text += piece; });
    request.on('end', async () => {
      const body = JSON.stringify({ ok: true, result: await task(JSON.parse(text).input) });
      response.writeHead(200, { 'content-type': 'application/json; charset=utf-8', 'content-length': Buffer.byteLength(body) }).end(body);
    });
  });
  return new Promise((resolve) => server.listen(0, '127.0.0.1', 4096, () => resolve(server.address().port)));
}
