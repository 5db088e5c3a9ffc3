import { channel } from 'node:diagnostics_channel';

/** Runs the work that a message tells of. */
type Within = (code: () => unknown) => unknown;
/** Where a message keeps it; the same in every copy of the package. */
const WITHIN = Symbol.for('fasttunnel.trace.within');

/**
 * Said of a message while `start` is published: its work runs within this. A store that is bound to a channel does not do that for
 * what is no store: how runtimes enter their stores is their own business.
 */
export function runWithin(message: object, within: Within): void {
  const told = message as { [WITHIN]?: Within };
  const outer = told[WITHIN];
  told[WITHIN] = outer === undefined ? within : (code) => outer(() => within(code));
}

/**
 * The five channels that `tracingChannel(name)` of `node:diagnostics_channel` gives its subscribers. They are looked up one by
 * one because not every runtime has tracing channels.
 */
export class TracedWork<Message extends object> {
  readonly #start;
  readonly #end;
  readonly #asyncStart;
  readonly #asyncEnd;
  readonly #error;

  constructor(name: string) {
    this.#start = channel(`tracing:${name}:start`);
    this.#end = channel(`tracing:${name}:end`);
    this.#asyncStart = channel(`tracing:${name}:asyncStart`);
    this.#asyncEnd = channel(`tracing:${name}:asyncEnd`);
    this.#error = channel(`tracing:${name}:error`);
  }

  /** Somebody listens. Otherwise there is nothing to build, and nothing to publish. */
  get wanted(): boolean {
    return this.#start.hasSubscribers || this.#asyncEnd.hasSubscribers || this.#end.hasSubscribers || this.#error.hasSubscribers || this.#asyncStart.hasSubscribers;
  }

  /** The work begins: `begin` runs with the stores that are bound to the channel, and within what subscribers have said. */
  start<Result>(message: Message, begin: () => Result): Result {
    const work = (): Result => {
      const within = (message as { [WITHIN]?: Within })[WITHIN];
      return within === undefined ? begin() : (within(begin) as Result);
    };
    // Subscribers are told before the work begins, here as there.
    if (typeof this.#start.runStores === 'function') return this.#start.runStores(message, work);
    this.#start.publish(message);
    return work();
  }

  /** Its synchronous part is over. */
  end(message: Message): void {
    this.#end.publish(message);
  }

  /** It has failed: `message.error` says by what. */
  error(message: Message): void {
    this.#error.publish(message);
  }

  /** The rest of it is over, too. */
  settle(message: Message): void {
    this.#asyncStart.publish(message);
    this.#asyncEnd.publish(message);
  }
}
