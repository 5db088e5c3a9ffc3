// Files through a tunnel: upload with a form, download, and a transform whose answer flows while the request still does.
// After `npm install fasttunnel` it runs as it is: node server.mjs
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { fastTunnel, TaskError } from 'fasttunnel';

const folder = await mkdtemp(join(tmpdir(), 'fasttunnel-files-'));
/** By id; what a client calls a file is only its name here. */
const files = new Map();

/** Passes bytes on and looks at them. */
function look(each) {
  return new Transform({
    transform(chunk, _encoding, done) {
      each(chunk);
      done(null, chunk);
    },
  });
}

export const tunnel = await fastTunnel({
  port: Number(process.env.PORT ?? 7070),
  // A real app has no token in its source: leave out what follows `??`, and it will not start without one.
  auth: { token: process.env.RUNNER_TOKEN ?? 'files-token' },
  limits: { multipart: { fileSize: 10 * 2 ** 30, files: 10, fields: 100, fieldSize: 2 ** 20 } },
  tasks: {
    // A form: the field `__manifest` holds {"input":{"file":{"$runnerFile":"File","id":"F1"}}}, the part `file:F1` the bytes.
    'app.files.upload': async ({ file }, { signal }) => {
      const id = `f${files.size + 1}`;
      const path = join(folder, id);
      const hash = createHash('sha256');
      await pipeline(file.stream(), look((chunk) => hash.update(chunk)), createWriteStream(path), { signal });
      const { size } = await stat(path);
      files.set(id, { name: file.name, type: file.type, path, size });
      return { id, name: file.name, type: file.type, size, sha256: hash.digest('hex') };
    },
    'app.files.download': ({ id }) => {
      const file = files.get(id);
      if (file === undefined) throw new TaskError(`There is no file ${id}`, { id: 'app.errors.noFile', data: { id }, httpCode: 404 });
      return {
        stream: createReadStream(file.path),
        contentType: file.type ?? 'application/octet-stream',
        // The length is what lets a client show how far it is.
        headers: { 'content-length': String(file.size), 'content-disposition': `attachment; filename*=UTF-8''${encodeURIComponent(file.name)}` },
      };
    },
    // Content-Type application/octet-stream: `body` is the request as it comes in, what is returned goes out meanwhile.
    'app.text.upper': (_input, { body }) => body.pipe(new Transform({
      transform(chunk, _encoding, done) {
        // Latin letters only: a letter of several bytes may be cut between two chunks.
        done(null, Buffer.from(chunk.toString('latin1').replace(/[a-z]+/g, (letters) => letters.toUpperCase()), 'latin1'));
      },
    })),
  },
});

// The page is an ordinary file of an ordinary server; its scripts call the tunnel on its own port (CORS lets them).
const page = createServer(async (request, response) => {
  if (request.url !== '/') return response.writeHead(404).end();
  const html = await readFile(new URL('page.html', import.meta.url), 'utf8');
  response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(html.replace('%TUNNEL%', tunnel.url));
});
await new Promise((resolve) => page.listen(Number(process.env.PAGE_PORT ?? 0), '127.0.0.1', resolve));
export const pageUrl = `http://127.0.0.1:${page.address().port}/`;

export async function close() {
  page.closeAllConnections();
  page.close();
  await tunnel.close();
  await rm(folder, { recursive: true, force: true });
}
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, close);
