import type { Readable } from 'node:stream';
import type { IAsyncContext, IErrorHelper, SerializerLike } from '@bluelibs/runner';
import { closedError, TunnelClient } from '../client/client.js';
import { hasFiles } from '../client/file-form.js';
import { checkClientOptions } from '../client/settings.js';
import type { CallOptions, ClientOptions, ClientStats, StreamOptions } from '../client/types.js';
import { CallError, RemoteError, TunnelError } from '../errors/client-errors.js';
import { OptionError } from '../errors/errors.js';
import { TOKEN_HEADER } from '../facts/facts.generated.js';
import { asGroup } from '../options/checks.js';
import { asyncDispose } from '../process/async-dispose.js';
import { ClientValues } from './client-values.js';

const CONTEXT_HEADER = 'x-runner-context';

/** What Runner's clients take, and `engine`. */
export interface RunnerClientOptions {
  /** Where the server is, base path included. `url` is another name for it. */
  baseUrl?: string | undefined;
  url?: string | undefined;
  auth?: { header?: string | undefined; token: string } | undefined;
  /** Default: none. */
  timeoutMs?: number | undefined;
  serializer: SerializerLike;
  /** Hears of each request before it leaves, and may change its header lines. */
  onRequest?: ((request: { url: string; headers: Record<string, string> }) => void | Promise<void>) | undefined;
  /** Contexts that travel with calls, where they are active. */
  contexts?: readonly IAsyncContext<any>[] | undefined;
  /** Errors that are thrown as such. */
  errorRegistry?: ReadonlyMap<string, IErrorHelper<any>> | undefined;
  /** Tasks that may answer with a stream though their input is none. */
  forceSmart?: boolean | ((call: { id: string; input: unknown }) => boolean | Promise<boolean>) | undefined;
  /** What Runner has no word for: options of `createClient()` of `fasttunnel/client`. */
  engine?: Omit<ClientOptions, 'url' | 'auth' | 'timeoutMs' | 'serializer' | 'headers'> | undefined;
}

/** What Runner's clients can do, and a third argument. */
export interface RunnerClient {
  /** An input that is a Readable, or holds files, is streamed; the answer is a Readable where the task has answered so. */
  task<I = unknown, O = unknown>(id: string, input?: I, options?: CallOptions): Promise<O>;
  event<P = unknown>(id: string, payload?: P, options?: CallOptions): Promise<void>;
  eventWithResult<P = unknown>(id: string, payload?: P, options?: CallOptions): Promise<P>;
  stats(): ClientStats;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** A client in the shape of Runner's, over `fasttunnel/client`. */
export function createClient(options: RunnerClientOptions): RunnerClient {
  return new ClientOfRunner(options, () => {});
}

const KNOWN = ['baseUrl', 'url', 'auth', 'timeoutMs', 'serializer', 'onRequest', 'contexts', 'errorRegistry', 'forceSmart', 'fetchImpl', 'engine'] as const;

export class ClientOfRunner implements RunnerClient {
  readonly #options: RunnerClientOptions;
  readonly #baseUrl: string;
  readonly #client: TunnelClient;
  readonly #closes: () => void;
  /** Calls that have not ended, those included that are not made yet because a hook has not. */
  #calls = 0;
  #whenNone: (() => void) | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: RunnerClientOptions, closes: () => void) {
    const { baseUrl, url, auth, timeoutMs, onRequest, engine, fetchImpl } = asGroup('options', options, KNOWN);
    if (fetchImpl !== undefined) throw new OptionError('fetchImpl', '(hidden)', 'fetchImpl has no effect: this client does not use fetch. Leave it out.');
    const where = baseUrl ?? url;
    const checked = checkClientOptions({
      ...(where === undefined ? {} : { url: where as string }),
      // A hook sees the token, and may change it: then it is a header line of each call.
      ...(auth === undefined || onRequest !== undefined ? {} : { auth: auth as NonNullable<ClientOptions['auth']> }),
      timeoutMs: (timeoutMs ?? 0) as number,
      serializer: options.serializer,
      ...(engine as object | undefined),
    });
    this.#options = options;
    this.#closes = closes;
    this.#baseUrl = String(where ?? checked.places[0]!.url).replace(/\/$/, '');
    this.#client = new TunnelClient({ ...checked, codec: new ClientValues(options.serializer) });
  }

  async task<I, O>(id: string, input?: I, options?: CallOptions): Promise<O> {
    this.#begin('task', id);
    try {
      const given = await this.#callOptions('task', id, options);
      if (isReadable(input)) return (await this.#client.either(id, undefined, { ...given, body: input })) as O;
      if (typeof input === 'object' && input !== null && hasFiles(input)) return (await this.#client.either(id, input, { ...given, files: true })) as O;
      if (await this.#isForced(id, input)) return (await this.#client.either(id, input, given ?? {})) as O;
      return (await this.#client.task(id, input, given)) as O;
    } catch (error) {
      throw this.#errorOf(error, id, 'task', options);
    } finally {
      this.#end();
    }
  }

  async event<P>(id: string, payload?: P, options?: CallOptions): Promise<void> {
    this.#begin('event', id);
    try {
      await this.#client.event(id, payload, await this.#callOptions('event', id, options));
    } catch (error) {
      throw this.#errorOf(error, id, 'event', options);
    } finally {
      this.#end();
    }
  }

  async eventWithResult<P>(id: string, payload?: P, options?: CallOptions): Promise<P> {
    this.#begin('event', id);
    try {
      return (await this.#client.eventWithResult(id, payload, await this.#callOptions('event', id, options))) as P;
    } catch (error) {
      throw this.#errorOf(error, id, 'event', options);
    } finally {
      this.#end();
    }
  }

  stats(): ClientStats {
    return this.#client.stats();
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  /** Ends the calls under way as well. */
  destroy(): void {
    this.#client.destroy();
  }

  [asyncDispose](): Promise<void> {
    return this.close();
  }

  #begin(kind: 'task' | 'event', id: string): void {
    if (this.#closing !== undefined) throw closedError(`${kind} ${JSON.stringify(id)}`);
    this.#calls += 1;
  }

  #end(): void {
    this.#calls -= 1;
    if (this.#calls === 0) this.#whenNone?.();
  }

  async #close(): Promise<void> {
    if (this.#calls > 0) await new Promise<void>((resolve) => { this.#whenNone = resolve; });
    await this.#client.close();
    this.#closes();
  }

  #isForced(id: string, input: unknown): boolean | Promise<boolean> {
    const { forceSmart = false } = this.#options;
    return typeof forceSmart === 'function' ? forceSmart({ id, input }) : forceSmart;
  }

  /** The options of a call with what contexts and the hook add to its header lines; undefined where nothing does. */
  async #callOptions(kind: 'task' | 'event', id: string, given: CallOptions | undefined): Promise<StreamOptions | undefined> {
    const { auth, onRequest } = this.#options;
    const context = this.#contextHeader();
    if (context === undefined && onRequest === undefined) return given;
    const headers: Record<string, string> = { ...given?.headers, ...(context === undefined ? {} : { [CONTEXT_HEADER]: context }) };
    if (onRequest === undefined) return { ...given, headers };
    const own: Record<string, string> = { 'content-type': 'application/json; charset=utf-8', ...(auth === undefined ? {} : { [(auth.header ?? TOKEN_HEADER).toLowerCase()]: auth.token }), ...headers };
    await onRequest({ url: this.#urlOf(kind, id), headers: own });
    // The type of the content is ours to say.
    return { ...given, headers: Object.fromEntries(Object.entries(own).filter(([name, value]) => name.toLowerCase() !== 'content-type' && value !== undefined)) };
  }

  #urlOf(kind: 'task' | 'event', id: string): string {
    return `${this.#baseUrl}/${kind}/${encodeURIComponent(id)}`;
  }

  /** Texts of the contexts that are active. */
  #contextHeader(): string | undefined {
    const texts: Record<string, string> = {};
    for (const context of this.#options.contexts ?? []) {
      try {
        texts[context.id] = context.serialize(context.use());
      } catch {
        // It is not active here.
      }
    }
    if (Object.keys(texts).length === 0) return undefined;
    // A header line carries no other characters.
    return this.#options.serializer.stringify(texts).replace(/[^\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
  }

  /** What Runner's clients throw for it. Throws a typed error that the registry knows. */
  #errorOf(error: unknown, id: string, kind: 'task' | 'event', options: CallOptions | undefined): unknown {
    if (error instanceof CallError && error.code === 'FASTTUNNEL_TIMEOUT') {
      const timeoutMs = options?.timeoutMs ?? this.#options.timeoutMs;
      return new TunnelError('REQUEST_TIMEOUT', `Tunnel request timeout after ${timeoutMs}ms`, { url: this.#urlOf(kind, id), timeoutMs }, { httpCode: 408, cause: error });
    }
    if (!(error instanceof RemoteError)) return error;
    const { code, message, status, id: errorId, data, httpCode } = error;
    if (code === 'HTTP_ERROR') return new TunnelError(code, `Tunnel HTTP ${status}`, data, { httpCode: status });
    if (errorId !== undefined && Boolean(data)) this.#options.errorRegistry?.get(errorId)?.throw(data);
    return new TunnelError(code, message, undefined, { id: errorId, data, httpCode });
  }
}

function isReadable(value: unknown): value is Readable {
  return typeof value === 'object' && value !== null && typeof (value as { pipe?: unknown }).pipe === 'function';
}
