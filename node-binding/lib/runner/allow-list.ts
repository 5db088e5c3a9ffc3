import type { Store } from '@bluelibs/runner';

/** Who may be called, as the values of the server tunnels said when it was taken (CONTRACT 5). */
export interface AllowList {
  /** There is a server tunnel. Without one nothing is exposed, or everything if the app says so. */
  readonly enabled: boolean;
  /** By id, in the order of the tunnels and of their lists: does it accept async contexts from its caller? */
  readonly tasks: ReadonlyMap<string, boolean>;
  readonly events: ReadonlyMap<string, boolean>;
}

export type Selector = 'task' | 'event';

/** Hears of a predicate that threw; the item counts as not selected. */
export type OnSelectorError = (error: unknown, where: { selectorKind: Selector; candidateId: string; tunnelResourceId: string }) => void;

/** A tunnel resource's value, as far as it matters here. */
interface TunnelValue {
  readonly mode?: unknown;
  readonly transport?: unknown;
  readonly allowAsyncContext?: unknown;
  readonly tasks?: unknown;
  readonly events?: unknown;
}

export function takeAllowList(store: Store, tunnelTagId: string, onError: OnSelectorError): AllowList {
  const tasks = new Map<string, boolean>();
  const events = new Map<string, boolean>();
  let enabled = false;
  for (const { resource, value } of store.resources.values()) {
    if (!resource.tags.some((tag) => tag.id === tunnelTagId) || !isServerTunnel(value)) continue;
    enabled = true;
    const acceptsContext = value.allowAsyncContext !== false;
    const select = (kind: Selector, selector: unknown, candidates: Iterable<{ readonly id: string }>, into: Map<string, boolean>): void => {
      const report = (error: unknown, candidateId: string): void => onError(error, { selectorKind: kind, candidateId, tunnelResourceId: resource.id });
      // One tunnel that refuses contexts is enough.
      for (const id of selectedIds(selector, candidates, report)) into.set(id, (into.get(id) ?? true) && acceptsContext);
    };
    select('task', value.tasks, definitions(store.tasks.values(), 'task'), tasks);
    select('event', value.events, definitions(store.events.values(), 'event'), events);
  }
  return { enabled, tasks, events };
}

function isServerTunnel(value: unknown): value is TunnelValue {
  if (typeof value !== 'object' || value === null) return false;
  const { mode, transport } = value as TunnelValue;
  return (mode === 'server' || mode === 'both') && (!transport || transport === 'http');
}

function* definitions<Key extends string, Item extends { readonly id: string }>(entries: Iterable<Record<Key, Item>>, key: Key): Iterable<Item> {
  for (const entry of entries) yield entry[key];
}

function* selectedIds(selector: unknown, candidates: Iterable<{ readonly id: string }>, report: (error: unknown, id: string) => void): Iterable<string> {
  if (typeof selector === 'function') {
    for (const candidate of candidates) {
      let selected = false;
      try {
        selected = Boolean(selector(candidate));
      } catch (error) {
        report(error, candidate.id);
      }
      if (selected) yield candidate.id;
    }
  } else if (Array.isArray(selector)) {
    for (const item of selector as unknown[]) {
      const id = typeof item === 'string' ? item : (item as { id?: unknown } | null | undefined)?.id;
      if (typeof id === 'string' && (id !== '' || typeof item === 'string')) yield id;
    }
  }
}
