import type { IResource, SerializerLike, Store } from '@bluelibs/runner';
import { ClientOfRunner } from './client.js';
import type { RunnerClient, RunnerClientOptions } from './client.js';
import { lazyResource } from './lazy-resource.js';
import { definingRunner } from './runtime.js';

/** What the factory is given for each client: the rest comes from the app. */
export type RunnerClientFactoryConfig = Omit<RunnerClientOptions, 'serializer' | 'contexts' | 'errorRegistry'>;

/** Makes clients. They are closed when the app is disposed of. */
export type RunnerClientFactory = (config: RunnerClientFactoryConfig) => RunnerClient;

/** How long an app that is disposed of waits for the calls that are under way. */
const DISPOSE_MS = 5000;

/** The clients that an app has made. */
export class Clients {
  readonly #open = new Set<ClientOfRunner>();

  make(options: RunnerClientOptions): RunnerClient {
    const client = new ClientOfRunner(options, () => this.#open.delete(client));
    this.#open.add(client);
    return client;
  }

  /** Ends all of them: calls under way have a while. */
  async end(ms = DISPOSE_MS): Promise<void> {
    const closed = Promise.all([...this.#open].map((client) => client.close()));
    let timer: NodeJS.Timeout;
    const late = new Promise((resolve) => { timer = setTimeout(resolve, ms); });
    await Promise.race([closed, late]);
    clearTimeout(timer!);
    // A hook that never returns holds its call up, whatever becomes of the client.
    for (const client of this.#open) client.destroy();
  }
}

type FactoryResource = IResource<void, Promise<RunnerClientFactory>>;

interface Services {
  readonly serializer: SerializerLike;
  readonly store: Store;
}

function define(): FactoryResource {
  const { r, globals } = definingRunner();
  const { httpClientFactory: replaced, serializer, store } = globals.resources;
  const resource = r
    .resource(replaced.id)
    .meta({ title: 'HTTP Client Factory (fasttunnel)', description: "Makes clients of fasttunnel with the app's serializer, error registry and async contexts." })
    .dependencies({ serializer, store })
    .context(() => new Clients())
    .init(async (_config, services, clients) => {
      const { serializer: values, store: known } = services as unknown as Services;
      const own = { serializer: values, errorRegistry: new Map(known.errors), contexts: [...known.asyncContexts.values()] };
      return (config: RunnerClientFactoryConfig) => clients.make({ ...config, ...own });
    })
    .dispose(async (_factory, _config, _services, clients) => clients.end())
    .build();
  return resource as unknown as FactoryResource;
}

/**
 * Stands where an app has Runner's `globals.resources.httpClientFactory`, which everything gets that depends on that:
 *
 * ```ts
 * r.resource('app').register([...]).overrides([httpClientFactory])
 * ```
 */
export const httpClientFactory: FactoryResource = lazyResource(define);
