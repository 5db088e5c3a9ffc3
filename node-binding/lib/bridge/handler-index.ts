import type { Entry } from '../calls/entry.js';
import type { NativeHandler } from '../native/addon.js';

/** Calls wait no longer for JavaScript than this, unless something blocks it; then they get a 500. */
const RETIRE_MS = 10_000;

/** Stands for a handler that was let go. */
const RETIRED: Entry = {
  kind: 'task',
  id: '(removed)',
  run: () => {
    throw new Error('the handler of this call was removed while the call waited');
  },
};

/** Which handler a call means: calls carry an index, which is given to one handler only. */
export class HandlerIndex {
  /** By the index that calls carry. An index is never used again: a call may be on its way to a removed handler. */
  readonly #entries = new Map<number, Entry>();
  #nextIndex = 0;
  /** Removed handlers that a call on its way may still name, oldest first. */
  readonly #retired: { readonly index: number; readonly sinceMs: number }[] = [];
  #published = new Map<string, number>();

  /** The handler of a call. */
  get(index: number): Entry {
    return this.#entries.get(index) ?? RETIRED;
  }

  /** Gives every entry its index: the old one where nothing has changed. */
  publish(entries: readonly Entry[]): NativeHandler[] {
    const published = new Map<string, number>();
    const handlers = entries.map((entry): NativeHandler => {
      const key = `${entry.kind}:${entry.id}`;
      const known = this.#published.get(key);
      const same = known !== undefined && this.#entries.get(known) === entry;
      const index = same ? known : this.#nextIndex++;
      if (!same) this.#entries.set(index, entry);
      published.set(key, index);
      return { event: entry.kind === 'event', id: entry.id, index };
    });
    this.#retire(published);
    this.#published = published;
    return handlers;
  }

  /** Lets go of handlers that were removed so long ago that no call names them any more. */
  #retire(published: ReadonlyMap<string, number>): void {
    const now = performance.now();
    for (const [key, index] of this.#published) if (published.get(key) !== index) this.#retired.push({ index, sinceMs: now });
    const kept = this.#retired.findIndex(({ sinceMs }) => now - sinceMs < RETIRE_MS);
    for (const { index } of this.#retired.splice(0, kept < 0 ? this.#retired.length : kept)) this.#entries.delete(index);
  }
}
