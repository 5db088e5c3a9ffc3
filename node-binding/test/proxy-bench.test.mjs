// `make bench-proxy` in a run that is too short to mean anything: it works, and no request of it fails.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { findNginx } from '../../loadtest/attacks/servers/nginx.mjs';
import { reasonFor } from './support/programs.mjs';

const at = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const loadtest = ['debug', 'quick', 'release'].map((profile) => at(`target/${profile}/loadtest`)).find(existsSync);
const skip = loadtest === undefined ? 'no loadtest: make test-rust builds it' : reasonFor(findNginx);

it('the comparison of proxies prints its table', { skip, timeout: 60_000 }, async () => {
  const args = ['--loadtest', loadtest, '--proxies', 'ours,nobody', '--rounds', '1', '--duration-s', '0.1', '--warmup-s', '0', '--connections', '8', '--idle', '20', '--contexts', '1000'];
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [at('loadtest/proxies/run.mjs'), ...args], { timeout: 50_000 });
  const [head, , row] = stdout.split('\n').map((line) => line.split('|').slice(1, -1).map((cell) => cell.trim()));
  assert.deepEqual(head, ['proxy', 'GET/s', 'CPU us', 'fresh GET/s', 'fresh CPU us', '+p50 ms', '+p99 ms', 'CONNECT MiB/s', 'CPU ms/GiB', 'KiB/tunnel', 'MiB at 20']);
  assert.match(row[0], /^fasttunnel \((?:io_uring|epoll)\)$/);
  assert.ok([row[1], row[3], row[7]].every((figure) => Number(figure) > 0), row.join(' | '));
  assert.match(stdout, /\n1000 contexts created and released: [\d.]+ MiB before, [\d.]+ after; 1 is left\.\n/);
  assert.match(stderr, /left out: nobody: /, 'what does not start is named');
});
