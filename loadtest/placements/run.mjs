// Where JavaScript runs, as tables for benches/README.md: `add` on every placement and beside other servers, in turns. Once
// with the server on one core and the generator on another, once with both cores for both.
//   node run.mjs [--rounds 5] [--duration-s 3] [--cores one,both] [--connections 64,1] [--servers inline,threads,node]
import { parseArgs } from 'node:util';
import { fileURLToPath } from 'node:url';
import { bars } from './bars.mjs';
import { Measured } from './measured.mjs';
import { SERVERS, start } from './servers.mjs';

const at = (path) => fileURLToPath(new URL(path, import.meta.url));
const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    'duration-s': { type: 'string', default: '3' },
    'warmup-s': { type: 'string', default: '0.5' },
    cores: { type: 'string', default: 'one,both' },
    connections: { type: 'string', default: '64,1' },
    servers: { type: 'string', default: Object.keys(SERVERS).join(',') },
    binaries: { type: 'string', default: at('../../target/release') },
  },
});
const TITLES = { one: 'server on one core, generator on another', both: 'both cores for both' };
const names = options.servers.split(',');
const settings = options.cores.split(',');
for (const name of names) if (SERVERS[name] === undefined) throw new Error(`there is no server ${name}, only ${Object.keys(SERVERS).join(', ')}`);
for (const name of settings) if (TITLES[name] === undefined) throw new Error(`--cores takes one and both, not ${name}`);

const measured = new Measured(options);

/** All servers of a setting run through all its rounds: those that nobody calls sleep. */
async function measure(cores) {
  const running = [];
  try {
    for (const name of names) {
      const server = await start(name, { cores, binaries: options.binaries });
      if (server === undefined) continue;
      running.push(server);
      console.error(`${cores}: ${name} is ${server.said}`);
    }
    for (let round = 0; round < Number(options.rounds); round++) {
      // Forth and back: what a machine does to the first, it does to the last.
      for (const server of round % 2 === 0 ? running : [...running].reverse()) {
        for (const connections of options.connections.split(',').map(Number)) await measured.load(server, cores, connections);
      }
    }
    for (const server of running) await measured.idle(server, cores);
  } finally {
    for (const server of running) server.stop();
  }
}

for (const cores of settings) {
  await measure(cores);
  console.log(`### ${TITLES[cores]}\n\n${measured.table(cores)}\n`);
}
console.log(bars(measured).join('\n'));
