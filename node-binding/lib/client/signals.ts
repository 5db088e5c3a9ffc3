// Signals of calls. Many calls may share one: to add and remove a listener of its own for each would look through all others.

/** What ends when its signal aborts. */
export interface Abortable {
  abort(reason: unknown): void;
}

const watched = new WeakMap<AbortSignal, Set<Abortable>>();

/** Ends it when the signal aborts, which it has not yet. */
export function watch(signal: AbortSignal, item: Abortable): void {
  const items = watched.get(signal);
  if (items !== undefined) {
    items.add(item);
    return;
  }
  watched.set(signal, new Set([item]));
  signal.addEventListener('abort', ended, { once: true });
}

/** It has its end. */
export function unwatch(signal: AbortSignal, item: Abortable): void {
  const items = watched.get(signal);
  if (items === undefined || !items.delete(item) || items.size > 0) return;
  watched.delete(signal);
  signal.removeEventListener('abort', ended);
}

function ended(this: AbortSignal): void {
  const items = watched.get(this);
  watched.delete(this);
  for (const item of items ?? []) item.abort(this.reason);
}
