// Limits that the kernel sets to this process: its own, and those of its control groups.
import { availableParallelism, cpus } from 'node:os';
import { join } from 'node:path';
import type { Limit, LimitsReport } from './report.js';

/** The text of a file; undefined where it is not, or may not be read. */
export type ReadText = (path: string) => string | undefined;

export function limitsOf(read: ReadText): LimitsReport {
  const limits = read('/proc/self/limits') ?? '';
  const groups = groupsOf(read);
  return {
    openFiles: limitOf(limits, 'Max open files'),
    lockedMemoryBytes: limitOf(limits, 'Max locked memory'),
    // Node 18.14 has the first.
    cpus: availableParallelism?.() ?? cpus().length,
    cpuQuota: least(groups.map((group) => quotaOf(group, read))),
    memoryBytes: least(groups.map((group) => memoryOf(group, read))),
  };
}

function limitOf(limits: string, name: string): Limit | null {
  const [, soft, hard] = new RegExp(`^${name} +(\\S+) +(\\S+)`, 'm').exec(limits) ?? [];
  return soft === undefined || hard === undefined ? null : { soft: numberOf(soft), hard: numberOf(hard) };
}

/** Null for `unlimited`, `max` and the like. */
function numberOf(text: string | undefined): number | null {
  const number = text === undefined || text.trim() === '' ? Number.NaN : Number(text);
  return Number.isFinite(number) ? number : null;
}

function least(numbers: readonly (number | null)[]): number | null {
  const set = numbers.filter((number): number is number => number !== null);
  return set.length === 0 ? null : Math.min(...set);
}

/**
 * Folders of the control groups that hold this process, up to the root: the least limit counts. A container may see its own
 * group as the root, or a path of the host that is not there: then the root is what there is.
 */
function groupsOf(read: ReadText): string[] {
  const folders: string[] = [];
  for (const line of (read('/proc/self/cgroup') ?? '').split('\n')) {
    const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (controllers === undefined || path === undefined) continue;
    const roots = controllers === '' ? ['/sys/fs/cgroup', '/sys/fs/cgroup/unified'] : [`/sys/fs/cgroup/${controllers}`, ...controllers.split(',').map((one) => `/sys/fs/cgroup/${one}`)];
    for (const root of new Set(roots)) {
      for (let at = path; ; at = join(at, '..')) {
        folders.push(join(root, at));
        if (at === '/') break;
      }
    }
  }
  return [...new Set(folders)];
}

/** Of version 2 in one file, of version 1 in two. */
function quotaOf(group: string, read: ReadText): number | null {
  const [quota, period] = (read(join(group, 'cpu.max')) ?? '').trim().split(' ').map(numberOf);
  if (quota != null && period != null) return quota / period;
  const old = numberOf(read(join(group, 'cpu.cfs_quota_us')));
  const oldPeriod = numberOf(read(join(group, 'cpu.cfs_period_us')));
  return old === null || oldPeriod === null || old <= 0 ? null : old / oldPeriod;
}

/** Version 1 writes a number of pages that no machine has for none. */
function memoryOf(group: string, read: ReadText): number | null {
  const bytes = numberOf(read(join(group, 'memory.max'))) ?? numberOf(read(join(group, 'memory.limit_in_bytes')));
  return bytes === null || bytes >= 2 ** 60 ? null : bytes;
}
