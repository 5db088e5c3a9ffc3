// An open loop: requests at a constant rate, whatever the server does, each on a connection that has nothing else to do.
import { RawSocket } from './raw-socket.mjs';
import { sleep } from './tunnels.mjs';

/** Sends `bytes` at `rate` requests a second for `ms`; the answers, as { status, retry, latencyMs, sentMs, body }. */
export async function openLoop(server, bytes, rate, ms) {
  const free = [];
  const all = new Set();
  const answers = [];
  const ask = async (sentMs) => {
    const socket = free.pop() ?? await RawSocket.connect(server);
    all.add(socket);
    await socket.write(typeof bytes === 'function' ? bytes() : bytes);
    const { status, headers, body } = await socket.answer({ timeoutMs: 20_000 });
    answers.push({ status, retry: headers['retry-after'], latencyMs: performance.now() - sentMs, sentMs, body });
    free.push(socket);
  };
  const asked = [];
  const start = performance.now();
  while (performance.now() - start < ms) {
    for (let due = ((performance.now() - start) * rate) / 1000; asked.length < due;) asked.push(ask(start + (asked.length * 1000) / rate));
    await sleep(2);
  }
  await Promise.all(asked);
  for (const socket of all) socket.destroy();
  return { answers, startMs: start };
}
