// One call by fetch: until its answer, its time is over, or it is aborted, and again where that is safe.
import { backoffMs, retryAfterMs } from '../client/backoff.js';
import type { RetryBudget } from '../client/backoff.js';
import type { CheckedCall } from '../client/call-options.js';
import { End } from '../client/ledger.js';
import type { Ledger } from '../client/ledger.js';
import { isUnread, mayRepeat, MOST_REST_MS, MOST_RETRY_MS, RETRY_MS } from '../client/repeat.js';
import { CallError, RemoteError } from '../errors/client-errors.js';

/** What is to be sent. */
export interface FetchCall extends CheckedCall {
  /** For errors: `task "app.tasks.rows"`. */
  readonly what: string;
  readonly url: string;
  readonly init: RequestInit;
  /** Calls with streams or files are sent once. */
  readonly once: boolean;
}

export class Exchange {
  readonly #call: FetchCall;
  readonly #ledger: Ledger;
  readonly #over: (exchange: Exchange) => void;
  readonly #controller = new AbortController();
  readonly #onAbort = (): void => this.#controller.abort(this.#call.signal!.reason);
  readonly #deadline: number;
  readonly #timer: ReturnType<typeof setTimeout> | undefined;
  /** The last attempt may have reached the handler. */
  #maybeRan = false;
  #isOver = false;

  constructor(call: FetchCall, ledger: Ledger, over: (exchange: Exchange) => void) {
    const { what, url, timeoutMs, signal } = call;
    this.#call = call;
    this.#ledger = ledger;
    this.#over = over;
    this.#deadline = timeoutMs === 0 ? Infinity : performance.now() + timeoutMs;
    this.#timer = timeoutMs === 0 ? undefined : setTimeout(() => {
      const sent = this.#maybeRan ? 'It was sent: its handler may have run.' : 'Its handler has not run.';
      this.#controller.abort(new CallError('FASTTUNNEL_TIMEOUT', this.#maybeRan, `${what} has no answer of ${url} after ${timeoutMs} ms (timeoutMs). ${sent}`));
    }, timeoutMs);
    signal?.addEventListener('abort', this.#onAbort, { once: true });
    ledger.begin();
  }

  /** What `read` makes of the answer. Whoever keeps the answer calls `end` when it is over. */
  async run<Result>(read: (response: Response) => Promise<Result>, retries: number, budget: RetryBudget): Promise<Result> {
    budget.earn();
    for (let attempts = 1; ; attempts += 1) {
      let retryAfter: string | null = null;
      try {
        this.#maybeRan = true;
        const response = await fetch(this.#call.url, { ...this.#call.init, signal: this.#controller.signal });
        retryAfter = response.headers.get('retry-after');
        return await read(response);
      } catch (caught) {
        const error = this.errorOf(caught);
        const ms = (retryAfterMs(retryAfter ?? undefined) ?? 0) + backoffMs(attempts, RETRY_MS, MOST_RETRY_MS);
        const again = !this.#controller.signal.aborted && attempts <= retries && this.#mayRepeat(error) && ms <= MOST_REST_MS && performance.now() + ms <= this.#deadline && budget.spend();
        if (!again) {
          this.fail(error);
          throw error;
        }
        this.#ledger.retries += 1;
        this.#maybeRan = !(error instanceof RemoteError && isUnread(error));
        await this.#rest(ms);
      }
    }
  }

  /** Time counts no longer: the answer has begun. */
  begun(): void {
    clearTimeout(this.#timer);
  }

  /** What the caller learns instead of what fetch says. */
  errorOf(caught: unknown): unknown {
    if (this.#controller.signal.aborted) return this.#controller.signal.reason;
    if (!(caught instanceof TypeError)) return caught;
    const { what, url } = this.#call;
    return new CallError('FASTTUNNEL_CONNECTION_LOST', true, `${what} has no answer of ${url}: ${caught.message}. fetch does not tell whether it was sent. Is the server running, does its \`cors\` allow this page, with these headers, and does it redirect nowhere?`, { cause: caught });
  }

  fail(error: unknown): void {
    if (error instanceof CallError) this.end(error.code === 'FASTTUNNEL_TIMEOUT' ? End.TimedOut : End.Failed);
    else this.end(this.#call.signal?.aborted === true ? End.Aborted : End.Error);
  }

  end(how: End): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#call.signal?.removeEventListener('abort', this.#onAbort);
    this.#ledger.end(how);
    this.#over(this);
  }

  /** Ends the call with an error. */
  abort(error: (what: string, maybeRan: boolean) => CallError): void {
    this.#controller.abort(error(this.#call.what, this.#maybeRan));
  }

  #mayRepeat(error: unknown): boolean {
    if (this.#call.once) return false;
    return error instanceof RemoteError ? mayRepeat(error, this.#call.idempotent) : error instanceof CallError && this.#call.idempotent;
  }

  /** Resolves after a while, or as soon as the call is to end. */
  #rest(ms: number): Promise<void> {
    const { signal } = this.#controller;
    return new Promise((resolve) => {
      const timer = setTimeout(done, ms);
      signal.addEventListener('abort', done, { once: true });
      function done(): void {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        resolve();
      }
    });
  }
}
