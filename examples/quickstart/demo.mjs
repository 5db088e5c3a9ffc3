// What `make run` shows: starts the server, calls it once, and says how to call it from another terminal.
import { ListenError } from 'fasttunnel';

const token = process.env.RUNNER_TOKEN ?? 'quickstart-token';

const { tunnel } = await import('./server.mjs').catch((error) => {
  // The message says what to do; the stack of a taken port helps nobody.
  if (error instanceof ListenError) {
    console.error(`${error.message}\nFor example: PORT=7071 make run`);
    process.exit(1);
  }
  throw error;
});

const call = async (path, body) => {
  const response = await fetch(`${tunnel.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-runner-token': token },
    body: JSON.stringify(body),
  });
  console.log(`> POST ${path} ${JSON.stringify(body)}\n< ${response.status} ${await response.text()}\n`);
};

console.log(`Listening on ${tunnel.url} (${tunnel.driver}${tunnel.driverReason ? `: ${tunnel.driverReason}` : ''})\n`);
await call('/task/app.tasks.add', { input: { a: 1, b: 2 } });
await call('/task/app.tasks.divide', { input: { a: 1, b: 0 } });
console.log(`Call it from another terminal:

  curl -H 'x-runner-token: ${token}' -H 'content-type: application/json' \\
       -d '{"input":{"a":40,"b":2}}' ${tunnel.url}/task/app.tasks.add

Ctrl-C stops it.`);
