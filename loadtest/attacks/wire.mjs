// Requests as bytes, answers from bytes, connections that misbehave.
import net from 'node:net';

export const PATH = '/__runner/task/app.tasks.add';
const BODY = '{"input":{"a":1,"b":2}}';

export const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

export function percentile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}

/** The first lines of a POST, without the empty line. */
export const head = (lines = [], path = PATH) => [`POST ${path} HTTP/1.1`, 'Host: localhost', 'Content-Type: application/json', ...lines, ''].join('\r\n');

/** A whole call. */
export const call = (body = BODY, path = PATH) => `${head([`Content-Length: ${Buffer.byteLength(body)}`], path)}\r\n${body}`;

/** Status codes of the answers in a text, interim ones left out. */
export function statuses(text) {
  const found = [];
  for (let rest = text; ;) {
    const match = /^HTTP\/1\.[01] (\d{3})[^\r\n]*\r\n/.exec(rest);
    const end = rest.indexOf('\r\n\r\n');
    if (!match || end < 0) return found;
    const length = Number(/\r\ncontent-length: *(\d+)/i.exec(rest.slice(0, end + 2))?.[1] ?? 0);
    const chunked = /\r\ntransfer-encoding: *chunked/i.test(rest.slice(0, end + 2));
    if (match[1][0] !== '1') found.push(Number(match[1]));
    const last = chunked ? rest.indexOf('0\r\n\r\n', end) : -1;
    if (chunked && last < 0) return found;
    rest = rest.slice(chunked ? last + 5 : end + 4 + length);
  }
}

/** A connection that notes when it was cut and what it was told. Never reads with `deaf`. */
export class Attacker {
  text = '';
  cutAt = null;

  constructor(socket) {
    this.socket = socket;
    this.openedAt = performance.now();
    socket.setNoDelay(true);
    socket.on('error', () => {}).on('close', () => this.#cut()).on('end', () => this.#cut());
    socket.on('data', (data) => { if (this.text.length < 65_536) this.text += data.toString('latin1'); });
  }

  static open(port, { deaf = false } = {}) {
    return new Promise((resolve) => {
      // A reader of one byte that asks for no more.
      const onread = deaf ? { buffer: Buffer.alloc(1), callback: () => false } : undefined;
      const socket = net.connect({ port, host: '127.0.0.1', onread });
      socket.once('connect', () => resolve(new Attacker(socket)));
      socket.once('error', () => resolve(null));
    });
  }

  get localPort() {
    return this.socket.localPort;
  }

  write(bytes) {
    if (this.cutAt === null && this.socket.writable) this.socket.write(bytes);
  }

  /** Ends it without a TIME_WAIT that would use up the ports. */
  drop() {
    if (!this.socket.destroyed) this.socket.resetAndDestroy();
  }

  #cut() {
    this.cutAt ??= (performance.now() - this.openedAt) / 1000;
  }
}

/** Opens so many, some at a time; those that were refused are left out. */
export async function openMany(port, count, options) {
  const open = [];
  while (open.length < count) {
    const batch = await Promise.all(Array.from({ length: Math.min(100, count - open.length) }, () => Attacker.open(port, options)));
    open.push(...batch);
  }
  return open.filter(Boolean);
}
