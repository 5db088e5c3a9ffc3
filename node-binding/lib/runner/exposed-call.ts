import type { Call } from '../calls/call.js';
import { CallFailure } from '../calls/outcome.js';
import type { RawAnswer, StreamAnswer } from '../calls/outcome.js';
import { INTERNAL_ERROR } from '../errors/task-error.js';
import { connectionReset } from '../streams/body.js';
import type { Failures } from './failures.js';
import { TunnelRequest } from './request.js';
import { TunnelResponse } from './response.js';
import type { Runner } from './runtime.js';

type ExposureContext = ReturnType<Runner['useExposureContext']>;

/** What all calls of an exposure share. */
export interface ExposedScope {
  readonly runner: Runner;
  readonly basePath: string;
  readonly failures: Failures;
}

/** One task call: what `useExposureContext()` of that call gives, made when it is asked for. */
export class ExposedCall {
  readonly #call: Call;
  readonly #scope: ExposedScope;
  #context: ExposureContext | undefined;
  #headers: Record<string, string | string[]> | undefined;
  #request: TunnelRequest | undefined;
  #response: TunnelResponse | undefined;
  #controller: AbortController | undefined;

  private constructor(call: Call, scope: ExposedScope) {
    this.#call = call;
    this.#scope = scope;
  }

  /** That of a call; from the first time on the call has it. */
  static of(call: Call, scope: ExposedScope): ExposedCall {
    return (call.attachment ??= new ExposedCall(call, scope)) as ExposedCall;
  }

  /** The response of a call, if its task has asked for it. */
  static responseOf(call: Call): TunnelResponse | undefined {
    const exposed = call.attachment as ExposedCall | undefined;
    return exposed === undefined ? undefined : exposed.#response;
  }

  get context(): ExposureContext {
    return (this.#context ??= this.#makeContext());
  }

  #makeContext(): ExposureContext {
    const self = this;
    const { basePath } = this.#scope;
    let url: URL | undefined;
    const context = {
      get req() {
        return self.#requestOf();
      },
      get res() {
        return self.#responseOf();
      },
      get url() {
        // Never the Host header: it is the caller's word.
        return (url ??= new URL(self.#call.url || '/', 'http://localhost'));
      },
      basePath,
      get headers() {
        return self.#headersOf();
      },
      method: this.#call.method,
      get signal() {
        return self.#signalOf();
      },
    };
    return context as unknown as ExposureContext;
  }

  #headersOf(): Record<string, string | string[]> {
    const { body } = this.#call;
    if (body instanceof TunnelRequest) return body.headers;
    // Typed as possibly missing, for those who look a name up; a name that is there has a value.
    return (this.#headers ??= { ...this.#call.headers } as Record<string, string | string[]>);
  }

  #requestOf(): TunnelRequest {
    const { body } = this.#call;
    // It hears of its client by itself.
    if (body instanceof TunnelRequest) return body;
    if (this.#request === undefined) {
      const request = new TunnelRequest(this.#call, this.#headersOf());
      this.#request = request;
      this.#whenGone(() => request.abandon(connectionReset()));
    }
    return this.#request;
  }

  #responseOf(): TunnelResponse {
    if (this.#response === undefined) {
      const response = new TunnelResponse(this.#requestOf(), this.#call.requestId, (answer) => this.#answered(answer));
      this.#response = response;
      response.once('close', () => this.#closed(response.errored));
      this.#whenGone(() => response.destroy());
    }
    return this.#response;
  }

  /** The task has answered by itself. Not at once: it may go on to read what of the call is there until its answer. */
  #answered(answer: RawAnswer | StreamAnswer): void {
    queueMicrotask(() => this.#call.settlement?.settle(this.#call, answer));
  }

  /** The response is closed; without an answer, if that is first. */
  #closed(error: Error | null): void {
    const call = this.#call;
    if (error !== null) call.note(() => this.#scope.failures.log(error, 'task', call.requestId));
    queueMicrotask(() => call.settlement?.fail(call, new CallFailure(INTERNAL_ERROR.status, INTERNAL_ERROR.body)));
  }

  /** Aborts with Runner's cancellation error when the client has gone; not after an answer (CONTRACT 18, D9). */
  #signalOf(): AbortSignal {
    if (this.#controller === undefined) {
      const controller = new AbortController();
      this.#controller = controller;
      this.#whenGone(() => controller.abort(this.#scope.runner.cancellationError.new({ reason: 'Client Closed Request' })));
    }
    return this.#controller.signal;
  }

  #whenGone(listener: () => void): void {
    const { signal } = this.#call;
    if (signal.aborted) listener();
    else signal.addEventListener('abort', listener, { once: true });
  }
}
