// A Runner app whose tasks and events are called over HTTP. Everything is as it is for nodeExposure, but for one line:
// the exposure. `node app.mjs` serves through fasttunnel, `node app.mjs --exposure=node` through nodeExposure.
import { createRequire } from 'node:module';
import { fastTunnel } from 'fasttunnel/runner';

// As CommonJS: the ES module build of @bluelibs/runner 5.5.0 does not load in Node.
const { globals, nodeExposure, r, run, useExposureContext } = createRequire(import.meta.url)('@bluelibs/runner/node');

const conflict = r.error('app.errors.conflict').httpCode(409).format(({ key }) => `${key} is taken`).build();

const add = r.task('app.tasks.add').run(async ({ a, b }) => a + b).build();
const names = new Set(['root']);
const register = r
  .task('app.tasks.register')
  .run(async ({ name }) => {
    if (names.has(name)) conflict.throw({ key: name });
    names.add(name);
    // Typed values arrive at Runner's clients as what they are.
    return { name, at: new Date(), by: useExposureContext().headers['user-agent'] };
  })
  .build();
const notify = r.event('app.events.notify').build();
const notified = r.hook('app.hooks.notified').on(notify).run(async ({ data }) => { console.log(`notified: ${data.message}`); }).build();

const serverTunnel = r
  .resource('app.tunnel')
  .tags([globals.tags.tunnel])
  .init(async () => ({ mode: 'server', transport: 'http', tasks: [add, register], events: [notify] }))
  .build();

/** Builds the app around one exposure; `config` goes to both as it is. */
export function appWith(which, config) {
  const exposure = which === 'node' ? nodeExposure : fastTunnel;
  return r
    .resource('app')
    .register([add, register, conflict, notify, notified, serverTunnel, exposure.with(config)])
    .dependencies({ exposure })
    .init(async (_config, { exposure: value }) => value)
    .build();
}

export async function start(which, { port = 7070, token }) {
  const runtime = await run(appWith(which, { http: { listen: { port }, auth: { token } } }), { logs: { printThreshold: 'critical' } });
  const { address, port: bound } = runtime.value.server.address();
  return { runtime, url: `http://${address}:${bound}${runtime.value.basePath}` };
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  const which = process.argv.includes('--exposure=node') ? 'node' : 'fasttunnel';
  const token = process.env.RUNNER_TOKEN ?? 'example-token';
  const { url } = await start(which, { port: Number(process.env.PORT ?? 7070), token });
  console.log(`${which} serves ${url}, for example:

  curl -H 'x-runner-token: ${token}' -d '{"input":{"a":1,"b":2}}' ${url}/task/app.tasks.add`);
}
