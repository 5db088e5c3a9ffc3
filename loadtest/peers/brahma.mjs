// brahma-firelight: hyper and tokio behind a Node addon, one JS callback a request.
import { createRequire } from 'node:module';
import { answer, BASE_PATH, headers, HOST, introduce, PORT, tasks } from './work.mjs';

const require = createRequire(import.meta.url);
const app = require('brahma-firelight').createApp();
for (const [id, task] of Object.entries(tasks)) {
  app.post(`${BASE_PATH}/task/${id}`, async (request) => ({ status: 200, headers: headers(), body: await answer(task, request.body.toString()) }));
}
const { version } = require('brahma-firelight/package.json');
app.listen(HOST, PORT, () => introduce(`brahma-firelight ${version} on Node.js ${process.version}`));
