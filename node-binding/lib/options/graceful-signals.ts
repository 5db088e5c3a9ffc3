import { isMainThread } from 'node:worker_threads';
import { fail } from './checks.js';

export const SIGNALS = ['SIGTERM', 'SIGINT'] as const;

export type GracefulSignal = (typeof SIGNALS)[number];

/** The option `gracefulSignals`: which ones. */
export function asGracefulSignals(value: unknown): readonly GracefulSignal[] {
  if (value === undefined || value === false) return [];
  const given: unknown[] = value === true ? [...SIGNALS] : Array.isArray(value) ? value : [value];
  const wrong = !Array.isArray(value) && value !== true;
  if (wrong || !given.every((signal) => (SIGNALS as readonly unknown[]).includes(signal))) {
    fail('gracefulSignals', value, "must be true, false or a list of 'SIGTERM' and 'SIGINT'", 'true stands for both.');
  }
  if (given.length > 0 && !isMainThread) {
    fail('gracefulSignals', value, 'cannot work in a worker thread, where no signal arrives', 'Tell the worker from the main thread to close its tunnel.');
  }
  return [...new Set(given as GracefulSignal[])];
}
