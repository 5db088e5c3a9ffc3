// `placement: 'auto'` and what else goes by cores: by those that the process may use, not by those of the machine. The rule is
// `engine/src/placement.rs`, with a table of its own; here is that it gets the right number, and that tunnels tell of it.
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { fastTunnel } from 'fasttunnel';

const PROGRAM = fileURLToPath(new URL('./fixtures/placed.mjs', import.meta.url));

/** What the program says that these words start. */
async function said(words, options = {}) {
  const [command, ...args] = [...words, process.execPath, PROGRAM];
  const { stdout } = await promisify(execFile)(command, args, { env: { ...process.env, OPTIONS: JSON.stringify(options) }, timeout: 30_000 });
  return JSON.parse(stdout);
}

const ONE_CORE = { placement: 'threads', reason: 'the process may use 1 core', shards: 1, told: ['threads', 'the process may use 1 core'], workers: 1, withWorkers: 'workers take calls from threads' };
const taskset = spawnSync('taskset', ['-c', '0', 'true']).status === 0 ? false : 'no taskset here, or no core 0';

/** A control group of the test's own with a quota, where the kernel lets it make one; else why not. */
function quotaGroup(cores) {
  const name = `fasttunnel-test-${process.pid}`;
  const roots = [['/sys/fs/cgroup', (at) => writeFileSync(`${at}/cpu.max`, `${cores * 100_000} 100000`)], ['/sys/fs/cgroup/cpu', (at) => writeFileSync(`${at}/cpu.cfs_quota_us`, String(cores * 100_000))]];
  for (const [root, limit] of roots) {
    const group = `${root}/${name}`;
    if (!existsSync(`${root}/cgroup.procs`)) continue;
    try {
      mkdirSync(group);
      limit(group);
      return { group };
    } catch {
      if (existsSync(group)) rmdirSync(group);
    }
  }
  return { skip: 'no control group with a quota can be made here' };
}

describe('placement', () => {
  it('auto goes by the cores of the affinity, and so do workers', { skip: taskset }, async () => {
    assert.deepEqual(await said(['taskset', '-c', '0']), ONE_CORE);
  });

  const { group, skip = false } = quotaGroup(1.5);
  after(() => group && rmdirSync(group));
  it('auto goes by the quota of the control group, rounded down, and so do workers', { skip }, async () => {
    assert.deepEqual(await said(['sh', '-c', `echo $$ > ${group}/cgroup.procs && exec "$@"`, 'sh']), ONE_CORE);
  });

  it('auto leaves a number of shards as it was given, and says so', async () => {
    const { placement, reason, shards } = await said([], { shards: 3 });
    assert.deepEqual([placement, reason, shards], ['threads', '3 shards were asked for', 3]);
  });

  it('a placement that was asked for needs no reason, and no cores', async () => {
    for (const placement of ['threads', 'inline']) {
      const tunnel = await fastTunnel({ auth: { allowAnonymous: true }, placement });
      assert.deepEqual([tunnel.placement, tunnel.placementReason, 'placementReason' in tunnel.stats()], [placement, undefined, false]);
      await tunnel.close();
    }
  });

  it('the number is at most that of the system', async () => {
    const tunnel = await fastTunnel({ auth: { allowAnonymous: true } });
    const [, count] = /^the process may use (\d+) cores?$/.exec(tunnel.placementReason);
    assert.ok(Number(count) >= 1 && Number(count) <= availableParallelism(), count);
    await tunnel.close();
  });
});
