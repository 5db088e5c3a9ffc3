import { Call, ClientClosedError } from '../calls/call.js';
import type { Settlement } from '../calls/call.js';
import type { Entry, OnError } from '../calls/entry.js';
import { answerOfResult, discardResult } from '../calls/fetch-response.js';
import { answerOfFailure, CallFailure, DONE, LATER, RawAnswer, StreamAnswer } from '../calls/outcome.js';
import { discardStream } from '../calls/stream-result.js';
import { errorAnswerOf, INTERNAL_ERROR, TaskError } from '../errors/task-error.js';
import { FLAG_ASK, FLAG_EMPTY, FLAG_EVENT, FLAG_INPUT, FLAG_MARKED, FLAG_MULTIPART, FLAG_STREAM, FLAG_TEXT, HEADER, PER_CALL } from '../facts/facts.generated.js';
import type { FileRules } from '../forms/file-rules.js';
import { MultipartCall } from '../forms/multipart-call.js';
import type { NativeTunnel } from '../native/addon.js';
import type { ValueCodec } from '../values/codec.js';
import { CALLS, CallTrace } from '../trace/call-trace.js';
import { isThenable } from '../values/thenable.js';
import { inputOf, payloadOf, returnPayload } from '../values/values.js';
import type { AnswerBatch } from './answer-batch.js';
import { Streams } from './call-streams.js';
import type { HandlerIndex } from './handler-index.js';
import type { Asks } from './hooks.js';

/** What the bridge does for its calls. */
export interface CallsHost {
  readonly native: NativeTunnel;
  readonly table: Uint32Array;
  readonly codec: ValueCodec;
  readonly handlers: HandlerIndex;
  readonly answers: AnswerBatch;
  readonly asks: Asks;
  readonly onError: OnError;
  readonly files: FileRules;
  /** Something is to be sent when this turn is over. */
  askFlush(): void;
}

/** What of a handler's result is answered: nothing, its value, or the bytes of the stream that it may be. */
type Wanted = typeof NOTHING | typeof VALUE | typeof STREAM;
const NOTHING = 0;
const VALUE = 1;
const STREAM = 2;

/** A drain whose calls take longer than this together is interrupted: the application's own events get their turn. */
const MAX_RUN_MS = 5;
/** The clock is looked at once in so many calls. */
const CALLS_PER_LOOK = 8;

/** Runs calls, from the drain that brought them to their answers. */
export class Calls {
  /** Pieces of bodies and answers. */
  readonly streams: Streams;
  readonly #host: CallsHost;
  readonly #native: NativeTunnel;
  readonly #table: Uint32Array;
  readonly #codec: ValueCodec;
  readonly #handlers: HandlerIndex;
  readonly #answers: AnswerBatch;
  readonly #asks: Asks;
  /** By ticket: calls whose handler has not settled. */
  readonly #pending: (Call | undefined)[] = [];
  /** What is left of a drain that was interrupted. */
  #rest: { readonly values: readonly unknown[]; readonly from: number } | undefined;
  /** For entries that answer by themselves. */
  readonly #settlement: Settlement = {
    settle: (call, answer) => this.#settle(call, answer, VALUE),
    fail: (call, error) => this.#fail(call, error),
  };

  constructor(host: CallsHost) {
    this.#host = host;
    this.#native = host.native;
    this.#table = host.table;
    this.#codec = host.codec;
    this.#handlers = host.handlers;
    this.#answers = host.answers;
    this.#asks = host.asks;
    this.streams = new Streams(host.native, host.table, {
      given: () => {
        this.#answers.given();
        host.askFlush();
      },
      fail: (call, error) => {
        this.#answerFailure(call, error);
        host.askFlush();
      },
      report: (error, call) => this.report(error, call),
    });
  }

  /** Whoever still works does so for nobody. */
  abandon(): void {
    const pending = [...this.#pending];
    this.#pending.length = 0;
    this.#rest = undefined;
    this.streams.close();
    for (const call of pending) {
      call?.abort();
      call?.trace?.failed(undefined, new ClientClosedError());
      call?.trace?.ended();
    }
  }

  /** The clients of these have gone. */
  leave(tickets: Uint32Array): void {
    for (const ticket of tickets) {
      const call = this.#pending[ticket];
      try {
        this.streams.leave(ticket);
        if (call === undefined) this.#asks.leave(ticket);
        else call.abort();
      } catch (error) {
        if (call !== undefined) this.report(error, call);
      }
    }
  }

  /** Runs the calls of a drain, or some of them: see {@link interrupted}. */
  run(text: string, count: number): void {
    const values = this.#parse(text);
    if (values === undefined) return this.#failAll(count);
    this.#runFrom(values, 0, count);
  }

  /** Some calls of the last drain wait for {@link runOn}: until they have run there may be no other drain. */
  get interrupted(): boolean {
    return this.#rest !== undefined;
  }

  runOn(): void {
    const rest = this.#rest;
    this.#rest = undefined;
    if (rest !== undefined) this.#runFrom(rest.values, rest.from, rest.values.length);
  }

  #runFrom(values: readonly unknown[], from: number, count: number): void {
    // The table is written again by the next drain, which a handler cannot start: it runs in a microtask at the earliest.
    const table = this.#table;
    const traced = CALLS.wanted;
    const endMs = count - from > CALLS_PER_LOOK ? performance.now() + MAX_RUN_MS : Infinity;
    for (let index = from, at = HEADER + from * PER_CALL; index < count; index += 1, at += PER_CALL) {
      if ((index - from) % CALLS_PER_LOOK === CALLS_PER_LOOK - 1 && performance.now() > endMs) {
        this.#rest = { values, from: index };
        break;
      }
      this.#start(table[at]!, table[at + 1]!, table[at + 2]!, values[index], traced);
    }
    this.#host.askFlush();
  }

  /** The engine has checked every text; should one slip through, it must not take the process along. */
  #parse(text: string): unknown[] | undefined {
    try {
      return JSON.parse(text) as unknown[];
    } catch {
      return undefined;
    }
  }

  #failAll(count: number): void {
    for (let at = HEADER; at < HEADER + count * PER_CALL; at += PER_CALL) {
      if ((this.#table[at + 2]! & FLAG_ASK) !== 0) {
        this.#asks.ask(this.#table[at]!, this.#table[at + 2]!);
        continue;
      }
      const { kind, id } = this.#handlers.get(this.#table[at + 1]!);
      this.#answers.failed(new Call(kind, id, this.#table[at]!, this.#native), INTERNAL_ERROR);
    }
    this.#host.askFlush();
  }

  #start(ticket: number, handler: number, flags: number, value: unknown, traced: boolean): void {
    if ((flags & FLAG_ASK) !== 0) return this.#asks.ask(ticket, flags);
    const entry = this.#handlers.get(handler);
    const call = new Call(entry.kind, entry.id, ticket, this.#native, this.#settlement);
    if (traced) this.#beginTraced(call, entry, flags, value);
    else this.#begin(call, entry, flags, value);
  }

  /** With somebody who listens. */
  #beginTraced(call: Call, entry: Entry, flags: number, value: unknown): void {
    const trace = new CallTrace(call);
    call.trace = trace;
    CALLS.start(trace, () => call.moveHere());
    this.#begin(call, entry, flags, value);
    trace.returned();
  }

  #begin(call: Call, entry: Entry, flags: number, value: unknown): void {
    const { ticket } = call;
    if ((flags & FLAG_MULTIPART) !== 0) return this.#startForm(call, entry, value as number);
    let payload: unknown;
    let wanted: Wanted = entry.streams === true ? STREAM : VALUE;
    try {
      let body = value;
      if (flags !== 0) {
        if ((flags & FLAG_STREAM) !== 0) this.streams.receive(call, value as number, entry.makeBody);
        if ((flags & FLAG_EMPTY) !== 0) body = undefined;
        else if ((flags & FLAG_TEXT) !== 0) body = this.#codec.parse(value as string);
        else if ((flags & FLAG_MARKED) !== 0) body = this.#codec.revive(value);
      }
      if (entry.raw === true) {
        payload = (flags & FLAG_INPUT) === 0 ? body : { input: body };
      } else if ((flags & FLAG_INPUT) !== 0) {
        payload = body;
      } else if ((flags & FLAG_EVENT) !== 0) {
        payload = payloadOf(body);
        if (!returnPayload(body)) wanted = NOTHING;
      } else {
        payload = inputOf(body);
      }
    } catch (error) {
      // The engine has checked the syntax; the serializer refuses the meaning.
      call.trace?.failed(400, error);
      this.#answers.invalidJson(call);
      call.trace?.concluded();
      return;
    }
    try {
      const result = call.run(entry.run, payload);
      if (isThenable(result)) {
        this.#pending[ticket] = call;
        // A thenable of the application's own may settle twice, or with another thenable.
        const promise = result instanceof Promise ? (result as Promise<unknown>) : Promise.resolve(result);
        const { conclusion } = entry;
        if (conclusion === undefined) {
          promise.then(
            (settled) => this.#settle(call, settled, wanted),
            (error: unknown) => this.#fail(call, error),
          );
        } else {
          promise.then(
            (settled) => this.#conclude(call, () => conclusion.result(settled, call)),
            (error: unknown) => this.#conclude(call, () => conclusion.failure(error, call)),
          );
        }
      } else {
        this.#finish(call, result, wanted);
      }
    } catch (error) {
      this.#pending[ticket] = call;
      this.#fail(call, error);
    }
  }

  /** A call that starts when the manifest of its form has come, and is answered when all of it has. */
  #startForm(call: Call, entry: Entry, windowBytes: number): void {
    const wanted = entry.streams === true ? STREAM : VALUE;
    this.#pending[call.ticket] = call;
    this.streams.receiveForm(call, windowBytes, (port) => {
      return new MultipartCall(call, entry, this.#codec, this.#host.files, port, (input) => outcomeOf(call, entry, input), (outcome) => {
        if ('result' in outcome) this.#settle(call, outcome.result, wanted);
        else this.#fail(call, outcome.error);
      });
    });
  }

  #settle(call: Call, result: unknown, wanted: Wanted): void {
    const { ticket } = call;
    // A thenable may settle twice; the ticket may name another call by then.
    if (this.#pending[ticket] !== call) return wanted === STREAM ? discardResult(result) : discardStream(result);
    this.#pending[ticket] = undefined;
    this.#finish(call, result, wanted);
    this.#host.askFlush();
  }

  /** Settles a call with what its entry makes of the handler's outcome. */
  #conclude(call: Call, conclude: () => unknown): void {
    let answer: unknown;
    try {
      answer = conclude();
    } catch (error) {
      return this.#fail(call, error);
    }
    if (answer !== LATER) this.#settle(call, answer, VALUE);
  }

  #finish(call: Call, result: unknown, wanted: Wanted): void {
    const { trace } = call;
    if (trace === undefined) return this.#give(call, result, wanted);
    trace.succeeded(200, result);
    this.#give(call, result, wanted);
    trace.concluded();
  }

  #give(call: Call, result: unknown, wanted: Wanted): void {
    if ((typeof result === 'object' || typeof result === 'function') && result !== null && this.#finishWhole(call, result, wanted)) return;
    if (wanted !== NOTHING && result !== DONE) this.#answers.result(call, result);
    else this.#answers.done(call);
  }

  /** Results that are answers by themselves; false for any other. */
  #finishWhole(call: Call, result: object, wanted: Wanted): boolean {
    if (RawAnswer.is(result)) {
      call.trace?.succeeded(result.status, result);
      this.#answers.raw(call, result, this.#native);
      return true;
    }
    if (StreamAnswer.is(result)) {
      this.#stream(call, result, result);
      return true;
    }
    if (wanted !== STREAM) return false;
    try {
      const answer = answerOfResult(result);
      if (answer !== undefined) this.#stream(call, answer, result);
      return answer !== undefined;
    } catch (error) {
      this.#answerFailure(call, error);
      return true;
    }
  }

  #stream(call: Call, answer: StreamAnswer, result: unknown): void {
    call.trace?.succeeded(answer.status, result);
    call.trace?.streams();
    this.streams.send(call, answer);
  }

  #fail(call: Call, error: unknown): void {
    const { ticket } = call;
    if (this.#pending[ticket] !== call) return;
    this.#pending[ticket] = undefined;
    this.#answerFailure(call, error);
    this.#host.askFlush();
  }

  #answerFailure(call: Call, error: unknown): void {
    if (CallFailure.is(error)) {
      const answer = answerOfFailure(error);
      call.trace?.failed(answer.status, error.cause ?? error);
      this.#answers.raw(call, answer, this.#native);
      call.trace?.ended();
      return;
    }
    const answer = errorAnswerOf(error, this.#codec.stringify);
    call.trace?.failed(answer.status, error);
    // A task error is for the caller to see; one that cannot be written (a cycle in its `data`) nobody would see.
    if (answer === INTERNAL_ERROR || !isTaskError(error)) this.report(error, call);
    this.#answers.failed(call, answer);
    call.trace?.ended();
  }

  /** A result could not be written: its caller gets a 500. */
  unwritable(error: unknown, call: Call): void {
    call.trace?.failed(500, error);
    this.report(error, call);
  }

  /** Tells the application of an error that its caller does not see. */
  report(error: unknown, call: Call): void {
    call.within(() => this.#host.onError(error, { kind: call.kind, id: call.id, requestId: call.requestId }));
  }
}

/** Runs a call whose outcome waits for its form, also where the entry answers by itself. */
function outcomeOf(call: Call, entry: Entry, input: unknown): unknown {
  const { conclusion } = entry;
  if (conclusion === undefined) return call.run(entry.run, input);
  return new Promise((resolve, reject) => {
    call.settlement = { settle: (_call, answer) => resolve(answer), fail: (_call, error) => reject(error) };
    const settle = (answer: unknown): void => {
      if (answer !== LATER) resolve(answer);
    };
    Promise.resolve(call.run(entry.run, input))
      .then(
        (result) => conclusion.result(result, call),
        (error: unknown) => conclusion.failure(error, call),
      )
      .then(settle, reject);
  });
}

/** Never throws: what was thrown may be a Proxy. */
function isTaskError(error: unknown): boolean {
  try {
    return TaskError.is(error);
  } catch {
    return false;
  }
}
