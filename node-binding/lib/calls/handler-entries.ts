import type { EventHandler, TaskHandler } from '../options/types.js';
import { isThenable } from '../values/thenable.js';
import type { Entry } from './entry.js';

/** What runs a task of the options. */
export function taskEntry(id: string, handler: TaskHandler): Entry {
  return { kind: 'task', id, run: handler, streams: true };
}

/** What runs the handlers of an event, one after another; the result is the payload, which they may have changed in place. */
export function eventEntry(id: string, handlers: readonly EventHandler[]): Entry {
  return { kind: 'event', id, run: inOrder(handlers) };
}

function inOrder(list: readonly EventHandler[]): Entry['run'] {
  return (payload, context) => {
    for (let index = 0; index < list.length; index++) {
      const outcome = list[index]!(payload, context);
      // Only a promise costs a turn of the microtask queue.
      if (isThenable(outcome)) return finish(list, index + 1, outcome, payload, context);
    }
    return payload;
  };
}

async function finish(list: readonly EventHandler[], next: number, pending: unknown, payload: unknown, context: Parameters<EventHandler>[1]): Promise<unknown> {
  await pending;
  for (let index = next; index < list.length; index++) await list[index]!(payload, context);
  return payload;
}
