import type { IResource } from '@bluelibs/runner';
import type { FastTunnelConfig } from './config.js';
import { openExposure } from './exposure.js';
import type { FastTunnelExposure } from './exposure.js';
import { lazyResource } from './lazy-resource.js';
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

/**
 * The resource that an app registers in place of `nodeExposure`:
 *
 * ```ts
 * r.resource('app').register([...tasks, serverTunnel, fastTunnel.with({ http: { listen: { port: 7070 }, auth: { token } } })])
 * ```
 */
export const fastTunnel: FastTunnelResource = lazyResource(define);
