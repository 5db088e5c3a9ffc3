// One client's connection: bytes out, answers in, piece by piece.
import net from 'node:net';

const PATIENCE_MS = 20_000;

/** What came is not HTTP, came unasked, or did not come in time. */
export class WireError extends Error {}

/** Field lines by their names in lower case, each once. */
function fieldsOf(lines) {
  const fields = {};
  for (const line of lines) {
    const [, name, value] = /^([^:]+): ?(.*)$/.exec(line) ?? [];
    if (name === undefined || fields[name.toLowerCase()] !== undefined) throw new WireError(`not a field line, or one too many: ${line}`);
    fields[name.toLowerCase()] = value;
  }
  return fields;
}

export class Connection {
  #chunks = [];
  #length = 0;
  #wake = undefined;
  #ended = false;

  constructor(socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk) => {
      this.#chunks.push(chunk);
      this.#length += chunk.length;
      this.#stir();
    });
    socket.on('error', (error) => { this.error = error.code; });
    socket.on('end', () => this.#end());
    socket.on('close', () => this.#end());
  }

  static open(port) {
    return new Promise((resolve, reject) => {
      const socket = net.connect(port, '127.0.0.1');
      socket.once('connect', () => resolve(new Connection(socket)));
      socket.once('error', reject);
    });
  }

  /** Resolves when the bytes have left, or never will. */
  write(bytes) {
    return new Promise((resolve) => { this.socket.write(bytes, () => resolve()); });
  }

  /** Says that no request follows (FIN). */
  finish() {
    this.socket.end();
  }

  reset() {
    this.socket.resetAndDestroy();
  }

  destroy() {
    this.socket.destroy();
  }

  get ended() {
    return this.#ended;
  }

  /** What has come and was not looked at. */
  get rest() {
    return this.#join();
  }

  /** The end of the connection; what comes before it is left to `rest`. */
  async end(patienceMs = PATIENCE_MS) {
    while (!this.#ended) await this.#more('the end of the connection', patienceMs);
  }

  /**
   * The next answer: `{ status, headers, body, complete, close, trailers }`; `undefined` when the connection ended before one.
   * With `upTo`, returns when so many bytes of its body have come; `bodiless` is one to HEAD, or one that opens a tunnel;
   * `trailed` is one that may have trailers.
   */
  async answer({ upTo = Infinity, bodiless = false, trailed = false } = {}) {
    let lines;
    do {
      lines = await this.#head();
      if (lines === undefined) return undefined;
    } while (/^HTTP\/1\.1 1(?!01)/.test(lines[0]));
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(lines[0])?.[1]);
    if (!status) throw new WireError(`not a status line: ${lines[0]}`);
    const headers = fieldsOf(lines.slice(1));
    const answer = { status, headers, close: headers.connection === 'close' };
    const length = headers['content-length'];
    if (status === 204 || bodiless) return { ...answer, body: Buffer.alloc(0), complete: true };
    if (headers['transfer-encoding'] === 'chunked') return { ...answer, ...(await this.#chunked(upTo, trailed)) };
    if (length !== undefined) return { ...answer, ...(await this.#sized(Number(length), upTo)) };
    return { ...answer, ...(await this.#untilEnd(upTo)) };
  }

  /** An interim answer, or the head of a final one, which is left where it is: its status. */
  async peekStatus() {
    for (;;) {
      const text = this.#join().subarray(0, 12).toString('latin1');
      if (text.length === 12) return Number(text.slice(9));
      if (!(await this.#more('a status line'))) return undefined;
    }
  }

  async #head() {
    for (;;) {
      const bytes = this.#join();
      const end = bytes.indexOf('\r\n\r\n');
      if (end >= 0) {
        this.#keep(bytes.subarray(end + 4));
        return bytes.subarray(0, end).toString('latin1').split('\r\n');
      }
      if (!(await this.#more('the head of an answer'))) {
        if (this.#length > 0) throw new WireError(`half a head, then the end: ${this.#join().subarray(0, 200).toString('latin1')}`);
        return undefined;
      }
    }
  }

  async #sized(length, upTo) {
    const pieces = [];
    let came = 0;
    while (came < length && came < upTo) {
      if (this.#length === 0 && !(await this.#more('the body of an answer'))) return { body: Buffer.concat(pieces), complete: false };
      const bytes = this.#join();
      const piece = bytes.subarray(0, length - came);
      pieces.push(piece);
      came += piece.length;
      this.#keep(bytes.subarray(piece.length));
    }
    return { body: pieces.length === 1 ? pieces[0] : Buffer.concat(pieces), complete: came === length };
  }

  async #chunked(upTo, trailed) {
    const pieces = [];
    const body = (complete) => ({ body: Buffer.concat(pieces), complete });
    for (let came = 0; came < upTo;) {
      const line = await this.#line();
      if (line === undefined) return body(false);
      if (!/^[0-9a-f]{1,8}$/i.test(line)) throw new WireError(`not a chunk size: ${line}`);
      const size = parseInt(line, 16);
      if (size === 0) {
        const lines = [];
        for (let line; (line = await this.#line()) !== '';) {
          if (line === undefined) return body(false);
          if (!trailed) throw new WireError(`a trailer that nobody sent: ${line}`);
          lines.push(line);
        }
        return { ...body(true), ...(trailed && { trailers: fieldsOf(lines) }) };
      }
      const { body: piece, complete } = await this.#sized(size, Infinity);
      pieces.push(piece);
      came += piece.length;
      if (!complete) return body(false);
      const behind = await this.#line();
      if (behind === undefined) return body(false);
      if (behind !== '') throw new WireError(`behind a chunk: ${behind.slice(0, 100)}`);
    }
    return body(false);
  }

  async #untilEnd(upTo) {
    while (this.#length < upTo && (await this.#more('the end of an answer')));
    const body = this.#join();
    this.#keep(Buffer.alloc(0));
    // A reset is the only way in which such an answer can say that it broke off.
    return { body, complete: this.#ended && this.error === undefined, untilEnd: true };
  }

  async #line() {
    for (;;) {
      const bytes = this.#join();
      const end = bytes.indexOf('\r\n');
      if (end >= 0) {
        this.#keep(bytes.subarray(end + 2));
        return bytes.subarray(0, end).toString('latin1');
      }
      if (!(await this.#more('a line of an answer'))) return undefined;
    }
  }

  #join() {
    if (this.#chunks.length > 1) this.#chunks = [Buffer.concat(this.#chunks)];
    return this.#chunks[0] ?? Buffer.alloc(0);
  }

  #keep(bytes) {
    this.#chunks = bytes.length > 0 ? [bytes] : [];
    this.#length = bytes.length;
  }

  /** Waits for more; false when there is no more. */
  async #more(what, patienceMs = PATIENCE_MS) {
    if (this.#ended) return false;
    let timer;
    const came = await Promise.race([
      new Promise((resolve) => { this.#wake = () => resolve(true); }),
      new Promise((resolve) => { timer = setTimeout(resolve, patienceMs, false); }),
    ]);
    clearTimeout(timer);
    if (!came) throw new WireError(`nothing came for ${patienceMs} ms while waiting for ${what}`);
    return true;
  }

  #stir() {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  #end() {
    this.#ended = true;
    this.#stir();
  }
}
