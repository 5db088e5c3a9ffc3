import type { Call } from '../calls/call.js';
import { HEAD_REFUSED } from '../calls/outcome.js';
import type { RawAnswer } from '../calls/outcome.js';
import { INTERNAL_ERROR as INTERNAL_ERROR_ANSWER } from '../errors/task-error.js';
import type { ErrorAnswer } from '../errors/task-error.js';
import { DONE, INTERNAL_ERROR, INVALID_JSON, PER_ANSWER, RESULT } from '../facts/facts.generated.js';
import type { NativeTunnel } from '../native/addon.js';
import type { ValueCodec } from '../values/codec.js';

/** Told of results that cannot be written: their callers get a 500, the application may want to know why. */
export type OnUnwritable = (error: unknown, call: Call) => void;

/** Between texts. JSON has no such character, so that a text which is no JSON spoils no other. */
const SEPARATOR = '\0';

/** A string beyond this is written alone: together they could be longer than a string can be. */
const MAX_VALUE_CHARS = 65_536;
/** All strings that are written together have at most so many characters. */
const MAX_VALUES_CHARS = 16 * 1024 * 1024;
/** Characters of texts in one native call, unless a single one has more. What is left goes in the next. */
const MAX_PORTION_CHARS = 64 * 1024 * 1024;
/** As long as V8's strings can be, less what stands around a text. */
const MAX_TEXT_CHARS = 2 ** 29 - 24 - 64;

/**
 * The answers of one turn, on their way to one native call: rows of ticket and outcome, and the texts that some of them
 * need, in the order of those rows: a JSON array with the primitive results, then the others, one by one.
 *
 * Primitives are written by one `JSON.stringify` for all. Anything else is written when its call settles: it may be an
 * object that the application goes on changing, in the next call of the same batch for example.
 */
export class AnswerBatch {
  /** What {@link take} has put together: ticket and outcome, {@link count} times. Written again by the next one. */
  rows = new Uint32Array(256 * PER_ANSWER);
  count = 0;
  readonly #codec: ValueCodec;
  readonly #onUnwritable: OnUnwritable;
  #values: unknown[] = [];
  #valuesChars = 0;
  /** Whose `#values` are. */
  #valueCalls: Call[] = [];
  #texts: string[] = [];
  #textCalls: Call[] = [];
  #textOutcomes: number[] = [];
  readonly #bareCalls: Call[] = [];
  readonly #bareOutcomes: number[] = [];
  /** Answers that native code has already, and that leave with the next call to it. */
  #given = false;

  constructor(codec: ValueCodec, onUnwritable: OnUnwritable) {
    this.#codec = codec;
    this.#onUnwritable = onUnwritable;
  }

  /** True when there is nothing to send. */
  get empty(): boolean {
    return !this.#given && this.#valueCalls.length === 0 && this.#textCalls.length === 0 && this.#bareCalls.length === 0;
  }

  /** 200 with a result. */
  result(call: Call, result: unknown): void {
    if (this.#joinsOthers(result)) {
      this.#values.push(result);
      this.#valueCalls.push(call);
    } else {
      this.#write(call, result);
    }
  }

  /** 200 without a result. */
  done(call: Call): void {
    this.#bare(call, DONE);
  }

  /** 400: the serializer refused the body. */
  invalidJson(call: Call): void {
    this.#bare(call, INVALID_JSON);
  }

  /** An error in words. */
  failed(call: Call, answer: ErrorAnswer): void {
    if (answer === INTERNAL_ERROR_ANSWER) this.#bare(call, INTERNAL_ERROR);
    else this.#text(call, answer.status, answer.body);
  }

  /** A whole answer. Never throws: what cannot be handed over is a 500. */
  raw(call: Call, answer: RawAnswer, native: NativeTunnel): void {
    try {
      const { status, headers, body, own, reason = '' } = answer;
      const lines = headers.flatMap(([name, value]) => [name, value]);
      if (!native.raw(call.ticket, status, reason, lines, bytesOf(body), Boolean(own.cors), Boolean(own.security))) throw new TypeError(HEAD_REFUSED);
      this.#given = true;
      call.end();
    } catch (error) {
      this.#bare(call, INTERNAL_ERROR);
      this.#onUnwritable(error, call);
    }
  }

  /** Native code has been given an answer that leaves with the next call to it. */
  given(): void {
    this.#given = true;
  }

  /**
   * Puts everything into {@link rows} and {@link count}, and returns the texts; begins anew. Unless it is too much for
   * one string: then it is not {@link empty} afterwards, and has to be taken again.
   */
  take(): string {
    this.#given = false;
    let text = this.#valuesText();
    const texts = this.#texts;
    let taken = 0;
    let chars = this.#valueCalls.length === 0 ? 0 : text.length;
    while (taken < texts.length && (chars === 0 || chars + texts[taken]!.length <= MAX_PORTION_CHARS)) {
      chars += texts[taken]!.length + 1;
      taken += 1;
    }
    const rest = taken === texts.length ? undefined : { texts: texts.splice(taken), calls: this.#textCalls.splice(taken), outcomes: this.#textOutcomes.splice(taken) };
    if (taken > 0) text += SEPARATOR + texts.join(SEPARATOR);

    this.count = 0;
    const needed = (this.#valueCalls.length + taken + this.#bareCalls.length) * PER_ANSWER;
    if (this.rows.length < needed) this.rows = new Uint32Array(needed * 2);
    for (const call of this.#valueCalls) this.#row(call, RESULT);
    for (const [index, call] of this.#textCalls.entries()) this.#row(call, this.#textOutcomes[index]!);
    for (const [index, call] of this.#bareCalls.entries()) this.#row(call, this.#bareOutcomes[index]!);

    this.#values.length = this.#valueCalls.length = this.#valuesChars = 0;
    this.#bareCalls.length = this.#bareOutcomes.length = 0;
    this.#texts = rest?.texts ?? [];
    this.#textCalls = rest?.calls ?? [];
    this.#textOutcomes = rest?.outcomes ?? [];
    return text;
  }

  /** The primitives, as one JSON array. */
  #valuesText(): string {
    if (this.#valueCalls.length === 0) return '[]';
    try {
      return JSON.stringify(this.#values);
    } catch {
      // Somebody has given strings or numbers a `toJSON` that throws.
      const [values, calls] = [this.#values, this.#valueCalls];
      this.#values = [];
      this.#valueCalls = [];
      for (const [index, call] of calls.entries()) this.#write(call, values[index]);
      return '[]';
    }
  }

  /** Is it a primitive that may be written together with others? */
  #joinsOthers(result: unknown): boolean {
    if (typeof result === 'object' && result !== null) return false;
    if (typeof result === 'string') {
      if (result.length > MAX_VALUE_CHARS || this.#valuesChars + result.length > MAX_VALUES_CHARS) return false;
      this.#valuesChars += result.length;
    }
    return this.#isPlain(result);
  }

  #isPlain(result: unknown): boolean {
    try {
      return this.#codec.isPlain(result);
    } catch {
      return false;
    }
  }

  /** One result, alone and with care. */
  #write(call: Call, result: unknown): void {
    try {
      // A codec that is not exact looks through the result itself: once is enough.
      const text: string | undefined = this.#codec.exact && this.#isPlain(result) ? JSON.stringify(result) : this.#codec.stringify(result);
      if (text === undefined) throw new TypeError('the result has no JSON form');
      if (text.length > MAX_TEXT_CHARS) throw new RangeError(`the result is longer than ${MAX_TEXT_CHARS} characters`);
      this.#text(call, RESULT, text);
    } catch (error) {
      this.#bare(call, INTERNAL_ERROR);
      this.#onUnwritable(error, call);
    }
  }

  #text(call: Call, outcome: number, text: string): void {
    this.#textCalls.push(call);
    this.#textOutcomes.push(outcome);
    this.#texts.push(text);
  }

  #bare(call: Call, outcome: number): void {
    this.#bareCalls.push(call);
    this.#bareOutcomes.push(outcome);
  }

  #row(call: Call, outcome: number): void {
    const at = this.count * PER_ANSWER;
    this.rows[at] = call.ticket;
    this.rows[at + 1] = outcome;
    this.count += 1;
    call.end();
  }
}

/** A body as bytes that nobody else writes to while native code copies them. */
function bytesOf(body: Uint8Array | string): Uint8Array {
  if (typeof body === 'string') return Buffer.from(body, 'utf8');
  return body.buffer instanceof SharedArrayBuffer ? Buffer.from(body) : body;
}
