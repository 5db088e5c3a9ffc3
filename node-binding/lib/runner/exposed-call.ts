import type { Call } from '../call.js';
import type { RawAnswer, StreamAnswer } from '../outcome.js';
import { connectionReset } from '../streams/body.js';
import { TunnelRequest } from './request.js';
import { TunnelResponse } from './response.js';
import type { Runner } from './runtime.js';

type ExposureContext = ReturnType<Runner['useExposureContext']>;

/** One task call: what `useExposureContext()` of that call gives, made when it is asked for. */
export class ExposedCall {
  readonly call: Call;
  readonly #runner: Runner;
  readonly #basePath: string;
  #context: ExposureContext | undefined;
  #headers: Record<string, string | string[]> | undefined;
  #request: TunnelRequest | undefined;
  #response: TunnelResponse | undefined;
  #controller: AbortController | undefined;
  #answered: ((answer: RawAnswer | StreamAnswer) => void) | undefined;
  #abandoned: ((error: Error | null) => void) | undefined;

  constructor(call: Call, runner: Runner, basePath: string) {
    this.call = call;
    this.#runner = runner;
    this.#basePath = basePath;
  }

  /** What stands in for the context until somebody looks at it. */
  get lazyContext(): ExposureContext {
    return new Proxy(this, UNTIL_ASKED) as unknown as ExposureContext;
  }

  /** The response, if the task has asked for it. */
  get response(): TunnelResponse | undefined {
    return this.#response;
  }

  /** Hears of an answer that the task makes by itself, and of a response that closes; without an answer, if that is first. */
  onResponse(answered: (answer: RawAnswer | StreamAnswer) => void, closed: (error: Error | null) => void): void {
    this.#answered = answered;
    this.#abandoned = closed;
  }

  get context(): ExposureContext {
    return (this.#context ??= this.#makeContext());
  }

  #makeContext(): ExposureContext {
    const self = this;
    const basePath = this.#basePath;
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
        return (url ??= new URL(self.call.url || '/', 'http://localhost'));
      },
      basePath,
      get headers() {
        return self.#headersOf();
      },
      method: this.call.method,
      get signal() {
        return self.#signalOf();
      },
    };
    return context as unknown as ExposureContext;
  }

  #headersOf(): Record<string, string | string[]> {
    const { body } = this.call;
    if (body instanceof TunnelRequest) return body.headers;
    // Typed as possibly missing, for those who look a name up; a name that is there has a value.
    return (this.#headers ??= { ...this.call.headers } as Record<string, string | string[]>);
  }

  #requestOf(): TunnelRequest {
    const { body } = this.call;
    // It hears of its client by itself.
    if (body instanceof TunnelRequest) return body;
    if (this.#request === undefined) {
      const request = new TunnelRequest(this.call, this.#headersOf());
      this.#request = request;
      this.#whenGone(() => request.abandon(connectionReset()));
    }
    return this.#request;
  }

  #responseOf(): TunnelResponse {
    if (this.#response === undefined) {
      const response = new TunnelResponse(this.#requestOf(), this.call.requestId, (answer) => this.#answered?.(answer));
      this.#response = response;
      response.once('close', () => this.#abandoned?.(response.errored));
      this.#whenGone(() => response.destroy());
    }
    return this.#response;
  }

  /** Aborts with Runner's cancellation error when the client has gone; not after an answer (CONTRACT 18, D9). */
  #signalOf(): AbortSignal {
    if (this.#controller === undefined) {
      const controller = new AbortController();
      this.#controller = controller;
      this.#whenGone(() => controller.abort(this.#runner.cancellationError.new({ reason: 'Client Closed Request' })));
    }
    return this.#controller.signal;
  }

  #whenGone(listener: () => void): void {
    const { signal } = this.call;
    if (signal.aborted) listener();
    else signal.addEventListener('abort', listener, { once: true });
  }
}

/** A context costs some microseconds; most tasks never ask, and a Proxy costs next to nothing. */
const UNTIL_ASKED: ProxyHandler<ExposedCall> = {
  get: (call, key) => Reflect.get(call.context, key) as unknown,
  has: (call, key) => Reflect.has(call.context, key),
  set: (call, key, value) => Reflect.set(call.context, key, value),
  ownKeys: (call) => Reflect.ownKeys(call.context),
  getOwnPropertyDescriptor: (call, key) => Reflect.getOwnPropertyDescriptor(call.context, key),
  defineProperty: (call, key, descriptor) => Reflect.defineProperty(call.context, key, descriptor),
  deleteProperty: (call, key) => Reflect.deleteProperty(call.context, key),
  getPrototypeOf: () => Object.prototype,
};
