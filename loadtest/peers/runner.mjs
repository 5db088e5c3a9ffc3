// One app on @bluelibs/runner: EXPOSURE=node serves it by nodeExposure, otherwise fasttunnel does (PLACEMENT=inline: not where
// it would put its shards). As Runner's guide has it: an allow list by a tunnel of mode `server`, callers with a token (TOKEN;
// without it anybody). Everything else is default.
import { createRequire } from 'node:module';
import { BASE_PATH, HOST, introduce, PORT, tasks } from './work.mjs';

// The Runner that fasttunnel's own tests use; as CommonJS, because its ES module build does not load in Node.
const require = createRequire(new URL('../../node-binding/package.json', import.meta.url));
const { globals, nodeExposure, r, run } = require('@bluelibs/runner/node');
const { version } = require('@bluelibs/runner/package.json');

const byNode = process.env.EXPOSURE === 'node';
const items = Object.entries(tasks).map(([id, task]) => r.task(id).run(task).build());
const tunnel = r
  .resource('app.tunnel')
  .tags([globals.tags.tunnel])
  .init(async () => ({ mode: 'server', transport: 'http', tasks: items, events: [] }))
  .build();
const exposure = byNode ? nodeExposure : (await import('../../node-binding/dist/esm/runner/index.mjs')).fastTunnel;
const { TOKEN } = process.env;
const http = { basePath: BASE_PATH, listen: { port: PORT, host: HOST }, auth: TOKEN === undefined ? { allowAnonymous: true } : { token: TOKEN } };
// Only ours knows of `engine`.
const engine = byNode || process.env.PLACEMENT === undefined ? {} : { engine: { placement: process.env.PLACEMENT } };
const app = r.resource('app').register([...items, tunnel, exposure.with({ http, ...engine })]).build();
await run(app);
introduce(`${byNode ? 'nodeExposure' : 'fasttunnel'} in @bluelibs/runner ${version}, Node.js ${process.version}`);
