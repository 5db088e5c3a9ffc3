// How long it takes until a wrong token is refused, by what is wrong with it, as a caller sees it. `make timing`
//   node token-timing.mjs [--samples 20000]
// The guesses take turns on one connection; the slowest tenth of each is interruptions, and left out. Welch's t beyond 3 in
// either direction would tell a guesser something: ends with 1 then. engine/examples/token_timing.rs measures it
// without a socket, a hundred times as fine.
import { once } from 'node:events';
import net from 'node:net';
import { parseArgs } from 'node:util';
import { fastTunnel } from 'fasttunnel';

const T_LIMIT = 3;
const { values } = parseArgs({ options: { samples: { type: 'string', default: '20000' } } });
const samples = Number(values.samples);

const TOKEN = '5c1f0d7a9be24386a1d3c5e7f9024b68';
const GUESSES = {
  'differs at byte 0': `x${TOKEN.slice(1)}`,
  'differs at the last byte': `${TOKEN.slice(0, -1)}x`,
  'has the right first half': `${TOKEN.slice(0, 16)}${'x'.repeat(16)}`,
  'has nothing in common': 'x'.repeat(32),
  'is one byte short': TOKEN.slice(0, -1),
};

const tunnel = await fastTunnel({ auth: { token: ['0', '1', '2'].map((first) => `${first}${TOKEN.slice(1)}`).concat(TOKEN) }, tasks: { add: ({ a }) => a } });
const { driver } = tunnel;
const socket = net.connect({ port: tunnel.port, host: tunnel.host, noDelay: true });
await once(socket, 'connect');
let answered;
socket.on('data', (chunk) => {
  if (!chunk.includes('UNAUTHORIZED')) throw new Error(`not refused: ${chunk}`);
  answered();
});

const requests = Object.values(GUESSES).map((token) => Buffer.from(`POST /__runner/task/add HTTP/1.1\r\nHost: x\r\nx-runner-token: ${token}\r\nContent-Length: 0\r\n\r\n`));
const times = requests.map(() => []);
// The first tenth warms up.
for (let round = -samples / 10; round < samples; round++) {
  for (let turn = 0; turn < requests.length; turn++) {
    const guess = Math.abs(Math.trunc(round) + turn) % requests.length;
    const answer = new Promise((resolve) => { answered = resolve; });
    const began = process.hrtime.bigint();
    socket.write(requests[guess]);
    await answer;
    if (round >= 0) times[guess].push(Number(process.hrtime.bigint() - began) / 1000);
  }
}
socket.destroy();
await tunnel.close();

const summaries = times.map((all) => {
  const kept = all.sort((a, b) => a - b).slice(0, Math.ceil(all.length * 0.9));
  const mean = kept.reduce((sum, time) => sum + time, 0) / kept.length;
  return { count: kept.length, mean, variance: kept.reduce((sum, time) => sum + (time - mean) ** 2, 0) / (kept.length - 1) };
});
console.log(`${samples} refusals each, over a socket (${driver}); µs for one, and Welch's t against the first`);
for (const [index, what] of Object.keys(GUESSES).entries()) {
  const [{ count, mean, variance }, first] = [summaries[index], summaries[0]];
  const t = index === 0 ? 0 : (mean - first.mean) / Math.sqrt(variance / count + first.variance / first.count);
  if (Math.abs(t) >= T_LIMIT) process.exitCode = 1;
  console.log(`a token that ${what.padEnd(26)} ${mean.toFixed(2).padStart(7)} ± ${Math.sqrt(variance).toFixed(2)}   t = ${t.toFixed(2)}`);
}
