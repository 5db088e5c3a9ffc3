import type { Serializer } from '../options/types.js';
import { depthOfJson, MAX_RESULT_DEPTH, mustHaveJson, revivePlain, scanPlain, UNDEFINED_RECORD } from './values.js';

/** How results become JSON text, and how marked bodies (those that may hold typed values) become values. */
export interface ValueCodec {
  /** true: marked bodies arrive as text and go through `parse`. false: they arrive parsed and go through `revive`. */
  readonly exact: boolean;
  /** A whole text: an exact codec's marked bodies, any codec's manifests. Throws on bad text; the caller answers 400. */
  parse(text: string): unknown;
  /** Undefined records become `undefined`; keys that could reach a prototype are dropped. May change its argument. */
  revive(value: unknown): unknown;
  /**
   * May this result be written by a plain `JSON.stringify` inside a batch? Cheap: it gives up early.
   * Runs getters and Proxy traps of the result, which may throw: the caller catches and takes that for a no.
   */
  isPlain(result: unknown): boolean;
  /** One result alone, the careful way. Throws when it cannot be written. */
  stringify(result: unknown): string;
}

/** Beyond these a result is looked at alone: a batch should not wait for the walk through a large one. */
const BATCH_NODES = 512;
const BATCH_DEPTH = 32;

/** Beyond this a replacer per member is cheaper than to look through everything twice. */
const CAREFUL_NODES = 1_000_000;

/** Plain JSON in which `undefined` survives. */
export const plainCodec: ValueCodec = Object.freeze({
  exact: false,
  parse(text: string): unknown {
    return revivePlain(JSON.parse(text));
  },
  revive: revivePlain,
  isPlain(result: unknown): boolean {
    return scanPlain(result, BATCH_NODES, BATCH_DEPTH) === 'plain';
  },
  stringify(result: unknown): string {
    if (scanPlain(result, CAREFUL_NODES, MAX_RESULT_DEPTH) === 'plain') return JSON.stringify(result);
    if (result === undefined) return JSON.stringify(UNDEFINED_RECORD);
    const text: string | undefined = JSON.stringify(result, recordUndefined);
    if (text === undefined) throw new TypeError(`a result of type ${typeof result} has no JSON form`);
    // Looked for only where there is something to find.
    if (text.includes('{}')) JSON.stringify(result, refuseLost);
    if (depthOfJson(text) > MAX_RESULT_DEPTH) throw new RangeError(`a result nests deeper than ${MAX_RESULT_DEPTH} levels`);
    return text;
  },
});

function recordUndefined(_key: string, value: unknown): unknown {
  return value === undefined ? UNDEFINED_RECORD : value;
}

/** Says nothing; throws for a value that has become `{}` and should not have. */
function refuseLost(_key: string, value: unknown): unknown {
  if (typeof value === 'object' && value !== null) mustHaveJson(value);
  return value;
}

/** The serializer does both directions. */
export function serializerCodec(serializer: Serializer): ValueCodec {
  return Object.freeze({
    exact: true,
    parse(text: string): unknown {
      return serializer.parse(text);
    },
    revive(value: unknown): unknown {
      return serializer.parse(JSON.stringify(value));
    },
    isPlain(): boolean {
      // Only the serializer knows what it does to a value.
      return false;
    },
    stringify(result: unknown): string {
      const text: unknown = serializer.stringify(result);
      if (typeof text !== 'string') throw new TypeError(`serializer.stringify returned ${typeof text}, not a string`);
      // The second separates texts on their way to the engine; no JSON text holds it.
      if (text === '' || text.includes('\0')) throw new TypeError('serializer.stringify returned a string that is not JSON');
      return text;
    },
  });
}

export function codecOf(serializer: Serializer | undefined): ValueCodec {
  return serializer === undefined ? plainCodec : serializerCodec(serializer);
}
