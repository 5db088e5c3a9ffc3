import { channel } from 'node:diagnostics_channel';

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

  /** The work begins: `begin` runs with the stores that are bound to the channel. */
  start<Result>(message: Message, begin: () => Result): Result {
    if (typeof this.#start.runStores === 'function') return this.#start.runStores(message, begin);
    this.#start.publish(message);
    return begin();
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
