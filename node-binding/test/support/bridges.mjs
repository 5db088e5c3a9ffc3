// Bridges for tests: what lies below fastTunnel(), with hooks and entries of the test's own.
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const { startBridge } = require('../../dist/cjs/bridge/bridge.js');
const { LIMITS } = require('../../dist/cjs/facts/facts.generated.js');
const { plainCodec } = require('../../dist/cjs/values/codec.js');
export const { CallFailure, DONE, RawAnswer, StreamAnswer } = require('../../dist/cjs/calls/outcome.js');
export { plainCodec };

const DEFAULTS = Object.fromEntries(Object.entries(LIMITS).map(([name, { fallback }]) => [name, fallback]));

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
      limits: { ...DEFAULTS, drainTimeoutMs: 1000, ...limits },
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
