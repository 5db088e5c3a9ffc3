// Bytes a second of one upload and one download, fasttunnel beside node:http, in turns:
//   node test/support/throughput.mjs [MiB per run, 1024] [rounds, 5] [driver, auto]
import { fork } from 'node:child_process';
import http from 'node:http';
import net from 'node:net';
import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { fastTunnel } from 'fasttunnel';

const CHUNK = Buffer.alloc(64 * 1024, 'x');
const [mib = '1024', rounds = '5', driver = 'auto'] = process.argv.slice(2);
const TOTAL = Number(mib) * 1024 * 1024;

/** So many bytes from memory. */
function source(total) {
  let left = total;
  return new Readable({
    highWaterMark: CHUNK.length,
    read() {
      if (left <= 0) return this.push(null);
      left -= CHUNK.length;
      this.push(CHUNK);
    },
  });
}

/** Counts what comes. */
async function sink(body) {
  let length = 0;
  await pipeline(body, new Writable({ highWaterMark: CHUNK.length, write(chunk, _encoding, done) { length += chunk.length; done(); } }));
  return length;
}

async function serve() {
  const tunnel = await fastTunnel({ auth: { allowAnonymous: true }, driver, shards: 1, tasks: { up: (_input, { body }) => sink(body), down: () => source(TOTAL) } });
  const server = http.createServer(async (request, response) => {
    if (request.url.endsWith('/up')) response.end(String(await sink(request)));
    else source(TOTAL).pipe(response);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  process.on('message', () => process.send({ cpu: process.cpuUsage(), rss: process.memoryUsage().rss }));
  process.send({ ours: tunnel.port, theirs: server.address().port, driver: tunnel.driver });
}

function upload(port) {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, '127.0.0.1');
    let left = TOTAL;
    const more = () => {
      while (left > 0) {
        left -= CHUNK.length;
        if (!socket.write(CHUNK)) return socket.once('drain', more);
      }
    };
    socket.once('error', reject).once('data', () => { socket.destroy(); resolve(); });
    socket.write(`POST /__runner/task/up HTTP/1.1\r\nHost: a\r\ncontent-type: application/octet-stream\r\ncontent-length: ${TOTAL}\r\n\r\n`);
    more();
  });
}

function download(port) {
  return new Promise((resolve, reject) => {
    let taken = 0;
    const socket = net.connect({ port, host: '127.0.0.1', onread: { buffer: Buffer.alloc(256 * 1024), callback: (count) => { taken += count; if (taken >= TOTAL) { socket.destroy(); resolve(); } return true; } } });
    socket.once('error', reject);
    socket.write('POST /__runner/task/down HTTP/1.1\r\nHost: a\r\ncontent-length: 2\r\n\r\n{}');
  });
}

async function measure() {
  const child = fork(fileURLToPath(import.meta.url), process.argv.slice(2), { env: { ...process.env, FASTTUNNEL_SERVES: '1' } });
  const ask = () => new Promise((resolve) => { child.once('message', resolve); child.send('usage'); });
  const { ours, theirs, driver: chosen } = await new Promise((resolve) => child.once('message', resolve));
  const results = {};
  for (let round = -1; round < Number(rounds); round += 1) {
    for (const [name, run] of [['upload', upload], ['download', download]]) {
      for (const [who, port] of round % 2 === 0 ? [['theirs', theirs], ['ours', ours]] : [['ours', ours], ['theirs', theirs]]) {
        const before = await ask();
        const started = performance.now();
        await run(port);
        const seconds = (performance.now() - started) / 1000;
        const { cpu, rss } = await ask();
        // The first round warms up.
        if (round >= 0) ((results[name] ??= {})[who] ??= []).push({ rate: TOTAL / seconds / 1024 / 1024, cpu: (cpu.user + cpu.system - before.cpu.user - before.cpu.system) / 1e6 / (TOTAL / 2 ** 30), rss: rss / 2 ** 20 });
      }
    }
  }
  child.kill();
  const median = (list, key) => list.map((one) => one[key]).sort((a, b) => a - b)[list.length >> 1];
  console.log(`driver ${chosen}, ${mib} MiB, ${rounds} rounds`);
  for (const [name, { ours: mine, theirs: node }] of Object.entries(results)) {
    const [a, b] = [median(mine, 'rate'), median(node, 'rate')];
    console.log(`${name}: ${a.toFixed(0)} MiB/s, node:http ${b.toFixed(0)} MiB/s, ratio ${(a / b).toFixed(2)}; server CPU ${median(mine, 'cpu').toFixed(2)} and ${median(node, 'cpu').toFixed(2)} s/GiB; rss ${median(mine, 'rss').toFixed(0)} MiB`);
  }
}

await (process.env.FASTTUNNEL_SERVES ? serve() : measure());
