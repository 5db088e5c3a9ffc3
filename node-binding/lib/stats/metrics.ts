import { LOG_STATS, METRICS, SHARD_STATS, TUNNEL_STATS, WORKER_STATS } from '../facts/facts.generated.js';
import { fail } from '../options/checks.js';
import type { LogStats, ShardStats, Stats, WorkerStats } from './stats.js';

/** `openmetrics` is OpenMetrics 1.0; `prometheus` the older text format (0.0.4), which can be joined to other texts. */
export type MetricsFormat = 'openmetrics' | 'prometheus';

/** What an HTTP answer with such a text says as its `content-type`. */
export const metricsContentType: Readonly<Record<MetricsFormat, string>> = {
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
  prometheus: 'text/plain; version=0.0.4; charset=utf-8',
};

type Kind = 'counter' | 'gauge' | 'histogram' | 'info';
type NumbersOf<T> = { [Key in keyof T]: T[Key] extends number ? Key : never }[keyof T] & string;
/** Every number has a line: what it is, and what it means. */
type Meanings<T> = Readonly<Record<NumbersOf<T>, { readonly kind: 'counter' | 'gauge'; readonly help: string }>>;

const OF_A_SHARD: Meanings<ShardStats> = SHARD_STATS;

const OF_A_TUNNEL: Meanings<Stats> = TUNNEL_STATS;

const OF_A_LOG: Meanings<LogStats> = LOG_STATS;

const OF_A_WORKER: Meanings<Omit<WorkerStats, 'worker' | 'threadId'>> = WORKER_STATS;

const PHASES = ['parse', 'queue', 'js', 'write'] as const;

/**
 * The statistics of a tunnel as a text for metrics systems (Prometheus, an OpenTelemetry collector): counters and gauges by
 * shard, the phases of calls as one histogram in seconds, the sizes of batches as two more. Ends with `# EOF` in OpenMetrics,
 * which can stand only once in an answer.
 */
export function metricsText(stats: Stats, format: MetricsFormat = 'openmetrics'): string {
  if (!Object.hasOwn(metricsContentType, format)) fail('format', format, 'is not known', "Give 'openmetrics' or 'prometheus'.");
  const text = new MetricsText(format === 'openmetrics');
  text.info('fasttunnel', METRICS.info.help, { driver: stats.driver });
  for (const key of keysOf(OF_A_TUNNEL)) {
    const { kind, help } = OF_A_TUNNEL[key];
    text.family(kind, nameOf(key), help);
    text.number({}, stats[key]);
  }
  for (const key of stats.log === undefined ? [] : keysOf(OF_A_LOG)) {
    const { kind, help } = OF_A_LOG[key];
    text.family(kind, nameOf(`log${key[0]!.toUpperCase()}${key.slice(1)}`), help);
    text.number({}, stats.log?.[key] ?? 0);
  }
  for (const key of keysOf(OF_A_SHARD)) {
    const { kind, help } = OF_A_SHARD[key];
    text.family(kind, nameOf(key), help);
    stats.shards.forEach((shard, index) => text.number({ shard: index }, shard[key]));
  }
  for (const key of stats.workers === undefined ? [] : keysOf(OF_A_WORKER)) {
    const { kind, help } = OF_A_WORKER[key];
    text.family(kind, nameOf(`worker${key[0]!.toUpperCase()}${key.slice(1)}`), help);
    for (const worker of stats.workers ?? []) text.number({ worker: worker.worker }, worker[key]);
  }
  text.family('counter', `fasttunnel_${METRICS.refusals.name}`, METRICS.refusals.help);
  stats.shards.forEach(({ refusals }, index) => {
    for (const [status, times] of Object.entries(refusals)) text.number({ shard: index, status }, times);
  });
  text.family('histogram', `fasttunnel_${METRICS.phases.name}`, METRICS.phases.help, 'seconds');
  stats.shards.forEach(({ phases }, index) => {
    for (const phase of PHASES) {
      const { count, sumUs, buckets } = phases[phase];
      text.histogram({ shard: index, phase }, count, secondsOf(sumUs), buckets.map((bucket) => [secondsOf(bucket.leUs), bucket.count]));
    }
  });
  for (const key of ['callsPerBatch', 'answersPerBatch'] as const) {
    text.family('histogram', `fasttunnel_${METRICS[key].name}`, METRICS[key].help);
    stats.shards.forEach((shard, index) => {
      const { count, sum, buckets } = shard[key];
      text.histogram({ shard: index }, count, sum, buckets.map((bucket) => [bucket.le, bucket.count]));
    });
  }
  return text.end();
}

type Labels = Readonly<Record<string, string | number>>;

/** Writes families one after the other: the samples belong to the one that was named last. */
class MetricsText {
  #text = '';
  #name = '';
  readonly #open: boolean;

  /** `open`: OpenMetrics, where a counter's family has no `_total`, and units and the end are said. */
  constructor(open: boolean) {
    this.#open = open;
  }

  family(kind: Kind, name: string, help: string, unit?: string): void {
    this.#name = kind === 'counter' ? `${name}_total` : kind === 'info' ? `${name}_info` : name;
    const family = this.#open ? name : this.#name;
    this.#text += `# HELP ${family} ${help}\n# TYPE ${family} ${kind === 'info' && !this.#open ? 'gauge' : kind}\n`;
    if (unit !== undefined && this.#open) this.#text += `# UNIT ${family} ${unit}\n`;
  }

  info(name: string, help: string, labels: Labels): void {
    this.family('info', name, help);
    this.number(labels, 1);
  }

  number(labels: Labels, value: number, suffix = ''): void {
    const pairs = Object.entries(labels).map(([label, text]) => `${label}="${text}"`);
    this.#text += `${this.#name}${suffix}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${value}\n`;
  }

  histogram(labels: Labels, count: number, sum: number, buckets: readonly (readonly [le: number, count: number])[]): void {
    for (const [le, below] of buckets) this.number({ ...labels, le: floatOf(le) }, below, '_bucket');
    this.number({ ...labels, le: '+Inf' }, count, '_bucket');
    this.number(labels, count, '_count');
    this.number(labels, sum, '_sum');
  }

  end(): string {
    return this.#open ? `${this.#text}# EOF\n` : this.#text;
  }
}

function keysOf<T extends object>(table: T): (keyof T & string)[] {
  return Object.keys(table) as (keyof T & string)[];
}

/** `handlerTimeouts` becomes `fasttunnel_handler_timeouts`. */
function nameOf(key: string): string {
  return `fasttunnel_${key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}`;
}

/** A quotient like 0.0010240000000000002 would be another bound. */
function secondsOf(us: number): number {
  return Number((us / 1e6).toPrecision(15));
}

/** Bounds are floats: `1.0`, so that they are the same text everywhere. */
function floatOf(bound: number): string {
  return Number.isInteger(bound) ? `${bound}.0` : String(bound);
}
