// Both exposures, one after another, called by the same client: what it gets is the same.
import { createRequire } from 'node:module';
import { isDeepStrictEqual } from 'node:util';
import { start } from './app.mjs';

const { createHttpClient, Serializer } = createRequire(import.meta.url)('@bluelibs/runner/node');
const token = 'demo-token';

async function outcomes(which) {
  const { runtime, url } = await start(which, { port: 0, token });
  try {
    const client = createHttpClient({ baseUrl: url, auth: { token }, serializer: new Serializer() });
    const { name, at } = await client.task('app.tasks.register', { name: `someone new at ${which}` });
    return {
      sum: await client.task('app.tasks.add', { a: 1, b: 2 }),
      registered: [name.startsWith('someone new'), at instanceof Date],
      taken: await client.task('app.tasks.register', { name: 'root' }).catch(({ id, message, httpCode }) => ({ id, message, httpCode })),
      event: await client.event('app.events.notify', { message: `hello from ${which}` }),
    };
  } finally {
    await runtime.dispose();
  }
}

const [node, fast] = [await outcomes('node'), await outcomes('fasttunnel')];
console.log(fast);
console.log(isDeepStrictEqual(node, fast) ? 'nodeExposure says the same.' : `nodeExposure says otherwise: ${JSON.stringify(node)}`);
process.exitCode = isDeepStrictEqual(node, fast) ? 0 : 1;
