// How busy a tunnel is, for balancers: /load of the admin listener, and the agent's line; told by the shards.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { fastTunnel, ListenError, OptionError } from 'fasttunnel';
import { probe } from './support/probes.mjs';
import { withProgram } from './support/processes.mjs';
import { RawSocket, taskBytes } from './support/raw-socket.mjs';
import { onBothDrivers, sleep, until, withTunnel } from './support/tunnels.mjs';

const FIXTURE = fileURLToPath(new URL('fixtures/graceful.mjs', import.meta.url));

/** All that is told to whoever connects. */
const lineOf = ({ socketPath, port, host }) => new Promise((resolve, reject) => {
  let text = '';
  const socket = socketPath === undefined ? net.connect(port, host) : net.connect(socketPath);
  socket.setEncoding('latin1').on('data', (piece) => { text += piece; }).on('end', () => { socket.destroy(); resolve(text); }).on('error', reject);
});

onBothDrivers('load', (driver) => {
  it('rises while JavaScript is busy, and falls when it has caught up; the agent tells what is left of the weight', () => withProgram(process.execPath, [FIXTURE], { OPTIONS: JSON.stringify({ driver, shards: 1, admin: { agent: {} }, gracefulSignals: true, readinessDelayMs: 300 }) }, async ({ child, admin, host, port }) => {
    const load = async () => Number((await probe(admin, '/load')).text);
    assert.deepEqual([await load(), await lineOf(admin.agent)], [0, 'up 100%\n']);
    const sockets = await Promise.all(Array.from({ length: 3 }, () => RawSocket.connect({ host, port })));
    const [blocker, ...others] = sockets;
    await blocker.write(taskBytes('spin', 1800));
    // Calls that come together are taken together.
    await sleep(100);
    for (const [index, socket] of others.entries()) await socket.write(taskBytes('echo', index));
    await until(async () => (await load()) >= 50, 'it rises');
    const [, weight] = /^up (\d+)%\n$/.exec(await lineOf(admin.agent));
    assert.ok(Number(weight) <= 50, weight);
    await until(async () => (await load()) === 100, 'all of it is used up');
    await until(async () => (await lineOf(admin.agent)) === 'down #javascript is behind\n', 'it is out');
    for (const socket of sockets) assert.equal((await socket.answer()).status, 200);
    await until(async () => (await load()) === 0, 'it falls');
    child.kill('SIGTERM');
    await until(async () => (await lineOf(admin.agent)) === 'up 0%\n', 'it is to stop');
    assert.equal(await load(), 100);
    for (const socket of sockets) socket.destroy();
  }));

  it('is told on a unix socket, too', () => {
    const socketPath = join(tmpdir(), `fasttunnel-agent-${driver}-${process.pid}.sock`);
    return withTunnel({ driver, admin: { agent: { socketPath } } }, async ({ admin }) => {
      assert.deepEqual(admin.agent, { host: '127.0.0.1', port: 0, socketPath });
      assert.equal(await lineOf(admin.agent), 'up 100%\n');
    }).finally(() => assert.ok(!existsSync(socketPath)));
  });
});

describe('the option admin.agent', () => {
  const options = { auth: { allowAnonymous: true }, driver: 'epoll' };

  it('names the address that is taken', async () => {
    const first = await fastTunnel({ ...options, admin: { agent: {} } });
    const { port } = first.admin.agent;
    await assert.rejects(fastTunnel({ ...options, admin: { agent: { port } } }), (error) => error instanceof ListenError && error.code === 'EADDRINUSE' && error.address === `127.0.0.1:${port} (agent)`);
    await first.close();
  });

  for (const [agent, message] of [
    [7072, /^admin\.agent must be an object, got 7072\. Known keys: port, host, socketPath, fd\./],
    [{ tls: true }, /^admin\.agent\.tls is not an option\. /],
    [{ port: 70_000 }, /^admin\.agent\.port must be an integer from 0 to 65535/],
    [{ fd: 'systemd:agent' }, /^admin\.agent\.fd asks for a socket of systemd/],
  ]) it(`${JSON.stringify(agent)} is refused`, () => assert.rejects(async () => await fastTunnel({ ...options, admin: { agent } }), (error) => error instanceof OptionError && message.test(error.message)));

  it('is not there unless it is asked for', () => withTunnel({ ...options, admin: {} }, ({ admin }) => assert.equal(admin.agent, undefined)));
});
