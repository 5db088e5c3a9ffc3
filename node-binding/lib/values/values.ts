// The value rules of the contract that need no serializer: what of a parsed body is the input (section 10),
// the payload (15), and how `undefined` travels (11).

/** How `undefined` is written. */
export const UNDEFINED_RECORD: { readonly __type: 'Undefined'; readonly value: null } = Object.freeze({
  __type: 'Undefined',
  value: null,
});

/** Deepest nesting of a result, as the contract counts: the envelope is level 0, the result level 1, and 1000 is too deep. */
export const MAX_RESULT_DEPTH = 999;

const FORBIDDEN_KEYS = ['__proto__', 'constructor', 'prototype'] as const;

/** A task's input: the own key `input` of an object or array, otherwise the value itself. */
export function inputOf(value: unknown): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, 'input') ? (value as { input: unknown }).input : value;
}

/** An event's payload; `undefined` for everything that has none. */
export function payloadOf(value: unknown): unknown {
  return (value as { payload?: unknown } | null | undefined)?.payload;
}

/** Does an event's caller want the payload back? By truthiness: 1 and "false" count as yes. */
export function returnPayload(value: unknown): boolean {
  return Boolean((value as { returnPayload?: unknown } | null | undefined)?.returnPayload);
}

/**
 * Turns the records of `undefined` in a parsed body back into `undefined` and drops the keys that could reach a
 * prototype, at every level. Changes the value in place: it is fresh from `JSON.parse` and nobody else has it.
 *
 * Iterative, because a body may nest 1001 levels and the stack above us belongs to somebody else.
 */
export function revivePlain(root: unknown): unknown {
  if (typeof root !== 'object' || root === null) return root;
  if (isUndefinedRecord(root)) return undefined;
  const open: object[] = [root];
  for (let container = open.pop(); container !== undefined; container = open.pop()) {
    if (Array.isArray(container)) {
      for (let index = 0; index < container.length; index++) {
        const item: unknown = container[index];
        if (typeof item !== 'object' || item === null) continue;
        if (isUndefinedRecord(item)) container[index] = undefined;
        else open.push(item);
      }
      continue;
    }
    const fields = container as Record<string, unknown>;
    for (const key of FORBIDDEN_KEYS) if (Object.hasOwn(fields, key)) delete fields[key];
    for (const key of Object.keys(fields)) {
      const item = fields[key];
      if (typeof item !== 'object' || item === null) continue;
      if (isUndefinedRecord(item)) fields[key] = undefined;
      else open.push(item);
    }
  }
  return root;
}

function isUndefinedRecord(value: object): boolean {
  return (value as { __type?: unknown }).__type === 'Undefined' && Object.hasOwn(value, 'value') && !Array.isArray(value);
}

/** Objects of fetch that hold something and that JSON writes as `{}`, and what to return of them. */
const WITHOUT_JSON: ReadonlyMap<string, string> = new Map([
  ['Response', 'return it as the result itself, or what it holds: await response.json()'],
  ['Request', 'return what of it is wanted'],
  ['Headers', 'return Object.fromEntries(headers)'],
  ['URLSearchParams', 'return Object.fromEntries(params), or String(params)'],
  ['FormData', 'return Object.fromEntries(form)'],
  ['ReadableStream', 'a task may return it as the result itself, or as the member `stream` of it'],
  ['Blob', 'a task may return it as the result itself, or as the member `stream` of it'],
  ['File', 'a task may return it as the result itself, or as the member `stream` of it'],
]);

/** Throws for what would be written as `{}` though that is not what it holds, by mistake almost certainly. */
export function mustHaveJson(value: object): void {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === Array.prototype || prototype === null) return;
  const name = Object.prototype.toString.call(value).slice('[object '.length, -1);
  const fix = WITHOUT_JSON.get(name);
  if (fix !== undefined && Object.keys(value).length === 0) throw new TypeError(`a ${name} in a result has no JSON form, only {}: ${fix}`);
}

/** What {@link scanPlain} found. */
export type Scan = 'plain' | 'special' | 'unknown';

/**
 * Would `JSON.stringify` write this result as the contract wants it?
 *
 * - `plain`: yes, nothing in it is `undefined`, a bigint or has a `toJSON`.
 * - `special`: no, or not without calling the value's own code.
 * - `unknown`: the budget ran out first: it is larger than `maxNodes` or deeper than `maxDepth` (or a cycle).
 *
 * Reads properties, so getters and Proxies of the result run, and may throw: the caller contains that.
 */
export function scanPlain(result: unknown, maxNodes: number, maxDepth: number): Scan {
  switch (typeof result) {
    case 'string':
    case 'number':
    case 'boolean':
      return 'plain';
    case 'object':
      if (result === null) return 'plain';
      break;
    default:
      return 'special';
  }
  return scanObject(result, { nodes: maxNodes }, maxDepth);
}

function scanObject(container: object, budget: { nodes: number }, depth: number): Scan {
  if (depth === 0) return 'unknown';
  if ((container as { toJSON?: unknown }).toJSON !== undefined) return 'special';
  if (Array.isArray(container)) {
    for (let index = 0; index < container.length; index++) {
      const member: unknown = container[index];
      if (--budget.nodes < 0) return 'unknown';
      if (isPlainScalar(member)) continue;
      const found = scanMember(member, budget, depth);
      if (found !== 'plain') return found;
    }
    return 'plain';
  }
  const prototype: unknown = Object.getPrototypeOf(container);
  const inherits = prototype !== Object.prototype && prototype !== null;
  // Boxed primitives, Maps, typed arrays… have rules of their own; instances of ordinary classes do not.
  if (inherits && Object.prototype.toString.call(container) !== '[object Object]') return 'special';
  for (const key in container) {
    // Asked only where something may be inherited: it would be a quarter of the time for a large result.
    if (inherits && !Object.hasOwn(container, key)) continue;
    const member = (container as Record<string, unknown>)[key];
    if (--budget.nodes < 0) return 'unknown';
    if (isPlainScalar(member)) continue;
    const found = scanMember(member, budget, depth);
    if (found !== 'plain') return found;
  }
  return 'plain';
}

/** Comparisons, because a `switch` over `typeof` is not inlined. */
function isPlainScalar(member: unknown): boolean {
  return typeof member === 'string' || typeof member === 'number' || member === null || typeof member === 'boolean';
}

/** Of a member that is no plain scalar. */
function scanMember(member: unknown, budget: { nodes: number }, depth: number): Scan {
  switch (typeof member) {
    case 'object':
      return scanObject(member!, budget, depth - 1);
    case 'function':
    case 'symbol':
      // JSON.stringify leaves them out of objects and writes null in arrays, unless a function has a toJSON.
      return typeof member === 'function' && (member as { toJSON?: unknown }).toJSON !== undefined ? 'special' : 'plain';
    default:
      return 'special';
  }
}

/** How many containers are around the deepest value of JSON text. */
export function depthOfValues(text: string): number {
  let depth = 0;
  let deepest = 0;
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    if (unit === 0x5d || unit === 0x7d) depth--;
    // Whatever else can be seen is a value, a part of one, or follows one.
    else if (unit > 0x20) deepest = Math.max(deepest, depth);
    if (unit === 0x5b || unit === 0x7b) depth++;
    else if (unit === 0x22) {
      for (index++; index < text.length && text.charCodeAt(index) !== 0x22; index++) if (text.charCodeAt(index) === 0x5c) index++;
    }
  }
  return deepest;
}

/** Deepest nesting of containers in JSON text. */
export function depthOfJson(text: string): number {
  let depth = 0;
  let deepest = 0;
  let inString = false;
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    if (inString) {
      if (unit === 0x5c) index++;
      else if (unit === 0x22) inString = false;
    } else if (unit === 0x22) inString = true;
    else if (unit === 0x5b || unit === 0x7b) deepest = Math.max(deepest, ++depth);
    else if (unit === 0x5d || unit === 0x7d) depth--;
  }
  return deepest;
}
