// What of a report its reader should know: problems, and notes.
import type { Obstacle } from './obstacles.js';
import type { Finding, Report } from './report.js';

/** Fewer descriptors do for a test, not for a server. */
const FEW_FILES = 4096;
/** A tunnel's own buffers may take as much, by `maxTotalBufferedBytes`, and Node some more. */
const LITTLE_MEMORY = 384 * 2 ** 20;

export function findingsOf({ addon, driver, limits, ports, calls }: Pick<Report, 'addon' | 'driver' | 'limits' | 'ports' | 'calls'>, obstacles: readonly Obstacle[]): Finding[] {
  const findings: Finding[] = [];
  const add = (level: Finding['level'], text: string, fix: string | null = null): void => void findings.push({ level, text, fix });

  if (addon.error !== null) add('problem', addon.error);
  else if (driver.name === null) add('problem', `no tunnel can be started: ${driver.reason}`);
  if (driver.name === 'epoll') add('note', `tunnels run on epoll, which is slower: ${driver.reason}`);
  for (const { text, fix } of obstacles) add('note', text, fix);
  for (const call of calls) {
    // That io_uring is refused was said; epoll is refused nowhere.
    if (!call.ok && (call.driver === 'epoll' || driver.name === 'io_uring')) add('problem', `a call over ${call.driver} failed: ${call.error}`);
  }
  const files = limits.openFiles?.soft;
  if (files != null && files < FEW_FILES) add('note', `the process may open ${files} files: each connection takes one`, `Raise \`ulimit -n\` (LimitNOFILE of systemd) to ${FEW_FILES} or more.`);
  if (limits.cpuQuota !== null && limits.cpuQuota < 1) add('note', `the control group allows ${limits.cpuQuota} of a processor: JavaScript and the shards are stopped again and again`, 'Allow 1 or more (`docker run --cpus`, `resources.limits.cpu`).');
  if (limits.memoryBytes !== null && limits.memoryBytes < LITTLE_MEMORY) add('note', `the control group allows ${Math.round(limits.memoryBytes / 2 ** 20)} MiB of memory, and a tunnel under attack may buffer up to 256`, 'Set limits.maxTotalBufferedBytes to a quarter of what there is.');
  for (const { port, free, usedBy } of ports) {
    if (!free) add('note', `port ${port} is in use${usedBy === null ? '' : ` by ${usedBy.name} (process ${usedBy.pid})`}`, 'Choose another with --port, or 0 for any free one.');
  }
  return findings;
}
