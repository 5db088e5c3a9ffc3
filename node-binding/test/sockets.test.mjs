// Socket paths that cannot be listened on: each says what stands in the way and what to do, and nothing is removed that
// somebody may need. And workers of node:cluster, which find the address of the first taken.
import assert from 'node:assert/strict';
import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { fastTunnel, ListenError, OptionError } from 'fasttunnel';
import { RawSocket, taskBytes } from './support/raw-socket.mjs';

const folder = mkdtempSync(join(tmpdir(), 'fasttunnel-sockets-'));
after(() => rmSync(folder, { recursive: true }));
const at = (name) => join(folder, name);
const options = { auth: { allowAnonymous: true }, driver: 'epoll', shards: 1, tasks: { a: () => 1 } };

async function expectRefusal(socketPath, code, fix) {
  for (const [where, given] of [[socketPath, { socketPath }], [`${socketPath} (admin)`, { admin: { socketPath } }]]) {
    await assert.rejects(fastTunnel({ ...options, ...given }), (error) => {
      assert.ok(error instanceof ListenError, `${error}`);
      assert.deepEqual([error.code, error.address], [code, where]);
      assert.ok(error.message.startsWith(`cannot listen on ${where}: ${code}. `), error.message);
      assert.match(error.message, fix);
      return true;
    });
  }
}

async function expectService(socketPath) {
  const tunnel = await fastTunnel({ ...options, socketPath });
  try {
    const socket = await RawSocket.connect(tunnel);
    await socket.write(taskBytes('a', 0));
    assert.equal((await socket.answer()).body, '{"ok":true,"result":1}');
    socket.destroy();
  } finally {
    await tunnel.close();
  }
  assert.ok(!existsSync(socketPath));
}

/** Leaves a socket file behind that nobody listens on. */
function leaveSocket(path) {
  execFileSync('python3', ['-c', 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])', path]);
}

describe('a socket path', () => {
  it('with a file: says that it is no socket, and leaves it', async () => {
    writeFileSync(at('file'), 'mine');
    await expectRefusal(at('file'), 'EADDRINUSE', /A file that is no socket stands there: choose another path, or remove it/);
    assert.equal(readFileSync(at('file'), 'utf8'), 'mine');
  });

  it('with a directory: says so, and names a path in it', async () => {
    mkdirSync(at('directory'));
    await expectRefusal(at('directory'), 'EADDRINUSE', /That is a directory: name a socket file in it, for example \S+\/directory\/tunnel\.sock\./);
    assert.ok(lstatSync(at('directory')).isDirectory());
  });

  it('with a pipe: says that it is no socket', async () => {
    execFileSync('mkfifo', [at('pipe')]);
    await expectRefusal(at('pipe'), 'EADDRINUSE', /A device or pipe that is no socket stands there/);
    assert.ok(lstatSync(at('pipe')).isFIFO());
  });

  it('with a symbolic link, wherever it leads: says where, and leaves it', async () => {
    leaveSocket(at('stale-behind-link'));
    for (const target of [at('nothing'), at('stale-behind-link'), folder]) {
      const link = at(`link-${Math.random()}`);
      symlinkSync(target, link);
      await expectRefusal(link, 'EADDRINUSE', new RegExp(`A symbolic link to ${target} stands there.*the path of the socket itself`));
      assert.equal(readlinkSync(link), target);
    }
  });

  it('in a directory that does not exist: says which to create', () => expectRefusal(at('missing/deeper/x.sock'), 'ENOENT', /The directory \S+\/missing\/deeper does not exist: create it first/));

  it('behind a dangling link: names the directory as it was given', async () => {
    symlinkSync(at('nowhere'), at('dangling'));
    await expectRefusal(at('dangling/x.sock'), 'ENOENT', /The directory \S+\/dangling does not exist/);
  });

  it('behind links that go in a circle: says so', async () => {
    symlinkSync(at('circle'), at('circle'));
    await expectRefusal(at('circle/x.sock'), 'ELOOP', /go round in a circle/);
  });

  it('in a file: says which is no directory', async () => {
    writeFileSync(at('flat'), '');
    await expectRefusal(at('flat/deeper/x.sock'), 'ENOTDIR', /\S+\/flat is no directory/);
  });

  it('with a slash at its end: asks for a file', () => expectRefusal(`${folder}/`, 'EADDRINUSE', /That is a directory/).then(() => expectRefusal(at('new/'), 'ENOENT', /ends with a slash/)));

  it('where no file can be made: names the directory', () => expectRefusal('/proc/fasttunnel.sock', 'ENOENT', /\/proc/));

  it('that somebody listens on: says so', async () => {
    const other = net.createServer().listen(at('live'));
    await new Promise((resolve) => other.once('listening', resolve));
    await expectRefusal(at('live'), 'EADDRINUSE', /Something listens there already/).finally(() => new Promise((resolve) => other.close(resolve)));
  });

  it('that a dead process has left behind: is taken over', async () => {
    leaveSocket(at('stale'));
    assert.ok(lstatSync(at('stale')).isSocket());
    await expectService(at('stale'));
  });

  it('of 107 bytes, or relative: is served', async () => {
    const longest = at('x'.repeat(107 - Buffer.byteLength(`${folder}/`)));
    assert.equal(Buffer.byteLength(longest), 107);
    await expectService(longest);
    await expectService(relative(process.cwd(), at('relative.sock')));
  });

  it('of 108 bytes: is an option that is wrong, in bytes and not in characters', async () => {
    for (const name of ['x'.repeat(108 - Buffer.byteLength(`${folder}/`)), 'ü'.repeat(54)]) {
      await assert.rejects(fastTunnel({ ...options, socketPath: at(name) }), (error) => error instanceof OptionError && /at most 107 bytes \(it has \d+\).*Use a shorter path/.test(error.message));
    }
  });

  it('after the socket has been replaced: close() leaves the new one', async () => {
    const first = await fastTunnel({ ...options, socketPath: at('handed-over') });
    rmSync(at('handed-over'));
    const second = await fastTunnel({ ...options, socketPath: at('handed-over') });
    await first.close();
    assert.ok(lstatSync(at('handed-over')).isSocket());
    await second.close();
    assert.ok(!existsSync(at('handed-over')));
  });
});

const fixture = (name) => fileURLToPath(new URL(`fixtures/${name}`, import.meta.url));
const NOBODY = { uid: 65_534, gid: 65_534 };
/** Root may do everything, so another user has to try; it has to reach this checkout. */
const asNobody = process.getuid() === 0 && spawnSync(process.execPath, ['-e', `require('fs').accessSync(${JSON.stringify(fixture('standalone.mjs'))})`], NOBODY).status === 0;

describe('a socket path that another user owns', { skip: asNobody ? false : 'only root can become another user, who has to reach this folder' }, () => {
  const listens = async (socketPath) => {
    const failure = await promisify(execFile)(process.execPath, [fixture('standalone.mjs')], { ...NOBODY, env: { ...process.env, SOCKET_PATH: socketPath, DRIVER: 'epoll' }, timeout: 10_000 }).catch((error) => error);
    return failure.stderr;
  };

  it('in its directory: says who may not write which', async () => {
    chmodSync(folder, 0o755);
    assert.match(await listens(at('theirs.sock')), /EACCES\. \S+ may not make a socket in \S+: choose a directory that it may write/);
  });

  it('left over in a directory with the sticky bit: says that it is left over', async () => {
    mkdirSync(at('sticky'));
    chmodSync(at('sticky'), 0o1777);
    leaveSocket(at('sticky/stale'));
    chmodSync(at('sticky/stale'), 0o777);
    assert.match(await listens(at('sticky/stale')), /EPERM\. A socket file that nobody listens on is left over there, and \S+ may not remove it/);
    assert.ok(lstatSync(at('sticky/stale')).isSocket());
  });
});

describe('node:cluster', () => {
  for (const socketPath of [undefined, at('cluster.sock')]) {
    it(`the second worker hears what to do, with a ${socketPath === undefined ? 'port' : 'socket path'}`, { timeout: 20_000 }, async () => {
      const { stdout } = await promisify(execFile)(process.execPath, [fixture('cluster.mjs')], { timeout: 15_000, env: { ...process.env, ...(socketPath === undefined ? {} : { SOCKET_PATH: socketPath }) } });
      const [first, second, elsewhere] = JSON.parse(stdout);
      assert.equal(first, 'listens');
      assert.match(second, /^ListenError: .*EADDRINUSE\. .*worker of node:cluster.*One process is enough.*port or socketPath of its own, behind a balancer\.$/);
      assert.equal(elsewhere, 'listens');
    });
  }
});
