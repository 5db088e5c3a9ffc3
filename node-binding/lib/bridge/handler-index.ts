import type { Entry } from '../calls/entry.js';
import { HANDLERS_SETTLE_MS } from '../facts/facts.generated.js';
import type { NativeHandler } from '../native/addon.js';

/** Stands for a handler that was let go. */
const RETIRED: Entry = {
  kind: 'task',
  id: '(removed)',
  run: () => {
    throw new Error('the handler of this call was removed while the call waited');
  },
};

/** Which handler a call means: calls carry a number, which native code gives to one handler only, and never again. */
export class HandlerIndex {
  readonly #entries = new Map<number, Entry>();
  /** Removed handlers that a call on its way may still name, oldest first. */
  readonly #retired: { readonly number: number; readonly sinceMs: number }[] = [];
  /** By kind and id: the handlers of the moment. */
  #published = new Map<string, number>();

  /** The handler of a call. */
  get(number: number): Entry {
    return this.#entries.get(number) ?? RETIRED;
  }

  /** As native code wants them: with the number that an entry has, where nothing has changed. */
  offer(entries: readonly Entry[]): NativeHandler[] {
    return entries.map((entry) => {
      const known = this.#published.get(keyOf(entry));
      const handler = { event: entry.kind === 'event', id: entry.id };
      return known !== undefined && this.#entries.get(known) === entry ? { ...handler, number: known } : handler;
    });
  }

  /** These are in force, by these numbers. */
  publish(entries: readonly Entry[], numbers: readonly number[]): void {
    const published = new Map<string, number>();
    for (const [place, entry] of entries.entries()) {
      const number = numbers[place]!;
      this.#entries.set(number, entry);
      published.set(keyOf(entry), number);
    }
    this.#retire(published);
    this.#published = published;
  }

  /** Lets go of handlers that were removed so long ago that no call names them any more. */
  #retire(published: ReadonlyMap<string, number>): void {
    const now = performance.now();
    for (const [key, number] of this.#published) if (published.get(key) !== number) this.#retired.push({ number, sinceMs: now });
    const kept = this.#retired.findIndex(({ sinceMs }) => now - sinceMs < HANDLERS_SETTLE_MS);
    for (const { number } of this.#retired.splice(0, kept < 0 ? this.#retired.length : kept)) this.#entries.delete(number);
  }
}

function keyOf({ kind, id }: Entry): string {
  return `${kind}:${id}`;
}
