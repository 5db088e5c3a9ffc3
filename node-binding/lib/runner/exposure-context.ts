import type { TaskScope } from './task-entry.js';
import { RunnerPeerError } from './peer.js';
import type { Runner } from './runtime.js';

/** The id under which Runner looks for `useExposureContext()`. */
const CONTEXT_ID = 'platform.node.ctx.exposureRequest';

/**
 * Runner does not export its exposure context, but it finds contexts by their id: one of the same id is the same. That
 * this is so is tried once, here, and not found out by the first task that asks.
 */
export function provideExposureContext(runner: Runner): TaskScope['provide'] {
  const context = runner.r.asyncContext<object>(CONTEXT_ID).build();
  const probe = {};
  const works = context.provide(probe, () => runner.hasExposureContext() && (runner.useExposureContext() as object) === probe);
  if (works !== true) {
    throw new RunnerPeerError('FASTTUNNEL_RUNNER_UNSUPPORTED', 'This version of @bluelibs/runner keeps its exposure context elsewhere; fasttunnel cannot provide it.');
  }
  return (call, run) => context.provide(call.lazyContext, run) as Promise<unknown>;
}
