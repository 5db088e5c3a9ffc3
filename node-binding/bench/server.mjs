// The server under test, a process of its own: the same three functions behind fasttunnel or behind node:http.
//   node server.mjs ours|node [rate in bytes a second of the slow reader]
// `sink` reads a body, `slow` reads it at that rate, `source` answers as many bytes as the header x-bytes says;
// `app.tasks.add` is the smallest call, of JSON.
import http from 'node:http';
import https from 'node:https';
import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { certificate } from '../test/support/certificates.mjs';

const [kind, rate = 10 * 2 ** 20] = process.argv.slice(2);
/** What it speaks TLS with, if it does. */
const encryption = process.env.FASTTUNNEL_BENCH_TLS === undefined ? undefined : certificate().pem;
const CHUNK = Buffer.alloc(64 * 1024, 'x');

/** Takes bytes as fast as they come, or no faster than a rate. */
class Sink extends Writable {
  bytes = 0;
  #started = performance.now();
  #rate;

  constructor(bytesPerSecond) {
    super({ highWaterMark: 64 * 1024 });
    this.#rate = bytesPerSecond;
  }

  _write(chunk, _encoding, done) {
    this.bytes += chunk.length;
    const earlyMs = this.#rate === undefined ? 0 : (this.bytes / this.#rate) * 1000 - (performance.now() - this.#started);
    if (earlyMs > 1) setTimeout(done, earlyMs);
    else done();
  }
}

async function read(body, bytesPerSecond) {
  const sink = new Sink(bytesPerSecond);
  await pipeline(body, sink);
  return sink.bytes;
}

/** Fresh memory for each chunk, as a file or a database would bring it. */
function source(bytes) {
  let left = bytes;
  return new Readable({
    highWaterMark: 64 * 1024,
    read() {
      if (left === 0) return this.push(null);
      const length = Math.min(left, CHUNK.length);
      left -= length;
      this.push(Buffer.from(CHUNK.subarray(0, length)));
    },
  });
}

const functions = {
  sink: ({ body }) => read(body),
  slow: ({ body }) => read(body, Number(rate)),
  source: ({ headers }) => source(Number(headers['x-bytes'])),
};

const add = async ({ a, b }) => a + b;

async function ours() {
  const { fastTunnel } = await import('fasttunnel');
  const tunnel = await fastTunnel({ auth: { allowAnonymous: true }, driver: process.env.FASTTUNNEL_DRIVER ?? 'auto', ...(encryption && { tls: encryption }), tasks: { 'app.tasks.add': add, ...Object.fromEntries(Object.entries(functions).map(([name, run]) => [name, (_input, call) => run(call)])) } });
  return tunnel.port;
}

/** The whole body of a call, as JSON. */
async function json(body) {
  const chunks = [];
  for await (const chunk of body) chunks.push(chunk);
  return JSON.parse(Buffer.concat(chunks).toString()).input;
}

async function node() {
  const server = (encryption === undefined ? http : https).createServer(encryption ?? {}, async (req, res) => {
    const name = req.url.slice(req.url.lastIndexOf('/') + 1);
    try {
      const result = name === 'app.tasks.add' ? await add(await json(req)) : await functions[name]({ body: req, headers: req.headers });
      if (result instanceof Readable) {
        res.writeHead(200, { 'content-type': 'application/octet-stream' });
        await pipeline(result, res);
      } else {
        res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ ok: true, result }));
      }
    } catch (error) {
      res.destroy(error);
    }
  });
  // As long as ours does: after the default of 5 s it would close what is measured.
  server.keepAliveTimeout = 65_000;
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server.address().port;
}

const port = await { ours, node }[kind]();
process.send({ port });
