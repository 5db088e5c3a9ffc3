// What a client says first under TLS.
import { once } from 'node:events';
import { createServer } from 'node:net';
import { connect } from 'node:tls';

/** The ClientHello of a client that asks for `localhost`, as it is sent. */
export async function firstMessage() {
  const listener = createServer().listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const client = connect({ port: listener.address().port, host: '127.0.0.1', servername: 'localhost' }).on('error', () => {});
  const [socket] = await once(listener, 'connection');
  const [bytes] = await once(socket.on('error', () => {}), 'data');
  client.destroy();
  socket.destroy();
  listener.close();
  return bytes;
}
