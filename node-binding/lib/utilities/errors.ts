import { constants } from 'node:os';
import { getSystemErrorMap } from 'node:util';
import type { Cut, Settled } from './native.js';

/** Codes that are ours; any other is the system's: `ENOENT`, `EACCES`, … */
export type OwnCode = 'ABORT_ERR' | 'ETIMEDOUT' | 'FASTTUNNEL_TOO_LARGE' | 'FASTTUNNEL_TOO_MANY_ENTRIES' | 'FASTTUNNEL_OUTPUT_LIMIT' | 'FASTTUNNEL_DATA_CHANGED' | 'FASTTUNNEL_INTERNAL';

interface Details {
  errno?: number | undefined;
  syscall?: string | undefined;
  path?: string | undefined;
  cause?: unknown;
}

/** An operation on a file or a directory has failed, or a command could not be started. */
export class UtilityError extends Error {
  static {
    this.prototype.name = 'UtilityError';
  }

  /** The system's name of the error, or one of {@link OwnCode}. `ABORT_ERR` goes with the name `AbortError`, as in Node. */
  readonly code: string;
  /** The system's number of the error, negative as in Node; undefined where the system has not failed. */
  readonly errno: number | undefined;
  /** What the system has failed at: `open`, `read`, `spawn`, …; undefined where it has not. */
  readonly syscall: string | undefined;
  /** The file, directory or command that it is about. What is not UTF-8 in it is U+FFFD. */
  readonly path: string | undefined;

  constructor(code: string, message: string, { errno, syscall, path, cause }: Details = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.errno = errno;
    this.syscall = syscall;
    this.path = path;
    if (code === 'ABORT_ERR') this.name = 'AbortError';
  }
}

/** A command was ended: it ran for too long, wrote too much, or nobody wanted it any more. */
export class CommandError extends UtilityError {
  static {
    this.prototype.name = 'CommandError';
  }

  /** What it had written to its standard output. */
  readonly stdout: string | Buffer;
  /** What it had written to its standard error. */
  readonly stderr: string | Buffer;
  /** Its exit status, if it has exited nevertheless. */
  readonly exitCode: number | null;
  /** The signal that has ended it. */
  readonly signal: NodeJS.Signals | null;

  constructor(code: OwnCode, message: string, details: Details, { stdout, stderr, exitCode, signal }: Pick<CommandError, 'stdout' | 'stderr' | 'exitCode' | 'signal'>) {
    super(code, message, details);
    this.stdout = stdout;
    this.stderr = stderr;
    this.exitCode = exitCode;
    this.signal = signal;
  }
}

/** Nobody wants the outcome any more. */
export function abortError(signal: AbortSignal | undefined): UtilityError {
  return new UtilityError('ABORT_ERR', 'The operation was aborted', { cause: signal?.reason as unknown });
}

/** Why an operation has failed; undefined when it has not. */
export function failureOf(operation: string, settled: Settled, signal: AbortSignal | undefined): UtilityError | undefined {
  const { reason, number = 0, syscall, path: bytes } = settled;
  if (reason === undefined) return undefined;
  const path = bytes === undefined || bytes.length === 0 ? undefined : bytes.toString();
  switch (reason) {
    case 'aborted':
      return abortError(signal);
    case 'tooLarge':
      return new UtilityError('FASTTUNNEL_TOO_LARGE', `${operation}: '${path}' has more than ${number} bytes. Raise maxBytes, or read it in pieces with createReadStream of node:fs.`, { path });
    case 'tooMany':
      return new UtilityError('FASTTUNNEL_TOO_MANY_ENTRIES', `${operation}: '${path}' has more than ${number} entries. Raise maxEntries, or use walkDirectory(), which takes any number.`, { path });
    case 'system':
      return systemError(number, syscall, path);
    default:
      return new UtilityError('FASTTUNNEL_INTERNAL', `${operation}: a defect of fasttunnel; what has panicked stands on stderr. Please report it.`, { path });
  }
}

/** By number: what libuv has no name for. */
const NAMES = new Map(Object.entries(constants.errno).map(([name, number]) => [number, name]));

function systemError(number: number, syscall: string | undefined, path: string | undefined): UtilityError {
  const errno = -number;
  const [code, text] = getSystemErrorMap().get(errno) ?? [NAMES.get(number) ?? `E${number}`, number === constants.errno.ENOEXEC ? 'exec format error' : 'system error'];
  const where = path === undefined ? (syscall ?? '') : `${syscall} '${path}'`;
  const cause = Object.assign(new Error(text), { code, errno });
  return new UtilityError(code, `${code}: ${text}, ${where}${hintOf(code, syscall, path)}`, { errno, syscall, path, cause });
}

/** What to do, where the system's words mislead. */
function hintOf(code: string, syscall: string | undefined, path: string | undefined): string {
  if (code === 'EINVAL' && syscall === 'rename') return '. It is no regular file, so that no other can take its place: write with atomic: false.';
  if (code === 'EBUSY' && syscall === 'rename') return '. Something is mounted there, so that no other file can take its place: write with atomic: false.';
  if (code === 'ENXIO' && syscall === 'open') return '. It is a socket, a FIFO that nobody reads, or a device that is not there.';
  if (code === 'ENOENT' && syscall === 'spawn' && path !== undefined && /^[^/\s]+\s/.test(path)) return ". Arguments stand apart: executeCommand('git', ['status']).";
  return '';
}

/** What became of a command that was ended. */
const CUTS: Readonly<Record<Cut, readonly [OwnCode, string]>> = {
  aborted: ['ABORT_ERR', 'The operation was aborted'],
  timedOut: ['ETIMEDOUT', 'it ran for longer than timeoutMs, and was ended with its process group'],
  tooMuchOutput: ['FASTTUNNEL_OUTPUT_LIMIT', 'it wrote more than maxOutputBytes, and was ended with its process group'],
};

/** The code of a command that was ended, and what to say of it. */
export function cutOf(cut: Cut, command: string): readonly [OwnCode, string] {
  const [code, text] = CUTS[cut];
  return [code, cut === 'aborted' ? text : `${command}: ${text}.`];
}
