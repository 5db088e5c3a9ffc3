// What a slow reader costs: how far the process grows while 2 GiB go up to a task that reads 10 MiB a second, and down to
// a client that does. `make streams-memory` (4 minutes)
import { pathToFileURL } from 'node:url';
import { download, MIB, serve, upload } from './stream.mjs';

/** The most that the process grew over idle, in bytes, while `transfer` ran. */
async function growth(server, transfer) {
  const idle = server.rss();
  let most = 0;
  const timer = setInterval(() => { most = Math.max(most, server.rss() - idle); }, 50);
  try {
    await transfer();
  } finally {
    clearInterval(timer);
  }
  return most;
}

/**
 * Growth of both directions, each by a process of its own. Idle is after a transfer in both directions at full speed, so
 * that code, V8's helper threads and the memory that allocators keep do not count: they are the same after any traffic.
 */
export async function measure(kind, { driver, bytes, rate, warmBytes = 256 * MIB }) {
  const runs = { upload: (port) => upload(port, 'slow', bytes), download: (port) => download(port, bytes, rate) };
  return Object.fromEntries(await Promise.all(Object.entries(runs).map(async ([direction, run]) => {
    const server = await serve(kind, { driver, rate });
    try {
      await upload(server.port, 'sink', warmBytes);
      await download(server.port, warmBytes);
      await new Promise((resolve) => setTimeout(resolve, 200));
      return [direction, await growth(server, () => run(server.port))];
    } finally {
      await server.end();
    }
  })));
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const bytes = Number(process.env.MIBS ?? 2048) * MIB;
  const rate = Number(process.env.RATE_MIBS ?? 10) * MIB;
  console.log(`${bytes / MIB} MiB at ${rate / MIB} MiB/s, about ${Math.ceil(bytes / rate)} s; growth over idle:`);
  for (const [kind, figures] of await Promise.all(['ours', 'node'].map(async (kind) => [kind, await measure(kind, { bytes, rate })]))) {
    console.log(`${kind === 'ours' ? 'fasttunnel' : 'node:http '}  upload ${(figures.upload / MIB).toFixed(1)} MiB  download ${(figures.download / MIB).toFixed(1)} MiB`);
  }
}
