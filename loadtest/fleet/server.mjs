// A tunnel of the fleet. Notes the id of every call that a handler begins with in the file LEDGER, a line each, at once: nobody
// asks a process that was killed. How long its handlers take it is told: { serviceMs }.
//   HOST, LEDGER, SERVICE_MS, MOST_CALLS, READINESS_MS by environment
import { openSync, writeSync } from 'node:fs';
import { fastTunnel } from '../../node-binding/dist/esm/index.mjs';

const { HOST, LEDGER, SERVICE_MS, MOST_CALLS, READINESS_MS, PORT, ADMIN_PORT, AGENT_PORT } = process.env;
const ledger = openSync(LEDGER, 'a');
let serviceMs = Number(SERVICE_MS);

const tunnel = await fastTunnel({
  host: HOST,
  port: Number(PORT),
  admin: { host: HOST, port: Number(ADMIN_PORT), agent: { host: HOST, port: Number(AGENT_PORT) } },
  shards: 1,
  gracefulSignals: true,
  readinessDelayMs: Number(READINESS_MS),
  auth: { allowAnonymous: true },
  limits: { maxCallsInFlight: Number(MOST_CALLS), drainTimeoutMs: 10_000 },
  tasks: {
    work: async ({ id }) => {
      writeSync(ledger, `${id}\n`);
      await new Promise((resolve) => { setTimeout(resolve, serviceMs); });
      return { id, by: HOST };
    },
    // Of growth.mjs.
    'app.tasks.add': ({ a, b }) => a + b,
    'app.tasks.block': (input) => {
      for (const end = performance.now() + 1; performance.now() < end;);
      return input;
    },
  },
});
process.on('message', (told) => { ({ serviceMs } = told); process.send({ serviceMs }); });
process.send({ url: tunnel.url });
