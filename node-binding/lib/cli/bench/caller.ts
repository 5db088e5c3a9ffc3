// What calls the servers, as a process of its own: so many connections, each with one call at a time, for so long. It does
// as little as it can, because it takes of the processor that it measures with: it knows how long an answer is.
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { ANSWER_END, requestOf } from './work.js';
import type { FromCaller, ToCaller } from './work.js';

const END = Buffer.from(ANSWER_END);
/** Where the status stands behind `HTTP/1.1 `. */
const STATUS = Buffer.from('200 ');
const STATUS_AT = 9;
/** Longer than both answers. */
const MOST_BYTES = 4096;

async function run({ port, connections, ms }: ToCaller): Promise<FromCaller> {
  const request = requestOf(port);
  const latencies: number[] = [];
  const sockets = await Promise.all(Array.from({ length: connections }, () => open(port)));
  const cpu = process.cpuUsage();
  const started = performance.now();
  const until = started + ms;
  await Promise.all(sockets.map((socket) => callAgainAndAgain(socket, request, until, latencies)));
  const took = performance.now() - started;
  const { user, system } = process.cpuUsage(cpu);
  for (const socket of sockets) socket.destroy();
  const sorted = Float64Array.from(latencies).sort();
  const at = (share: number): number => Math.round((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0) * 1000);
  return { answers: sorted.length, ms: took, cpuUs: user + system, p50Us: at(0.5), p99Us: at(0.99) };
}

function open(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true }, () => resolve(socket));
    socket.once('error', reject);
  });
}

/** Rejects for the first answer that is not right. */
function callAgainAndAgain(socket: Socket, request: Buffer, until: number, latencies: number[]): Promise<void> {
  return new Promise((resolve, reject) => {
    let rest: Buffer | undefined;
    let sent = performance.now();
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('a server has closed a connection')));
    socket.on('data', (chunk: Buffer) => {
      const answer = rest === undefined ? chunk : Buffer.concat([rest, chunk]);
      if (answer.compare(END, 0, END.length, Math.max(0, answer.length - END.length)) !== 0) {
        rest = answer;
        if (answer.length > MOST_BYTES || !isFine(answer)) reject(new Error(`a server has answered ${answer.toString('latin1', 0, 200)}`));
        return;
      }
      rest = undefined;
      if (!isFine(answer)) return reject(new Error(`a server has answered ${answer.toString('latin1', 0, 200)}`));
      const now = performance.now();
      latencies.push(now - sent);
      if (now >= until) return resolve();
      sent = now;
      socket.write(request);
    });
    socket.write(request);
  });
}

function isFine(answer: Buffer): boolean {
  const seen = Math.max(0, Math.min(STATUS.length, answer.length - STATUS_AT));
  return answer.compare(STATUS, 0, seen, STATUS_AT, STATUS_AT + seen) === 0;
}

process.once('disconnect', () => process.exit());
process.on('message', (work: ToCaller) => {
  run(work).then(
    (done) => process.send!(done),
    (error: unknown) => process.send!({ error: error instanceof Error ? error.message : String(error) } satisfies FromCaller),
  );
});
