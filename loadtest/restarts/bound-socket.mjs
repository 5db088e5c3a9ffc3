// A socket that is bound and not listened on, to be handed to processes: the keeper of it must not accept connections, as
// every listening net.Server does. node:cluster binds those of its workers by this function.
import net from 'node:net';

/** `{ fd, port, close() }`. */
export function boundSocket(host = '127.0.0.1') {
  const handle = net._createServerHandle(host, 0, 4);
  if (typeof handle === 'number') throw new Error(`cannot bind ${host}: error ${handle}`);
  const address = {};
  handle.getsockname(address);
  return { fd: handle.fd, port: address.port, close: () => handle.close() };
}
