// `fasttunnel bench`: a short comparison with node:http, in turns.
import { availableParallelism, cpus } from 'node:os';
import { Helper } from './bench/helper.js';
import { remarksOf, SERVERS, summaryOf } from './bench/figures.js';
import type { Server, Summary, Turn } from './bench/figures.js';
import type { FromCaller, FromServer, ToCaller, ToServer } from './bench/work.js';
import { EXIT } from './command.js';
import type { Given } from './command.js';
import { packageVersion, runtimeVersion } from './versions.js';

/** Before each turn, for what has slept since the last. */
const WARM_UP_MS = 400;

interface Settings {
  readonly seconds: number;
  readonly rounds: number;
  readonly connections: number;
}

export async function bench(given: Given): Promise<number> {
  const settings = { seconds: given.number('seconds')!, rounds: given.number('rounds')!, connections: given.number('connections')! };
  const { turns, driver } = await compare(settings);
  const processors = availableParallelism?.() ?? cpus().length;
  const summary = summaryOf(turns);
  const remarks = remarksOf(turns, summary, processors);
  const machine = { processors, model: cpus()[0]?.model ?? 'unknown', runtime: runtimeVersion, fasttunnel: packageVersion(), driver };
  if (given.flag('json')) process.stdout.write(`${JSON.stringify({ schema: 1, settings, machine, turns, summary, remarks }, null, 2)}\n`);
  else process.stdout.write(`${machine.runtime}, fasttunnel ${machine.fasttunnel} on ${driver}, ${processors} × ${machine.model}, ${settings.connections} connections, ${settings.rounds} turns of ${settings.seconds} s each\n\n${table(summary)}\n${remarks.map((remark) => `- ${remark}\n`).join('')}`);
  return EXIT.fine;
}

async function compare({ seconds, rounds, connections }: Settings): Promise<{ turns: Turn[]; driver: string }> {
  const caller = new Helper<ToCaller, FromCaller>('caller', 'caller');
  const servers = SERVERS.map((name) => ({ name, helper: new Helper<ToServer, FromServer>('server', name) }));
  try {
    const listening = await Promise.all(servers.map(async ({ name, helper }) => ({ name, helper, ...(await helper.next()) })));
    const turns: Turn[] = [];
    for (let round = 1; round <= rounds; round += 1) {
      // Who comes first changes: a machine may get warmer.
      for (const { name, helper, port } of round % 2 === 1 ? listening : [...listening].reverse()) {
        progress(`round ${round} of ${rounds}: ${name}`);
        await caller.ask({ port: port!, connections, ms: WARM_UP_MS });
        turns.push(await turn(name, round, helper, () => caller.ask({ port: port!, connections, ms: seconds * 1000 })));
      }
    }
    progress(undefined);
    return { turns, driver: listening.find(({ name }) => name === 'fasttunnel')?.driver ?? 'unknown' };
  } finally {
    caller.end();
    for (const { helper } of servers) helper.end();
  }
}

async function turn(server: Server, round: number, helper: Helper<ToServer, FromServer>, call: () => Promise<FromCaller>): Promise<Turn> {
  const before = (await helper.ask('cpu')).cpuUs!;
  const { answers, ms, cpuUs, p50Us, p99Us } = (await call()) as Required<FromCaller>;
  const after = (await helper.ask('cpu')).cpuUs!;
  const rounded = (value: number): number => Math.round(value * 100) / 100;
  return {
    server, round, requestsPerSecond: Math.round((answers / ms) * 1000), cpuUsPerRequest: rounded((after - before) / answers), p50Us, p99Us, callerProcessors: rounded(cpuUs / 1000 / ms),
  };
}

/** On a terminal one line that changes. */
function progress(text: string | undefined): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text ?? ''}`);
  else if (text !== undefined) process.stderr.write(`${text}\n`);
}

function table({ servers, ratios }: Summary): string {
  const number = (value: number): string => (value >= 100 ? Math.round(value).toLocaleString('en-US') : value.toFixed(1));
  const rows = [
    ['', ...SERVERS, 'ratio', 'ratio between turns'],
    ...([['requests/s', 'requestsPerSecond'], ['CPU per request, µs', 'cpuUsPerRequest'], ['median, µs', 'p50Us'], ['99th percentile, µs', 'p99Us']] as const).map(([name, figure]) => [
      name, ...SERVERS.map((server) => number(servers[server][figure].median)), ratios[figure].median.toFixed(2), `${ratios[figure].least.toFixed(2)} to ${ratios[figure].most.toFixed(2)}`,
    ]),
  ];
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) => `${row.map((cell, column) => (column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!))).join('  ')}\n`).join('');
}
