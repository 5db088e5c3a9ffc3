import { OptionError } from './errors.js';
import type { ERRNO } from '../facts/facts.generated.js';
import { socketFix } from './socket-fixes.js';

/** Codes of what the addon throws when it cannot listen, and of what Node throws when it cannot resolve the host. */
type Code = keyof typeof ERRNO | 'ENOTFOUND' | 'EAI_AGAIN';

/** What to do about an error of `listen`, by its code. Those of socket paths are told apart further. */
const FIXES: Readonly<Partial<Record<Code, string>>> = {
  EADDRINUSE: 'Something listens there already: stop it, choose another address, or use port 0 for any free port.',
  EACCES: 'The process may not: use a port above 1023, or a socket path in a directory that it may write.',
  EADDRNOTAVAIL: 'This machine has no such address: use 127.0.0.1, 0.0.0.0 or one of its own.',
  ENOTFOUND: 'The host name is unknown: check `host`, or give an IP address.',
  EAI_AGAIN: 'The host name could not be resolved now: give an IP address as `host`.',
  EMFILE: 'The process has no file descriptors left: raise `ulimit -n`, or use fewer shards.',
  ENOMEM: 'The system has no memory for it: raise `ulimit -l` (io_uring counts as locked memory on old kernels), or use `driver: \'epoll\'`.',
};

/** A second worker has found the address of the first. */
const IN_A_CLUSTER =
  'Something listens there already, perhaps another worker: this is a worker of node:cluster, and workers do not share the address of a tunnel. ' +
  'One process is enough, because the shards of one tunnel use all cores; for several, give each a port or socketPath of its own, behind a balancer.';

/** The tunnel could not listen. `code` is the system's: `EADDRINUSE`, `EACCES`, `EADDRNOTAVAIL`, … */
export class ListenError extends Error {
  static {
    this.prototype.name = 'ListenError';
  }

  readonly code: string;
  readonly address: string;

  constructor(code: string, address: string, options?: { cause?: unknown; fix?: string | undefined }) {
    super(`cannot listen on ${address}: ${code}. ${options?.fix ?? FIXES[code as Code] ?? 'See the cause for what the system said.'}`, options);
    this.code = code;
    this.address = address;
  }
}

/** An address that was to be listened on. */
export interface Where {
  /** As messages have it. */
  readonly shown: string;
  readonly socketPath?: string | undefined;
  /** What it is for, where that is not calls. */
  readonly role?: string | undefined;
}

/**
 * How an error from a system call becomes a {@link ListenError}; any other error stays what it is.
 * The code is taken from `error.code`, or from the message, which is all that crosses from Rust; so does which of the
 * addresses it was: that of calls, or one of the others.
 */
export function listenErrorOf(error: unknown, main: Where, others: readonly Where[] = []): unknown {
  if (!(error instanceof Error) || error instanceof ListenError || error instanceof OptionError) return error;
  const given: unknown = (error as Error & { code?: unknown }).code;
  const code = typeof given === 'string' && /^E[A-Z0-9_]+$/.test(given) ? given : /\b(E[A-Z][A-Z0-9_]{2,})\b/.exec(error.message)?.[1];
  if (code === undefined) return error;
  const { shown, socketPath, role } = others.find((other) => error.message.startsWith(`cannot listen on ${other.shown}: `)) ?? main;
  const fix = (socketPath === undefined ? undefined : socketFix(code, socketPath)) ?? (code === 'EADDRINUSE' && isClusterWorker() ? IN_A_CLUSTER : undefined);
  return new ListenError(code, role === undefined ? shown : `${shown} (${role})`, { cause: error, fix });
}

/** Asked when something has failed: nobody else needs that module loaded. */
function isClusterWorker(): boolean {
  return (require('node:cluster') as import('node:cluster').Cluster).isWorker;
}
