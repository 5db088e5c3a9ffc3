// Which functions of a module are exposed, and by which ids.
import { isPlainObject } from '../options/checks.js';
import type { EventHandler, TaskHandler } from '../options/types.js';
import { CommandError } from './command.js';

export interface Exposed {
  readonly tasks: ReadonlyMap<string, TaskHandler>;
  /** Several run in their order. */
  readonly events: ReadonlyMap<string, readonly EventHandler[]>;
}

type Func = (...args: any[]) => unknown;

/** What loaders of CommonJS add to the exports. */
const ADDED = new Set(['default', 'module.exports', '__esModule']);

/** The tasks and events among a module's exports. Throws a CommandError when there are none. */
export function exposedOf(namespace: Readonly<Record<string, unknown>>, file: string): Exposed {
  const members = membersOf(namespace, file);
  const events = new Map<string, EventHandler[]>();
  const ofEvents = members.get('events');
  if (isPlainObject(ofEvents)) {
    members.delete('events');
    collect('', ofEvents, events, asHandlers, true, `${file}: events`);
  }
  const tasks = new Map<string, TaskHandler>();
  const ofTasks = members.get('tasks');
  if (isPlainObject(ofTasks)) collect('', ofTasks, tasks, asFunction, true, `${file}: tasks`);
  else collect('', Object.fromEntries(members), tasks, asFunction, false, file);

  if (tasks.size === 0 && events.size === 0) {
    const names = [...members.keys()];
    const found = names.length === 0 ? 'It exports nothing' : `It exports ${names.join(', ')}, none of which is a function or has one`;
    throw new CommandError(`${file} exports no function. ${found}. Write for example: export const add = ({ a, b }) => a + b;`);
  }
  return { tasks, events };
}

/** The exports by their names; a default export that is an object stands for its members, as `module.exports` does. */
function membersOf(namespace: Readonly<Record<string, unknown>>, file: string): Map<string, unknown> {
  const members = new Map(Object.entries(namespace).filter(([name]) => !ADDED.has(name)));
  const { default: whole } = namespace;
  if (typeof whole === 'function') members.set('default', whole);
  if (!isPlainObject(whole)) return members;
  for (const [name, value] of Object.entries(whole)) {
    if (name === '__esModule') continue;
    if (members.has(name) && members.get(name) !== value) throw new CommandError(`${file} exports ${name} twice: by name, and in its default export. Rename one of them.`);
    members.set(name, value);
  }
  return members;
}

/** Adds what `accept` takes, and goes into plain objects; `strict`: what is neither is an error. */
function collect<Handler>(prefix: string, object: object, found: Map<string, Handler>, accept: (value: unknown, owner: object) => Handler | undefined, strict: boolean, where: string, above: readonly object[] = []): void {
  for (const [name, value] of Object.entries(object)) {
    const id = `${prefix}${name}`;
    const handler = accept(value, object);
    if (handler !== undefined) {
      if (found.has(id)) throw new CommandError(`${where} has two functions with the id ${id}. Rename one of them.`);
      found.set(id, handler);
    } else if (isPlainObject(value)) {
      // An object that holds itself would never end.
      const around = [...above, object];
      if (!around.includes(value)) collect(`${id}.`, value, found, accept, strict, where, around);
    } else if (strict) {
      throw new CommandError(`${where}: ${id} is no function.`);
    }
  }
}

/** A function that may be called. It keeps the object that it was found in as its `this`. */
function asFunction(value: unknown, owner: object): TaskHandler | undefined {
  // Of a class only `new` makes anything.
  return typeof value === 'function' && !/^class\b/.test(Function.prototype.toString.call(value)) ? ((value as Func).bind(owner) as TaskHandler) : undefined;
}

function asHandlers(value: unknown, owner: object): EventHandler[] | undefined {
  const list = (Array.isArray(value) ? value : [value]).map((one: unknown) => asFunction(one, owner));
  return list.length > 0 && list.every((one): one is EventHandler => one !== undefined) ? list : undefined;
}
