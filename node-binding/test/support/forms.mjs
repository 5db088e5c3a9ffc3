// Forms without an engine: frames are handed to a MultipartCall one by one, within the window that the engine keeps.
import { mkdtempSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sleep, until } from './tunnels.mjs';

const require = createRequire(import.meta.url);
const { MultipartCall } = require('../../dist/cjs/forms/multipart-call.js');
const { Call } = require('../../dist/cjs/calls/call.js');
const { plainCodec } = require('../../dist/cjs/values/codec.js');
const { CallFailure } = require('../../dist/cjs/calls/outcome.js');

export const WINDOW = 256 * 1024;
const FRAME = 64 * 1024;

export const sentinel = (id, meta) => ({ $runnerFile: 'File', id, ...(meta === undefined ? {} : { meta }) });

/** A directory for one test's files; tells what is in it, named or not. */
export function temporary() {
  const directory = mkdtempSync(join(tmpdir(), 'fasttunnel-test-'));
  return {
    directory,
    names: () => readdirSync(directory),
    /** Files of it that are open, by their descriptors. */
    open: () => descriptors().filter((target) => target.startsWith(`${directory}/`)),
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}

function descriptors() {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)];
    } catch {
      return [];
    }
  });
}

/** A form on its way to a task. */
export class Form {
  credited = 0;
  sent = 0;
  outcomes = [];
  runs = 0;
  notes = [];

  constructor(run, { reference = true, files = 10, depth = 1001, directory = tmpdir(), codec = plainCodec, entry = {} } = {}) {
    this.call = new Call('task', 'app.tasks.form', 1, undefined);
    const port = { credit: (bytes) => { this.credited += bytes; } };
    const task = { kind: 'task', id: this.call.id, streams: true, run, ...entry };
    const started = (input) => {
      this.runs += 1;
      return run(input, this.call);
    };
    this.parts = new MultipartCall(this.call, task, codec, { reference, files, depth, directory }, port, started, (outcome) => this.outcomes.push(outcome));
  }

  manifest(value) {
    const bytes = Buffer.isBuffer(value) ? value : Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
    this.sent += bytes.length;
    this.parts.manifest(bytes);
    return this;
  }

  input(input) {
    return this.manifest({ input });
  }

  file(id, more = {}) {
    this.parts.file(Buffer.from(JSON.stringify({ name: `file:${id}`, type: 'text/plain', ...more })));
    return this;
  }

  /** Sends bytes as the engine does: in frames, and only as far as the window goes. */
  async data(bytes, timeoutMs = 3000) {
    const all = Buffer.from(bytes);
    for (let at = 0; at < all.length; ) {
      const room = await until(() => this.room, 'the window is open', timeoutMs);
      const frame = all.subarray(at, at + Math.min(room, FRAME));
      at += frame.length;
      this.sent += frame.length;
      this.parts.data(Buffer.from(frame));
    }
    return this;
  }

  get room() {
    return WINDOW - (this.sent - this.credited);
  }

  fileEnd() {
    this.parts.fileEnd();
    return this;
  }

  async whole(id, bytes, more) {
    this.file(id, more);
    await this.data(bytes);
    return this.fileEnd();
  }

  end() {
    this.parts.end();
    return this;
  }

  /** How it was answered. */
  async outcome(timeoutMs = 3000) {
    return until(() => this.outcomes[0], 'the call is answered', timeoutMs);
  }

  async result() {
    const outcome = await this.outcome();
    if ('error' in outcome) throw outcome.error;
    return outcome.result;
  }

  /** Status, message and code of the failure that it was answered with. */
  async failure() {
    const { error } = await this.outcome();
    if (!CallFailure.is(error)) throw error ?? new Error('it did not fail');
    const { message, code } = JSON.parse(error.body).error;
    return [error.status, message, code];
  }
}

/** Pseudo-random bytes: a piece in a wrong place is found. */
export function noise(length, seed = 1) {
  const bytes = Buffer.allocUnsafe(length);
  let state = seed >>> 0 || 1;
  for (let index = 0; index < length; index += 1) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[index] = state;
  }
  return bytes;
}

export async function bytesOf(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Lets everything that can happen by itself happen. */
export async function quiet() {
  for (let turn = 0; turn < 5; turn += 1) await sleep(4);
}

export const BOUNDARY = 'form-b0undary';
export const FORM_TYPE = { 'content-type': `multipart/form-data; boundary=${BOUNDARY}` };

/** A form as it is sent. Parts: `manifest(…)`, `part(…)`, or any text. */
export function formBytes(parts, end = `--${BOUNDARY}--\r\n`) {
  return Buffer.concat([...parts.map((part) => Buffer.from(part)), Buffer.from(end)]);
}

export const manifest = (input) => field('__manifest', JSON.stringify({ input }));

export const field = (name, value) => `--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`;

export function part(id, bytes, { name = `file:${id}`, filename = 'part.txt', type = 'text/plain' } = {}) {
  return Buffer.concat([Buffer.from(partHead(name, filename, type)), Buffer.from(bytes), Buffer.from('\r\n')]);
}

export const partHead = (name, filename = 'part.txt', type = 'text/plain') =>
  `--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"; filename="${filename}"\r\nContent-Type: ${type}\r\n\r\n`;
