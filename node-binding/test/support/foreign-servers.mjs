// Apps without a listener of their own, and servers of node:http's that send them requests.
import http from 'node:http';
import { everything, QUIET, R, TOKEN } from './runner-apps.mjs';
import { RawSocket } from './raw-socket.mjs';

const { globals, r } = R;

/** Runs an app behind one exposure that listens nowhere (unless `http` says so), hands its value and log to `body`, and disposes of it. */
export async function withHandlers(exposure, { items = [], http: options = {}, engine }, body) {
  const logs = [];
  const tap = r
    .resource('test.tap')
    .dependencies({ logger: globals.resources.logger })
    .init(async (_config, { logger }) => {
      logger.onLog(({ level, message, context, error }) => logs.push({ level, message, context, error: error?.message }));
    })
    .build();
  const app = r
    .resource('app')
    .register([tap, ...items, everything, exposure.with({ auth: { token: TOKEN }, ...options }, engine)])
    .dependencies({ tap, exposure: exposure.resource })
    .init(async (_config, dependencies) => dependencies)
    .build();
  const runtime = await R.run(app, QUIET);
  let disposed;
  const dispose = () => (disposed ??= runtime.dispose());
  try {
    return await body({ value: runtime.value.exposure, logs, dispose });
  } finally {
    await dispose();
  }
}

export const listening = (server) => new Promise((resolve, reject) => {
  server.once('error', reject);
  server.listen(0, '127.0.0.1', () => resolve(server.address().port));
});

/** Listens with `server` for the time of `body`, which gets the port. */
export async function withServer(server, body) {
  const sockets = new Set();
  server.on('connection', (socket) => sockets.add(socket));
  const port = await listening(server);
  try {
    return await body(port);
  } finally {
    server.close();
    for (const socket of sockets) socket.destroy();
  }
}

/** A server whose every request `listener` gets. */
export const serve = (listener, body) => withServer(http.createServer(listener), body);

export const connect = (port) => RawSocket.connect({ host: '127.0.0.1', port });

/** A call as bytes, with the token. `lines` go in front of the others. */
export const callBytes = (id, input, { lines = '', body = JSON.stringify({ input }), base = '/__runner' } = {}) =>
  `POST ${base}/task/${id} HTTP/1.1\r\nHost: test\r\nx-runner-token: ${TOKEN}\r\ncontent-type: application/json\r\n${lines}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
