import type { SerializerLike } from '@bluelibs/runner';
import type { ValueCodec } from '../values/codec.js';
import { ResultValues } from './result-values.js';
import { definingRunner } from './runtime.js';

/** What may mean something to the serializer in a text of JSON: records, graphs, escaped keys and those that reach a prototype. */
const MARKS = /__|\$runner|constructor|prototype|\\u/;

/** Inputs and results of a client by Runner's serializer, and by bare JSON where that comes to the same. */
export class ClientValues implements ValueCodec {
  readonly exact = true;
  readonly #values: ResultValues;
  readonly #known: boolean;

  constructor(serializer: SerializerLike) {
    this.#values = new ResultValues(serializer, definingRunner());
    this.#known = this.#values.isPlain('');
  }

  parse(text: string): unknown {
    return this.#known && !MARKS.test(text) ? JSON.parse(text) : this.#values.parse(text);
  }

  revive(value: unknown): unknown {
    return this.#values.revive(value);
  }

  isPlain(value: unknown): boolean {
    return this.#values.isPlain(value);
  }

  stringify(value: unknown): string {
    const settled = this.#values.settle(value);
    return this.#values.isPlain(settled) ? JSON.stringify(settled) : this.#values.stringify(settled);
  }
}
