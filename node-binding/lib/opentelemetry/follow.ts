import type { Context } from '@opentelemetry/api';
import { context, diag } from '@opentelemetry/api';
import { AsyncLocalStorage } from 'node:async_hooks';
import { channel } from 'node:diagnostics_channel';

/** What follows the work of a tracing channel. Nothing of it throws into the work. */
export interface Follower<Message> {
  /** The work begins. Returns the context that it runs in. */
  begin(message: Message): Context;
  /** It has ended. */
  finish(message: Message): void;
}

/** The context manager of the SDK, as a store that a channel can be bound to. */
class ContextStore extends AsyncLocalStorage<Context> {
  override run<Result>(store: Context, code: (...given: any[]) => Result, ...given: any[]): Result {
    return context.with(store, code, undefined, ...given);
  }
}

/** Subscribes to the tracing channel of this name. Returns what ends that. */
export function follow<Message extends { readonly settled: boolean }>(name: string, follower: Follower<Message>): () => void {
  const [start, end, asyncEnd] = ['start', 'end', 'asyncEnd'].map((event) => channel(`tracing:${name}:${event}`)) as [Channel, Channel, Channel];
  const store = new ContextStore();
  /** Work whose end has not come. */
  const open = new WeakSet<object>();
  // What a channel's subscriber throws ends the process.
  const transform = (message: unknown): Context => {
    open.add(message as Message);
    try {
      return follower.begin(message as Message);
    } catch (error) {
      diag.error(`${name}: no span was begun`, error);
      return context.active();
    }
  };
  const conclude = (message: unknown): void => {
    if (!open.delete(message as Message)) return;
    try {
      follower.finish(message as Message);
    } catch (error) {
      diag.error(`${name}: a span was not ended`, error);
    }
  };
  const onEnd = (message: unknown): void => {
    if ((message as Message).settled) conclude(message);
  };
  start.bindStore(store, transform);
  end.subscribe(onEnd);
  asyncEnd.subscribe(conclude);
  return () => {
    start.unbindStore(store);
    end.unsubscribe(onEnd);
    asyncEnd.unsubscribe(conclude);
  };
}

type Channel = ReturnType<typeof channel>;
