// One Runner app, served by nodeExposure or by fastTunnel: for tests that hold the two against each other.
import { createRequire } from 'node:module';
import { fastTunnel } from 'fasttunnel/runner';
import { placed } from './placed.mjs';

// Its ES module build does not load in Node.
const require = createRequire(import.meta.url);
export const R = require('@bluelibs/runner/node');
const { globals, nodeExposure, r } = R;

export const TOKEN = 't0ken';
export const QUIET = { logs: { printThreshold: null }, errorBoundary: false, shutdownHooks: false };

/** Every app task and event, without naming them. */
export const everything = r
  .resource('app.tunnel')
  .tags([globals.tags.tunnel])
  .init(async () => ({ mode: 'server', transport: 'http', tasks: ({ id }) => id.startsWith('app.'), events: ({ id }) => id.startsWith('app.') }))
  .build();

/** The exposures by name. A driver only means something to ours. */
export function exposuresFor(driver) {
  return {
    nodeExposure: { resource: nodeExposure, with: (http) => nodeExposure.with({ http }) },
    fastTunnel: { resource: fastTunnel, with: (http, engine) => fastTunnel.with({ http, engine: { driver, ...placed(engine ?? {}), ...engine } }) },
  };
}

/**
 * Runs an app behind one exposure: its value, base URL and log, and `close()`, which disposes of it.
 * `items` are registered beside the tunnel; `http` goes over what every test needs.
 */
export async function openApp(exposure, { items = [], tunnels = [everything], http = {}, engine }) {
  const logs = [];
  const tap = r
    .resource('test.tap')
    .dependencies({ logger: globals.resources.logger, store: globals.resources.store, serializer: globals.resources.serializer })
    .init(async (_config, services) => {
      services.logger.onLog(({ level, message, source, error, data, context }) => {
        if (/^(exposure\.|node\.exposure|\[runner\])/.test(String(message))) logs.push({ level, message, source, error: error?.message, data, context });
      });
      return services;
    })
    .build();
  const app = r
    .resource('app')
    .register([tap, ...items, ...tunnels, exposure.with({ listen: { port: 0 }, auth: { token: TOKEN }, ...http }, engine)])
    .dependencies({ tap, exposure: exposure.resource })
    .init(async (_config, dependencies) => dependencies)
    .build();
  const runtime = await R.run(app, QUIET);
  const { exposure: value, tap: services } = runtime.value;
  const { port } = value.server.address();
  return { value, services, runtime, logs, port, url: `http://127.0.0.1:${port}${value.basePath}`, close: () => runtime.dispose() };
}

/** Hands such an app to `body`, and closes it whatever happens. */
export async function withApp(exposure, options, body) {
  const app = await openApp(exposure, options);
  try {
    return await body(app);
  } finally {
    await app.close();
  }
}

/** POSTs a body; returns status, headers and text. */
export async function post(url, path, body, headers = {}) {
  const response = await fetch(`${url}${path}`, {
    method: 'POST',
    body: typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body),
    headers: { 'content-type': 'application/json', 'x-runner-token': TOKEN, ...headers },
  });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

/** Like `post`, parsed. */
export async function call(url, path, body, headers) {
  const { status, text } = await post(url, path, body, headers);
  return { status, ...JSON.parse(text) };
}
