import { CallError } from '../errors/client-errors.js';
import { End } from './ledger.js';
import type { Ledger } from './ledger.js';
import type { Pace } from './pace.js';

/** What a call is sent on. */
export interface Carrier {
  /** The call has ended before its answer came. */
  abandon(): void;
}

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
  readonly method: 'POST' | 'GET';
  /** Behind the base path. */
  readonly path: string;
  readonly pace: Pace;
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
  idempotent = false;
  stage = Stage.Waiting;
  /** On the clock of `performance.now()`. */
  deadline = Infinity;
  /** Times that it was sent, or that no server could be reached for it. */
  attempts = 0;
  carrier: Carrier | undefined;
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
  }

  /** Ends the call when the signal aborts, which it has not yet. */
  watch(signal: AbortSignal): void {
    this.#signal = signal;
    signal.addEventListener('abort', this, { once: true });
  }

  /** The signal's event. */
  handleEvent(): void {
    const reason: unknown = this.#signal?.reason;
    if (this.#end(End.Aborted)) this.#reject(reason);
  }

  succeed(value: unknown): void {
    if (this.#end(End.Result)) this.#resolve(value);
  }

  /** The server has answered with an error. */
  refuse(error: Error): void {
    if (this.#end(End.Error)) this.#reject(error);
  }

  /** There is no answer, and there will be none. */
  fail(error: Error): void {
    if (this.#end(End.Failed)) this.#reject(error);
  }

  timeOut(url: string): void {
    const sent = this.stage === Stage.Sent;
    const error = new CallError('FASTTUNNEL_TIMEOUT', sent, `${this.target.what} has no answer of ${url} after ${this.timeoutMs} ms (timeoutMs). ${sent ? 'It was sent: its handler may have run.' : 'It was not sent.'}`);
    if (this.#end(End.TimedOut)) this.#reject(error);
  }

  /** False: it had its end before. */
  #end(how: End): boolean {
    if (this.stage === Stage.Over) return false;
    this.stage = Stage.Over;
    this.#ledger.end(how);
    if (this.#signal !== undefined) {
      this.#signal.removeEventListener('abort', this);
      this.#signal = undefined;
    }
    const { carrier } = this;
    this.carrier = undefined;
    if (carrier !== undefined) carrier.abandon();
    return true;
  }
}
