// What the server of the soak does for a call, in its own event loop or in workers. Writes the id of every call that a handler
// begins with to stdout, a line each, and behind an exclamation mark what must not happen.
import { createHash } from 'node:crypto';
import { writeSync } from 'node:fs';
import { unlink } from 'node:fs/promises';
import { Readable, Transform } from 'node:stream';
import { isMainThread } from 'node:worker_threads';
import { TaskError } from '../../node-binding/dist/esm/index.mjs';
import { patternOf } from './pattern.mjs';

const FLUSH_MS = 20;
const PIECE_BYTES = 48 * 1024;
const STDOUT = 1;

const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

const lines = [];
let faults = 0;
const fault = (text) => { if ((faults += 1) <= 20) tell(`!${text.replaceAll('\n', ' ')}`); };

/** A worker tells at once: the main thread cannot ask it whether it has. */
function tell(line) {
  lines.push(line);
  if (!isMainThread) flush();
}

const pause = new Int32Array(new SharedArrayBuffer(4));

/** Not by `process.stdout`: that of a worker is the main thread's, and later. */
export function flush() {
  let bytes = Buffer.from(lines.splice(0).map((line) => `${line}\n`).join(''));
  while (bytes.length > 0) {
    try {
      bytes = bytes.subarray(writeSync(STDOUT, bytes));
    } catch (error) {
      if (error.code !== 'EAGAIN') throw error;
      // The parent is behind.
      Atomics.wait(pause, 0, 0, 1);
    }
  }
}
setInterval(flush, FLUSH_MS).unref();

process.on('unhandledRejection', (error) => fault(`unhandled: ${error?.stack ?? error}`));
process.on('uncaughtException', (error) => fault(`uncaught: ${error?.stack ?? error}`));

export const onError = (error) => {
  if (!/nobody is to see this|a source that breaks off|circular|BigInt|aborted|ECONNRESET|premature/i.test(`${error.code} ${error.message}`)) fault(`onError: ${error.stack}`);
};

/** A handler begins. Its context has to be that of its own call. */
function begins(id, { requestId, headers }, look) {
  tell(id);
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

export const tasks = {
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

export const events = {
  'soak.note': [
    (payload, context) => { begins(payload.id, context); },
    async (payload) => { await null; payload.seen = true; },
  ],
};
