// The handlers of `serve`, which may be exchanged while calls come: an id that stays is never without a handler.
import type { EventHandler, TaskHandler } from '../options/types.js';
import type { TunnelServer } from '../tunnel/server.js';
import type { Exposed } from './exports.js';

export class ServedHandlers {
  readonly #server: TunnelServer;
  // Handlers of ids that have gone stay: calls of them may have come before that.
  readonly #tasks = new Map<string, TaskHandler>();
  readonly #events = new Map<string, readonly EventHandler[]>();

  constructor(server: TunnelServer) {
    this.#server = server;
  }

  /** Puts these in force, instead of those from before. Calls that run go on with theirs. */
  set({ tasks, events }: Exposed): { added: string[]; removed: string[] } {
    for (const [id, handler] of tasks) this.#tasks.set(id, handler);
    for (const [id, handlers] of events) this.#events.set(id, handlers);
    const [oldTasks, oldEvents] = [this.#server.getTaskIds(), this.#server.getEventIds()];
    const newTasks = [...tasks.keys()].filter((id) => !oldTasks.includes(id));
    const newEvents = [...events.keys()].filter((id) => !oldEvents.includes(id));
    for (const id of newTasks) this.#addTask(id);
    for (const id of newEvents) this.#addEvent(id);
    const goneTasks = oldTasks.filter((id) => !tasks.has(id));
    const goneEvents = oldEvents.filter((id) => !events.has(id));
    for (const id of goneTasks) this.#server.unregisterTask(id);
    for (const id of goneEvents) this.#server.unregisterEvent(id);
    return { added: [...newTasks, ...newEvents], removed: [...goneTasks, ...goneEvents] };
  }

  #addTask(id: string): void {
    this.#server.registerTask(id, (input: unknown, context) => this.#tasks.get(id)!(input, context));
  }

  #addEvent(id: string): void {
    this.#server.registerEvent(id, async (payload: unknown, context) => {
      for (const handler of this.#events.get(id)!) await handler(payload, context);
    });
  }
}
