// A real Prometheus scrapes the admin listener, and what deploy/ has for it is about metrics that exist. Skipped where neither the machine nor Debian has one.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { fastTunnel } from 'fasttunnel';
import { findProgram } from '../../loadtest/attacks/servers/debian.mjs';
import { callTask, sleep, until } from './support/tunnels.mjs';

const run = promisify(execFile);
const DEPLOY = fileURLToPath(new URL('../../deploy/', import.meta.url));
const read = (file) => readFileSync(join(DEPLOY, file), 'utf8');

/** `{ prometheus, promtool }`, or why there are none. */
function programs() {
  try {
    const { path } = findProgram({ name: 'prometheus', packages: ['prometheus'], at: 'usr/bin/prometheus', probe: ['--version'] });
    const beside = join(dirname(path), 'promtool');
    return { prometheus: path, promtool: existsSync(beside) ? beside : 'promtool' };
  } catch (error) {
    return String(error);
  }
}
const found = programs();
const skip = typeof found === 'string' && found;

async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** The expressions of the dashboard, with what Grafana puts in for its variables. */
const expressions = () => JSON.parse(read('grafana.json')).panels.flatMap(({ title, targets }) => targets.map(({ expr }) => ({ title, expr: expr.replaceAll('$__rate_interval', '5s').replaceAll('$instance', '.*') })));
/** The names of metrics in a text. */
const namesIn = (text) => new Set(text.match(/\b(?:fasttunnel|process)_[a-z0-9_]+/g));

describe('Prometheus', { skip }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'fasttunnel-prometheus-'));
  let tunnel;
  let server;
  let url;

  before(async () => {
    tunnel = await fastTunnel({
      admin: {}, auth: { token: 'secret' }, onError: () => {}, workers: 1, handlers: new URL('fixtures/workers/tasks.mjs', import.meta.url),
    });
    const port = await freePort();
    url = `http://127.0.0.1:${port}`;
    const config = { global: { scrape_interval: '200ms', scrape_timeout: '200ms', evaluation_interval: '200ms' }, rule_files: [join(DEPLOY, 'alerts.yml')], scrape_configs: [{ job_name: 'fasttunnel', static_configs: [{ targets: [`127.0.0.1:${tunnel.admin.port}`] }] }] };
    // JSON is YAML.
    writeFileSync(join(folder, 'prometheus.yml'), JSON.stringify(config));
    server = spawn(found.prometheus, [`--config.file=${join(folder, 'prometheus.yml')}`, `--storage.tsdb.path=${join(folder, 'data')}`, `--web.listen-address=127.0.0.1:${port}`, '--log.level=error'], { stdio: ['ignore', 'inherit', 'inherit'] });
  });
  after(async () => {
    if (server !== undefined && server.exitCode === null) {
      server.kill('SIGKILL');
      await once(server, 'exit');
    }
    await tunnel?.close();
    rmSync(folder, { recursive: true });
  });

  const query = async (expr) => {
    const answer = await fetch(`${url}/api/v1/query?query=${encodeURIComponent(expr)}`).catch(() => undefined);
    const body = await answer?.json();
    assert.ok(body === undefined || body.status === 'success', `${expr}: ${body?.error}`);
    return body?.data.result ?? [];
  };
  const value = async (expr) => Number((await query(expr))[0]?.value[1]);

  it('reads every sample, and has the figures of the tunnel', { timeout: 60_000 }, async () => {
    const headers = { 'x-runner-token': 'secret' };
    for (let call = 0; call < 25; call++) assert.equal((await callTask(tunnel, 'add', { a: call, b: 1 }, { headers })).status, 200);
    for (let call = 0; call < 3; call++) assert.equal((await callTask(tunnel, 'add', {})).status, 401);
    await until(async () => (await value('sum(fasttunnel_calls_total)')) === 25, 'it has scraped', 30_000);
    await until(async () => (await value('sum(fasttunnel_refusals_total{status="401"})')) === 3, 'refusals are there');
    assert.deepEqual([await value('up{job="fasttunnel"}'), await value('fasttunnel_ready'), await value('fasttunnel_worker_calls_total{worker="0"}')], [1, 1, 25]);
    assert.equal(await value('fasttunnel_task_duration_seconds_count{kind="task",id="add"}'), 25);
    assert.ok((await value('histogram_quantile(0.5, fasttunnel_task_duration_seconds_bucket{id="add"})')) > 0);
    const [target] = (await (await fetch(`${url}/api/v1/targets`)).json()).data.activeTargets;
    assert.deepEqual([target.health, target.lastError], ['up', '']);
    const { data } = await (await fetch(`${url}/api/v1/targets/metadata?metric=fasttunnel_task_duration_seconds`)).json();
    assert.deepEqual(data.map(({ type, unit }) => [type, unit]), [['histogram', 'seconds']], 'it has asked for OpenMetrics');
  });

  it('finds every metric that the alerts and the dashboard name', async () => {
    const known = namesIn(await (await fetch(`${tunnel.admin.url}/metrics`)).text());
    for (const file of ['alerts.yml', 'grafana.json']) {
      const named = namesIn(read(file));
      assert.ok(named.size > 10, file);
      assert.deepEqual([...named].filter((name) => !known.has(name)), [], file);
    }
  });

  it('evaluates every panel of the dashboard', { timeout: 30_000 }, async () => {
    // Rates need two scrapes.
    await until(async () => (await value('count_over_time(up{job="fasttunnel"}[5s])')) > 2, 'it has scraped again');
    const all = expressions();
    assert.ok(all.length >= 20);
    const empty = [];
    for (const { title, expr } of all) if ((await query(expr)).length === 0) empty.push(title);
    assert.deepEqual(empty, ['Failing tasks'], 'only what does not happen has no series');
  });

  it('has rules that are quiet while all is well, and notices when the tunnel is gone', { timeout: 30_000 }, async () => {
    const { data } = await (await fetch(`${url}/api/v1/rules`)).json();
    const rules = data.groups.flatMap((group) => group.rules);
    assert.deepEqual(rules.filter(({ health, lastError }) => health === 'err' || lastError), []);
    assert.ok(rules.length >= 10);
    assert.deepEqual(rules.filter(({ state, name }) => state !== 'inactive' && name !== 'FasttunnelManyUnauthorized').map(({ name }) => name), [], 'nothing is wrong yet');
    await tunnel.close();
    await until(async () => (await query('ALERTS{alertname="FasttunnelDown"}')).length > 0, 'it is pending', 10_000);
  });
});

describe('promtool', { skip }, () => {
  const check = async (args, input) => {
    const child = run(found.promtool, args);
    child.child.stdin.end(input ?? '');
    return await child.catch((error) => assert.fail(`${args.join(' ')}: ${error.stdout}${error.stderr}`));
  };

  it('finds nothing wrong with the text, the alerts and the example', async () => {
    const tunnel = await fastTunnel({ admin: {}, auth: { allowAnonymous: true }, tasks: { add: ({ a, b }) => a + b } });
    try {
      await callTask(tunnel, 'add', { a: 1, b: 2 });
      await sleep(110);
      const { stdout, stderr } = await check(['check', 'metrics'], await (await fetch(`${tunnel.admin.url}/metrics`)).text());
      assert.equal(stdout + stderr, '');
    } finally {
      await tunnel.close();
    }
    await check(['check', 'rules', join(DEPLOY, 'alerts.yml')]);
    await check(['check', 'config', join(DEPLOY, 'prometheus.yml')]);
  });
});
