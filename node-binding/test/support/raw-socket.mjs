// HTTP/1.1 by hand: exact bytes out, parsed answers in.
import net from 'node:net';

/** A POST as bytes on the wire. */
export function postBytes(path, body, headers = {}) {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const lines = Object.entries({ host: 'localhost', 'content-type': 'application/json', 'content-length': Buffer.byteLength(text), ...headers })
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}: ${value}\r\n`);
  return `POST ${path} HTTP/1.1\r\n${lines.join('')}\r\n${text}`;
}

export const taskBytes = (id, input, headers) => postBytes(`/__runner/task/${encodeURIComponent(id)}`, { input }, headers);

export class RawSocket {
  #buffer = Buffer.alloc(0);
  #waiting = [];
  closed = false;

  constructor(socket) {
    this.socket = socket;
    socket.setNoDelay?.(true);
    socket.on('data', (chunk) => {
      this.#buffer = Buffer.concat([this.#buffer, chunk]);
      this.#wake();
    });
    // A reset is a way to close, and what the peer sent before it has been read.
    socket.on('error', () => {});
    socket.on('close', () => this.#end());
    socket.on('end', () => this.#end());
  }

  static connect(tunnel) {
    return new Promise((resolve, reject) => {
      const socket = tunnel.socketPath === undefined ? net.connect(tunnel.port, tunnel.host) : net.connect(tunnel.socketPath);
      socket.once('connect', () => resolve(new RawSocket(socket)));
      socket.once('error', reject);
    });
  }

  write(bytes) {
    return new Promise((resolve) => this.socket.write(bytes, resolve));
  }

  /** The next answer: { status, reason, headers, lines, body }; `lines` as they came. `head: true` for the answer to a HEAD. */
  async answer({ head = false, timeoutMs = 10_000 } = {}) {
    const end = await this.#until(() => this.#buffer.indexOf('\r\n\r\n'), timeoutMs, 'an answer');
    const lines = this.#buffer.subarray(0, end).toString('latin1').split('\r\n');
    const [, status, reason] = /^HTTP\/1\.1 (\d{3})(?: (.*))?$/.exec(lines[0]) ?? [];
    if (status === undefined) throw new Error(`not a status line: ${lines[0]}`);
    const headers = {};
    for (const line of lines.slice(1)) {
      const colon = line.indexOf(':');
      headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
    }
    const length = head || status.startsWith('1') || status === '204' ? 0 : Number(headers['content-length'] ?? 0);
    await this.#until(() => (this.#buffer.length >= end + 4 + length ? 1 : -1), timeoutMs, 'the body of an answer');
    const body = this.#buffer.subarray(end + 4, end + 4 + length).toString('utf8');
    this.#buffer = this.#buffer.subarray(end + 4 + length);
    return { status: Number(status), reason, headers, lines: lines.slice(1), body };
  }

  /** Resolves when the peer has closed; rejects when it has not in time. */
  async end(timeoutMs = 5000) {
    await this.#until(() => (this.closed ? 1 : -1), timeoutMs, 'the peer to close');
  }

  /** Bytes that arrived and were not asked for. */
  get rest() {
    return this.#buffer.toString('latin1');
  }

  destroy() {
    this.socket.destroy();
  }

  #until(look, timeoutMs, what) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => done(reject, new Error(`timed out waiting for ${what}; have ${JSON.stringify(this.rest.slice(0, 200))}`)), timeoutMs);
      const check = () => {
        const found = look();
        if (found >= 0) done(resolve, found);
        else if (this.closed) done(reject, new Error(`closed while waiting for ${what}; have ${JSON.stringify(this.rest.slice(0, 200))}`));
      };
      const done = (settle, value) => {
        clearTimeout(timer);
        this.#waiting = this.#waiting.filter((waiting) => waiting !== check);
        settle(value);
      };
      this.#waiting.push(check);
      check();
    });
  }

  #end() {
    this.closed = true;
    this.#wake();
  }

  #wake() {
    for (const check of [...this.#waiting]) check();
  }
}
