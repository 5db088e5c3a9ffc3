// The servers that the proxies of the soak ask: under HTTP in the clear, under TLS with either version, and bare ones that send back what comes, or
// nonsense. They run in the process of the clients, and note which requests have come.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createSecureServer } from 'node:http2';
import { createServer as createHttpsServer } from 'node:https';
import { createServer as createTcpServer } from 'node:net';
import { pipeline } from 'node:stream';
import { patternOf } from '../soak/pattern.mjs';

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const PIECE_BYTES = 32 * 1024;
/** What a client must not have sent on, or what must have been taken off. */
const HIDDEN = ['proxy-authorization', 'proxy-connection', 'x-cmux-port-internal'];

const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

/** Ends a request's connection, or its stream. */
function cut(request) {
  if (request.stream?.close === undefined) request.socket.destroy();
  else request.stream.close(2);
}

/** Resolves when there is room for more, or nobody left. */
function drained(response) {
  return new Promise((resolve) => {
    const settle = () => resolve(response.off('drain', settle).off('close', settle));
    response.on('drain', settle).on('close', settle);
  });
}

async function inPieces(response, bytes, pauseMs) {
  for (let at = 0; at < bytes.length && !response.destroyed; at += PIECE_BYTES) {
    if (!response.write(bytes.subarray(at, at + PIECE_BYTES))) await drained(response);
    if (pauseMs > 0) await sleep(pauseMs);
  }
}

/** What is answered, by the first part of the path; its second is a number. */
const ANSWERS = {
  small: (_request, response, id, bytes) => {
    response.setHeader('content-length', bytes);
    response.end(patternOf(id, bytes));
  },
  chunked: async (_request, response, id, bytes) => {
    await inPieces(response, patternOf(id, bytes), 0);
    response.end();
  },
  /** Slowly: there is time to leave. */
  long: async (_request, response, id, bytes) => {
    response.setHeader('content-length', bytes);
    await inPieces(response, patternOf(id, bytes), 5);
    response.end();
  },
  none: (_request, response) => response.writeHead(204).end(),
  hints: async (_request, response, id, bytes) => {
    // As long as the answer before is not done with, Node would send them behind the head of this one.
    if (response.stream === undefined && response.socket === null) await once(response, 'socket');
    response.writeEarlyHints({ link: '</a.css>; rel=preload' });
    response.end(patternOf(id, bytes));
  },
  late: async (_request, response, id, ms) => {
    await sleep(ms);
    response.end(patternOf(id, 10));
  },
  digest: async (request, response) => {
    const hash = createHash('sha1');
    let bytes = 0;
    for await (const chunk of request) {
      bytes += chunk.length;
      hash.update(chunk);
    }
    response.end(JSON.stringify({ bytes, hash: hash.digest('hex') }));
  },
  /** What came, and behind it what came behind it. */
  trailers: async (request, response) => {
    for await (const chunk of request) if (!response.write(chunk)) await drained(response);
    response.addTrailers({ 'x-back': request.trailers['x-sent'] ?? 'nothing' });
    response.end();
  },
  through: (request, response) => void pipeline(request, response, () => {}),
  reset: (request) => cut(request),
  partial: (request, response, id, bytes) => {
    response.setHeader('content-length', bytes);
    response.write(patternOf(id, Math.floor(bytes / 2)));
    setTimeout(cut, 5, request);
  },
  stall: () => {},
};

/**
 * What the kernel says of the other end of a connection, if a process has that: Node may keep a connection of HTTP/2 that was reset, with nobody at
 * its other end.
 */
function otherEnd({ localPort, remotePort }) {
  const hex = (port) => `:${port?.toString(16).toUpperCase().padStart(4, '0')}`;
  const rows = readFileSync('/proc/net/tcp', 'utf8').split('\n').map((line) => line.trim().split(/\s+/));
  const row = rows.find(([, local, remote]) => local?.endsWith(hex(remotePort)) && remote.endsWith(hex(localPort)));
  // State, queues, and the inode by which a process has it.
  return row === undefined || row[9] === '0' ? undefined : `${remotePort} to ${localPort}, state ${row[3]}, queues ${row[4]}`;
}

/** Starts them. `ran(id)` hears of each request; `fault(text)` of what a request must not be. */
export async function openServers({ cert, key }, ran, fault) {
  /** Requests by the port that they came from, the last of each. */
  const last = new Map();
  const sockets = new Set();
  const sessions = new Set();
  const listen = async (server) => {
    server.on('connection', (socket) => {
      sockets.add(socket);
      socket.on('error', () => {}).once('close', () => sockets.delete(socket));
    });
    server.on('session', (session) => sessions.add(session.once('close', () => sessions.delete(session)))).on('sessionError', () => {});
    server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 });
    await once(server, 'listening');
    return server;
  };
  const noted = (headers) => {
    const id = headers['x-soak'];
    for (const name of HIDDEN) if (name in headers) fault(`${name} came with ${id}`);
    if (!/fasttunnel/.test(headers.via)) fault(`no Via came with ${id}`);
    if ((headers.host ?? headers[':authority']) !== headers['x-host']) fault(`${id} is for ${headers['x-host']}, and came with ${headers.host ?? headers[':authority']}`);
    ran(id);
    return id;
  };
  const answer = (request, response) => {
    request.on('error', () => {});
    response.on('error', () => {});
    const [, kind, size] = request.url.split('/');
    if (ANSWERS[kind] === undefined) return fault(`asked for ${request.url}`);
    const id = noted(request.headers);
    last.set(request.socket.remotePort, `${request.method} ${request.url} ${id}`);
    return Promise.resolve(ANSWERS[kind](request, response, id, Number(size))).catch(() => {});
  };
  /** A WebSocket, as far as a proxy looks at it: what comes goes back. */
  const upgrade = ({ headers, url }, socket, head) => {
    noted(headers);
    socket.on('error', () => {});
    if (url !== '/echo') return socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno');
    const accept = createHash('sha1').update(headers['sec-websocket-key'] + GUID).digest('base64');
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
    if (head.length > 0) socket.write(head);
    return pipeline(socket, socket, () => {});
  };
  const options = { keepAliveTimeout: 60_000, requestTimeout: 0 };
  const servers = {
    plain: await listen(createServer(options, answer).on('upgrade', upgrade)),
    secure: await listen(createHttpsServer({ ...options, cert, key }, answer).on('upgrade', upgrade)),
    http2: await listen(createSecureServer({ cert, key, allowHTTP1: true }, answer).on('upgrade', upgrade)),
    echo: await listen(createTcpServer({ allowHalfOpen: true }, (socket) => pipeline(socket, socket, () => {}))),
    nonsense: await listen(createTcpServer((socket) => socket.on('data', () => socket.end('this is not HTTP\r\n\r\n')))),
    /** Nobody listens there any more. */
    gone: await listen(createTcpServer()),
  };
  const ports = Object.fromEntries(Object.entries(servers).map(([name, server]) => [name, server.address().port]));
  servers.gone.close();
  return {
    ports,
    /** The connections that the proxy has open, each with the last request on it. */
    open: () => [...sockets].map((socket) => [otherEnd(socket), last.get(socket.remotePort) ?? 'no request']).filter(([end]) => end !== undefined).map((parts) => parts.join(', ')),
    close() {
      for (const server of Object.values(servers)) server.close();
      // A socket that is taken from under its session ends this process.
      for (const session of sessions) session.destroy();
      for (const socket of sockets) socket.destroy();
    },
  };
}
