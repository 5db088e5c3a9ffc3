// Restarts a server by SIGTERM again and again under load, and compares what its clients know with what its handlers did.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { boundSocket } from './bound-socket.mjs';
import { ANSWERED, Callers, REFUSED, UNREAD } from './callers.mjs';

const SERVER = fileURLToPath(new URL('server.mjs', import.meta.url));
const PATIENCE_MS = 20_000;

/** `handed`: descriptors that it gets, as 4 and above. */
async function start(env, handed = []) {
  const child = fork(SERVER, { env: { ...process.env, ...env }, stdio: ['ignore', 'inherit', 'pipe', 'ipc', ...handed] });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text) => { stderr += text; });
  const ended = once(child, 'exit').then(([code, signal]) => ({ code, signal, stderr }));
  const [told] = await Promise.race([once(child, 'message'), ended.then(() => { throw new Error(`it ended before it listened: ${stderr}`); })]);
  return { child, ended, ...told };
}

/** How often each handler ran, by id. */
function runsOf(ledger, count) {
  const runs = new Uint32Array(count);
  for (const line of readFileSync(ledger, 'utf8').split('\n')) if (line !== '') runs[Number(line)] += 1;
  return runs;
}

/** What does not add up, and the counts. */
export function compare(fates, runs) {
  const counts = { sent: fates.length, [ANSWERED]: 0, [REFUSED]: 0, [UNREAD]: 0, ranTwice: 0, answeredNotRun: 0, runNotAnswered: 0, open: 0 };
  for (const [id, fate] of fates.entries()) {
    if (fate === undefined) counts.open += 1;
    else counts[fate] += 1;
    if (runs[id] > 1) counts.ranTwice += 1;
    if (fate === ANSWERED && runs[id] === 0) counts.answeredNotRun += 1;
    if (fate !== ANSWERED && runs[id] > 0) counts.runNotAnswered += 1;
  }
  return counts;
}

/**
 * `restarts` times: waits until enough calls were sent of `calls` in all, then SIGTERM and a new process on the same port.
 * `handed`: both have one socket, and the new process serves before the signal comes.
 */
export async function restarts({ driver, restarts: times, calls, placement = 'threads', shards = placement === 'inline' ? 1 : 2, workers = 0, handed = false, log = () => {} }) {
  const folder = mkdtempSync(join(tmpdir(), 'fasttunnel-restarts-'));
  const ledger = join(folder, 'ledger');
  const env = { DRIVER: driver, SHARDS: String(shards), PLACEMENT: placement, WORKERS: String(workers), LEDGER: ledger };
  const wrong = [];
  let callers;
  const socket = handed ? boundSocket() : undefined;
  const startOn = (port) => (socket === undefined ? start({ ...env, PORT: String(port) }) : start({ ...env, FD: '4' }, [socket.fd]));
  let server = await startOn(0);
  let next;
  try {
    const { port } = server;
    callers = new Callers(port);
    callers.start(30);
    callers.start(6, { depth: 4 });
    callers.start(8, { fresh: true });
    for (let time = 1; time <= times; time += 1) {
      const deadline = performance.now() + PATIENCE_MS;
      while (callers.sent < (calls * time) / times) {
        if (performance.now() > deadline) throw new Error(`only ${callers.sent} calls before restart ${time}`);
        await new Promise((resolve) => { setTimeout(resolve, 3); });
      }
      // The socket outlives every process: without one that follows, callers would wait for ever.
      if (handed) next = await startOn(port);
      server.child.kill('SIGTERM');
      const began = performance.now();
      const { code, signal, stderr } = await server.ended;
      log(`restart ${time}: ${callers.sent} calls sent, ended after ${Math.round(performance.now() - began)} ms`);
      if (signal !== 'SIGTERM' || stderr !== '') wrong.push(`restart ${time}: ended by ${signal ?? code}: ${stderr}`);
      if (handed || time < times) server = next ?? (await startOn(port));
      next = undefined;
    }
    await callers.end();
    const counts = { ...compare(callers.fates, runsOf(ledger, callers.sent)), unconnected: callers.unconnected };
    for (const what of ['ranTwice', 'answeredNotRun', 'runNotAnswered', 'open']) if (counts[what] > 0) wrong.push(`${what}: ${counts[what]}`);
    return { counts, wrong: [...wrong, ...callers.complaints] };
  } finally {
    if (callers !== undefined) callers.over = true;
    server.child.kill('SIGKILL');
    next?.child.kill('SIGKILL');
    socket?.close();
    rmSync(folder, { recursive: true, force: true });
  }
}
