// What the server that is restarted does for a call, in its own event loop or in workers. Notes the id of every call that a
// handler begins with in the file LEDGER, a line each, at once: nobody asks a process that a signal has ended.
import { openSync, writeSync } from 'node:fs';

const ledger = openSync(process.env.LEDGER, 'a');
const run = (id) => { writeSync(ledger, `${id}\n`); };

export const tasks = {
  echo: ({ id }) => { run(id); return id; },
  // Under way when the signal comes, most likely.
  wait: async ({ id, ms }) => { run(id); await new Promise((resolve) => { setTimeout(resolve, ms); }); return id; },
};
