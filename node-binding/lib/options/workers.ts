import { existsSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { NUMBERS } from '../facts/bounds.js';
import { asGroup, asInteger, fail, isPlainObject } from './checks.js';
import type { WorkersOptions } from './types.js';

/** How many event loops there are, and what they load. */
export interface CheckedWorkers {
  /** `auto`: as many as there are cores for the process. */
  readonly count: number | 'auto';
  /** URL of the module. */
  readonly module: string;
  readonly blockedTimeoutMs: number;
  readonly resourceLimits: WorkersOptions['resourceLimits'];
}

const HOW = "Write workers: 2, handlers: new URL('./tasks.js', import.meta.url), and export tasks and events from that module.";
/** Options that are functions, or hold some: the module has them. */
const OF_THE_MODULE = ['tasks', 'events', 'serializer'] as const;
const HEAP_SIZES = ['maxYoungGenerationSizeMb', 'maxOldGenerationSizeMb', 'codeRangeSizeMb', 'stackSizeMb'] as const;

/** Nothing where handlers run on the thread that opens the tunnel. */
export function asWorkers(given: Readonly<Record<string, unknown>>): CheckedWorkers | undefined {
  const { workers, handlers } = given;
  if (workers === undefined) {
    if (handlers !== undefined) fail('handlers', handlers, 'is for workers, and workers is not set', 'Set workers, or give tasks and events themselves.');
    return undefined;
  }
  for (const option of OF_THE_MODULE) {
    if (given[option] !== undefined) fail(option, given[option], 'cannot be given with workers: functions do not cross threads', `Export ${option} from the module that handlers names.`);
  }
  return asGroupOfWorkers('workers', workers, 'handlers', handlers, HOW);
}

/** As {@link asWorkers}, under these names. */
export function asGroupOfWorkers(option: string, workers: unknown, moduleOption: string, module: unknown, how: string): CheckedWorkers {
  const isGroup = isPlainObject(workers);
  const group = isGroup ? asGroup(option, workers, ['count', 'blockedTimeoutMs', 'resourceLimits']) : { count: workers };
  return {
    count: asCount(isGroup ? `${option}.count` : option, group.count),
    module: asModule(moduleOption, module, how),
    blockedTimeoutMs: asInteger(`${option}.blockedTimeoutMs`, group.blockedTimeoutMs, NUMBERS.blockedTimeoutMs),
    resourceLimits: asResourceLimits(`${option}.resourceLimits`, group.resourceLimits),
  };
}

function asCount(option: string, value: unknown): CheckedWorkers['count'] {
  if (value === 'auto') return value;
  if (typeof value !== 'number') fail(option, value, `must be 'auto' or an integer from ${NUMBERS.workers.least} to ${NUMBERS.workers.most} (event loops)`, "'auto' is one for each core that the process may use.");
  return asInteger(option, value, NUMBERS.workers);
}

function asModule(option: string, value: unknown, how: string): string {
  if (value === undefined) fail(option, value, 'must name the module that workers load', how);
  const url = urlOf(value);
  if (url === undefined) fail(option, value, 'must be a file: URL or an absolute path', how);
  if (!existsSync(fileURLToPath(url))) fail(option, value, 'names no file', `There is no ${fileURLToPath(url)}.`);
  return url.href;
}

function urlOf(value: unknown): URL | undefined {
  try {
    if (typeof value === 'string' && isAbsolute(value)) return pathToFileURL(value);
    const url = new URL(String(value instanceof URL || typeof value === 'string' ? value : ''));
    return url.protocol === 'file:' ? url : undefined;
  } catch {
    return undefined;
  }
}

function asResourceLimits(option: string, value: unknown): WorkersOptions['resourceLimits'] {
  if (value === undefined) return undefined;
  const limits = asGroup(option, value, HEAP_SIZES);
  for (const [name, size] of Object.entries(limits)) {
    if (typeof size !== 'number' || !(size > 0)) fail(`${option}.${name}`, size, 'must be a number above 0 (MiB)', 'Leave it out for what Node takes.');
  }
  return limits as WorkersOptions['resourceLimits'];
}
