import type { SerializerLike, Store } from '@bluelibs/runner';
import type { Call } from '../calls/call.js';

const HEADER = 'x-runner-context';
/** Most callers send none; to see that costs a twentieth of parsing all of a call's headers. */
const SENT = /\r\nx-runner-context:/i;

type Run = () => Promise<unknown>;

/** Brings an app's async contexts to life that a caller has sent along (CONTRACT 17). */
export class AsyncContexts {
  readonly #store: Store;
  readonly #serializer: SerializerLike;

  constructor(store: Store, serializer: SerializerLike) {
    this.#store = store;
    this.#serializer = serializer;
  }

  /** `run` inside of the contexts that the call's header names. What cannot be read is left out in silence. */
  wrap(call: Call, run: Run): Run {
    const { asyncContexts } = this.#store;
    // Most apps have none, and then the header is not even looked for.
    if (asyncContexts.size === 0 || !SENT.test(call.head)) return run;
    const text = call.headers[HEADER];
    if (typeof text !== 'string' || text === '') return run;
    let wrapped = run;
    try {
      const sent = this.#serializer.parse<Record<string, unknown>>(text);
      for (const [id, context] of asyncContexts) {
        const raw = sent[id];
        if (typeof raw !== 'string') continue;
        try {
          const value = context.parse(raw) as unknown;
          const inner = wrapped;
          // Async, so that a value that fails the context's schema rejects.
          wrapped = async () => (await context.provide(value, inner)) as unknown;
        } catch {
          // This context alone cannot be read.
        }
      }
    } catch {
      // Not a map of contexts.
    }
    return wrapped;
  }
}
