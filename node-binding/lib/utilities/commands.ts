import { constants as ofBuffers } from 'node:buffer';
import { constants } from 'node:os';
import { asChoice, asInteger, fail } from '../options/checks.js';
import { asBytes, asOptions, asPath, asSignal } from './arguments.js';
import type { PathLike } from './arguments.js';
import { CommandError, cutOf } from './errors.js';
import { tell, tells } from './log.js';
import type { NativeCommand, Settled } from './native.js';
import { operate } from './operations.js';

/** As far as a timer goes: 24 days. */
const MOST_MS = 2 ** 31 - 1;
/** What a command reads is copied, at once. */
const MAX_STDIN = 64 * 2 ** 20;
/** What can be had as one text, or at all. */
const MAX_OUTPUT = { utf8: Math.min(2 ** 30, ofBuffers.MAX_STRING_LENGTH), buffer: 2 ** 30 } as const;
const SIGNALS = Object.keys(constants.signals) as NodeJS.Signals[];
/** By number; the first of two names is the usual one (`SIGABRT`, `SIGIOT`). */
const SIGNAL_NAMES = new Map([...SIGNALS].reverse().map((name) => [constants.signals[name], name]));

/** What {@link executeCommand} takes. */
export interface CommandOptions {
  /** Its working directory; that of the process unless given. */
  cwd?: PathLike | undefined;
  /** For how long it may run; any time unless given. 0 is none, too. */
  timeoutMs?: number | undefined;
  /** All of its environment; `process.env` unless given. */
  env?: Readonly<Record<string, string | undefined>> | undefined;
  /** What it reads from its standard input, 64 MiB at most; nothing unless given. */
  stdin?: string | Uint8Array | undefined;
  /** How many bytes it may write to both of its outputs together; 16 MiB unless given. */
  maxOutputBytes?: number | undefined;
  /** Ends it when it aborts. */
  signal?: AbortSignal | undefined;
  /** What asks it to end; `SIGTERM` unless given. */
  killSignal?: NodeJS.Signals | undefined;
  /** Milliseconds from there to `SIGKILL`; 2000 unless given. */
  killAfterMs?: number | undefined;
  /** `buffer` for its outputs as bytes; `utf8`, as text, unless given. */
  encoding?: 'utf8' | 'buffer' | undefined;
}

/** What a command has done. */
export interface CommandResult<Output extends string | Buffer = string> {
  stdout: Output;
  stderr: Output;
  /** Null when a signal has ended it. */
  exitCode: number | null;
  /** Null when it has exited. */
  signal: NodeJS.Signals | null;
  /** False when others, whom it has left behind, may still write to its outputs. */
  complete: boolean;
  /** How long it ran. */
  durationMs: number;
}

/**
 * Runs a program, without a shell, in a process group of its own. Resolves when it has ended, whatever its exit status is.
 *
 * @param options Options, or `cwd`, with `timeoutMs` behind it.
 * @throws UtilityError when it cannot be started: `ENOENT`, `EACCES`, …; CommandError when it was ended, with its process
 * group: `ETIMEDOUT`, `FASTTUNNEL_OUTPUT_LIMIT`, `ABORT_ERR`.
 */
export async function executeCommand(command: string, args: readonly (string | Uint8Array)[] | undefined, options: CommandOptions & { encoding: 'buffer' }): Promise<CommandResult<Buffer>>;
export async function executeCommand(command: string, args?: readonly (string | Uint8Array)[], options?: CommandOptions & { encoding?: 'utf8' | undefined }): Promise<CommandResult>;
export async function executeCommand(command: string, args?: readonly (string | Uint8Array)[], cwd?: PathLike | null, timeoutMs?: number): Promise<CommandResult>;
export async function executeCommand(command: string, args: readonly (string | Uint8Array)[] = [], third?: CommandOptions | PathLike | null, fourth?: number): Promise<CommandResult<string | Buffer>> {
  const given = optionsOf(third, fourth);
  const encoding = asChoice('executeCommand.encoding', given.encoding, ['utf8', 'buffer']);
  const native = nativeCommand(command, args, given, MAX_OUTPUT[encoding]);
  const asBuffer = encoding === 'buffer';
  const signal = asSignal('executeCommand.signal', given.signal);
  const startedMs = performance.now();
  const what = { operation: 'executeCommand', subject: command, signal, tellsItself: true };
  const settled = await operate(what, (utilities, id) => utilities.execute(id, native));
  const result = resultOf(settled, asBuffer);
  if (settled.cut === undefined) {
    if (tells('info')) tell('info', 'executeCommand', command, result.signal ?? `exit ${result.exitCode}`, startedMs);
    return result;
  }
  const [code, message] = cutOf(settled.cut, command);
  if (tells('warn')) tell('warn', 'executeCommand', command, code, startedMs);
  throw new CommandError(code, message, { path: command, cause: settled.cut === 'aborted' ? (signal?.reason as unknown) : undefined }, result);
}

type Given = Partial<Record<keyof CommandOptions, unknown>>;

function optionsOf(third: unknown, fourth: unknown): Given {
  if (third === null || third === undefined || typeof third === 'string' || third instanceof URL || third instanceof Uint8Array) {
    return { cwd: third ?? undefined, timeoutMs: fourth ?? undefined };
  }
  if (fourth !== undefined) fail('timeoutMs', fourth, 'must stand among the options', 'Write { cwd, timeoutMs }.');
  return asOptions('executeCommand', third, ['cwd', 'timeoutMs', 'env', 'stdin', 'maxOutputBytes', 'signal', 'killSignal', 'killAfterMs', 'encoding']);
}

function nativeCommand(command: unknown, args: unknown, given: Given, maxOutput: number): NativeCommand {
  if (typeof command !== 'string' || command === '') fail('command', command, 'must be the name or path of a program', "Arguments stand apart: executeCommand('git', ['status']).");
  if (!Array.isArray(args)) fail('args', args, 'must be an array', "Write ['status'] for a single one.");
  // Without a prototype: what is left out must not be found in Object.prototype.
  const native: NativeCommand = Object.assign(Object.create(null) as object, {
    command: asArgument('command', command),
    args: Array.from(args, (arg: unknown, index) => asArgument(`args[${index}]`, arg)),
    env: environmentOf(given.env),
    timeoutMs: asInteger('executeCommand.timeoutMs', given.timeoutMs, { fallback: 0, least: 0, most: MOST_MS, unit: 'milliseconds, 0 = none' }),
    maxOutputBytes: asInteger('executeCommand.maxOutputBytes', given.maxOutputBytes, { fallback: 16 * 2 ** 20, least: 0, most: maxOutput, unit: 'bytes' }),
    killSignal: constants.signals[asChoice('executeCommand.killSignal', given.killSignal, ['SIGTERM', ...SIGNALS])],
    killAfterMs: asInteger('executeCommand.killAfterMs', given.killAfterMs, { fallback: 2000, least: 0, most: MOST_MS, unit: 'milliseconds' }),
  });
  if (given.cwd !== undefined) native.cwd = asPath('executeCommand.cwd', given.cwd).bytes;
  if (given.stdin !== undefined) native.stdin = asStdin(given.stdin);
  return native;
}

function asArgument(option: string, value: unknown): Buffer {
  if (typeof value !== 'string' && !(value instanceof Uint8Array)) fail(option, value, 'must be a string', 'Pass String(value), or bytes.');
  const bytes = asBytes(value);
  if (bytes.includes(0)) fail(option, value, 'must not have a zero in it', 'No program could receive it.');
  return bytes;
}

function asStdin(value: unknown): Buffer {
  if (typeof value !== 'string' && !(value instanceof Uint8Array)) fail('executeCommand.stdin', value, 'must be text or bytes', 'Pass a string or a Buffer.');
  const bytes = asBytes(value);
  if (bytes.length > MAX_STDIN) fail('executeCommand.stdin', bytes.length, `must have ${MAX_STDIN} bytes at most`, 'Write it to a file, and pass the path to the command.');
  return bytes;
}

/** Names and values in turn. Read here: native code must not read the environment while this thread may change it. */
function environmentOf(env: unknown): string[] {
  const names: string[] = [];
  const given = env === undefined ? process.env : asEnvironment(env);
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined) continue;
    if (typeof value !== 'string' || value.includes('\0')) fail(`executeCommand.env.${name}`, '(hidden)', 'must be a string without a zero', 'Pass String(value).');
    if (name === '' || /[=\0]/.test(name)) fail('executeCommand.env', name, 'must have names without = and zeros', 'Correct the name.');
    names.push(name, value);
  }
  return names;
}

function asEnvironment(env: unknown): Record<string, unknown> {
  if (typeof env !== 'object' || env === null || Array.isArray(env)) fail('executeCommand.env', env, 'must be an object', 'Pass { ...process.env, NAME: value }.');
  return env as Record<string, unknown>;
}

function resultOf({ stdout = Buffer.alloc(0), stderr = Buffer.alloc(0), exitCode, signal, complete = true, durationMs = 0 }: Settled, asBuffer: boolean): CommandResult<string | Buffer> {
  return {
    stdout: asBuffer ? stdout : stdout.toString(),
    stderr: asBuffer ? stderr : stderr.toString(),
    exitCode: exitCode ?? null,
    signal: signal === undefined ? null : (SIGNAL_NAMES.get(signal) ?? (`SIG${signal}` as NodeJS.Signals)),
    complete,
    durationMs,
  };
}
