// What a service manager hands over and is told: sockets (LISTEN_FDS), readiness, the end and the watchdog (NOTIFY_SOCKET);
// and being the first process of a container.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { fastTunnel, OptionError } from 'fasttunnel';
import { freePort } from '../../loadtest/attacks/servers/free-port.mjs';
import { boundSocket } from '../../loadtest/restarts/bound-socket.mjs';
import { restarts } from '../../loadtest/restarts/restarts.mjs';
import { probe } from './support/probes.mjs';
import { startProgram, withProgram } from './support/processes.mjs';
import { RawSocket, taskBytes } from './support/raw-socket.mjs';
import { shutDown } from './support/shut-down.mjs';
import { callTask, onBothDrivers, sleep, until } from './support/tunnels.mjs';

const FIXTURE = fileURLToPath(new URL('fixtures/graceful.mjs', import.meta.url));
const MANAGER = fileURLToPath(new URL('fixtures/notify-socket.py', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'fasttunnel-supervision-'));
after(() => rmSync(folder, { recursive: true }));

const withoutActivation = spawnSync('systemd-socket-activate', ['--version']).status === 0 ? false : 'no systemd-socket-activate here (Debian: apt-get install systemd)';

const programOptions = (options) => ({ OPTIONS: JSON.stringify({ admin: {}, ...options }) });
const withServer = (options, env, body, handed) => withProgram(process.execPath, [FIXTURE], { ...programOptions(options), ...env }, body, handed);

async function echo(where, value) {
  const socket = await RawSocket.connect(where);
  await socket.write(taskBytes('echo', value));
  const { status, body } = await socket.answer();
  socket.destroy();
  assert.deepEqual([status, body], [200, `{"ok":true,"result":${JSON.stringify(value)}}`]);
}

/** A program that systemd-socket-activate starts when somebody connects. */
async function activated({ listen, names, options }) {
  const args = [...listen.flatMap((address) => ['-l', address]), ...(names ? [`--fdname=${names}`] : []), '-E', 'OPTIONS', process.execPath, FIXTURE];
  const starting = startProgram('systemd-socket-activate', args, programOptions(options));
  const [first] = listen;
  const knock = () => new Promise((resolve) => {
    const socket = first.startsWith('/') ? net.connect(first) : net.connect(Number(first.split(':')[1]), '127.0.0.1');
    socket.on('connect', () => { socket.destroy(); resolve(true); }).on('error', () => resolve(false));
  });
  await until(knock, 'systemd-socket-activate listens');
  return await starting;
}

async function end({ child, ended }) {
  child.kill('SIGKILL');
  await ended;
}

onBothDrivers('sockets of systemd', (driver) => {
  it('the one socket that it has handed over is listened on', { skip: withoutActivation }, async () => {
    const port = await freePort();
    const server = await activated({ listen: [`127.0.0.1:${port}`], options: { driver, fd: 'systemd' } });
    try {
      assert.deepEqual([server.port, server.host], [port, '127.0.0.1']);
      await echo(server, 7);
    } finally {
      await end(server);
    }
  });

  it('several are told apart by their names, TCP and unix sockets', { skip: withoutActivation }, async () => {
    const port = await freePort();
    const socketPath = join(folder, `${driver}.sock`);
    const server = await activated({ listen: [socketPath, `127.0.0.1:${port}`], names: 'calls:health', options: { driver, fd: 'systemd:calls', admin: { fd: 'systemd:health' }, gracefulSignals: true } });
    try {
      assert.deepEqual([server.port, server.admin.port], [0, port]);
      await echo({ socketPath }, 'over a unix socket');
      assert.equal((await probe(server.admin, '/readyz')).text, 'ok');
      server.child.kill('SIGTERM');
      assert.equal((await server.ended).signal, 'SIGTERM');
      assert.ok(existsSync(socketPath), 'the file is that of who has bound it');
    } finally {
      await end(server);
    }
  });

  it('a socket stays open for the next process: what comes between the two is answered by the second', async () => {
    const socket = boundSocket();
    try {
      const options = { driver, fd: 3, gracefulSignals: true };
      await withServer(options, {}, async (server) => {
        await echo(server, 1);
        server.child.kill('SIGTERM');
        assert.deepEqual(await server.ended, { code: null, signal: 'SIGTERM', stderr: '' });
      }, [socket.fd]);
      const early = await RawSocket.connect({ host: '127.0.0.1', port: socket.port });
      await early.write(taskBytes('echo', 2));
      await withServer(options, {}, async () => assert.equal((await early.answer()).body, '{"ok":true,"result":2}'), [socket.fd]);
      early.destroy();
    } finally {
      socket.close();
    }
  });

  it('restarts with a socket that is handed on lose no call, and nobody finds it closed', { timeout: 60_000 }, async () => {
    const { counts, wrong } = await restarts({ driver, restarts: 3, calls: 3000, handed: true });
    assert.deepEqual(wrong, []);
    assert.equal(counts.unconnected, 0);
    assert.ok(counts.answered >= 2500, JSON.stringify(counts));
  });
});

describe('the option fd', () => {
  const auth = { allowAnonymous: true };
  const env = ['LISTEN_FDS', 'LISTEN_PID', 'LISTEN_FDNAMES'];
  const refused = async (options, given, message) => {
    Object.assign(process.env, given);
    try {
      await assert.rejects(async () => await fastTunnel({ auth, ...options }), (error) => {
        assert.ok(error instanceof OptionError, `${error}`);
        assert.match(error.message, message);
        return true;
      });
    } finally {
      for (const name of env) delete process.env[name];
    }
  };
  const LISTEN_PID = String(process.pid);

  for (const [what, options, given, message] of [
    ['no descriptor of its own', { fd: 2 }, {}, /^fd must be a descriptor from 3, got 2\. /],
    ['something else', { fd: 'sytemd' }, {}, /^fd must be a descriptor, 'systemd' or 'systemd:<name>', got 'sytemd'\. For example 3/],
    ['an address beside it', { fd: 3, port: 80 }, {}, /^port cannot be combined with fd, got 80\. Leave out port or fd\./],
    ['a descriptor that is not open', { fd: 9999 }, {}, /^fd: descriptor 9999 is not open/],
    ['the same of the admin listener', { admin: { fd: 9998 } }, {}, /^admin\.fd: descriptor 9998 is not open/],
    ['a process that systemd has not started', { fd: 'systemd' }, {}, /LISTEN_FDS is not set.*Start the process by its \.socket unit/],
    ['sockets that a program in between has got', { fd: 'systemd' }, { LISTEN_FDS: '1', LISTEN_PID: '1' }, /has handed its sockets to process 1; this is process \d+.*Start node itself, not npm/],
    ['one socket twice', { fd: 'systemd', admin: { fd: 'systemd' } }, { LISTEN_FDS: '1', LISTEN_PID }, /^admin\.fd is the socket of fd, got 3\. Bind one for each/],
    ['several without a name', { fd: 'systemd' }, { LISTEN_FDS: '2', LISTEN_PID, LISTEN_FDNAMES: 'calls:health' }, /may be several of the sockets.*calls \(3\), health \(4\).*Give a name/],
    ['a name that two have', { fd: 'systemd:calls' }, { LISTEN_FDS: '2', LISTEN_PID, LISTEN_FDNAMES: 'calls:calls' }, /may be several.*a name of its own/],
    ['a name that none has', { fd: 'systemd:cals' }, { LISTEN_FDS: '1', LISTEN_PID, LISTEN_FDNAMES: 'calls' }, /names none of the sockets that systemd has handed over: calls \(3\)/],
    ['a number of sockets that is none', { fd: 'systemd' }, { LISTEN_FDS: 'x', LISTEN_PID }, /LISTEN_FDS is 'x'/],
  ]) it(`with ${what}: says so, and how it is done`, () => refused(options, given, message));

  it('with a descriptor that is no listening socket: says what it is', async () => {
    const udp = await import('node:fs').then(({ openSync }) => openSync('/dev/null', 'r'));
    await refused({ fd: udp }, {}, new RegExp(`^fd: descriptor ${udp} is no socket`));
  });

  it('programs that the process starts do not inherit it', async () => {
    const socket = boundSocket();
    await withServer({ fd: 3 }, { WAY: 'spawn' }, async ({ inherited }) => assert.equal(inherited, false), [socket.fd]);
    socket.close();
  });
});

describe('the option systemd', () => {
  /** Runs `body(address, messages)` beside what a service manager listens on. */
  const withManager = (address, body) => withProgram('python3', [MANAGER, address], {}, ({ lines }) => body(address, () => lines.map((line) => JSON.parse(line))));

  for (const [kind, address] of [['a path', join(folder, 'notify')], ['an abstract address', `@fasttunnel-${process.pid}`]]) {
    it(`tells when it serves, when it stops and that JavaScript runs (${kind})`, () => withManager(address, (NOTIFY_SOCKET, messages) => withServer({ systemd: true, gracefulSignals: true, readinessDelayMs: 300 }, { NOTIFY_SOCKET, WATCHDOG_USEC: '100000' }, async (server) => {
      await until(() => messages().length > 0, 'it is told');
      assert.match(messages()[0], /^READY=1\nSTATUS=serves http:\/\/127\.0\.0\.1:\d+\/__runner$/);
      await until(() => messages().filter((text) => text === 'WATCHDOG=1').length >= 3, 'the watchdog is fed');
      server.child.kill('SIGTERM');
      await until(() => messages().includes('STOPPING=1\nSTATUS=closes'), 'it is told');
      assert.equal((await probe(server.admin, '/livez')).text, 'ok', 'at once, not at the end');
      assert.deepEqual(await server.ended, { code: null, signal: 'SIGTERM', stderr: '' });
      assert.equal(messages().filter((text) => text.startsWith('STOPPING')).length, 1);
    })));
  }

  it('does not feed the watchdog while JavaScript is blocked, though the shards answer', () => withManager(join(folder, 'blocked'), (NOTIFY_SOCKET, messages) => withServer({ systemd: true }, { NOTIFY_SOCKET, WATCHDOG_USEC: '100000' }, async (server) => {
    const beats = () => messages().filter((text) => text === 'WATCHDOG=1').length;
    await until(() => beats() >= 2, 'the watchdog is fed');
    const socket = await RawSocket.connect(server);
    await socket.write(taskBytes('spin', 1000));
    await sleep(150);
    const before = beats();
    await sleep(600);
    assert.equal((await probe(server.admin, '/livez')).text, 'ok');
    assert.equal(beats(), before);
    await socket.answer();
    await until(() => beats() > before, 'it is fed again');
    socket.destroy();
  })));

  for (const placement of ['threads', 'inline']) {
    it(`feeds the watchdog no more when a shard is given up, although JavaScript runs (${placement})`, () => withManager(join(folder, `failed-${placement}`), async (NOTIFY_SOCKET, messages) => {
      const socket = boundSocket();
      await withServer({ systemd: true, placement, fd: 3 }, { NOTIFY_SOCKET, WATCHDOG_USEC: '100000', WAY: 'stays' }, async (server) => {
        const beats = () => messages().filter((text) => text === 'WATCHDOG=1').length;
        await until(() => beats() >= 2, 'the watchdog is fed');
        shutDown(socket.fd);
        await until(() => messages().includes('STATUS=a shard has failed: serves no more'), 'it is told');
        const before = beats();
        await sleep(300);
        assert.deepEqual([beats(), server.child.exitCode], [before, null], 'the process is there, and for the manager to end');
        assert.ok(!messages().some((text) => text.startsWith('STOPPING')), 'it does not say that it stops: nobody has asked for that');
      }, [socket.fd]);
      socket.close();
    }));
  }

  it('a process that nothing else keeps ends by itself when a shard is given up, with an exit code for which it is started anew', () => withManager(join(folder, 'ends'), async (NOTIFY_SOCKET, messages) => {
    const socket = boundSocket();
    await withServer({ systemd: true, fd: 3 }, { NOTIFY_SOCKET, WATCHDOG_USEC: '100000' }, async (server) => {
      shutDown(socket.fd);
      const { code, signal } = await server.ended;
      assert.deepEqual([code, signal], [1, null]);
      assert.equal(messages().at(-1), 'STATUS=a shard has failed: serves no more');
    }, [socket.fd]);
    socket.close();
  }));

  it('tells nobody where nobody wants to know, or where the watchdog is that of another process', async () => {
    await withServer({ systemd: true, gracefulSignals: true }, { NOTIFY_SOCKET: '' }, async (server) => {
      server.child.kill('SIGTERM');
      assert.deepEqual(await server.ended, { code: null, signal: 'SIGTERM', stderr: '' });
    });
    await withManager(join(folder, 'other'), (NOTIFY_SOCKET, messages) => withServer({ systemd: true }, { NOTIFY_SOCKET, WATCHDOG_USEC: '20000', WATCHDOG_PID: '1' }, async () => {
      await until(() => messages().length > 0, 'it is told');
      await sleep(100);
      assert.equal(messages().length, 1);
    }));
  });

  it('warns once, and serves, where the manager cannot be reached', () => withServer({ systemd: true, gracefulSignals: true }, { NOTIFY_SOCKET: join(folder, 'nobody'), WATCHDOG_USEC: '20000' }, async (server) => {
    await sleep(100);
    await echo(server, 1);
    server.child.kill('SIGTERM');
    const { signal, stderr } = await server.ended;
    assert.equal(signal, 'SIGTERM');
    assert.equal(stderr.match(/FASTTUNNEL_NOTIFY/g)?.length, 1, stderr);
    assert.match(stderr, /the service manager cannot be told READY=1: No such file or directory/);
  }));
});

describe('the first process of a container', { skip: spawnSync('unshare', ['--pid', '--fork', '--kill-child', 'true']).status === 0 ? false : 'no namespaces here' }, () => {
  const inNamespace = (env, body) => withProgram('unshare', ['--pid', '--fork', '--kill-child', '--mount-proc', process.execPath, FIXTURE], { ...programOptions({ gracefulSignals: true }), ...env }, body);

  it('serves on while processes end that others have left to it, which stay as zombies: an init would take them', () => inNamespace({ WAY: 'orphans' }, async (server) => {
    const [first] = execFileSync('pgrep', ['-P', String(server.child.pid)], { encoding: 'utf8' }).split('\n');
    const zombies = () => execFileSync('ps', ['--ppid', first, '-o', 'stat='], { encoding: 'utf8' }).split('\n').filter((state) => state.startsWith('Z')).length;
    await until(() => { try { return zombies() === 3; } catch { return false; } }, 'the orphans have ended');
    for (let value = 0; value < 3; value += 1) await callTask({ url: `http://127.0.0.1:${server.port}/__runner` }, 'echo', value);
    process.kill(Number(first), 'SIGTERM');
    assert.equal((await server.ended).code, 143);
  }));
});
