import { resolve } from 'node:path';
import { asChoice, asGroup, fail, isPlainObject } from './checks.js';

/** What takes lines: a logger of pino, or any with such a method. */
export interface Logger {
  info(line: object, message: string): void;
}

/** A file that the access log is written into, off the JavaScript thread. */
export interface LogFileOptions {
  /** Lines are appended. It is made where there is none, readable for its owner and group. */
  path: string;
  /** `json`: an object each line. `combined`: the Combined Log Format of Apache and nginx. Default `json`. */
  format?: 'json' | 'combined' | undefined;
  /** Of the answers with a status below 400, the part that is written: 0 to 1. Default 1. Errors and refusals are always written. */
  sample?: number | undefined;
}

/** A logger that the access log goes to, in batches. */
export interface LoggerOptions {
  logger: Logger;
  /** As of {@link LogFileOptions}. */
  sample?: number | undefined;
}

/** What was checked. */
export interface LogEngineOptions {
  /** Absolute. */
  readonly path?: string;
  readonly format: 'json' | 'combined';
  readonly sample: number;
  readonly logger?: Logger;
}

/** The option `log`; nothing where it is not given. */
export function asLog(value: unknown): { log?: LogEngineOptions } {
  if (value === undefined) return {};
  if (isLogger(value)) return { log: { logger: value, format: 'json', sample: 1 } };
  if (!isPlainObject(value)) fail('log', value, 'must be a logger with a method info, or an object', "For example { path: '/var/log/app/access.log' }, or a logger of pino.");
  const { path, format, logger, sample } = asGroup('log', value, ['path', 'format', 'sample', 'logger'], { file: 'log.path', level: 'log.sample' });
  const common = { format: asChoice('log.format', format, ['json', 'combined']), sample: asShare('log.sample', sample) };
  if (logger !== undefined) {
    if (!isLogger(logger)) fail('log.logger', logger, 'must have a method info', 'For example a logger of pino.');
    if (path !== undefined) fail('log.path', path, 'cannot be combined with log.logger', 'Give one of both.');
    if (format !== undefined) fail('log.format', format, 'is that of a file', 'Leave it out: the logger writes its lines as it does.');
    return { log: { ...common, logger } };
  }
  if (typeof path !== 'string' || path === '' || path.includes('\0')) fail('log.path', path, 'must be the path of a file', "For example '/var/log/app/access.log'.");
  return { log: { ...common, path: resolve(path) } };
}

function isLogger(value: unknown): value is Logger {
  return typeof value === 'object' && value !== null && 'info' in value && typeof value.info === 'function';
}

function asShare(option: string, value: unknown): number {
  if (value === undefined) return 1;
  if (typeof value !== 'number' || !(value >= 0 && value <= 1)) fail(option, value, 'must be a number from 0 to 1', 'For example 0.1 for every tenth.');
  return value;
}
