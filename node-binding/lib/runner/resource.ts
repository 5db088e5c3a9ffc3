import type { IResource } from '@bluelibs/runner';
import type { FastTunnelConfig } from './config.js';
import { openExposure } from './exposure.js';
import type { FastTunnelExposure } from './exposure.js';
import { definingRunner } from './runtime.js';
import type { Services } from './runtime.js';

/** Not `nodeExposure`'s: an app may have both, on two ports, while it moves. */
const RESOURCE_ID = 'fasttunnel.resources.exposure';

type FastTunnelResource = IResource<FastTunnelConfig, Promise<FastTunnelExposure>>;

function define(): FastTunnelResource {
  const { r, globals } = definingRunner();
  const { store, taskRunner, eventManager, logger, serializer } = globals.resources;
  const resource = r
    .resource<FastTunnelConfig>(RESOURCE_ID)
    .meta({ title: 'fasttunnel (HTTP)', description: 'Exposes Runner tasks and events over HTTP, so that a tunnel client can call them.' })
    .dependencies({ store, taskRunner, eventManager, logger, serializer })
    .init(async (config, services) => openExposure(config, services as unknown as Services))
    .dispose(async (exposure) => {
      await (exposure as FastTunnelExposure | undefined)?.close();
    })
    .build();
  return resource as unknown as FastTunnelResource;
}

let defined: FastTunnelResource | undefined;

/** The resource, once somebody looks at it. */
function materialised(target: FastTunnelResource): FastTunnelResource {
  if (defined === undefined) {
    const resource = define();
    Object.defineProperties(target, Object.getOwnPropertyDescriptors(resource));
    defined = target;
  }
  return target;
}

/**
 * The resource that an app registers in place of `nodeExposure`:
 *
 * ```ts
 * r.resource('app').register([...tasks, serverTunnel, fastTunnel.with({ http: { listen: { port: 7070 }, auth: { token } } })])
 * ```
 *
 * Defined when it is first touched, because Runner is an optional peer: to import this module does not load it, to use
 * the resource without it throws a RunnerPeerError that says what to install.
 */
export const fastTunnel: FastTunnelResource = new Proxy({} as FastTunnelResource, {
  get: (target, key) => Reflect.get(materialised(target), key) as unknown,
  has: (target, key) => Reflect.has(materialised(target), key),
  set: (target, key, value) => Reflect.set(materialised(target), key, value),
  ownKeys: (target) => Reflect.ownKeys(materialised(target)),
  getOwnPropertyDescriptor: (target, key) => Reflect.getOwnPropertyDescriptor(materialised(target), key),
  defineProperty: (target, key, descriptor) => Reflect.defineProperty(materialised(target), key, descriptor),
  deleteProperty: (target, key) => Reflect.deleteProperty(materialised(target), key),
});
