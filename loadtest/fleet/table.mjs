// What became of the calls, as Markdown.
import { cpus } from 'node:os';

const SAYS = {
  calm: 'nothing',
  rolling: 'each is restarted by SIGTERM, one after another',
  killed: 'kill -9 of one',
  cut: 'packets to and from one are dropped',
  hangs: 'SIGSTOP of one',
  rest: 'one is out, more calls come than two can answer',
  overloaded: 'the same with the third there, twenty times as slow',
};

const ms = (value) => (value === undefined ? '–' : `${value.toFixed(value < 10 ? 1 : 0)} ms`);

function remark(name, { restarts, outMs, goodput, offered, weights }) {
  return [
    restarts && `${restarts} restarts`,
    outMs !== undefined && `out of rotation after ${Math.round(outMs)} ms`,
    goodput && `${Math.round(goodput)} answers a second of ${Math.round(offered)} calls`,
    weights && `weight ${weights[1]}`,
  ].filter(Boolean).join('; ');
}

/** `counted`: by phase, as balance() gives it; `measured`: what the phases say of themselves. */
export function table(counted, measured, { rate }) {
  const rows = [...counted].map(([name, { sent, answered, refused, errors, lost, lostRan, p50, p99, most }]) => {
    const why = Object.entries(errors).map(([says, count]) => `${count} ${says}`).join(', ');
    return `| ${SAYS[name.replace(/ again$/, '')]} | ${sent} | ${answered} | ${refused}${why === '' ? '' : `: ${why}`} | ${lost === 0 ? 0 : `${lost}, of which ${lostRan} ran`} | ${ms(p50)} | ${ms(p99)} | ${ms(most)} | ${remark(name, measured[name] ?? {})} |`;
  });
  return [
    `Three tunnels and HAProxy on one machine (${cpus().length} cores, ${cpus()[0]?.model ?? 'unknown'}), ${rate} calls a second unless said, ${new Date().toISOString().slice(0, 10)}. Latency counts from when a call was due.`,
    '',
    '| what happens | sent | answered | not answered by a handler | may have run without an answer | p50 | p99 | most | |',
    '|---|---|---|---|---|---|---|---|---|',
    ...rows,
    '',
  ].join('\n');
}
