// What a worker thread of the Runner resource runs: the app, whose resource joins the tunnel.
import { fail } from '../options/checks.js';
import { runWorker } from '../workers/worker.js';
import { definingRunner } from './runtime.js';
import { workerPlace } from './worker-place.js';

type Runtime = { dispose(): Promise<void> };

workerPlace.isWorker = true;

runWorker(async (url) => {
  const namespace = (await import(url)) as { app?: unknown; default?: { app?: unknown } };
  const app = namespace.app ?? namespace.default?.app ?? namespace.default;
  if (typeof app !== 'function' && !isResource(app)) fail('engine.app', url, 'exports no app', 'Export const app: the resource that run() gets, or a function that runs it and returns what run() resolves to.');
  const run = definingRunner().run as unknown as (app: unknown, options: object) => Promise<Runtime>;
  // A worker that nobody rescues ends, and another takes its place.
  const runtime = await (isResource(app) ? run(app, { shutdownHooks: false, errorBoundary: false }) : (app as () => Promise<Runtime>)());
  const { exposure } = workerPlace;
  if (exposure === undefined) fail('engine.app', url, 'is an app without fastTunnel', 'Register fastTunnel.with(…) in it, as in the app that listens.');
  return {
    ...exposure.ids(),
    allow: exposure.allow(),
    exact: exposure.exact,
    join: (number, options) => exposure.join(number, options),
    close: () => runtime.dispose(),
  };
});

/** Runner's resources are objects, or functions with an id. */
function isResource(app: unknown): boolean {
  return typeof (app as { id?: unknown } | null | undefined)?.id === 'string';
}
