// Calls whose request or answer is a stream. Each has a connection of its own, which nothing else waits for, and node:http to
// speak on it: what counts is bytes, not calls.
import { request as requestPlain } from 'node:http';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { request as requestSecurely } from 'node:https';
import { Readable, pipeline } from 'node:stream';
import { text } from 'node:stream/consumers';
import { CallError, connectErrorOf, RemoteError } from '../errors/client-errors.js';
import { ERROR_CODES, REQUEST_ID_HEADER } from '../facts/facts.generated.js';
import type { EnvelopeReader } from './envelope.js';
import { chunksOf } from './file-form.js';
import { headersOf } from './header-lines.js';
import { End } from './ledger.js';
import type { Ledger } from './ledger.js';
import type { Place } from './place.js';
import type { Settings } from './settings.js';
import type { ByteSource } from './types.js';

/** What is to be sent. */
export interface StreamRequest {
  /** For errors: `task "app.tasks.rows"`. */
  readonly what: string;
  readonly place: Place;
  /** Behind the base path. */
  readonly path: string;
  readonly requestId: string;
  /** Further header lines, each with its CRLF. */
  readonly lines: string;
  readonly contentType: string;
  readonly body: ByteSource;
  /** Until the answer begins. 0: for ever. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

/** All calls of one client that are streams. */
export class StreamCalls {
  readonly #settings: Settings;
  readonly #ledger: Ledger;
  readonly #envelopes: EnvelopeReader;
  readonly #open = new Set<ClientRequest>();

  constructor(settings: Settings, ledger: Ledger, envelopes: EnvelopeReader) {
    this.#settings = settings;
    this.#ledger = ledger;
    this.#envelopes = envelopes;
  }

  /** Resolves to the answer, once it has begun. */
  async stream(call: StreamRequest): Promise<IncomingMessage> {
    const answer = await this.either(call);
    if ('stream' in answer) return answer.stream;
    throw new RemoteError(`${call.what} has answered with a value, not with a stream: use client.task`, { code: 'INVALID_RESPONSE', status: 200, requestId: call.requestId, data: answer.value });
  }

  /** Resolves to the result. */
  async task(call: StreamRequest): Promise<unknown> {
    const answer = await this.either(call);
    if ('value' in answer) return answer.value;
    const { stream } = answer;
    await new Promise((resolve) => stream.once('close', resolve).destroy());
    throw new RemoteError(`${call.what} has answered with a stream, not with a value: use client.stream`, { code: 'INVALID_RESPONSE', status: stream.statusCode!, requestId: call.requestId });
  }

  /** Resolves to whichever the task has answered with. */
  async either(call: StreamRequest): Promise<{ value: unknown } | { stream: IncomingMessage }> {
    const { answer, end } = await this.#send(call);
    if (isJson(answer) || answer.statusCode! >= 400) {
      const value = await this.#valueOf(call, answer, end);
      end(End.Result);
      return { value };
    }
    answer.once('close', () => end(answer.complete ? End.Result : call.signal?.aborted === true ? End.Aborted : End.Failed));
    return { stream: answer };
  }

  /** Ends all of them. */
  destroy(): void {
    for (const request of this.#open) request.destroy(new CallError(ERROR_CODES.closed, true, 'the call was ended: the client was destroyed.'));
  }

  /** The result in an answer of JSON; throws what the server says instead. */
  async #valueOf(call: StreamRequest, answer: IncomingMessage, end: (how: End) => void): Promise<unknown> {
    let body: string;
    try {
      body = await text(answer);
    } catch (error) {
      end(call.signal?.aborted === true ? End.Aborted : End.Failed);
      throw this.#lost(call, error as Error);
    }
    try {
      return this.#envelopes.result(answer.statusCode!, body, call.requestId);
    } catch (error) {
      throw refused(end, error as Error);
    }
  }

  #send(call: StreamRequest): Promise<{ answer: IncomingMessage; end: (how: End) => void }> {
    const { place, body, signal, timeoutMs } = call;
    const whole = typeof body === 'string' || body instanceof Uint8Array ? body : undefined;
    const request = (place.secure ? requestSecurely : requestPlain)({
      method: 'POST',
      path: `${place.basePath}${call.path}`,
      ...(place.socketPath === undefined ? { host: place.host, port: place.port } : { socketPath: place.socketPath }),
      headers: { host: place.authority, ...headersOf(this.#settings.lines), ...headersOf(call.lines), 'content-type': call.contentType, [REQUEST_ID_HEADER]: call.requestId, ...(whole === undefined ? {} : { 'content-length': Buffer.byteLength(whole) }) },
      agent: false,
      ...this.#settings.tls,
      ...(signal === undefined ? {} : { signal }),
    });
    this.#open.add(request);
    this.#ledger.begin();
    let over = false;
    const end = (how: End): void => {
      if (over) return;
      over = true;
      this.#open.delete(request);
      this.#ledger.end(how);
    };
    let connected = false;
    let failure: Error | undefined;
    request.once('socket', (socket) => socket.once(place.secure ? 'secureConnect' : 'connect', () => { connected = true; }));
    request.setNoDelay(true);
    return new Promise((resolve, reject) => {
      const timer = timeoutMs === 0 ? undefined : setTimeout(() => {
        request.destroy(new CallError('FASTTUNNEL_TIMEOUT', connected, `${call.what} has no answer of ${place.url} after ${timeoutMs} ms (timeoutMs). ${connected ? 'It was sent: its handler may have run.' : 'It was not sent.'}`));
      }, timeoutMs);
      request.once('response', (answer) => {
        clearTimeout(timer);
        resolve({ answer, end });
      });
      request.on('error', (error) => {
        clearTimeout(timer);
        if (signal?.aborted === true) {
          end(End.Aborted);
          return reject(signal.reason);
        }
        const timedOut = error instanceof CallError && error.code === 'FASTTUNNEL_TIMEOUT';
        end(timedOut ? End.TimedOut : End.Failed);
        reject(failure ?? (error instanceof CallError ? error : connected ? this.#lost(call, error) : connectErrorOf(place.url, error)));
      });
      if (whole !== undefined) request.end(whole);
      else {
        pipeline(Readable.from(chunksOf(body)), request, (error) => {
          // An answer may come before all of the body was taken; only what the source itself has said counts.
          if (error === null || error === undefined || (error as { code?: unknown }).code === 'ERR_STREAM_PREMATURE_CLOSE') return;
          failure ??= error;
          request.destroy(error);
        });
      }
    });
  }

  #lost({ what, place }: StreamRequest, error: Error): CallError {
    return new CallError('FASTTUNNEL_CONNECTION_LOST', true, `${what} was sent to ${place.url} and has no answer: ${error.message}. Its handler may have run.`, { cause: error });
  }
}

function refused(end: (how: End) => void, error: Error): Error {
  end(End.Error);
  return error;
}

function isJson({ headers }: IncomingMessage): boolean {
  return /^application\/json\b/i.test(headers['content-type'] ?? '');
}
