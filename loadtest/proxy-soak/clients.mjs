// Connections to a proxy: of HTTP/1.1, and of HTTP/2 with its streams.
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { Connection } from '../soak/connection.mjs';

const PATIENCE_MS = 30_000;

/** One of HTTP/1.1, in the clear or under TLS. */
export async function open1(port, tls) {
  const socket = tls ? connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] }) : connect({ port, host: '127.0.0.1' });
  await once(socket, tls ? 'secureConnect' : 'connect');
  return new Connection(socket);
}

/** TLS in a tunnel that is open, to a server of this machine; `ca` is whom it trusts. */
export async function within(connection, ca) {
  connection.socket.removeAllListeners('data');
  const socket = connectTls({ socket: connection.socket, servername: 'localhost', ca, ALPNProtocols: ['http/1.1'] });
  await once(socket, 'secureConnect');
  return new Connection(socket);
}

/** One that ends in the middle of its handshake, or before anything is said. */
export async function openAndLeave(dice, port) {
  const socket = connect({ port, host: '127.0.0.1' }).on('error', () => {});
  await once(socket, 'connect');
  // The beginning of a ClientHello, of a request, and of the preface of HTTP/2.
  socket.write(dice.pick(['', '\x16\x03\x01\x02\x00\x01\x00', 'GET http://127', 'PRI * HTTP/2.0\r\n\r\nSM']), 'latin1');
  if (dice.once(2)) await new Promise((resolve) => { setTimeout(resolve, dice.between(0, 20)); });
  leave(dice, socket);
}

/** Leaves, by FIN or by a reset. */
export function leave(dice, socket) {
  if (dice.once(2) || socket.encrypted) socket.destroy();
  else socket.resetAndDestroy();
}

/** The streams of a connection of HTTP/2. */
export class Streams {
  #session;

  static async open(port, tls) {
    const streams = new Streams();
    streams.#session = connectHttp2(`${tls ? 'https' : 'http'}://127.0.0.1:${port}`, { rejectUnauthorized: false }).on('error', () => {});
    // Settings say whether an extended CONNECT may be asked for.
    await Promise.race([once(streams.#session, 'remoteSettings'), once(streams.#session, 'close').then(() => { throw new Error('the connection ended before its settings'); })]);
    return streams;
  }

  /** The stream of a request. */
  begin({ method, target, path, fields, content, trailers, proof }) {
    const pseudo = { ':method': method, ':scheme': 'http', ':authority': target, ':path': path, 'proxy-authorization': `Basic ${proof}` };
    const stream = this.#session.request({ ...pseudo, ...fields }, { endStream: content === undefined, waitForTrailers: trailers !== undefined }).on('error', () => {});
    if (trailers !== undefined) stream.on('wantTrailers', () => stream.sendTrailers(trailers));
    if (content !== undefined) stream.end(content);
    return stream;
  }

  /** The stream of a tunnel to `target`, or with `fields` of an extended CONNECT. */
  connect(target, proof, fields = {}) {
    return this.#session.request({ ':method': 'CONNECT', ':authority': target, 'proxy-authorization': `Basic ${proof}`, ...fields }, { endStream: false }).on('error', () => {});
  }

  close() {
    this.#session.close();
    return new Promise((resolve) => { if (this.#session.destroyed) resolve(); else this.#session.once('close', resolve); });
  }

  destroy() {
    this.#session.destroy();
  }
}

/** The answer of a stream, like that of a connection: `{ status, headers, body, complete, trailers }`; `undefined` when it ended before one. */
export async function answerOf(stream, { upTo = Infinity } = {}) {
  const pieces = [];
  let [came, headers, trailers] = [0];
  const timer = setTimeout(() => stream.destroy(new Error('late')), PATIENCE_MS);
  await new Promise((resolve) => {
    stream.once('response', (fields) => { headers = fields; }).once('trailers', (fields) => { trailers = Object.fromEntries(Object.entries(fields)); });
    stream.once('close', resolve).on('data', (piece) => {
      pieces.push(piece);
      came += piece.length;
      if (came >= upTo) resolve();
    });
  });
  clearTimeout(timer);
  if (headers === undefined) return undefined;
  return { status: headers[':status'], headers, body: Buffer.concat(pieces), complete: stream.closed && stream.rstCode === 0 && !stream.aborted, trailers };
}
