import type { Call } from '../calls/call.js';
import { ExposedCall } from './exposed-call.js';
import type { ExposedScope } from './exposed-call.js';
import { RunnerPeerError } from './peer.js';

/** The id under which Runner looks for `useExposureContext()`. */
const CONTEXT_ID = 'platform.node.ctx.exposureRequest';

/** Runs a function with the exposure context of a call. */
export type Provide = (call: Call, run: () => Promise<unknown>) => Promise<unknown>;

/**
 * Runner does not export its exposure context, but it finds contexts by their id: one of the same id is the same. That
 * this is so is tried once, here, and not found out by the first task that asks.
 */
export function provideExposureContext(scope: ExposedScope): Provide {
  const { runner } = scope;
  const context = runner.r.asyncContext<object>(CONTEXT_ID).build();
  const probe = {};
  const works = context.provide(probe, () => runner.hasExposureContext() && (runner.useExposureContext() as object) === probe);
  if (works !== true) {
    throw new RunnerPeerError('FASTTUNNEL_RUNNER_UNSUPPORTED', 'This version of @bluelibs/runner keeps its exposure context elsewhere; fasttunnel cannot provide it.');
  }
  const untilAsked = proxyOf(scope);
  return (call, run) => context.provide(new Proxy(call, untilAsked), run) as Promise<unknown>;
}

/** What stands in for a call's context: that costs some microseconds, most tasks never ask, and a Proxy costs next to nothing. */
function proxyOf(scope: ExposedScope): ProxyHandler<Call> {
  const contextOf = (call: Call): object => ExposedCall.of(call, scope).context;
  return {
    get: (call, key) => Reflect.get(contextOf(call), key) as unknown,
    has: (call, key) => Reflect.has(contextOf(call), key),
    set: (call, key, value) => Reflect.set(contextOf(call), key, value),
    ownKeys: (call) => Reflect.ownKeys(contextOf(call)),
    getOwnPropertyDescriptor: (call, key) => Reflect.getOwnPropertyDescriptor(contextOf(call), key),
    defineProperty: (call, key, descriptor) => Reflect.defineProperty(contextOf(call), key, descriptor),
    deleteProperty: (call, key) => Reflect.deleteProperty(contextOf(call), key),
    getPrototypeOf: () => Object.prototype,
  };
}
