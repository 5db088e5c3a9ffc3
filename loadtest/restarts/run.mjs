// From the command line: node run.mjs [--restarts 20] [--calls 100000] [--driver io_uring] [--shards 2] [--handed]
import { parseArgs } from 'node:util';
import { restarts } from './restarts.mjs';

const { values } = parseArgs({
  options: { restarts: { type: 'string', default: '20' }, calls: { type: 'string', default: '100000' }, driver: { type: 'string' }, shards: { type: 'string', default: '2' }, handed: { type: 'boolean', default: false } },
});
for (const driver of values.driver === undefined ? ['io_uring', 'epoll'] : [values.driver]) {
  const { counts, wrong } = await restarts({ driver, restarts: Number(values.restarts), calls: Number(values.calls), shards: Number(values.shards), handed: values.handed, log: (line) => console.log(`${driver}: ${line}`) });
  console.log(driver, counts);
  for (const line of wrong.slice(0, 20)) console.error(line);
  if (wrong.length > 0) process.exitCode = 1;
}
