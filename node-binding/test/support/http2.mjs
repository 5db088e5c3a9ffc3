// HTTP/2 by Node's client, and by hand: exact frames out, parsed frames in (RFC 9113 4.1).
import http2 from 'node:http2';
import net from 'node:net';

export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
export const TYPES = { data: 0, headers: 1, priority: 2, reset: 3, settings: 4, ping: 6, goaway: 7, windowUpdate: 8, continuation: 9 };
export const CODES = { NO_ERROR: 0, PROTOCOL_ERROR: 1, FLOW_CONTROL_ERROR: 3, STREAM_CLOSED: 5, REFUSED_STREAM: 7, CANCEL: 8, ENHANCE_YOUR_CALM: 11 };
const END_STREAM = 1;
const END_HEADERS = 4;

/** A session of Node's client, closed behind `body`. */
export async function withSession(tunnel, body, options = {}) {
  const session = http2.connect(`http://${tunnel.host}:${tunnel.port}`, options);
  session.on('error', () => {});
  try {
    return await body(session);
  } finally {
    session.destroy();
  }
}

/** One request: { status, headers, text }; `body` is sent whole. */
export function request(session, headers, body) {
  return new Promise((resolve, reject) => {
    const stream = session.request({ ':method': 'POST', ...headers });
    let head;
    const chunks = [];
    stream.on('response', (fields) => { head = fields; });
    stream.on('data', (chunk) => chunks.push(chunk));
    stream.on('end', () => resolve({ status: head?.[':status'], headers: head, text: Buffer.concat(chunks).toString() }));
    stream.on('error', reject);
    stream.on('close', () => reject(new Error(`closed with ${stream.rstCode}`)));
    stream.end(body);
  });
}

/** A call of a task. */
export const callTask = (session, id, input, headers = {}) =>
  request(session, { ':path': `/__runner/task/${encodeURIComponent(id)}`, 'content-type': 'application/json', ...headers }, JSON.stringify({ input }));

export function frame(type, flags, stream, payload = Buffer.alloc(0)) {
  const header = Buffer.alloc(9);
  header.writeUIntBE(payload.length, 0, 3);
  header[3] = type;
  header[4] = flags;
  header.writeUInt32BE(stream, 5);
  return Buffer.concat([header, payload]);
}

const number = (value) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};

/** Field lines without a table and without Huffman (RFC 7541 6.2.2). */
export function fieldBlock(fields) {
  const text = (value) => {
    const bytes = Buffer.from(value, 'latin1');
    if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes]);
    const rest = [];
    let left = bytes.length - 127;
    for (; left >= 128; left = Math.floor(left / 128)) rest.push((left % 128) | 128);
    return Buffer.concat([Buffer.from([127, ...rest, left]), bytes]);
  };
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.from([0]), text(name), text(value)]));
}

export const POST = (path, ...more) => [[':method', 'POST'], [':scheme', 'http'], [':path', path], [':authority', 'localhost'], ...more];
export const headers = (stream, fields, { end = true, flags = END_HEADERS } = {}) => frame(TYPES.headers, flags | (end ? END_STREAM : 0), stream, fieldBlock(fields));
export const data = (stream, bytes, { end = false } = {}) => frame(TYPES.data, end ? END_STREAM : 0, stream, Buffer.from(bytes));
export const reset = (stream, code = CODES.CANCEL) => frame(TYPES.reset, 0, stream, number(code));
export const windowUpdate = (stream, bytes) => frame(TYPES.windowUpdate, 0, stream, number(bytes));
export const settings = (entries = {}) => frame(TYPES.settings, 0, 0, Buffer.concat(Object.entries(entries).map(([id, value]) => Buffer.concat([Buffer.from([0, Number(id)]), number(value)]))));
export const goaway = (code) => frame(TYPES.goaway, 0, 0, Buffer.concat([number(0), number(code)]));
export const ping = () => frame(TYPES.ping, 0, 0, Buffer.alloc(8));

/** Fields of an answer that are about its connection, its time or its framing. */
export const OF_THE_CONNECTION = ['connection', 'keep-alive', 'transfer-encoding', 'date', 'content-length'];

/** A request of HTTP/1.1 as HTTP/2 says it: { fields, body }, or undefined where it cannot. */
export function translated(bytes) {
  const end = bytes.indexOf('\r\n\r\n');
  const [line, ...lines] = bytes.subarray(0, end).toString('latin1').split('\r\n');
  const [, method, target] = /^([A-Z]+) (\/\S*) HTTP\/1\.1$/.exec(line) ?? [];
  if (end < 0 || method === undefined) return undefined;
  const fields = { ':method': method, ':path': target };
  let body = bytes.subarray(end + 4);
  for (const one of lines) {
    const [, name, value] = /^([\w-]+):[ \t]*(.*?)[ \t]*$/.exec(one) ?? [];
    const key = name?.toLowerCase();
    if (key === undefined || fields[key] !== undefined || ['transfer-encoding', 'upgrade', 'te', 'expect'].includes(key) || /[^\x20-\x7e]/.test(value)) return undefined;
    if (key === 'host') fields[':authority'] = value;
    else if (key === 'content-length') body = body.length === Number(value) ? body : undefined;
    else if (key !== 'connection') fields[key] = value;
  }
  // Node's client sends none with a GET.
  return body === undefined || (body.length > 0 && method === 'GET') || (body.length > 0 && !lines.some((one) => /^content-length:/i.test(one))) ? undefined : { fields, body };
}

/** A connection of frames. */
export class Frames {
  #buffer = Buffer.alloc(0);
  #waiting = [];
  #skipped = 0;
  frames = [];
  closed = false;

  /** `answering`: what comes begins with the preface of a client. */
  constructor(socket, { answering = false } = {}) {
    this.socket = socket;
    this.#skipped = answering ? PREFACE.length : 0;
    socket.setNoDelay(true);
    socket.on('data', (chunk) => this.#take(chunk));
    socket.on('error', () => {});
    for (const event of ['end', 'close']) socket.on(event, () => { this.closed = true; this.#wake(); });
  }

  /** A connection that has begun, with these settings. */
  static connect(tunnel, entries = {}) {
    return new Promise((resolve, reject) => {
      const socket = net.connect(tunnel.port, tunnel.host);
      socket.once('error', reject);
      socket.once('connect', () => {
        const frames = new Frames(socket);
        frames.write(PREFACE, settings(entries));
        resolve(frames);
      });
    });
  }

  write(...bytes) {
    return !this.socket.destroyed && this.socket.write(Buffer.concat(bytes));
  }

  /** The first frame that `wanted` accepts, or undefined when the connection ends before one has come. */
  async frame(wanted, timeoutMs = 5000) {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const found = this.frames.find(wanted);
      if (found !== undefined || this.closed) return found;
      if (Date.now() > deadline) throw new Error(`no such frame among ${JSON.stringify(this.frames.map(({ type, stream }) => [type, stream]))}`);
      await new Promise((resolve) => { this.#waiting.push(resolve); setTimeout(resolve, 50); });
    }
  }

  /** The code of GOAWAY, or undefined when the connection ends without. */
  async goaway(timeoutMs) {
    const found = await this.frame(({ type }) => type === TYPES.goaway, timeoutMs);
    return found?.payload.readUInt32BE(4);
  }

  /** The code with which a stream was reset. */
  async reset(stream, timeoutMs) {
    const found = await this.frame((frame) => frame.type === TYPES.reset && frame.stream === stream, timeoutMs);
    return found?.payload.readUInt32BE(0);
  }

  async ended(timeoutMs = 5000) {
    const deadline = Date.now() + timeoutMs;
    while (!this.closed) {
      if (Date.now() > deadline) throw new Error('the connection is still open');
      await new Promise((resolve) => { setTimeout(resolve, 10); });
    }
  }

  destroy() {
    this.socket.destroy();
  }

  #take(chunk) {
    this.#buffer = this.#buffer.length === 0 ? chunk : Buffer.concat([this.#buffer, chunk]);
    if (this.#buffer.length < this.#skipped) return;
    this.#buffer = this.#buffer.subarray(this.#skipped);
    this.#skipped = 0;
    while (this.#buffer.length >= 9) {
      const length = this.#buffer.readUIntBE(0, 3);
      if (this.#buffer.length < 9 + length) break;
      this.frames.push({ type: this.#buffer[3], flags: this.#buffer[4], stream: this.#buffer.readUInt32BE(5) & 0x7fffffff, payload: this.#buffer.subarray(9, 9 + length) });
      this.#buffer = this.#buffer.subarray(9 + length);
    }
    this.#wake();
  }

  #wake() {
    for (const wake of this.#waiting.splice(0)) wake();
  }
}
