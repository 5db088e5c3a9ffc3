// A server that answers as a test wants it, byte for byte.
import { once } from 'node:events';
import { createServer } from 'node:net';

/** An answer as a tunnel writes it. */
export function answerTo(request, result, { status = '200 OK', lines = '', body = `{"ok":true,"result":${JSON.stringify(result)}}`, connection = 'keep-alive\r\nKeep-Alive: timeout=5' } = {}) {
  return `HTTP/1.1 ${status}\r\nx-runner-request-id: ${request.id}\r\nAccess-Control-Allow-Origin: *\r\n${lines}content-type: application/json; charset=utf-8\r\ncontent-length: ${Buffer.byteLength(body)}\r\n` +
    `X-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\nDate: ${new Date().toUTCString()}\r\nConnection: ${connection}\r\n\r\n${body}`;
}

/** What stands in a request. */
function parse(head, body) {
  const [first, ...lines] = head.split('\r\n');
  const headers = Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]));
  const [method, path] = first.split(' ');
  return { method, path, lines, headers, id: headers['x-runner-request-id'], task: decodeURIComponent(path.split('/').at(-1)), body, input: body === '' ? undefined : JSON.parse(body).input };
}

/**
 * Listens, and gives `onRequest(request, socket, connection)` each request. The connection has a number, counts its
 * `requests` and notes its `chunks`. A client's question which server it is, is answered as by a tunnel unless `probed` is false.
 */
export async function scriptedServer(onRequest, { onConnection = () => {}, isOurs = true, path } = {}) {
  const sockets = new Set();
  const connections = [];
  const server = createServer((socket) => {
    const connection = { number: connections.length, requests: 0, chunks: [], socket, server: () => it };
    connections.push(connection);
    sockets.add(socket);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    onConnection(socket, connection);
    let rest = Buffer.alloc(0);
    socket.on('data', (chunk) => {
      connection.chunks.push(chunk);
      rest = Buffer.concat([rest, chunk]);
      for (;;) {
        const end = rest.indexOf('\r\n\r\n');
        if (end < 0) return;
        const head = rest.toString('latin1', 0, end);
        const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
        if (rest.length < end + 4 + length) return;
        const request = parse(head, rest.toString('utf8', end + 4, end + 4 + length));
        rest = rest.subarray(end + 4 + length);
        if (request.path.includes('/./')) {
          socket.write(answerTo(request, undefined, { status: isOurs ? '404 Not Found' : '405 Method Not Allowed', body: '{"ok":false,"error":{"message":"","code":""}}' }));
          continue;
        }
        connection.requests += 1;
        onRequest(request, socket, connection);
      }
    });
  });
  server.listen(path ?? 0, path === undefined ? '127.0.0.1' : undefined);
  await once(server, 'listening');
  const port = server.address().port;
  const it = {
    url: path === undefined ? `http://127.0.0.1:${server.address().port}/__runner` : `unix:${path}:/__runner`,
    port: path === undefined ? server.address().port : undefined,
    connections,
    get open() { return sockets.size; },
    /** Takes no new connections, until it is resumed. */
    async pause() {
      server.close();
      await new Promise(setImmediate);
    },
    async resume() {
      server.listen(port, '127.0.0.1');
      await once(server, 'listening');
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      if (!server.listening) return;
      server.close();
      await once(server, 'close');
    },
  };
  return it;
}
