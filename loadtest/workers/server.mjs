// A server for run.mjs: `one` event loop of fasttunnel, its `workers`, or `cluster`, node:cluster with node:http.
import cluster from 'node:cluster';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fastTunnel } from '../../node-binding/dist/esm/index.mjs';
import { serveTasks } from '../peers/node-tasks.mjs';
import { tasks } from './tasks.mjs';

const [name, count] = [process.argv[2], Number(process.argv[3] ?? 2)];

async function start() {
  const options = { auth: { allowAnonymous: true }, port: 0 };
  if (name === 'cluster') {
    cluster.setupPrimary({ exec: process.argv[1], args: process.argv.slice(2) });
    const members = Array.from({ length: count }, () => cluster.fork());
    const [address] = await Promise.all(members.map(async (member) => (await once(member, 'listening'))[0]));
    return { port: address.port, pids: members.map(({ process: { pid } }) => pid) };
  }
  const more = name === 'one' ? { tasks } : { workers: count, handlers: new URL('./tasks.mjs', import.meta.url) };
  return { port: (await fastTunnel({ ...options, ...more })).port, pids: [] };
}

/** Resident memory, each page counted by its share, of this process and its children, in MiB. */
function memoryOf(pids) {
  const kib = (pid) => Number(/^Pss: +(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))[1]);
  return [process.pid, ...pids].reduce((sum, pid) => sum + kib(pid), 0) / 1024;
}

if (cluster.isPrimary) {
  const { port, pids } = await start();
  process.on('message', () => process.send({ memory: memoryOf(pids) }));
  process.on('disconnect', () => process.exit());
  process.send({ port });
} else {
  await serveTasks(tasks);
}
