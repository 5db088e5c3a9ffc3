// Bridges for tests: what lies below fastTunnel(), with hooks and entries of the test's own.
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const { startBridge } = require('../../dist/cjs/bridge.js');
const { plainCodec } = require('../../dist/cjs/codec.js');
export const { CallFailure, DONE, RawAnswer } = require('../../dist/cjs/outcome.js');
export { plainCodec };

const LIMITS = {
  maxHeadBytes: 16_384, maxBodyBytes: 2_097_152, maxPipelined: 32, maxCallsInFlight: 10_000, maxConnections: 0, headTimeoutMs: 10_000,
  bodyTimeoutMs: 30_000, idleTimeoutMs: 65_000, writeTimeoutMs: 30_000, handlerTimeoutMs: 0, queueTimeoutMs: 500, drainTimeoutMs: 1000, keepAliveHintS: 5, maxBufferedBytes: 65_536, maxTotalBufferedBytes: 2 ** 28,
};

export const CORS = { methods: [], allowedHeaders: [], exposedHeaders: [], credentials: false, varyOrigin: true };

/** A task that gets its input. */
export const task = (id, run) => ({ kind: 'task', id, run });

/** Starts a bridge for one test, anonymous unless said otherwise, and closes it whatever happens. */
export async function withBridge({ limits, entries = [], codec = plainCodec, onError = () => {}, hooks, ...options }, body) {
  const bridge = await startBridge(
    {
      host: '127.0.0.1', port: 0, backlog: 128, shards: 1, driver: 'auto', basePath: '/__runner', disableDiscovery: false,
      auth: { header: 'x-runner-token', tokens: undefined, allowAnonymous: true },
      ...options,
      limits: { ...LIMITS, ...limits },
    },
    entries,
    codec,
    onError,
    hooks,
  );
  try {
    return await body(bridge);
  } finally {
    await bridge.close();
  }
}

/** Requests over HTTP, for answers that need no exact bytes. */
export const http = (bridge) => async (method, path, { headers = {}, body } = {}) => {
  const response = await fetch(`http://127.0.0.1:${bridge.port}${path}`, { method, headers, ...(body === undefined ? {} : { body }) });
  return { status: response.status, headers: response.headers, text: await response.text() };
};
