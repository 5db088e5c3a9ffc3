// What can be concluded from the turns of two servers, and what cannot.

export const SERVERS = ['node:http', 'fasttunnel'] as const;
export type Server = (typeof SERVERS)[number];

/** One server, for a while. */
export interface Turn {
  readonly server: Server;
  readonly round: number;
  readonly requestsPerSecond: number;
  /** Of the server's process, all threads. */
  readonly cpuUsPerRequest: number;
  readonly p50Us: number;
  readonly p99Us: number;
  /** Of the process that calls, in processors. */
  readonly callerProcessors: number;
}

type Figure = 'requestsPerSecond' | 'cpuUsPerRequest' | 'p50Us' | 'p99Us';
const FIGURES: readonly Figure[] = ['requestsPerSecond', 'cpuUsPerRequest', 'p50Us', 'p99Us'];

export interface Spread {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

/** Of fasttunnel to node:http: of the medians, and between the turns that are least and most in favour. */
export interface Ratio extends Spread {
  /** All turns of the one lie on the same side of all turns of the other. */
  readonly clear: boolean;
}

export interface Summary {
  readonly servers: Readonly<Record<Server, Readonly<Record<Figure, Spread>>>>;
  readonly ratios: Readonly<Record<Figure, Ratio>>;
}

export function summaryOf(turns: readonly Turn[]): Summary {
  const spreads = (server: Server): Record<Figure, Spread> => {
    const own = turns.filter((turn) => turn.server === server);
    return Object.fromEntries(FIGURES.map((figure) => [figure, spreadOf(own.map((turn) => turn[figure]))])) as Record<Figure, Spread>;
  };
  const servers = { 'node:http': spreads('node:http'), fasttunnel: spreads('fasttunnel') };
  const ratios = Object.fromEntries(FIGURES.map((figure) => [figure, ratioOf(servers.fasttunnel[figure], servers['node:http'][figure])])) as Record<Figure, Ratio>;
  return { servers, ratios };
}

function spreadOf(numbers: readonly number[]): Spread {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return { median: (sorted[Math.floor(middle)]! + sorted[Math.ceil(middle) - 1]!) / 2, least: sorted[0]!, most: sorted.at(-1)! };
}

function ratioOf(ours: Spread, theirs: Spread): Ratio {
  const [least, most] = [ours.least / theirs.most, ours.most / theirs.least];
  return { median: ours.median / theirs.median, least, most, clear: least > 1 || most < 1 };
}

/** Turns that differ by more say that something else was going on. */
const MUCH_SPREAD = 0.25;
/** Of a processor: its one thread can do hardly more. */
const CALLER_BUSY = 0.9;

/** What has to be said with the figures. */
export function remarksOf(turns: readonly Turn[], { servers, ratios }: Summary, processors: number): string[] {
  const remarks: string[] = [];
  const { requestsPerSecond: requests, cpuUsPerRequest: cpu } = ratios;
  if (!requests.clear) remarks.push('Requests per second: no difference can be concluded, the turns of both servers overlap.');
  if (!cpu.clear) remarks.push('CPU per request: no difference can be concluded, the turns of both servers overlap.');
  for (const server of SERVERS) {
    const { median, least, most } = servers[server].requestsPerSecond;
    const spread = (most - least) / median;
    if (spread > MUCH_SPREAD) remarks.push(`The turns of ${server} differ by ${Math.round(spread * 100)} %: the machine does other things as well. Repeat it with more --rounds.`);
    const busy = Math.max(...turns.filter((turn) => turn.server === server).map((turn) => turn.callerProcessors));
    if (busy > CALLER_BUSY) remarks.push(`What calls ${server} was at its own limit (${busy.toFixed(2)} processors): ${server} can answer more than that.`);
  }
  if (processors < 3) remarks.push(`The servers share ${processors} processor${processors === 1 ? '' : 's'} with what calls them: CPU per request tells more than requests per second.`);
  remarks.push('One small call over loopback was measured. Handlers that compute, large bodies, TLS and networks cost the same in both servers, and bring the ratio towards 1.');
  return remarks;
}
