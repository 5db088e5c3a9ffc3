// Whether a port is free, and which process listens there.
import { readdirSync, readlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import type { ReadText } from './limits.js';
import type { PortReport } from './report.js';

/** The state of a socket that listens, in /proc/net/tcp. */
const LISTENS = '0A';

export async function portReport(port: number, read: ReadText): Promise<PortReport> {
  const free = await isFree(port);
  return { port, free, usedBy: free ? null : listenerOf(port, read) };
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code !== 'EADDRINUSE'));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/** Of other users' processes only root sees what they have open. */
function listenerOf(port: number, read: ReadText): PortReport['usedBy'] {
  const inodes = new Set(['/proc/net/tcp', '/proc/net/tcp6'].flatMap((file) => inodesIn(read(file) ?? '', port)));
  for (const pid of entries('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    for (const descriptor of entries(`/proc/${pid}/fd`)) {
      const inode = /^socket:\[(\d+)\]$/.exec(linkOf(`/proc/${pid}/fd/${descriptor}`))?.[1];
      if (inode !== undefined && inodes.has(inode)) return { pid: Number(pid), name: (read(`/proc/${pid}/comm`) ?? '').trim() };
    }
  }
  return null;
}

function inodesIn(table: string, port: number): string[] {
  return table.split('\n').flatMap((line) => {
    const [, local, , state, , , , , , inode] = line.trim().split(/\s+/);
    return state === LISTENS && inode !== undefined && Number.parseInt(local?.split(':')[1] ?? '', 16) === port ? [inode] : [];
  });
}

/** Processes end while they are looked at. */
function entries(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}
