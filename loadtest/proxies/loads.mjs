// Load on a proxy, or on nginx without one: by loadtest, and over HTTP/2 by h2load, which speaks that.
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { findProgram } from '../attacks/servers/debian.mjs';
import { ANSWER } from './origins.mjs';
import { proofOf } from './tunnels.mjs';

const run = promisify(execFile);

/** Path and environment of h2load; throws when there is none to be had. */
export const findH2load = () => findProgram({ name: 'h2load', packages: ['nghttp2-client', 'libnghttp2-14', 'libev4', 'libc-ares2', 'libjemalloc2', 'libxml2'], at: 'usr/bin/h2load', probe: ['--version'] });

const msOf = (result, quantile) => result.latency_us.quantiles.find(([one]) => one === quantile)[1] / 1000;

export class Loads {
  #options;
  #h2load;
  #scratch = mkdtempSync(join(tmpdir(), 'bench-proxy-'));

  constructor(options) {
    this.#options = options;
    try {
      this.#h2load = findH2load();
    } catch (error) {
      console.error(`HTTP/2 is left out: ${error.message}`);
    }
  }

  /** Small GETs of `url`, of which none may fail: through a proxy, or straight. `{ perS, cpuUs, p50, p99 }`, in ms. */
  async get(url, proxy, ...args) {
    const file = join(this.#scratch, 'result.json');
    const way = proxy === undefined ? [] : ['--proxy', `127.0.0.1:${proxy.port}`, '--proxy-basic', proofOf(proxy)];
    const { connections, 'warmup-s': warmup, 'duration-s': duration } = this.#options;
    const line = ['get', url, '--expect', ANSWER, '--connections', connections, '--warmup-s', warmup, '--duration-s', duration, '--json', file, ...way, ...args];
    await run(this.#options.loadtest, line).catch(({ stdout, stderr }) => { throw new Error(`${line.join(' ')}\n${stdout}${stderr}`); });
    const result = JSON.parse(readFileSync(file, 'utf8'));
    return { perS: result.answers_per_s, cpuUs: result.server.cpu_us_per_answer, p50: msOf(result, 0.5), p99: msOf(result, 0.99) };
  }

  /** The same over HTTP/2 to the proxy, as streams on a few connections. `{ perS, cpuUs }`, or undefined without h2load. */
  async overHttp2(url, proxy, { tls = false } = {}) {
    if (this.#h2load === undefined) return undefined;
    const { host } = new URL(url);
    await askOverHttp2(host, proxy, tls);
    const { 'h2-connections': connections, streams, 'warmup-s': warmup, 'duration-s': duration } = this.#options;
    const each = Math.ceil(Number(streams) / Number(connections));
    // The scheme of its URL says how the proxy is spoken to.
    const way = [`--connect-to=127.0.0.1:${proxy.port}`, '-H', `proxy-authorization: Basic ${proofOf(proxy)}`, '-H', ':scheme: http', `${tls ? 'https' : 'http'}://${host}/`];
    const load = async (seconds) => (await run(this.#h2load.path, ['-t1', `-c${connections}`, `-m${each}`, `-D${Math.round(seconds * 1000)}ms`, ...way], { env: this.#h2load.env })).stdout;
    if (Number(warmup) > 0) await load(Number(warmup));
    const before = proxy.usage().cpu;
    const printed = await load(Number(duration));
    const perS = Number(/, ([\d.]+) req\/s/.exec(printed)?.[1]);
    const [, failed, good] = /, (\d+) failed, [\s\S]*\nstatus codes: (\d+) 2xx, 0 3xx, 0 4xx, 0 5xx\n/.exec(printed) ?? [];
    if (failed !== '0' || !(perS > 0)) throw new Error(`h2load, ${tls ? 'under TLS' : 'in the clear'}, of ${proxy.version}:\n${printed}`);
    return { perS, cpuUs: ((proxy.usage().cpu - before) * 1e6) / Number(good) };
  }

  close() {
    rmSync(this.#scratch, { recursive: true, force: true });
  }
}

/** h2load looks at statuses and at no body: one answer is looked at before. */
async function askOverHttp2(host, proxy, tls) {
  const session = connect(`${tls ? 'https' : 'http'}://127.0.0.1:${proxy.port}`, { rejectUnauthorized: false }).on('error', () => {});
  try {
    const come = await text(session.request({ ':scheme': 'http', ':authority': host, ':path': '/', 'proxy-authorization': `Basic ${proofOf(proxy)}` }));
    if (come !== ANSWER) throw new Error(`over HTTP/2 ${proxy.version} answers ${JSON.stringify(come)}`);
  } finally {
    session.close();
  }
}
