// Sockets that another process has bound and handed over: by the protocol of systemd (sd_listen_fds(3)), or by number.
import { fail } from './checks.js';

/** The first that is handed over; those below are standard input, output and error. */
const FIRST = 3;

const HOW = "For example 3, 'systemd' for the one socket that systemd has handed over, or 'systemd:calls' for the one of that name.";

/** The descriptor that the option `fd` names. */
export function asInherited(option: string, value: unknown, env: NodeJS.ProcessEnv = process.env): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value === 'number' && Number.isInteger(value)) {
    if (value < FIRST || value > 0x7fff_ffff) fail(option, value, `must be a descriptor from ${FIRST}`, `Those below are standard input, output and error. ${HOW}`);
    return value;
  }
  const name = typeof value === 'string' ? /^systemd(?::([\x21-\x39\x3b-\x7e]+))?$/.exec(value) : null;
  if (name === null) fail(option, value, "must be a descriptor, 'systemd' or 'systemd:<name>'", HOW);
  return ofSystemd(option, value, name[1], env);
}

/** One socket is for one listener: two that take from it would each get some of the connections. */
export function refuseSharedSockets(sockets: readonly (readonly [option: string, address: { readonly fd?: number } | undefined])[]): void {
  const taken = new Map<number, string>();
  for (const [option, address] of sockets) {
    const fd = address?.fd;
    if (fd === undefined) continue;
    const other = taken.get(fd);
    if (other !== undefined) fail(option, fd, `is the socket of ${other}`, 'Bind one for each: callers would find the admin listener, and probes the tunnel.');
    taken.set(fd, option);
  }
}

function ofSystemd(option: string, value: unknown, name: string | undefined, env: NodeJS.ProcessEnv): number {
  const { LISTEN_FDS, LISTEN_PID, LISTEN_FDNAMES } = env;
  const count = /^[1-9]\d{0,3}$/.test(LISTEN_FDS ?? '') ? Number(LISTEN_FDS) : 0;
  if (count === 0) {
    const problem = LISTEN_FDS === undefined ? 'and LISTEN_FDS is not set' : `and LISTEN_FDS is '${LISTEN_FDS}'`;
    fail(option, value, `asks for a socket of systemd, ${problem}`, 'Start the process by its .socket unit (or by systemd-socket-activate), or give port and host.');
  }
  if (LISTEN_PID !== String(process.pid)) {
    fail(option, value, `asks for a socket of systemd, which has handed its sockets to process ${LISTEN_PID ?? '(LISTEN_PID is not set)'}; this is process ${process.pid}`, 'Start node itself, not npm or a shell that starts it: ExecStart=/usr/bin/node service.mjs, or exec in the shell.');
  }
  // systemd calls what has no name `unknown`.
  const names = Array.from({ length: count }, (_, index) => LISTEN_FDNAMES?.split(':')[index] || 'unknown');
  const found = [...names.keys()].filter((index) => name === undefined || names[index] === name);
  const listed = names.map((given, index) => `${given} (${FIRST + index})`).join(', ');
  if (found.length === 0) fail(option, value, `names none of the sockets that systemd has handed over: ${listed}`, 'Name one of these, or set FileDescriptorName= in the .socket unit.');
  if (found.length > 1) fail(option, value, `may be several of the sockets that systemd has handed over: ${listed}`, `Give ${name === undefined ? 'a name' : 'each a name of its own in its .socket unit'}, or a number.`);
  return FIRST + found[0]!;
}
