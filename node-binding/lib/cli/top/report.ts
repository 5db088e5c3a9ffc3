// What the admin listener tells at /stats, as far as it is shown.
import type { DurationHistogram } from '../../stats/histogram-types.js';
import type { ShardStats } from '../../stats/stats.js';

export const PHASES = ['parse', 'queue', 'js', 'write'] as const;

/** One of the event loops. */
export interface LoopReport {
  readonly loop: string;
  readonly utilization: number;
  readonly delayMs: number;
  readonly delayMaxMs: number;
  /** For so long it has not said how it is. */
  readonly ageMs: number;
  readonly running: number;
  readonly waiting: number;
}

/** One task or event; the kind `other` stands for all that have no figures of their own. */
export interface TaskReport {
  readonly kind: 'task' | 'event' | 'other';
  readonly id: string;
  readonly count: number;
  readonly failed: number;
  readonly sumUs: number;
  /** Cumulative: so many took at most so many microseconds. */
  readonly buckets: readonly (readonly [leUs: number, count: number])[];
}

export interface Report {
  readonly upMs: number;
  readonly driver: string;
  readonly placement: string;
  /** `ok`, or why no calls are taken. */
  readonly ready: string;
  readonly live: number;
  readonly shards: readonly ShardStats[];
  readonly loops: readonly LoopReport[];
  readonly tasks: readonly TaskReport[];
  readonly process: Readonly<Record<string, number>>;
}

/** The report in a text, if it is one. */
export function asReport(text: string): Report | undefined {
  try {
    const report = JSON.parse(text) as Partial<Report> | null;
    const isList = (value: unknown): boolean => Array.isArray(value);
    return typeof report?.upMs === 'number' && [report.shards, report.loops, report.tasks].every(isList) ? (report as Report) : undefined;
  } catch {
    return undefined;
  }
}

export type Buckets = readonly (readonly [leUs: number, count: number])[];

/** Buckets of several histograms together: all have the same bounds. */
export function together(histograms: readonly DurationHistogram[]): Buckets {
  return (histograms[0]?.buckets ?? []).map(({ leUs }, index) => [leUs, histograms.reduce((sum, { buckets }) => sum + (buckets[index]?.count ?? 0), 0)]);
}
