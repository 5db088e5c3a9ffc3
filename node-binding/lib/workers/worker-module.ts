import { eventEntry, taskEntry } from '../calls/handler-entries.js';
import type { Entry } from '../calls/entry.js';
import { OptionError } from '../errors/errors.js';
import { fail, isPlainObject } from '../options/checks.js';
import { asEvents, asFunction, asSerializer, asTasks, ON_ERROR } from '../options/options.js';
import type { EventHandler, Serializer, WorkerModule } from '../options/types.js';

/** What a module exports, checked. */
export interface CheckedModule {
  readonly entries: readonly Entry[];
  readonly tasks: readonly string[];
  readonly events: readonly string[];
  readonly serializer: Serializer | undefined;
  readonly onError: WorkerModule['onError'];
  readonly close: WorkerModule['close'];
}

const EXPORTS = ['tasks', 'events', 'serializer', 'onError', 'close'] as const;

/** Loads a module. Rejects with what it throws, or an OptionError when it exports something else than it should. */
export async function loadModule(url: string): Promise<CheckedModule> {
  const namespace = (await import(url)) as Record<string, unknown>;
  try {
    return checked(url, namespace);
  } catch (error) {
    // Two tunnels may have two modules, and options have such names as well.
    throw error instanceof OptionError && error.option !== 'handlers' ? new OptionError(error.option, error.value, `${error.message} It is exported by ${url}.`) : error;
  }
}

function checked(url: string, namespace: Record<string, unknown>): CheckedModule {
  const given = Object.fromEntries(EXPORTS.map((name) => [name, exported(namespace, name)])) as Record<(typeof EXPORTS)[number], unknown>;
  if (given.tasks === undefined && given.events === undefined) {
    fail('handlers', url, 'exports neither tasks nor events', "Write export const tasks = { 'app.tasks.add': async ({ a, b }) => a + b }.");
  }
  const tasks = asTasks(given.tasks);
  const events = new Map<string, EventHandler[]>();
  for (const [id, handler] of asEvents(given.events)) events.set(id, [...(events.get(id) ?? []), handler]);
  return {
    entries: [...tasks.map(([id, handler]) => taskEntry(id, handler)), ...[...events].map(([id, list]) => eventEntry(id, list))],
    tasks: tasks.map(([id]) => id),
    events: [...events.keys()],
    serializer: asSerializer(given.serializer),
    onError: given.onError === undefined ? undefined : asFunction('onError', given.onError, ON_ERROR),
    close: given.close === undefined ? undefined : asFunction('close', given.close, 'async () => { await database.end(); }'),
  };
}

/** By its name, or as a member of the default export, which is `module.exports` of CommonJS. */
function exported(namespace: Record<string, unknown>, name: string): unknown {
  if (namespace[name] !== undefined) return namespace[name];
  const { default: whole } = namespace;
  return isPlainObject(whole) ? whole[name] : undefined;
}
