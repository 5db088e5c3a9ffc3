import { channel } from 'node:diagnostics_channel';
import { CallError } from '../errors/client-errors.js';
import type { ClientCallTrace } from '../trace/client-trace.js';
import { microseconds } from './histogram.js';
import { End } from './ledger.js';
import type { Ledger } from './ledger.js';
import type { Pace } from './pace.js';
import { unwatch, watch } from './signals.js';

/** How the body of an event ends whose payload is wanted back. */
export const RETURN_PAYLOAD = ',"returnPayload":true}';

/** What a call is sent on. */
export interface Carrier {
  /** Of the server, where the call was given to a connection. */
  readonly url?: string;
  /** The call has ended before its answer came. */
  abandon(): void;
}

/** What is published when a call is made, and when it has ended. */
const STARTS = channel('fasttunnel.client.start');
const ENDS = channel('fasttunnel.client.end');
const ENDINGS = ['result', 'error', 'failed', 'timedOut', 'aborted'] as const satisfies Record<End, string>;

/** Where a call stands. */
export const enum Stage {
  /** Nothing of it was sent. */
  Waiting,
  /** It was given to the system. */
  Sent,
  /** It has its end. */
  Over,
}

/** What all calls of one task or event have in common. */
export interface Target {
  /** For errors: `task "app.tasks.add"`. */
  readonly what: string;
  readonly kind: 'task' | 'event' | 'probe';
  readonly id: string;
  readonly method: 'POST' | 'GET';
  /** Behind the base path. */
  readonly path: string;
  readonly pace: Pace;
  /** What its requests begin with on connections that have the lines of `beginsWith` in common. */
  begin: string;
  beginsWith: string;
}

/** One call, from the moment that it is made until it ends: with a result or an error, once. */
export class Call {
  readonly target: Target;
  readonly requestId: string;
  readonly body: string;
  readonly bodyBytes: number;
  /** From when it was made, 0: for ever. */
  readonly timeoutMs: number;
  /** Further header lines, each with its CRLF. */
  lines = '';
  /** They stand for those of the client as well. */
  replaces = false;
  idempotent = false;
  stage = Stage.Waiting;
  /** It was sent, and waits for another attempt. */
  wasSent = false;
  /** On the clock of `performance.now()`. */
  deadline = Infinity;
  /** When it was made, or was to be sent again, in microseconds as what follows. */
  madeAtUs = 0;
  #sentAtUs = 0;
  /** Times that it was sent, or that no server could be reached for it. */
  attempts = 0;
  carrier: Carrier | undefined;
  /** Where somebody listens to it. */
  trace: ClientCallTrace | undefined;
  /** As it was when the call was sent: nothing goes behind it. */
  slow = false;
  readonly #ledger: Ledger;
  readonly #resolve: (value: unknown) => void;
  readonly #reject: (error: unknown) => void;
  #signal: AbortSignal | undefined;

  constructor(target: Target, requestId: string, body: string, timeoutMs: number, ledger: Ledger, resolve: (value: unknown) => void, reject: (error: unknown) => void) {
    this.target = target;
    this.requestId = requestId;
    this.body = body;
    this.bodyBytes = Buffer.byteLength(body);
    this.timeoutMs = timeoutMs;
    this.#ledger = ledger;
    this.#resolve = resolve;
    this.#reject = reject;
    ledger.begin();
    if (STARTS.hasSubscribers) STARTS.publish({ kind: target.kind, id: target.id, requestId });
  }

  /** It was given to a connection. */
  send(carrier: Carrier, nowUs: number): void {
    this.stage = Stage.Sent;
    this.carrier = carrier;
    this.#sentAtUs = nowUs;
    if (this.trace !== undefined) this.trace.url = carrier.url;
    this.#ledger.queue.note((nowUs - this.madeAtUs) | 0);
  }

  /** Its answer was read. */
  receive(nowUs: number): void {
    this.carrier = undefined;
    this.#ledger.answer.note((nowUs - this.#sentAtUs) | 0);
  }

  /** Ends the call when the signal aborts, which it has not yet. */
  watch(signal: AbortSignal): void {
    this.#signal = signal;
    watch(signal, this);
  }

  /** By its signal. */
  abort(reason: unknown): void {
    if (this.#end(End.Aborted, reason)) this.#reject(reason);
  }

  succeed(value: unknown): void {
    if (this.#end(End.Result)) this.#resolve(value);
  }

  /** The server has answered with an error. */
  refuse(error: Error): void {
    if (this.#end(End.Error, error)) this.#reject(error);
  }

  /** There is no answer, and there will be none. */
  fail(error: Error): void {
    if (this.#end(End.Failed, error)) this.#reject(error);
  }

  /** An event whose payload is wanted back. */
  get wantsPayload(): boolean {
    return this.target.kind === 'event' && this.body.endsWith(RETURN_PAYLOAD);
  }

  /** Its handler may have run. */
  get maybeRan(): boolean {
    return this.wasSent || this.stage === Stage.Sent;
  }

  timeOut(url: string): void {
    const sent = this.maybeRan;
    const error = new CallError('FASTTUNNEL_TIMEOUT', sent, `${this.target.what} has no answer from ${url} after ${this.timeoutMs} ms (timeoutMs). ${sent ? 'It was sent: its handler may have run.' : 'It was not sent.'}`);
    if (this.#end(End.TimedOut, error)) this.#reject(error);
  }

  /** False: it had its end before. */
  #end(how: End, error?: unknown): boolean {
    if (this.stage === Stage.Over) return false;
    this.stage = Stage.Over;
    this.#ledger.end(how);
    if (this.#signal !== undefined) {
      unwatch(this.#signal, this);
      this.#signal = undefined;
    }
    const { carrier } = this;
    this.carrier = undefined;
    if (carrier !== undefined) carrier.abandon();
    if (ENDS.hasSubscribers) ENDS.publish({ kind: this.target.kind, id: this.target.id, requestId: this.requestId, end: ENDINGS[how], error, ms: ((microseconds(performance.now()) - this.madeAtUs) | 0) / 1000, attempts: this.attempts });
    return true;
  }
}
