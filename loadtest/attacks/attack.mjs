// One attack on a server that runs, with a normal client beside it, and its row in a table.
import { cpus, loadavg, release } from 'node:os';
import { startCanary } from './canary.mjs';
import { sleep } from './wire.mjs';

/** The machine of a run, in a line. */
export const machineOf = (hold) => `${cpus()[0].model.trim()}, ${cpus().length} cores, Linux ${release()}, ${new Date().toUTCString()}, load average ${loadavg()[0].toFixed(2)} before; slow clients were watched for ${hold} s.`;

/** What became of the attack, of the client beside it, and of the server. `canary`: how the client asks. */
export async function attack(server, flood, { scale, hold }, canary = {}) {
  // Warm, so that memory of the first requests does not count.
  const warm = startCanary(server.port, canary);
  await sleep(500);
  await warm.stop();
  const before = server.usage();
  const beside = startCanary(server.port, canary);
  let peak = before;
  const watch = setInterval(() => { const now = server.usage(); if (now.rss > peak.rss) peak = now; }, 250);
  const how = { n: Math.ceil((flood.size ?? 0) * scale), rate: flood.rate, hold: flood.hold ?? hold };
  const result = await flood.run(server.port, how);
  const after = server.usage();
  clearInterval(watch);
  const client = await beside.stop();
  await sleep(2000);
  const left = server.usage();
  return { ...result, hold: how.hold, client, cpu: after.cpu - before.cpu, rss: peak.rss - before.rss, sockets: left.sockets - before.sockets, alive: server.alive, stderr: server.stderr };
}

const round = (value, digits = 0) => value.toFixed(digits);

/** Rows in Markdown, the first of which is the head. */
export const table = (rows) => rows.map((row, at) => `| ${row.join(' | ')} |${at === 0 ? `\n|${row.map(() => '---').join('|')}|` : ''}`).join('\n');

export const FLOOD_HEADINGS = ['attack', 'server', 'what became of it', 'p99 of a normal client, ms', 'server CPU, s', 'memory, MiB', 'sockets left after 2 s'];

/** The row of a result, or of the `error` that there is instead. */
export function floodRow(flood, name, result) {
  if (result.error) return [flood.title, name, `not done: ${result.error}`, '', '', '', ''];
  const { connections, cut, cutAt, told, client, cpu, rss, sockets, alive, hold, refused, bytes } = result;
  const answers = Object.entries(told).map(([status, count]) => `${count} × ${status}`).join(', ');
  const fate = connections === 0 ? '' : bytes ? `${connections} connections, ${cut} cut, ${round(bytes / 2 ** 30, 1)} GiB taken` : flood.rate ? `${connections} done${refused ? `, ${refused} refused` : ''}` : cut === 0 ? `none of ${connections} cut in ${hold} s` : `${cut} of ${connections} cut, half by ${round(cutAt.p50, 1)} s, last ${round(cutAt.max, 1)} s`;
  return [
    flood.title,
    name,
    [fate, answers].filter(Boolean).join('; '),
    `${round(client.p99)} (worst ${round(client.max)})${client.failed ? `, ${client.failed} of ${client.n} failed` : ''}`,
    round(cpu, 1),
    round(rss),
    alive ? String(Math.max(0, sockets)) : 'DIED',
  ];
}
