// What a whole soak says of memory, descriptors and threads.
import { median } from './vitals.mjs';

/** The first part of a soak is for caches, compiled code and pools to fill. */
export const WARM_UP_SHARE = 0.4;
/** Of resident memory, in a soak of minutes. */
const MOST_GROWTH = 0.02;

/**
 * Compares the first half of the rounds after the warm-up with the second: `{ growth, wrong, summary }`. `end` is what there is when
 * everything has ended.
 */
export function steadiness(rounds, end, mostGrowth = MOST_GROWTH) {
  const warm = rounds.filter(({ warmsUp }) => !warmsUp);
  const half = Math.ceil(warm.length / 2);
  const of = (name) => [warm.slice(0, half), warm.slice(-half)].map((list) => median(list.map((round) => round[name])));
  const [before, after] = of('rssMib');
  const growth = after / before - 1;
  const wrong = [];
  if (!(growth < mostGrowth)) wrong.push(`RSS grew by ${(growth * 100).toFixed(1)}%: ${rounds.map(({ rssMib }) => rssMib.toFixed(1)).join(' ')}`);
  for (const name of ['fds', 'threads']) {
    const values = new Set([...warm.map((round) => round[name]), end[name]]);
    if (values.size > 1) wrong.push(`${name} are not constant: ${rounds.map((round) => round[name]).join(' ')}, and ${end[name]} at the end`);
  }
  const change = (name) => of(name).map((value) => value.toFixed(1)).join(' -> ');
  return { growth, wrong, summary: `RSS ${change('rssMib')} MiB (${(growth * 100).toFixed(2)}%), heap ${change('heapMib')} MiB, fds ${end.fds}, threads ${end.threads}` };
}

/** What a whole soak of a tunnel says. */
export function assess({ driver, seed, rounds, tally, total, end }, mostGrowth) {
  const { growth, wrong, summary } = steadiness(rounds, end, mostGrowth);
  const answers = Object.values(tally.kinds).reduce((sum, count) => sum + count, 0);
  return { growth, wrong, summary: `${driver}, seed ${seed}: ${answers} answers checked on ${tally.opened} connections, ${total.calls} calls, ${total.abandoned} of them abandoned, ${total.dropped} late; ${summary}` };
}
