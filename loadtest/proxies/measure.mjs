// What is measured of one proxy, once. Each part has a process of its own, which has not grown under another.
import { setTimeout as sleep } from 'node:timers/promises';
import { start } from './servers.mjs';
import { asked, close, download, many, tunnel } from './tunnels.mjs';

const MIB = 2 ** 20;

/** Runs `use` with a proxy as `entry` says, and ends it. */
export async function using({ program, env }, core, use, more = {}) {
  const proxy = await start(program, { env: { ...env, ...more }, core });
  try {
    return await use(proxy);
  } finally {
    await proxy.stop();
  }
}

/** Memory that each of `count` connections takes, and what the process has with them, in KiB and MiB. */
async function memoryOf(proxy, count, open) {
  await close(await many(Math.min(count, 50), open));
  await sleep(200);
  const before = proxy.usage().rss;
  const sockets = await many(count, open);
  await sleep(200);
  const { rss } = proxy.usage();
  await close(sockets);
  return { each: ((rss - before) * 1024) / count, whole: rss };
}

/** Requests a second and CPU, as much as the proxy can do; `url` is what it is asked for. */
export async function most(entry, { url, core, loads, fresh }) {
  const row = {};
  const note = (title, figures) => Object.assign(row, { [`${title}GET/s`]: figures?.perS, [`${title}CPU us`]: figures?.cpuUs });
  await using(entry, core, async (proxy) => {
    note('', entry.closes ? undefined : await loads.get(url, proxy));
    if (fresh) note('fresh ', await loads.get(url, proxy, '--fresh', 'yes'));
  });
  note('h2 ', entry.http2 ? await using(entry, core, (proxy) => loads.overHttp2(url, proxy)) : undefined);
  note('h2 TLS ', entry.http2 ? await using(entry, core, (proxy) => loads.overHttp2(url, proxy, { tls: true }), { TLS: entry.certificate }) : undefined);
  return row;
}

/** Bytes through a tunnel to `bytes`, and what idle ones take. */
export async function tunnels(entry, { bytes, core, seconds, idle }) {
  const row = await using(entry, core, async (proxy) => {
    let [cpu, last] = [0, 0];
    const come = await download(proxy, bytes, seconds, () => { [cpu, last] = [proxy.usage().cpu - last, proxy.usage().cpu]; });
    return { 'CONNECT MiB/s': come.bytes / MIB / come.seconds, 'CPU ms/GiB': (cpu * 1000) / (come.bytes / MIB / 1024) };
  });
  const { each } = await using(entry, core, (proxy) => memoryOf(proxy, idle, () => tunnel(proxy, bytes)));
  return { ...row, 'KiB/tunnel': each };
}

/** Memory of the process with connections that have asked once. */
export async function kept(entry, { url, core, idle }) {
  if (entry.closes) return { [`MiB at ${idle}`]: undefined };
  const { host } = new URL(url);
  return { [`MiB at ${idle}`]: (await using(entry, core, (proxy) => memoryOf(proxy, idle, () => asked(proxy, host)))).whole };
}

/** Latency at `rate`, which is the same for all, and at `half` of what this proxy can do; each beside nginx at that rate without a proxy. */
export async function latency(entry, { url, straightUrl, core, loads, rate, half, straight }) {
  const at = (perS) => ['--rate', String(Math.max(1, Math.round(perS)))];
  const [same, own] = await using(entry, core, async (proxy) => [await loads.get(url, proxy, ...at(rate)), await loads.get(url, proxy, ...at(half))]);
  const ownStraight = await loads.get(straightUrl, undefined, ...at(half));
  return {
    'p50 ms': same.p50, 'p99 ms': same.p99, '+p50 ms': same.p50 - straight.p50, '+p99 ms': same.p99 - straight.p99,
    'half/s': half, 'p50 ms at half': own.p50, 'p99 ms at half': own.p99, '+p50 ms at half': own.p50 - ownStraight.p50, '+p99 ms at half': own.p99 - ownStraight.p99,
  };
}

/** Memory over contexts that come and go: what is there after a tenth of them is what has to suffice for all. */
export function contexts(count, core) {
  return using({ program: 'ours' }, core, async (proxy) => {
    await proxy.tell(Math.ceil(count / 10));
    const before = proxy.usage().rss;
    const { contexts: left } = await proxy.tell(count);
    return { before, after: proxy.usage().rss, left };
  });
}
