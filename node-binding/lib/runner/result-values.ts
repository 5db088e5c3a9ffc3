import type { SerializerLike } from '@bluelibs/runner';
import type { ValueCodec } from '../values/codec.js';
import type { Runner } from './runtime.js';

/** A custom type of the app's, as the serializer keeps it. */
interface TypeDefinition {
  readonly id: string;
  readonly is: (value: unknown) => boolean;
}

/** Deeper or larger results are left to the serializer as they are. */
const MAX_DEPTH = 32;
const MAX_MEMBERS = 20_000;

/** Marks a copy in which everything is plain. */
const PROVED = Symbol('fasttunnel.plain');
type Copy = { [PROVED]?: true };

const ENVELOPE = '{"ok":true,"result":';

/**
 * The app's own serializer, and a way around it for results that are plain JSON.
 *
 * To be written by a bare `JSON.stringify`, a result must come out of the serializer's tree writer as the same text
 * (CONTRACT 11.1). Nothing can be proved about an object that runs code when it is read, so {@link settle} reads every
 * member once, as the writer would, into a copy of plain containers. What it has seen is what is written: by
 * `JSON.stringify` when all of it was plain, else by the serializer.
 */
export class ResultValues implements ValueCodec {
  readonly exact = true;
  readonly #serializer: SerializerLike;
  /** The serializer is Runner's, unchanged, and writes compact text. */
  readonly #known: boolean;
  readonly #types: CustomTypes;
  #special = false;
  #members = 0;

  constructor(serializer: SerializerLike, runner: Runner) {
    this.#serializer = serializer;
    this.#known = writesPlainJson(serializer, runner);
    this.#types = new CustomTypes(serializer, runner);
  }

  parse(text: string): unknown {
    return this.#serializer.parse(text);
  }

  revive(value: unknown): unknown {
    return this.#serializer.parse(JSON.stringify(value));
  }

  /** The result in the form in which it is answered: itself, or a copy that no code of the app's can change. */
  settle(result: unknown): unknown {
    if (typeof result !== 'object' || result === null || !this.#known || !this.#types.readable) return result;
    this.#special = false;
    this.#members = MAX_MEMBERS;
    this.#types.look();
    try {
      const copy = this.#copyOf(result, 1);
      // JSON.stringify does not see it, and nobody else has the copy.
      if (!this.#special && !inheritsToJson()) (copy as Copy)[PROVED] = true;
      return copy;
    } catch {
      // A getter or a trap has thrown: the serializer will meet it as well, and its error counts.
      return result;
    }
  }

  isPlain(result: unknown): boolean {
    if (!this.#known) return false;
    switch (typeof result) {
      case 'string':
      case 'boolean':
        return true;
      case 'number':
        return Number.isFinite(result);
      case 'object':
        return result === null || (result as Copy)[PROVED] === true;
      default:
        return false;
    }
  }

  stringify(result: unknown): string {
    // Inside of the envelope, because its level counts for the depth that the serializer allows.
    const text: unknown = this.#serializer.stringify({ ok: true, result });
    if (typeof text === 'string' && text.startsWith(ENVELOPE)) return text.slice(ENVELOPE.length, -1);
    const alone: unknown = this.#serializer.stringify(result);
    if (typeof alone !== 'string') throw new TypeError(`serializer.stringify returned ${typeof alone}, not a string`);
    return alone;
  }

  #copyOf(container: object, depth: number): object {
    if (depth > MAX_DEPTH) return this.#leave(container);
    if (Array.isArray(container)) return this.#copyOfArray(container, depth);
    const prototype: unknown = Object.getPrototypeOf(container);
    if ((prototype !== Object.prototype && prototype !== null) || this.#types.match(container)) return this.#leave(container);
    const copy = { ...container } as Record<string, unknown>;
    for (const key of Object.keys(copy)) {
      if (isReserved(key)) this.#special = true;
      const member = copy[key];
      if (typeof member === 'object' && member !== null) copy[key] = this.#member(member, depth);
      else this.#scalar(member);
    }
    return copy;
  }

  #copyOfArray(list: readonly unknown[], depth: number): object {
    const { length } = list;
    if (length > this.#members) return this.#leave(list);
    const copy: unknown[] = [];
    for (let index = 0; index < length; index++) {
      const member = list[index];
      if (typeof member === 'object' && member !== null) copy.push(this.#member(member, depth));
      else {
        this.#scalar(member);
        copy.push(member);
      }
    }
    return copy;
  }

  #member(member: object, depth: number): object {
    if (--this.#members < 0) return this.#leave(member);
    return this.#copyOf(member, depth + 1);
  }

  #scalar(member: unknown): void {
    this.#members -= 1;
    switch (typeof member) {
      case 'string':
      case 'boolean':
        return;
      case 'number':
        if (!Number.isFinite(member)) this.#special = true;
        return;
      default:
        if (member !== null) this.#special = true;
    }
  }

  /** Not for us: the serializer gets it as it is. */
  #leave(container: object): object {
    this.#special = true;
    return container;
  }
}

/** Keys that the tree writer leaves out or escapes. */
function isReserved(key: string): boolean {
  switch (key.charCodeAt(0)) {
    case 0x5f: // _
      return key === '__proto__' || key === '__type' || key === '__graph';
    case 0x63: // c
      return key === 'constructor';
    case 0x70: // p
      return key === 'prototype';
    case 0x24: // $
      return key.startsWith('$runner.escape::');
    default:
      return false;
  }
}

/** `JSON.stringify` would call it, the serializer never does. An own `toJSON` that can be called is special as any function. */
function inheritsToJson(): boolean {
  return 'toJSON' in Object.prototype || 'toJSON' in Array.prototype;
}

/** Asked by trying it: a deep value, every kind of scalar, and the members' order. */
function writesPlainJson(serializer: SerializerLike, runner: Runner): boolean {
  if (Object.getPrototypeOf(serializer) !== runner.Serializer.prototype || Object.hasOwn(serializer, 'stringify')) return false;
  let deep: unknown = 0;
  for (let level = 0; level < MAX_DEPTH; level++) deep = [deep];
  const sample = { ok: true, result: [deep, { b: null, a: false, 1: 'text', n: -0.5 }] };
  try {
    return serializer.stringify(sample) === JSON.stringify(sample);
  } catch {
    return false;
  }
}

/** The types that an app has added to its serializer: they may claim any object that is not an array. */
class CustomTypes {
  /** False when the serializer does not say which types it has. */
  readonly readable: boolean;
  readonly #registry: { getTypeList(): readonly TypeDefinition[] } | undefined;
  readonly #builtIns: number;
  #seen: readonly TypeDefinition[] | undefined;
  #added: readonly TypeDefinition[] = [];

  constructor(serializer: SerializerLike, runner: Runner) {
    this.#registry = registryOf(serializer);
    this.#builtIns = registryOf(new runner.Serializer())?.getTypeList().length ?? 0;
    this.readable = this.#registry !== undefined;
    this.look();
  }

  /** Types may be added at any time; the serializer makes a new list then. */
  look(): void {
    const list = this.#registry?.getTypeList();
    if (list === undefined || list === this.#seen) return;
    this.#seen = list;
    this.#added = list.slice(this.#builtIns);
  }

  match(value: object): boolean {
    for (const type of this.#added) {
      try {
        if (type.is(value)) return true;
      } catch {
        // The serializer takes that for a no.
      }
    }
    return false;
  }
}

function registryOf(serializer: object): { getTypeList(): readonly TypeDefinition[] } | undefined {
  const registry = (serializer as { typeRegistry?: { getTypeList?: () => unknown } }).typeRegistry;
  if (typeof registry?.getTypeList !== 'function' || !Array.isArray(registry.getTypeList())) return undefined;
  return registry as { getTypeList(): readonly TypeDefinition[] };
}
