// Puts TLS under clients that do not speak it: what they send goes on encrypted, what comes back is decrypted.
import { once } from 'node:events';
import net from 'node:net';
import tls from 'node:tls';

/** Listens on any free port, for a server under TLS at `port`; `{ port, close() }`. */
export async function relayTo(port, ca) {
  const sockets = new Set();
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const beneath = net.connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
    const encrypted = tls.connect({ socket: beneath, ca, servername: 'localhost', ALPNProtocols: ['http/1.1'] });
    encrypted.allowHalfOpen = true;
    for (const socket of [client, beneath]) sockets.add(socket.once('close', () => sockets.delete(socket)));
    // A client that resets its connection is to reset that of the server, and the other way round.
    client.on('error', () => beneath.resetAndDestroy()).once('close', (failed) => (failed ? beneath.resetAndDestroy() : undefined));
    for (const socket of [encrypted, beneath]) socket.on('error', () => client.resetAndDestroy());
    client.pipe(encrypted);
    encrypted.pipe(client);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    port: server.address().port,
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
