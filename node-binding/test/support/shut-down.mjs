// A fault that needs no special addon: a listening socket that is shut down, of which no shard can accept any more.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';

const SHUT_DOWN = 'import socket; socket.socket(fileno=3).shutdown(socket.SHUT_RDWR)';

/** Shuts down the socket behind a descriptor, for all that have it: the shard that accepts from it fails again and again. */
export function shutDown(fd) {
  const { status, stderr } = spawnSync('python3', ['-c', SHUT_DOWN], { stdio: ['ignore', 'ignore', 'pipe', fd], encoding: 'utf8' });
  assert.equal(status, 0, stderr);
}
