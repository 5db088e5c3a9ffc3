// What inline has to reach, as ratios of medians, each with what was measured.

/** What a bar holds against another, where both were measured. */
function bar(text, value, reached) {
  return value === undefined || Number.isNaN(value) ? undefined : `- ${text}: ${value.toFixed(2)}${reached(value) ? '' : ', NOT reached'}`;
}

const least = (bound) => (value) => value >= bound;
const most = (bound) => (value) => value <= bound;

/** Lines, one for each bar whose servers were measured. */
export function bars(measured) {
  const ratio = (cores, connections, figure, one, other) => measured.of(cores, one, connections, figure) / measured.of(cores, other, connections, figure);
  const lines = [
    bar('one core, 64 connections, requests of threads (1.5, or the next)', ratio('one', 64, 'perS', 'inline', 'threads'), least(1.5)),
    bar('one core, 64 connections, requests of the engine without JavaScript (0.95, or the last)', ratio('one', 64, 'perS', 'inline', 'ceiling'), least(0.95)),
    bar('one core, 64 connections, CPU a request of the engine without JavaScript (1.05 at most)', ratio('one', 64, 'cpuUs', 'inline', 'ceiling'), most(1.05)),
    ...[['node', 0.8], ['bun', 1], ['deno', 1]].flatMap(([other, bound]) => [
      bar(`one core, 1 connection, p50 of ${other} (${bound} at most)`, ratio('one', 1, 'p50Us', 'inline', other), most(bound)),
      bar(`one core, 1 connection, CPU a request of ${other} (${bound} at most)`, ratio('one', 1, 'cpuUs', 'inline', other), most(bound)),
    ]),
    bar('both cores, 64 connections, requests of threads (1)', ratio('both', 64, 'perS', 'inline', 'threads'), least(1)),
    bar('both cores, 64 connections, requests of the engine without JavaScript (0.95)', ratio('both', 64, 'perS', 'inline', 'ceiling'), least(0.95)),
    bar('one core, 64 connections, CPU a request of nodeExposure, divided by that of Runner inline (10)', ratio('one', 64, 'cpuUs', 'exposure', 'runner-inline'), least(10)),
    ...['one', 'both'].map((cores) => bar(`${cores === 'one' ? 'one core' : 'both cores'}, idle CPU in ms a second (0)`, measured.idleOf(cores, 'inline'), most(0))),
  ];
  return lines.filter((line) => line !== undefined);
}
