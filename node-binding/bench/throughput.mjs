// Bytes a second of one upload and one download, against node:http, in turns. `make streams`
import { download, MIB, serve, upload } from './stream.mjs';

const bytes = Number(process.env.MIBS ?? 1024) * MIB;
const rounds = Number(process.env.ROUNDS ?? 5);
const directions = { upload: (port) => upload(port, 'sink', bytes), download: (port) => download(port, bytes) };
const servers = { 'fasttunnel': await serve('ours'), 'node:http': await serve('node') };
const median = (numbers) => numbers.toSorted((a, b) => a - b)[numbers.length >> 1];

try {
  for (const [direction, run] of Object.entries(directions)) {
    const figures = Object.fromEntries(Object.keys(servers).map((name) => [name, { mibs: [], cpu: [] }]));
    for (let round = -1; round < rounds; round++) {
      for (const [name, server] of Object.entries(servers)) {
        const [started, cpu] = [performance.now(), server.cpuMs()];
        await run(server.port);
        const seconds = (performance.now() - started) / 1000;
        process.stderr.write(`\r${direction} round ${round + 1} of ${rounds}: ${name} ${(bytes / MIB / seconds).toFixed(0)} MiB/s      `);
        // The first round warms up.
        if (round < 0) continue;
        figures[name].mibs.push(bytes / MIB / seconds);
        figures[name].cpu.push((server.cpuMs() - cpu) / (bytes / MIB));
      }
    }
    process.stderr.write('\r');
    const [ours, theirs] = Object.values(figures).map(({ mibs, cpu }) => ({ mibs: median(mibs), cpu: median(cpu) }));
    console.log(`${direction}: fasttunnel ${ours.mibs.toFixed(0)} MiB/s (${ours.cpu.toFixed(2)} ms of CPU a MiB), node:http ${theirs.mibs.toFixed(0)} MiB/s (${theirs.cpu.toFixed(2)} ms): ${(ours.mibs / theirs.mibs).toFixed(2)}x`);
  }
} finally {
  for (const server of Object.values(servers)) await server.end();
}
