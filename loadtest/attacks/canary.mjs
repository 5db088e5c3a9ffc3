// A normal client beside an attack: a call every 25 ms on a fresh connection, whether or not the last one was answered, so
// that a server which stands still is seen by all the calls that it keeps waiting. A process of its own, so that the
// attacker's work does not count. `node canary.mjs PORT tls|plain [REQUEST]`; on a message it sends what it saw.
import net from 'node:net';
import tls from 'node:tls';
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { call, percentile, sleep } from './wire.mjs';

const FILE = fileURLToPath(import.meta.url);
const EVERY_MS = 25;
const PATIENCE_MS = 10_000;

const once = (port, encrypted, bytes) => new Promise((resolve) => {
  const started = performance.now();
  const socket = encrypted ? tls.connect({ port, host: '127.0.0.1', servername: 'localhost', rejectUnauthorized: false }) : net.connect(port, '127.0.0.1');
  const end = (good) => {
    clearTimeout(timer);
    socket.destroy();
    resolve({ good, ms: performance.now() - started });
  };
  const timer = setTimeout(end, PATIENCE_MS, false);
  socket.setNoDelay(true);
  socket.on('error', () => end(false)).on('close', () => end(false));
  socket.on('data', (data) => end(/^HTTP\/1\.[01] 200/.test(data.toString('latin1'))));
  socket.write(bytes);
});

/** Starts one; `stop()` gives `{ n, failed, p50, p99, max }` in milliseconds. */
export function startCanary(port, { tls: encrypted = false, bytes = call() } = {}) {
  const child = fork(FILE, [String(port), encrypted ? 'tls' : 'plain', bytes]);
  return {
    stop: () => new Promise((resolve) => {
      child.once('message', resolve);
      child.send('stop');
    }),
  };
}

if (process.argv[1] === FILE) {
  const [port, encrypted, bytes] = [Number(process.argv[2]), process.argv[3] === 'tls', process.argv[4]];
  const times = [];
  let [failed, stopped] = [0, false];
  process.once('message', () => { stopped = true; });
  const calls = [];
  for (let due = performance.now(); !stopped; due += EVERY_MS) {
    calls.push(once(port, encrypted, bytes).then(({ good, ms }) => {
      times.push(ms);
      if (!good) failed += 1;
    }));
    await sleep(Math.max(0, due + EVERY_MS - performance.now()));
  }
  await Promise.all(calls);
  process.send({ n: times.length, failed, p50: percentile(times, 0.5), p99: percentile(times, 0.99), max: percentile(times, 1) }, () => process.exit());
}
