import type * as client from '../client/types.js';

/** Options of {@link createClient}, where there are no sockets. */
export interface ClientOptions extends Pick<client.ClientOptions, 'auth' | 'headers' | 'serializer' | 'timeoutMs' | 'retries' | 'maxAnswerBytes'> {
  /** Where the server is, base path included. May be relative to the page. */
  url: string | URL;
  /** Whether cookies travel with calls, as of fetch. Default `same-origin`. */
  credentials?: 'omit' | 'same-origin' | 'include' | undefined;
}

/** An answer as a stream of bytes. */
export interface AnswerStream extends ReadableStream<Uint8Array> {
  readonly statusCode: number;
  /** Names in lower case; of another origin, those that its `cors.exposedHeaders` names. */
  readonly headers: Readonly<Record<string, string>>;
}

/** What a client has counted. */
export type ClientStats = Omit<client.ClientStats, 'queued' | 'phases' | 'servers'>;

/** Calls tasks and events of a tunnel. */
export interface Client<Tasks = client.TaskCalls, Events = Record<string, any>> extends Omit<client.Client<Tasks, Events>, 'stream' | 'stats'> {
  /** Calls a task that answers with a stream; resolves when the answer begins. `timeoutMs` counts until then. */
  stream(id: Parameters<client.Client<Tasks, Events>['stream']>[0], input?: unknown, options?: client.StreamOptions): Promise<AnswerStream>;
  stats(): ClientStats;
}
