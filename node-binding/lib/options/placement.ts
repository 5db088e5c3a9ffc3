// Where shards run.
import { asChoice, fail } from './checks.js';
import type { Placement } from './engine-options.js';

/** What was chosen; `group` goes before the options' names. One event loop turns one shard. */
export function asPlacement(group: string, value: unknown, shards: unknown, workers = false): 'auto' | Placement {
  const placement = asChoice(`${group}placement`, value, ['auto', 'threads', 'inline']);
  if (placement === 'inline' && typeof shards === 'number' && shards > 1) {
    fail(`${group}shards`, shards, `must be 0 or 1 where ${group}placement is 'inline'`, `Leave it out, or set ${group}placement: 'threads'.`);
  }
  if (placement === 'inline' && workers) {
    fail(`${group}placement`, placement, 'cannot be given with workers: each of their event loops takes calls from threads', `Leave it out, or set ${group}placement: 'threads'.`);
  }
  return placement;
}
