// `make bench-proxy` in a run that is too short to mean anything: it works, and no request of it fails.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { findNginx } from '../../loadtest/attacks/servers/nginx.mjs';
import { findH2load } from '../../loadtest/proxies/loads.mjs';
import { start } from '../../loadtest/proxies/servers.mjs';
import { reasonFor } from './support/programs.mjs';

const at = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const loadtest = ['debug', 'quick', 'release'].map((profile) => at(`target/${profile}/loadtest`)).find(existsSync);
const skip = loadtest === undefined ? 'no loadtest: make test-rust builds it' : reasonFor(findNginx);

const run = (...args) => promisify(execFile)(process.execPath, [at('loadtest/proxies/run.mjs'), '--loadtest', loadtest, ...args], { timeout: 110_000 });

/** The rows of a table: cells by the names of their columns. */
function rowsOf(table) {
  const [head, , ...rows] = table.split('\n').map((line) => line.split('|').slice(1, -1).map((cell) => cell.trim()));
  return rows.map((cells) => Object.fromEntries(head.map((name, at) => [name, cells[at]])));
}

describe('the comparison of proxies', { skip, timeout: 120_000 }, () => {
  it('prints its tables', async () => {
    const { stdout, stderr } = await run('--proxies', 'ours,nobody', '--rounds', '1', '--duration-s', '0.1', '--warmup-s', '0', '--connections', '8', '--streams', '8', '--idle', '20', '--contexts', '1000', '--rate', '200');
    const [plain, times, routed, routedTimes] = [...stdout.matchAll(/(?:^\|.*\|\n)+/gm)].map(([table]) => rowsOf(table.trim()));
    const http2 = reasonFor(findH2load) ? [] : ['h2 GET/s', 'h2 CPU us', 'h2 TLS GET/s', 'h2 TLS CPU us'];
    const measured = (rows, name, ...figures) => {
      const row = rows.find(({ proxy }) => name.test(proxy));
      for (const figure of figures) assert.ok(/\/s$/.test(figure) ? Number(row[figure]) > 0 : Number(row[figure]) >= 0, `${figure}: ${JSON.stringify(row)}`);
    };
    measured(plain, /^fasttunnel \((?:io_uring|epoll)\)$/, 'GET/s', 'CPU us', 'fresh GET/s', 'fresh CPU us', ...http2, 'CONNECT MiB/s', 'CPU ms/GiB', 'KiB/tunnel', 'MiB at 20');
    measured(times, /^none$/, 'p50 ms', 'p99 ms');
    measured(times, /^fasttunnel/, 'p50 ms', 'p99 ms', 'half/s', 'p50 ms at half', 'p99 ms at half');
    for (const version of [/→ HTTP\/1\.1$/, /→ HTTP\/2$/]) {
      measured(routed, version, 'GET/s', 'CPU us', ...http2, 'MiB at 20');
      measured(routedTimes, version, 'p50 ms', 'p99 ms', 'half/s');
    }
    assert.match(stdout, /\nLatency at 200 requests a second, and at half of what each can do:\n/);
    assert.match(stdout, /\n1000 contexts created and released: [\d.]+ MiB before, [\d.]+ after; 1 is left\.\n/);
    assert.match(stderr, /left out: nobody: /, 'what does not start is named');
  });

  it('gives the proxy a core of its own if it is asked to', { skip: availableParallelism() < 2 && 'there is one core' }, async () => {
    const proxy = await start('ours', { core: '0' });
    assert.match(readFileSync(`/proc/${proxy.pid}/status`, 'utf8'), /^Cpus_allowed_list:\t0$/m);
    await proxy.stop();
    const { stdout } = await run('--cores', 'one', '--parts', 'contexts', '--contexts', '10');
    assert.match(stdout, /, one of them for the proxy, another for the rest, /);
  });
});
