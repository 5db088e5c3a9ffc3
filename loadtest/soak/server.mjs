// The server of the soak, a process of its own. Writes the id of every call that a handler begins with to stdout, a line
// each; answers `{ rest: connections }` and `{ stop: true }` from its parent when everything under way is over.
//   DRIVER, SHARDS, LIMITS (JSON) by environment
import { createHash } from 'node:crypto';
import { unlink } from 'node:fs/promises';
import { Readable, Transform } from 'node:stream';
import { fastTunnel, TaskError } from '../../node-binding/dist/esm/index.mjs';
import { patternOf } from './pattern.mjs';

const REST_PATIENCE_MS = 15_000;
const FLUSH_MS = 20;
const PIECE_BYTES = 48 * 1024;

const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

const begun = [];
const faults = [];
const fault = (text) => { if (faults.length < 20) faults.push(text); };

function flush() {
  if (begun.length > 0) process.stdout.write(`${begun.join('\n')}\n`);
  begun.length = 0;
}
setInterval(flush, FLUSH_MS);

/** A handler begins. Its context has to be that of its own call. */
function begins(id, { requestId, headers }, look) {
  begun.push(id);
  if (requestId !== id) fault(`the call ${id} was told that its request is ${requestId}`);
  if (look && headers['x-soak'] !== id) fault(`the call ${id} was given the headers of ${headers['x-soak']}`);
}

async function digest(readable) {
  const hash = createHash('sha1');
  let bytes = 0;
  for await (const chunk of readable) {
    bytes += chunk.length;
    hash.update(chunk);
  }
  return { bytes, hash: hash.digest('hex') };
}

function* pieces(bytes) {
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) yield bytes.subarray(at, at + PIECE_BYTES);
}

async function* slowly(bytes) {
  for (const piece of pieces(bytes)) {
    await null;
    yield piece;
  }
}

async function* broken(bytes) {
  yield* slowly(bytes);
  await sleep(1);
  throw new Error('a source that breaks off');
}

const SOURCES = {
  readable: (bytes) => Readable.from(pieces(bytes), { objectMode: false }),
  generator: slowly,
  web: (bytes) => new Blob([bytes]).stream(),
  blob: (bytes) => new Blob([bytes]),
  broken,
};

const cycle = {};
cycle.self = cycle;
const FAILURES = {
  error: () => { throw new Error('nobody is to see this'); },
  reject: () => Promise.reject(new Error('nobody is to see this')),
  task: (id) => { throw new TaskError('refused on purpose', { id: 'soak.errors.refused', data: { id }, httpCode: 409 }); },
  cycle: () => cycle,
  bigint: async () => 1n,
  thenable: () => ({ then: (_resolve, reject) => reject(new Error('nobody is to see this')) }),
};

const tasks = {
  'soak.sync': (input, context) => {
    begins(input.id, context, input.look);
    return input;
  },
  'soak.async': async (input, context) => {
    begins(input.id, context, input.look);
    await (input.ms === 0 ? null : sleep(input.ms));
    return input;
  },
  'soak.fail': ({ id, how }, context) => {
    begins(id, context);
    return FAILURES[how](id);
  },
  'soak.download': ({ id, bytes, source, length }, context) => {
    begins(id, context);
    const stream = SOURCES[source](patternOf(id, bytes));
    return length ? { stream, headers: { 'content-length': bytes, 'x-soak': id } } : stream;
  },
  'soak.upload': async (_input, context) => {
    const id = context.requestId;
    begins(id, context, true);
    return { id, ...(await digest(context.body)) };
  },
  'soak.unread': (_input, context) => {
    begins(context.requestId, context, true);
    return { id: context.requestId };
  },
  'soak.through': (_input, context) => {
    begins(context.requestId, context, true);
    return context.body.pipe(new Transform({ transform: (chunk, _encoding, done) => done(null, chunk) }));
  },
  'soak.form': async ({ id, how, files }, context) => {
    begins(id, context, true);
    const read = [];
    for (const [index, file] of files.entries()) {
      if (how[index] === 'leave') read.push({ name: file.name });
      else if (how[index] === 'stream') read.push({ name: file.name, ...(await digest(file.stream())) });
      else {
        const { path, bytesWritten } = await file.toTempFile();
        await unlink(path);
        read.push({ name: file.name, bytes: bytesWritten });
      }
    }
    return { id, files: read };
  },
};

const events = {
  'soak.note': [
    (payload, context) => { begins(payload.id, context); },
    async (payload) => { await null; payload.seen = true; },
  ],
};

const tunnel = await fastTunnel({
  driver: process.env.DRIVER ?? 'auto',
  shards: Number(process.env.SHARDS ?? 2),
  auth: { token: 'soak' },
  limits: JSON.parse(process.env.LIMITS ?? '{}'),
  onError: (error) => { if (!/nobody is to see this|a source that breaks off|circular|BigInt|aborted|ECONNRESET|premature/i.test(`${error.code} ${error.message}`)) fault(`onError: ${error.stack}`); },
  tasks,
  events,
});
process.on('unhandledRejection', (error) => fault(`unhandled: ${error?.stack ?? error}`));
process.on('uncaughtException', (error) => fault(`uncaught: ${error?.stack ?? error}`));

const sum = (shards) => {
  const total = {};
  for (const shard of shards) for (const [name, value] of Object.entries(shard)) if (typeof value === 'number') total[name] = (total[name] ?? 0) + value;
  return total;
};

/** Waits until nothing is under way but `connections` silent connections, and says how it stands. */
async function rest(connections) {
  const deadline = performance.now() + REST_PATIENCE_MS;
  for (;;) {
    const { shards, live, failedShards } = tunnel.stats();
    const total = sum(shards);
    const quiet = live === 0 && total.inFlight === 0 && total.connections === connections;
    if (quiet || performance.now() > deadline) {
      flush();
      // Whatever can be collected is: twice, because what a finaliser lets go is only seen by the next.
      global.gc();
      await sleep(30);
      global.gc();
      const { heapUsed, external, arrayBuffers } = process.memoryUsage();
      return { quiet, live, failedShards, total, heapUsed, external, arrayBuffers, faults: faults.splice(0) };
    }
    await sleep(10);
  }
}

process.on('message', async (message) => {
  if (message.rest !== undefined) {
    process.send(await rest(message.rest));
  } else {
    await tunnel.close();
    flush();
    process.send({ closed: true }, () => process.exit());
  }
});
process.on('disconnect', () => process.exit(1));
process.send({ port: tunnel.port, driver: tunnel.driver });
