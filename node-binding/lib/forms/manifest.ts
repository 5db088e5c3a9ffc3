import type { InputFileMeta } from '../files/input-file.js';
import { isPlainObject } from '../options/checks.js';
import type { ValueCodec } from '../values/codec.js';
import { depthOfValues } from '../values/values.js';

/** Stands in a manifest where the input holds a file. */
export interface FileSentinel {
  readonly $runnerFile: 'File';
  readonly id: string;
  readonly meta?: Partial<InputFileMeta> | null | undefined;
}

/** What a manifest says: `missing` when it is empty or no object. Throws where it cannot be parsed, or has a value inside `maxDepth` containers. */
export function readManifest(bytes: Buffer, codec: ValueCodec, maxDepth: number): { readonly input: unknown } | 'missing' {
  const text = bytes.toString('utf8');
  if (text === '') return 'missing';
  if (depthOfValues(text) >= maxDepth) throw new RangeError(`a manifest has a value inside ${maxDepth} levels of others`);
  const manifest = codec.parse(text);
  if (typeof manifest !== 'object' || manifest === null) return 'missing';
  return { input: (manifest as { input?: unknown }).input };
}

/**
 * Puts files in the place of their sentinels: in plain objects and arrays, and in Maps and Sets. Anything else that the
 * serializer has made stays what it is. Changes the value in place: it is fresh from the parser and nobody else has it.
 *
 * Iterative, because it may be deep, and remembers where it was, because it may have cycles.
 */
export function hydrate(input: unknown, fileOf: (sentinel: FileSentinel) => unknown): unknown {
  if (isSentinel(input)) return fileOf(input);
  const seen = new Set<object>();
  const open: object[] = [];
  const visit = (value: unknown): unknown => {
    if (typeof value !== 'object' || value === null) return value;
    if (isSentinel(value)) return fileOf(value);
    if (!seen.has(value) && isContainer(value)) {
      seen.add(value);
      open.push(value);
    }
    return value;
  };
  visit(input);
  for (let container = open.pop(); container !== undefined; container = open.pop()) {
    if (container instanceof Map) hydrateMap(container, visit);
    else if (container instanceof Set) hydrateSet(container, visit);
    else hydrateMembers(container as Record<string, unknown>, visit);
  }
  return input;
}

type Visit = (value: unknown) => unknown;

function hydrateMembers(container: Record<string, unknown>, visit: Visit): void {
  for (const key of Object.keys(container)) {
    const value = container[key];
    const hydrated = visit(value);
    // Not by assignment, which would take an own key `__proto__` for the prototype.
    if (hydrated !== value) Reflect.defineProperty(container, key, { value: hydrated, writable: true, enumerable: true, configurable: true });
  }
}

/** Only a Map that holds a sentinel is filled anew, in the same order. */
function hydrateMap(map: Map<unknown, unknown>, visit: Visit): void {
  const entries = Array.from(map, ([key, value]) => [key, value, visit(key), visit(value)] as const);
  if (!entries.some(([key, value, newKey, newValue]) => key !== newKey || value !== newValue)) return;
  map.clear();
  for (const [, , key, value] of entries) map.set(key, value);
}

function hydrateSet(set: Set<unknown>, visit: Visit): void {
  const members = Array.from(set, (value) => [value, visit(value)] as const);
  if (!members.some(([value, hydrated]) => value !== hydrated)) return;
  set.clear();
  for (const [, value] of members) set.add(value);
}

function isSentinel(value: unknown): value is FileSentinel {
  return isPlainObject(value) && Object.hasOwn(value, '$runnerFile') && value['$runnerFile'] === 'File' && Object.hasOwn(value, 'id') && typeof value['id'] === 'string';
}

function isContainer(value: object): boolean {
  return Array.isArray(value) || value instanceof Map || value instanceof Set || isPlainObject(value);
}
