// Attacks by numbers and by slowness: many connections that are silent, slow, deaf or gone. Each takes the port, how many
// and how long, and says what became of the connections.
import { connectedClients } from './proc.mjs';
import { Attacker, call, head, openMany, PATH, percentile, sleep, statuses } from './wire.mjs';

const TICK_MS = 100;

/** What became of clients that read: how many were cut, when, with which answer. */
function fate(attackers) {
  const times = attackers.filter(({ cutAt }) => cutAt !== null).map(({ cutAt }) => cutAt);
  const told = {};
  for (const { text } of attackers) for (const status of statuses(text).slice(0, 1)) told[status] = (told[status] ?? 0) + 1;
  return { connections: attackers.length, cut: times.length, cutAt: times.length ? { p50: percentile(times, 0.5), max: percentile(times, 1) } : null, told };
}

/** Opens connections that send `first`, then `next(i)` every second, until all are cut or the time is over. */
export async function drip(port, { n, hold }, first, next) {
  const attackers = await openMany(port, n);
  attackers.forEach((attacker) => attacker.write(first));
  const deadline = performance.now() + hold * 1000;
  for (let turn = 0; performance.now() < deadline && attackers.some(({ cutAt }) => cutAt === null); turn += 1) {
    if (next && turn % (1000 / TICK_MS) === 0) attackers.forEach((attacker) => attacker.write(next(turn)));
    await sleep(TICK_MS);
  }
  const result = fate(attackers);
  attackers.forEach((attacker) => attacker.drop());
  return result;
}

/** Opens connections that send `bytes` and never read. Whether they live is asked of the kernel. */
export async function deaf(port, { n, hold }, bytes) {
  const attackers = await openMany(port, n, { deaf: true });
  attackers.forEach((attacker) => attacker.write(bytes));
  const started = performance.now();
  const waiting = new Set(attackers.map(({ localPort }) => localPort));
  const cuts = [];
  while (waiting.size > 0 && performance.now() < started + hold * 1000) {
    await sleep(5 * TICK_MS);
    const alive = connectedClients(port);
    for (const one of [...waiting].filter((local) => !alive.has(local))) {
      waiting.delete(one);
      cuts.push((performance.now() - started) / 1000);
    }
  }
  attackers.forEach((attacker) => attacker.drop());
  return { connections: attackers.length, cut: cuts.length, cutAt: cuts.length ? { p50: percentile(cuts, 0.5), max: percentile(cuts, 1) } : null, told: {} };
}

/** Connections a second that end in a reset: behind a call, or in the middle of one. */
export async function storm(port, { hold, rate }, bytes) {
  const started = performance.now();
  let [done, refused] = [0, 0];
  while (performance.now() < started + hold * 1000) {
    const due = Math.floor(((performance.now() - started) / 1000) * rate) - done - refused;
    const batch = await Promise.all(Array.from({ length: Math.min(due, 50) }, () => Attacker.open(port)));
    for (const attacker of batch) {
      if (!attacker) {
        refused += 1;
        continue;
      }
      done += 1;
      attacker.socket.write(bytes, () => attacker.drop());
    }
    await sleep(due > 50 ? 0 : 5);
  }
  return { connections: done, refused, cut: 0, cutAt: null, told: {} };
}

/** Connections that send without end what nobody wants, and come again when they are cut. */
export async function pour(port, { n, hold }, first, piece) {
  const deadline = performance.now() + hold * 1000;
  let [connections, cut, bytes] = [0, 0, 0];
  const one = async () => {
    while (performance.now() < deadline) {
      const attacker = await Attacker.open(port);
      if (!attacker) continue;
      connections += 1;
      attacker.write(first);
      while (attacker.cutAt === null && performance.now() < deadline) {
        // As fast as the kernel takes it. Of a broken connection nothing else would be heard than that, again and again.
        await new Promise((resolve) => { attacker.socket.write(piece, (error) => (error ? setImmediate(resolve) : resolve())); });
        bytes += piece.length;
      }
      if (attacker.cutAt !== null) cut += 1;
      attacker.drop();
    }
  };
  await Promise.all(Array.from({ length: n }, one));
  return { connections, cut, cutAt: null, told: {}, bytes };
}

/** The beginning of a ClientHello: a record of 512 bytes, of which five have come. The next byte is any. */
const HALF_HELLO = Buffer.from([22, 3, 1, 2, 0, 1, 0, 1, 252, 3]);
const NEXT_BYTE = Buffer.from([3]);

const CHUNK = Buffer.from(`10000\r\n${'x'.repeat(65_536)}\r\n`.repeat(16));
const BIG = call(JSON.stringify({ input: 'x'.repeat(1_000_000) }), '/__runner/task/app.tasks.echo');

/** `size` is the number of connections of a full run, `hold` the longest that its answer takes. `tls`: of servers under TLS. */
export const FLOODS = [
  { id: 'none', title: 'nobody: the normal client alone', size: 0, hold: 10, run: (port, { hold }) => sleep(hold * 1000).then(() => fate([])) },
  { id: 'idle', title: 'connect, say nothing', size: 2000, run: (port, how) => drip(port, how, '') },
  { id: 'slow-head', title: 'a header line a second', size: 2000, run: (port, how) => drip(port, how, head(), (turn) => `X-${turn}: y\r\n`) },
  { id: 'slow-byte', title: 'a byte of the head a second', size: 2000, run: (port, how) => drip(port, how, 'POST /', () => 'a') },
  { id: 'slow-body', title: 'a byte of the body a second', size: 2000, run: (port, how) => drip(port, how, `${head(['Content-Length: 100000'])}\r\n{`, () => ' ') },
  { id: 'slow-chunk', title: 'a one-byte chunk a second', size: 2000, run: (port, how) => drip(port, how, `${head(['Transfer-Encoding: chunked'])}\r\n1\r\n{\r\n`, () => '1\r\n \r\n') },
  { id: 'refused-byte', title: 'a byte a second of a body of 100 MB that is refused', size: 2000, run: (port, how) => drip(port, how, `${head(['Content-Length: 100000000'])}\r\n`, () => 'x') },
  { id: 'refused-chunk', title: 'a one-byte chunk a second of a body that is refused', size: 2000, run: (port, how) => drip(port, how, `${head(['Transfer-Encoding: chunked'], `${PATH}/unknown`)}\r\n`, () => '1\r\nx\r\n') },
  { id: 'refused-pour', title: 'bodies that are refused and never end, as fast as can be', size: 20, hold: 10, run: (port, how) => pour(port, how, `${head(['Transfer-Encoding: chunked'], `${PATH}/unknown`)}\r\n`, CHUNK) },
  { id: 'deaf', title: 'ask for 8 MB, never read', size: 50, echo: true, run: (port, how) => deaf(port, how, BIG.repeat(8)) },
  { id: 'pipeline', title: '2,000 unread pipelined calls each', size: 200, run: (port, how) => deaf(port, how, call().repeat(2000)) },
  { id: 'resets', title: 'resets behind a call, 1,000/s', rate: 1000, hold: 5, run: (port, how) => storm(port, how, call()) },
  { id: 'tls-half', title: 'half of a ClientHello, then nothing', size: 2000, tls: true, run: (port, how) => drip(port, how, HALF_HELLO) },
  { id: 'tls-slow', title: 'a byte of a ClientHello a second', size: 2000, tls: true, run: (port, how) => drip(port, how, HALF_HELLO, () => NEXT_BYTE) },
  { id: 'tls-resets', title: 'resets in a handshake, 1,000/s', rate: 1000, hold: 5, tls: true, run: (port, how) => storm(port, how, HALF_HELLO) },
  { id: 'half-resets', title: 'resets in a body, 1,000/s', rate: 1000, hold: 5, run: (port, how) => storm(port, how, call().slice(0, -10)) },
];
