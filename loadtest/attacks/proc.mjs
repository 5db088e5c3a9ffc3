// What /proc says about a server and about its connections.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

const TICKS_PER_S = 100;

const read = (path) => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
};

function family(pid) {
  const children = read(`/proc/${pid}/task/${pid}/children`).split(' ').filter(Boolean).map(Number);
  return [pid, ...children.flatMap(family)];
}

function sockets(pid) {
  let count = 0;
  try {
    for (const fd of readdirSync(`/proc/${pid}/fd`)) {
      try {
        if (readlinkSync(`/proc/${pid}/fd/${fd}`).startsWith('socket:')) count += 1;
      } catch {
        // Closed meanwhile.
      }
    }
  } catch {
    // Gone.
  }
  return count;
}

/** CPU seconds, resident MiB and sockets of a process and its children. */
export function usage(pid) {
  const total = { cpu: 0, rss: 0, sockets: 0 };
  for (const one of family(pid)) {
    const fields = read(`/proc/${one}/stat`).split(') ').at(-1).split(' ');
    total.cpu += (Number(fields[11]) + Number(fields[12]) || 0) / TICKS_PER_S;
    total.rss += Number(/^VmRSS:\s+(\d+)/m.exec(read(`/proc/${one}/status`))?.[1] ?? 0) / 1024;
    total.sockets += sockets(one);
  }
  return total;
}

/** Ports of the clients that are connected to a server's port, as the server's side of the kernel sees it. */
export function connectedClients(port) {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const clients = new Set();
  for (const line of read('/proc/net/tcp').split('\n')) {
    const [, local, remote, state] = line.trim().split(/\s+/);
    if (state === '01' && local.endsWith(wanted)) clients.add(parseInt(remote.split(':')[1], 16));
  }
  return clients;
}
