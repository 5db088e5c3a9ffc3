import type * as RunnerNode from '@bluelibs/runner/node';
import type { EventManager, Logger, SerializerLike, Store, TaskRunner } from '@bluelibs/runner';
import { loadRunner, RunnerPeerError } from './peer.js';

/** `@bluelibs/runner/node`, as an app's `require` gives it. */
export type Runner = typeof RunnerNode;

/** What the resource gets from an app's container. */
export interface Services {
  readonly store: Store;
  readonly taskRunner: TaskRunner;
  readonly eventManager: EventManager;
  readonly logger: Logger;
  readonly serializer: SerializerLike;
}

/** The module that a resource is defined with, before there is an app. */
export function definingRunner(): Runner {
  return loadRunner().module as unknown as Runner;
}

/**
 * The very module that an app runs on. Its error classes and its async storage exist once per copy of the module, and
 * the app's copy need not be the one that is found from here: a linked package, a monorepo.
 */
export function runnerOf(store: Store): Runner {
  const found = definingRunner();
  if (store instanceof found.Store) return found;
  for (const loaded of Object.values(require.cache)) {
    const exported = loaded?.exports as Partial<Runner> | undefined;
    if (typeof exported !== 'object' || exported === null || !isRunner(exported)) continue;
    if (store instanceof exported.Store) return exported;
  }
  throw new RunnerPeerError(
    'FASTTUNNEL_RUNNER_UNSUPPORTED',
    'The app runs on a copy of @bluelibs/runner that cannot be found: bundled with the app, or its broken ES module build. Load it with require, or import its CommonJS form.',
  );
}

function isRunner(exported: Partial<Runner>): exported is Runner {
  return typeof exported.Store === 'function' && typeof exported.useExposureContext === 'function' && typeof exported.cancellationError === 'object';
}
