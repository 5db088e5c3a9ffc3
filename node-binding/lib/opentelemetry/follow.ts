import type { Context } from '@opentelemetry/api';
import { context, diag } from '@opentelemetry/api';
import { channel } from 'node:diagnostics_channel';
import { runWithin } from '../trace/channel.js';

/** What follows the work of a tracing channel. Nothing of it throws into the work. */
export interface Follower<Message> {
  /** The work begins. Returns the context that it runs in. */
  begin(message: Message): Context;
  /** It has ended. */
  finish(message: Message): void;
}

/** Subscribes to the tracing channel of this name. Returns what ends that: work that has begun is followed to its end. */
export function follow<Message extends { readonly settled: boolean }>(name: string, follower: Follower<Message>): () => void {
  const [start, end, asyncEnd] = ['start', 'end', 'asyncEnd'].map((event) => channel(`tracing:${name}:${event}`)) as [Channel, Channel, Channel];
  /** Work whose end has not come, and how much of it there is. */
  const open = new WeakSet<object>();
  let opened = 0;
  let over = false;
  // What a channel's subscriber throws ends the process.
  const onStart = (message: unknown): void => {
    open.add(message as Message);
    opened += 1;
    try {
      const inside = follower.begin(message as Message);
      runWithin(message as Message, (code) => context.with(inside, code));
    } catch (error) {
      diag.error(`${name}: no span was begun`, error);
    }
  };
  const conclude = (message: unknown): void => {
    if (!open.delete(message as Message)) return;
    opened -= 1;
    try {
      follower.finish(message as Message);
    } catch (error) {
      diag.error(`${name}: a span was not ended`, error);
    }
    // Not while the channel goes through its subscribers.
    if (over && opened === 0) queueMicrotask(leave);
  };
  const onEnd = (message: unknown): void => {
    if ((message as Message).settled) conclude(message);
  };
  const leave = (): void => {
    end.unsubscribe(onEnd);
    asyncEnd.unsubscribe(conclude);
  };
  start.subscribe(onStart);
  end.subscribe(onEnd);
  asyncEnd.subscribe(conclude);
  return () => {
    if (over) return;
    over = true;
    start.unsubscribe(onStart);
    if (opened === 0) leave();
  };
}

type Channel = ReturnType<typeof channel>;
