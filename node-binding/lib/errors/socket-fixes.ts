// What to do when a socket path cannot be listened on. The system's code alone does not tell: it says EADDRINUSE of a
// socket that somebody listens on, of a file and of a directory. Nothing is changed here, whatever stands at the path.
import { lstatSync, readlinkSync, statSync } from 'node:fs';
import type { Stats } from 'node:fs';
import { userInfo } from 'node:os';
import { dirname, join, resolve } from 'node:path';

/** Undefined: there is nothing to add to what the code says of every address. */
export function socketFix(code: string, socketPath: string): string | undefined {
  const path = resolve(socketPath);
  switch (code) {
    case 'EADDRINUSE':
    case 'EISDIR':
      return occupied(path);
    case 'ENOENT':
      return socketPath.endsWith('/') ? 'The path ends with a slash: name a socket file in that directory.' : `The directory ${dirname(path)} does not exist: create it first.`;
    case 'ENOTDIR':
      return `${notADirectory(path)} is no directory, so that nothing can be in it: choose another path.`;
    case 'EACCES':
    case 'EPERM':
      return forbidden(path);
    case 'EROFS':
      return `The file system of ${dirname(path)} is read-only: choose a directory that can be written, such as /run or /tmp.`;
    case 'ENOSPC':
    case 'EDQUOT':
      return `The file system of ${dirname(path)} is full: make room, or choose a path on another one.`;
    case 'ELOOP':
      return 'Symbolic links in that path go round in a circle: choose another path.';
    default:
      return undefined;
  }
}

/** What a question about a file comes to; undefined where there is no answer. */
function attempt<Answer>(ask: () => Answer): Answer | undefined {
  try {
    return ask();
  } catch {
    return undefined;
  }
}

const look = (path: string): Stats | undefined => attempt(() => lstatSync(path));

/** Something stands there. A socket that nobody listens on would have been replaced. */
function occupied(path: string): string | undefined {
  const stats = look(path);
  if (stats === undefined || stats.isSocket()) return undefined;
  if (stats.isDirectory()) return `That is a directory: name a socket file in it, for example ${join(path, 'tunnel.sock')}.`;
  if (stats.isSymbolicLink()) {
    const target = attempt(() => readlinkSync(path)) ?? 'another path';
    return `A symbolic link to ${target} stands there, and a socket cannot be made through one: give the path of the socket itself, or remove the link.`;
  }
  return `A ${stats.isFile() ? 'file' : 'device or pipe'} that is no socket stands there: choose another path, or remove it if nobody needs it.`;
}

function notADirectory(path: string): string {
  let found = dirname(path);
  for (let parent = found; parent !== dirname(parent); parent = dirname(parent)) {
    if (attempt(() => statSync(parent))?.isDirectory() === false) found = parent;
  }
  return found;
}

function forbidden(path: string): string {
  const user = attempt(() => userInfo().username) ?? `user ${process.getuid?.() ?? ''}`;
  if (look(path)?.isSocket() === true) return `A socket file that nobody listens on is left over there, and ${user} may not remove it: remove it, or choose another path.`;
  return `${user} may not make a socket in ${dirname(path)}: choose a directory that it may write, or let it write that one.`;
}
