import { RetryBudget } from '../client/backoff.js';
import { asCall, mustHaveNoBody, mustHaveOneBody, pathOf } from '../client/call-options.js';
import { EnvelopeReader, withoutPayload } from '../client/envelope.js';
import { headersOf } from '../client/header-lines.js';
import { End, Ledger } from '../client/ledger.js';
import { RequestIds } from '../client/request-ids.js';
import type { CallOptions, StreamOptions, TaskCalls } from '../client/types.js';
import { CallError, RemoteError } from '../errors/client-errors.js';
import { ERROR_CODES, JSON_TYPE, REQUEST_ID_HEADER } from '../facts/facts.generated.js';
import { asyncDispose } from '../process/async-dispose.js';
import { answerStream, textOf } from './answers.js';
import { blobOf, formOf } from './bodies.js';
import { Exchange } from './exchange.js';
import type { FetchCall } from './exchange.js';
import { checkFetchOptions } from './settings.js';
import type { FetchSettings } from './settings.js';
import type { AnswerStream, Client, ClientOptions, ClientStats } from './types.js';

/**
 * Calls the tasks and events of a tunnel from a page.
 *
 * ```js
 * const client = createClient({ url: 'https://api.example/__runner', auth: { token } });
 * const sum = await client.task('app.tasks.add', { a: 1, b: 2 });
 * ```
 *
 * Throws an OptionError.
 */
export function createClient<Tasks = TaskCalls, Events = Record<string, any>>(options: ClientOptions): Client<Tasks, Events> {
  return new FetchClient(checkFetchOptions(options)) as unknown as Client<Tasks, Events>;
}

/** A body, its type where fetch does not know it, and whether it can be sent again. */
interface Content {
  readonly body: string | Blob | FormData;
  readonly type: string | undefined;
  readonly once: boolean;
}

class FetchClient {
  readonly #settings: FetchSettings;
  readonly #envelopes: EnvelopeReader;
  readonly #ledger = new Ledger();
  readonly #budget = new RetryBudget();
  readonly #ids = new RequestIds();
  readonly #open = new Set<Exchange>();
  #closing: Promise<void> | undefined;

  constructor(settings: FetchSettings) {
    this.#settings = settings;
    this.#envelopes = new EnvelopeReader(settings.codec);
  }

  async task(id: string, input?: unknown, options: StreamOptions = {}): Promise<unknown> {
    return this.#value('task', id, await this.#contentOf(input, options), options);
  }

  async stream(id: string, input?: unknown, options: StreamOptions = {}): Promise<AnswerStream> {
    const call = this.#callOf('task', id, { ...(await this.#contentOf(input, options)), once: true }, options);
    return this.#run(call, async (response, exchange) => {
      if (isJson(response) || response.status >= 400) {
        const value = this.#envelopes.result(response.status, await this.#textOf(response, call), call.requestId);
        throw new RemoteError(`${call.what} has answered with a value, not with a stream: use client.task`, { code: 'INVALID_RESPONSE', status: 200, requestId: call.requestId, data: value });
      }
      exchange.begun();
      return answerStream(response, {
        done: () => exchange.end(End.Result),
        cancelled: () => exchange.end(End.Failed),
        broken: (caught) => {
          const error = exchange.errorOf(caught);
          exchange.fail(error);
          return error;
        },
      });
    });
  }

  async event(id: string, payload?: unknown, options: CallOptions = {}): Promise<void> {
    await this.#value('event', id, this.#json(`{"payload":${this.#settings.codec.stringify(payload)}}`), options);
  }

  async eventWithResult(id: string, payload?: unknown, options: CallOptions = {}): Promise<unknown> {
    return this.#value('event', id, this.#json(`{"payload":${this.#settings.codec.stringify(payload)},"returnPayload":true}`), options, true);
  }

  stats(): ClientStats {
    const { calls, results, errors, failed, timedOut, aborted, retries, open } = this.#ledger;
    return { calls, results, errors, failed, timedOut, aborted, retries, outstanding: open };
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#ledger.none());
  }

  destroy(): void {
    void this.close();
    for (const exchange of this.#open) exchange.abort((what, maybeRan) => new CallError(ERROR_CODES.closed, maybeRan, `${what} was ended: the client was destroyed.`));
  }

  [asyncDispose](): Promise<void> {
    return this.close();
  }

  #value(kind: 'task' | 'event', id: string, content: Content, options: CallOptions, wantsPayload = false): Promise<unknown> {
    const call = this.#callOf(kind, id, content, options);
    return this.#run(call, async (response, exchange) => {
      if (response.status < 400 && isBytes(response)) {
        await response.body?.cancel();
        throw new RemoteError(`${call.what} has answered with a stream, not with a value: use client.stream`, { code: 'INVALID_RESPONSE', status: response.status, requestId: call.requestId });
      }
      const text = await this.#textOf(response, call);
      const value = this.#envelopes.result(response.status, text, call.requestId);
      if (value === undefined && wantsPayload && !text.includes('"result"')) throw withoutPayload(response.status, call.requestId);
      exchange.end(End.Result);
      return value;
    });
  }

  #run<Result>(call: FetchCall, read: (response: Response, exchange: Exchange) => Promise<Result>): Promise<Result> {
    const exchange = new Exchange(call, this.#ledger, (one) => this.#open.delete(one));
    this.#open.add(exchange);
    return exchange.run((response) => read(response, exchange), this.#settings.retries, this.#budget);
  }

  #textOf(response: Response, { what, url }: FetchCall): Promise<string> {
    const { maxAnswerBytes } = this.#settings;
    return textOf(response, maxAnswerBytes, () => new CallError('FASTTUNNEL_BAD_ANSWER', true, `${what} has no answer of ${url}: an answer of more than ${maxAnswerBytes} bytes (maxAnswerBytes). Its handler may have run.`));
  }

  #callOf(kind: 'task' | 'event', id: string, { body, type, once }: Content, given: CallOptions): FetchCall {
    const { url, headers, credentials, timeoutMs } = this.#settings;
    const path = pathOf(kind, id);
    if (kind === 'event') mustHaveNoBody(given);
    const what = `${kind} ${JSON.stringify(id)}`;
    if (this.#closing !== undefined) throw new CallError(ERROR_CODES.closed, false, `${what} was not sent: the client is closed. Create a new one.`);
    const call = asCall(given, timeoutMs, this.#ids);
    const lines = { ...headers, ...headersOf(call.lines), ...(type === undefined ? {} : { 'content-type': type }), [REQUEST_ID_HEADER]: call.requestId };
    // A redirect could lead the token elsewhere.
    return { ...call, what, once, url: `${url}${path}`, init: { method: 'POST', headers: lines, body, credentials, redirect: 'error' } };
  }

  async #contentOf(input: unknown, { body, files }: StreamOptions): Promise<Content> {
    const { codec } = this.#settings;
    mustHaveOneBody(body, input, files);
    if (body !== undefined) return { body: await blobOf(body, ''), type: 'application/octet-stream', once: true };
    if (files === true) return { body: await formOf(input, codec), type: undefined, once: true };
    return this.#json(`{"input":${codec.stringify(input)}}`);
  }

  #json(body: string): Content {
    return { body, type: JSON_TYPE, once: false };
  }
}

function isJson(response: Response): boolean {
  return /^application\/json\b/i.test(response.headers.get('content-type') ?? '');
}

/** Neither JSON nor what a proxy or a site says in a text. */
function isBytes(response: Response): boolean {
  return !isJson(response) && !/^text\//i.test(response.headers.get('content-type') ?? 'text/');
}
