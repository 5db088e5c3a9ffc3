// The server that is restarted: ends on SIGTERM by `gracefulSignals`. Notes the id of every call that a handler begins with
// in the file LEDGER, a line each, at once: nobody asks a process that a signal has ended.
//   PORT (0: any) or FD (a socket that was handed over), DRIVER, SHARDS, LEDGER by environment
import { openSync, writeSync } from 'node:fs';
import { fastTunnel } from '../../node-binding/dist/esm/index.mjs';

const { PORT, FD, DRIVER, SHARDS, LEDGER } = process.env;
const ledger = openSync(LEDGER, 'a');
const run = (id) => { writeSync(ledger, `${id}\n`); };

const tunnel = await fastTunnel({
  ...(FD === undefined ? { port: Number(PORT) } : { fd: Number(FD) }),
  driver: DRIVER,
  shards: Number(SHARDS),
  admin: {},
  gracefulSignals: true,
  auth: { allowAnonymous: true },
  tasks: {
    echo: ({ id }) => { run(id); return id; },
    // Under way when the signal comes, most likely.
    wait: async ({ id, ms }) => { run(id); await new Promise((resolve) => { setTimeout(resolve, ms); }); return id; },
  },
});
process.send({ port: tunnel.port, admin: tunnel.admin.url });
