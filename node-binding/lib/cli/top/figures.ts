// What has happened between two reports: everything in them counts from the start of the tunnel.
import { PHASES, together } from './report.js';
import type { Buckets, Report, TaskReport } from './report.js';
import type { ShardStats } from '../../stats/stats.js';

export interface PhaseFigures {
  readonly phase: string;
  readonly p50Us: number | undefined;
  readonly p99Us: number | undefined;
}

export interface TaskFigures {
  readonly name: string;
  readonly rate: number;
  readonly meanUs: number;
  readonly p99Us: number | undefined;
  readonly failed: number;
  /** It was called between the reports; otherwise its times are those since the start. */
  readonly recent: boolean;
}

export interface RefusalFigures {
  readonly reason: string;
  readonly rate: number;
  readonly total: number;
}

export interface Figures {
  readonly seconds: number;
  /** Since the start. */
  readonly calls: number;
  readonly callRate: number;
  readonly refusalRate: number;
  readonly inFlight: number;
  readonly waiting: number;
  readonly connections: number;
  readonly heldBytes: number;
  /** Processors that the process has used. */
  readonly processors: number;
  readonly phases: readonly PhaseFigures[];
  readonly tasks: readonly TaskFigures[];
  readonly refusals: readonly RefusalFigures[];
}

/** What else than an answer a connection or a call may get: counters of a shard. */
const OTHER_REASONS = { turnedAway: 'too many connections', evicted: 'no memory', overloaded: 'too many calls', shed: 'waited too long' } as const;

const sum = (report: Report, pick: (shard: ShardStats) => number): number => report.shards.reduce((all, shard) => all + pick(shard), 0);

/** The time that `share` of `total` did not exceed: somewhere in its bucket, as if they were spread evenly in it. */
export function quantile(buckets: Buckets, total: number, share: number): number | undefined {
  if (total <= 0) return undefined;
  const rank = share * total;
  let [low, below] = [0, 0];
  for (const [bound, upTo] of buckets) {
    if (upTo >= rank) return low + ((bound - low) * (rank - below)) / Math.max(1, upTo - below);
    [low, below] = [bound, upTo];
  }
  return low;
}

function less(now: Buckets, before: Buckets | undefined): Buckets {
  return now.map(([bound, count], index) => [bound, count - (before?.[index]?.[1] ?? 0)]);
}

/** The later report comes first. Of one that is of another process, nothing is subtracted. */
export function figuresOf(now: Report, earlier: Report): Figures {
  const before = earlier.upMs <= now.upMs ? earlier : undefined;
  const seconds = Math.max(0.001, (now.upMs - (before?.upMs ?? 0)) / 1000);
  const grown = (pick: (shard: ShardStats) => number): number => Math.max(0, sum(now, pick) - (before === undefined ? 0 : sum(before, pick)));
  const refusals = refusalsOf(now, grown, seconds);
  return {
    seconds,
    calls: sum(now, (shard) => shard.calls),
    callRate: grown((shard) => shard.calls) / seconds,
    refusalRate: refusals.reduce((all, { rate }) => all + rate, 0),
    inFlight: sum(now, (shard) => shard.inFlight),
    waiting: now.loops.reduce((all, { waiting }) => all + waiting, 0),
    connections: sum(now, (shard) => shard.connections),
    heldBytes: sum(now, (shard) => shard.heldBytes),
    processors: Math.max(0, (now.process['cpuSeconds'] ?? 0) - (before?.process['cpuSeconds'] ?? 0)) / seconds,
    phases: PHASES.map((phase) => {
      const of = (report: Report): Buckets => together(report.shards.map((shard) => shard.phases[phase]));
      const buckets = less(of(now), before && of(before));
      const total = grown((shard) => shard.phases[phase].count);
      return { phase, p50Us: quantile(buckets, total, 0.5), p99Us: quantile(buckets, total, 0.99) };
    }),
    tasks: tasksOf(now, before, seconds),
    refusals,
  };
}

function nameOf({ kind, id }: TaskReport): string {
  return kind === 'other' ? '(all others)' : kind === 'event' ? `${id} (event)` : id;
}

/** Those that were called come first, and of them the slowest. */
function tasksOf(now: Report, before: Report | undefined, seconds: number): TaskFigures[] {
  const known = new Map((before?.tasks ?? []).map((task) => [`${task.kind} ${task.id}`, task]));
  const tasks = now.tasks.map((task) => {
    const old = known.get(`${task.kind} ${task.id}`);
    const calls = task.count - (old?.count ?? 0);
    const since = calls > 0 ? old : undefined;
    const total = task.count - (since?.count ?? 0);
    return {
      name: nameOf(task),
      rate: calls / seconds,
      meanUs: total > 0 ? (task.sumUs - (since?.sumUs ?? 0)) / total : 0,
      p99Us: quantile(less(task.buckets, since?.buckets), total, 0.99),
      failed: task.failed,
      recent: calls > 0,
    };
  });
  return tasks.sort((a, b) => Number(b.recent) - Number(a.recent) || b.meanUs - a.meanUs);
}

function refusalsOf(now: Report, grown: (pick: (shard: ShardStats) => number) => number, seconds: number): RefusalFigures[] {
  const statuses = [...new Set(now.shards.flatMap(({ refusals }) => Object.keys(refusals)))];
  const all = [
    ...statuses.map((status) => ({ reason: `status ${status}`, pick: ({ refusals }: ShardStats) => refusals[status] ?? 0 })),
    ...(Object.keys(OTHER_REASONS) as (keyof typeof OTHER_REASONS)[]).map((name) => ({ reason: OTHER_REASONS[name], pick: (shard: ShardStats) => shard[name] })),
  ];
  const told = all.map(({ reason, pick }) => ({ reason, rate: grown(pick) / seconds, total: sum(now, pick) }));
  return told.filter(({ total }) => total > 0).sort((a, b) => b.rate - a.rate || b.total - a.total);
}
