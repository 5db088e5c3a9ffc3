import type { EventHandlers, TaskHandlers, TunnelOptions } from '../options/types.js';
import { TunnelServer } from './server.js';
import type { Tunnel } from './server.js';

/**
 * Opens a tunnel: resolves when it listens.
 *
 * ```js
 * const tunnel = await fastTunnel({
 *   port: 7070,
 *   auth: { token: process.env.RUNNER_TOKEN },
 *   tasks: { 'app.tasks.add': async ({ a, b }) => a + b },
 * });
 * ```
 *
 * Rejects with an OptionError (an option is wrong) or a ListenError (the system said no).
 */
export async function fastTunnel<const Tasks extends TaskHandlers = {}, const Events extends EventHandlers = {}>(
  options: TunnelOptions<Tasks, Events>,
): Promise<Tunnel<Tasks, Events>> {
  return await new TunnelServer<Tasks, Events>(options).listen();
}
