// Tunnels through a proxy: one that bytes come through, or many that nothing comes through.
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** Who asks, as the proxy wants it. */
export const proofOf = ({ username, password }) => Buffer.from(`${username}:${password}`).toString('base64');

/** A connection over which the proxy was asked for this, and has said 200. */
async function ask(proxy, line, host) {
  const socket = connect({ port: proxy.port, host: '127.0.0.1', noDelay: true });
  socket.write(`${line} HTTP/1.1\r\nHost: ${host}\r\nProxy-Authorization: Basic ${proofOf(proxy)}\r\n\r\n`);
  const [first] = await Promise.race([once(socket, 'data'), once(socket, 'close').then(() => ['it was closed'])]);
  if (!/^HTTP\/1\.[01] 200 /.test(String(first))) throw new Error(`${line}: ${String(first).split('\r\n', 1)[0]}`);
  return socket;
}

/** A tunnel to `port` of this machine. */
export const tunnel = (proxy, port) => ask(proxy, `CONNECT 127.0.0.1:${port}`, `127.0.0.1:${port}`);

/** One small request for `host`, over a connection that stays open. */
export const asked = (proxy, host) => ask(proxy, `GET http://${host}/`, host);

/** Opens `count`, some at a time. */
export async function many(count, open) {
  const sockets = [];
  const worker = async () => {
    while (sockets.length < count) {
      const at = sockets.push(undefined) - 1;
      sockets[at] = await open();
    }
  };
  await Promise.all(Array.from({ length: Math.min(count, 20) }, worker));
  return sockets;
}

/** Closes them, and waits until that is done. */
export async function close(sockets) {
  await Promise.all(sockets.map((socket) => new Promise((resolve) => socket.once('close', resolve).destroy())));
}

/** What comes through a tunnel to `port` in so many seconds, after a third of one: `{ bytes, seconds }`. `tell` is called at either end. */
export async function download(proxy, port, seconds, tell) {
  const socket = await tunnel(proxy, port);
  let bytes = 0;
  socket.on('data', (piece) => { bytes += piece.length; });
  socket.write('send');
  await sleep(300);
  tell();
  const [from, start] = [bytes, performance.now()];
  await sleep(seconds * 1000);
  tell();
  const come = { bytes: bytes - from, seconds: (performance.now() - start) / 1000 };
  await close([socket]);
  return come;
}
