import { asChoice, asGroup } from '../options/checks.js';
import { utilitiesAddon } from './native.js';

const LEVELS = ['off', 'error', 'warn', 'info', 'debug'] as const;

/** How much is told on stderr: nothing, failures, also commands that were ended, also every command, also everything. */
export type LogLevel = (typeof LEVELS)[number];

/** What {@link init} takes. */
export interface InitOptions {
  /** How much is told on stderr; `off` unless it is given. */
  logLevel?: LogLevel | undefined;
}

let chosen = 0;

/**
 * Loads the native addon, and says how much is told on stderr. It need not be called, and may be called again, in every
 * thread: a level that is given replaces the one before, of this thread.
 *
 * @throws NativeLoadError when the addon cannot be loaded, OptionError for an unknown level.
 */
export function init(options: InitOptions = {}): void {
  const { logLevel } = asGroup('init', options, ['logLevel']);
  if (logLevel !== undefined) chosen = LEVELS.indexOf(asChoice('init.logLevel', logLevel, LEVELS));
  utilitiesAddon();
}

/** Whether anything of that level is told. */
export function tells(level: LogLevel): boolean {
  return chosen >= LEVELS.indexOf(level);
}

/** Tells of an operation. What it was given but its file or command may be secret, and is not told. */
export function tell(level: LogLevel, operation: string, subject: string, outcome: string, startedMs: number): void {
  process.stderr.write(`fasttunnel/native ${level}: ${operation} ${JSON.stringify(subject)}: ${outcome}, ${(performance.now() - startedMs).toFixed(2)} ms\n`);
}
