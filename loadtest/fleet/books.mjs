// What became of each call, by what the client, HAProxy and the handlers know of it.

/** By HAProxy's status and state of termination (its manual, 8.5): what an error means, and whether the handler may have run. */
const MEANINGS = {
  // HAProxy closes, says nothing and logs nothing where a connection that was used before ends under a request: whether to send it
  // again is the client's to decide (RFC 9110 9.2.2).
  '0 ': { says: 'the connection ends without an answer', mayHaveRun: true },
  '503 --': { says: 'refused by a tunnel', mayHaveRun: false },
  '503 SC': { says: 'no tunnel takes a connection', mayHaveRun: false },
  '503 sC': { says: 'no connection in time', mayHaveRun: false },
  '503 sQ': { says: 'no place in time', mayHaveRun: false },
  '502 SH': { says: 'the tunnel has ended before it answered', mayHaveRun: true },
  '502 SD': { says: 'the tunnel has ended while it answered', mayHaveRun: true },
  '504 sH': { says: 'no answer in time', mayHaveRun: true },
};

const quantile = (sorted, share) => (sorted.length === 0 ? undefined : sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)]);

/**
 * `{ phases, wrong }`: the counts by phase, and what does not add up. `calls`: as Load has them; `said`: as Balancer has it;
 * `runs`: how often each handler ran.
 */
export function balance(calls, said, runs) {
  const phases = new Map();
  const wrong = [];
  for (const [id, call] of calls.entries()) {
    if (!phases.has(call.phase)) phases.set(call.phase, { sent: 0, answered: 0, refused: 0, errors: {}, lost: 0, lostRan: 0, at: new Set(), latencies: [] });
    const phase = phases.get(call.phase);
    phase.sent += 1;
    if (runs[id] > 1) wrong.push(`call ${id} (${call.phase}) ran ${runs[id]} times`);
    if (call.status === 200) {
      if (!call.text.startsWith(`{"ok":true,"result":{"id":${id},`)) wrong.push(`call ${id} (${call.phase}) got ${call.text.slice(0, 100)}`);
      if (runs[id] === 0) wrong.push(`call ${id} (${call.phase}) was answered and not run`);
      phase.answered += 1;
      phase.latencies.push(call.doneMs - call.dueMs);
      continue;
    }
    // A tunnel's own refusal says what it is, also where a line of the log was lost: it comes by UDP.
    const own = call.status === 503 && call.text.startsWith('{"ok":false,') ? { status: 503, state: '--' } : {};
    const { state = '', status = 0, by } = said.get(id) ?? own;
    const meaning = MEANINGS[`${status} ${state}`];
    if (meaning === undefined || status !== call.status) {
      wrong.push(`call ${id} (${call.phase}) got ${call.status || 'no answer'} (${call.text.slice(0, 60)}), and HAProxy says ${status || 'nothing'} ${state}`);
      continue;
    }
    phase.refused += 1;
    phase.errors[meaning.says] = (phase.errors[meaning.says] ?? 0) + 1;
    if (!meaning.mayHaveRun && runs[id] > 0) wrong.push(`call ${id} (${call.phase}) was ${meaning.says}, and has run`);
    if (meaning.mayHaveRun) {
      phase.lost += 1;
      if (by !== undefined) phase.at.add(by);
      if (runs[id] > 0) phase.lostRan += 1;
    }
  }
  for (const phase of phases.values()) {
    phase.latencies.sort((a, b) => a - b);
    Object.assign(phase, { p50: quantile(phase.latencies, 0.5), p99: quantile(phase.latencies, 0.99), most: phase.latencies.at(-1) });
  }
  return { phases, wrong };
}
