// A soak from the command line: node run.mjs [--minutes 30 | --seconds 20] [--seed N] [--driver io_uring] [--placement inline] [--shards 2] [--workers 2] [--clients 48] [--round 10]
import { parseArgs } from 'node:util';
import { assess } from './assess.mjs';
import { soak } from './soak.mjs';

const { values: options } = parseArgs({
  options: {
    minutes: { type: 'string', default: '30' }, seconds: { type: 'string' }, seed: { type: 'string' }, driver: { type: 'string', default: 'auto' },
    placement: { type: 'string', default: 'threads' }, shards: { type: 'string' }, workers: { type: 'string', default: '0' }, clients: { type: 'string', default: '48' }, round: { type: 'string' },
  },
});
const seconds = Number(options.seconds ?? Number(options.minutes) * 60);
const seed = Number(options.seed ?? Date.now() % 1_000_000);
console.log(`soak: seed ${seed}, ${seconds} s, driver ${options.driver}`);
try {
  const result = await soak({
    seed, seconds, driver: options.driver, placement: options.placement, workers: Number(options.workers), clients: Number(options.clients),
    ...(options.shards && { shards: Number(options.shards) }),
    ...(options.round && { roundSeconds: Number(options.round) }), log: (line) => console.log(line),
  });
  const { wrong, summary } = assess(result);
  console.log(summary);
  for (const line of wrong) console.error(line);
  process.exitCode = wrong.length > 0 ? 1 : 0;
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
