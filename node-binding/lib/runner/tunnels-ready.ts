import type { Runner, Services } from './runtime.js';

/**
 * Calls back whenever a tunnel resource has got its value while the app starts, and when the app is ready. Until then
 * the tunnel listens already, and answers what the tunnels say so far: nothing is exposed.
 */
export function whenTunnelsAreReady({ store, eventManager }: Services, runner: Runner, changed: () => void): void {
  // An app that runs already (a resource made on demand) has its tunnels.
  if (store.isLocked) return;
  const tunnelTag = runner.globals.tags.tunnel.id;
  store.getMiddlewareManager().intercept('resource', async (next, input) => {
    const value: unknown = await next(input);
    // The store has the value once this has returned.
    if (input.resource.definition.tags.some((tag) => tag.id === tunnelTag)) setImmediate(changed);
    return value as Awaited<ReturnType<typeof next>>;
  });
  eventManager.addListener(runner.globals.events.ready, changed, { order: Number.MIN_SAFE_INTEGER });
}
