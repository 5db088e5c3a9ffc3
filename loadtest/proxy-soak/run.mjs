// A soak of the proxy from the command line: node run.mjs [--minutes 10 | --seconds 20] [--seed N] [--driver io_uring] [--shards 2] [--clients 32] [--round 10]
import { parseArgs } from 'node:util';
import { steadiness } from '../soak/assess.mjs';
import { answersOf, soak } from './soak.mjs';

const { values: options } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' }, seconds: { type: 'string' }, seed: { type: 'string' }, driver: { type: 'string', default: 'auto' },
    shards: { type: 'string', default: '2' }, clients: { type: 'string', default: '32' }, round: { type: 'string' },
  },
});
const seconds = Number(options.seconds ?? Number(options.minutes) * 60);
const seed = Number(options.seed ?? Date.now() % 1_000_000);
console.log(`soak of the proxy: seed ${seed}, ${seconds} s, driver ${options.driver}`);
try {
  const result = await soak({
    seed, seconds, driver: options.driver, shards: Number(options.shards), clients: Number(options.clients),
    ...(options.round && { roundSeconds: Number(options.round) }), log: (line) => console.log(line),
  });
  const { wrong, summary } = steadiness(result.rounds, result.end);
  console.log(`${result.driver}, seed ${seed}: ${answersOf(result.tally)} answers checked on ${result.tally.opened} connections of ${result.tally.contexts} contexts, ${result.total.requests} requests; ${summary}`);
  for (const line of wrong) console.error(line);
  process.exitCode = wrong.length > 0 ? 1 : 0;
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
