// How long a process could not run though it wanted to: what it does late because of that is the machine's fault.
import { readdirSync, readFileSync } from 'node:fs';

const EVERY_MS = 100;
/** Threads wait for a core now and then, on every machine. */
const LEAST_MS = 50;

/** Milliseconds that each thread has waited for a core, since it began. */
function waits(pid) {
  const waited = new Map();
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    try {
      waited.set(thread, Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[1]) / 1e6);
    } catch {
      // Gone meanwhile.
    }
  }
  return waited;
}

/** Begins to look. What it gives tells the milliseconds since then, and `stop()` ends it. */
export function watchStarving(pid) {
  let [lost, last] = [0, waits(pid)];
  const look = () => {
    try {
      const now = waits(pid);
      const longest = Math.max(0, ...[...now].map(([thread, waited]) => waited - (last.get(thread) ?? waited)));
      if (longest >= LEAST_MS) lost += longest;
      last = now;
    } catch {
      // The process has ended.
    }
    return lost;
  };
  const timer = setInterval(look, EVERY_MS).unref();
  return Object.assign(look, { stop: () => clearInterval(timer) });
}
