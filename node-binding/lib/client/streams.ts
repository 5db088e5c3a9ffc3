// Calls whose request or answer is a stream. Each has a connection of its own, which nothing else waits for, and node:http to
// speak on it: what counts is bytes, not calls.
import { request as requestPlain } from 'node:http';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { request as requestSecurely } from 'node:https';
import { Readable, pipeline } from 'node:stream';
import { CallError, connectErrorOf, RemoteError } from '../errors/client-errors.js';
import { ERROR_CODES, REQUEST_ID_HEADER } from '../facts/facts.generated.js';
import { codingOf } from './answer-head.js';
import { Content } from './content.js';
import { encoded } from './envelope.js';
import type { EnvelopeReader } from './envelope.js';
import { chunksOf } from './file-form.js';
import { headersOf } from './header-lines.js';
import { End } from './ledger.js';
import type { Ledger } from './ledger.js';
import type { Place } from './place.js';
import type { Settings } from './settings.js';
import { Timer } from './timer.js';
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
  /** Until the answer begins, or until it is read where it is a value. 0: for ever. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

/** An answer that has begun. */
interface Begun {
  readonly answer: IncomingMessage;
  readonly end: (how: End) => void;
  /** Its time does not count any more. */
  readonly untime: () => void;
  /** Why it was ended from here. */
  readonly reason: () => CallError | undefined;
}

/** All calls of one client that are streams. */
export class StreamCalls {
  readonly #settings: Settings;
  readonly #ledger: Ledger;
  readonly #envelopes: EnvelopeReader;
  /** With what ends them. */
  readonly #open = new Map<ClientRequest, () => void>();

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
    const begun = await this.#send(call);
    const { answer, end, untime } = begun;
    if (isJson(answer) || answer.statusCode! >= 400) {
      const value = await this.#valueOf(call, begun);
      end(End.Result);
      return { value };
    }
    untime();
    answer.once('close', () => end(answer.complete ? End.Result : call.signal?.aborted === true ? End.Aborted : End.Failed));
    return { stream: answer };
  }

  /** Ends all of them. */
  destroy(): void {
    for (const destroy of [...this.#open.values()]) destroy();
  }

  /** The result in an answer of JSON; throws what the server says instead. */
  async #valueOf(call: StreamRequest, { answer, end, untime, reason }: Begun): Promise<unknown> {
    let body: string;
    try {
      body = await this.#textOf(call, answer);
    } catch (error) {
      const aborted = call.signal?.aborted === true;
      const ended = reason() ?? (error instanceof CallError ? error : this.#lost(call, error as Error));
      end(aborted ? End.Aborted : ended.code === 'FASTTUNNEL_TIMEOUT' ? End.TimedOut : End.Failed);
      throw aborted ? call.signal.reason : ended;
    } finally {
      untime();
    }
    try {
      const coding = codingOf(answer.headers['content-encoding']);
      if (coding !== undefined) throw encoded(coding, answer.statusCode!, call.requestId);
      return this.#envelopes.result(answer.statusCode!, body, call.requestId);
    } catch (error) {
      throw refused(end, error as Error);
    }
  }

  async #textOf({ what, place }: StreamRequest, answer: IncomingMessage): Promise<string> {
    const content = new Content();
    const { maxAnswerBytes } = this.#settings;
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      if (content.length + chunk.length > maxAnswerBytes) throw new CallError('FASTTUNNEL_BAD_ANSWER', true, `${what} was sent to ${place.url} and has no answer: an answer of more than ${maxAnswerBytes} bytes (maxAnswerBytes). Its handler may have run.`);
      content.add(chunk);
    }
    return content.take();
  }

  #send(call: StreamRequest): Promise<Begun> {
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
    let reason: CallError | undefined;
    const stop = (error: CallError): void => {
      reason ??= error;
      request.destroy(error);
    };
    this.#open.set(request, () => stop(new CallError(ERROR_CODES.closed, connected, `${call.what} was ended: the client was destroyed.`)));
    request.once('socket', (socket) => socket.once(place.secure ? 'secureConnect' : 'connect', () => { connected = true; }));
    request.setNoDelay(true);
    return new Promise((resolve, reject) => {
      const timer = timeoutMs === 0 ? undefined : new Timer(() => {
        stop(new CallError('FASTTUNNEL_TIMEOUT', connected, `${call.what} has no answer from ${place.url} after ${timeoutMs} ms (timeoutMs). ${connected ? 'It was sent: its handler may have run.' : 'It was not sent.'}`));
      }, timeoutMs);
      request.once('response', (answer) => {
        resolve({ answer, end, untime: () => timer?.end(), reason: () => reason });
      });
      request.on('error', (error) => {
        timer?.end();
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
    // So node:http names what is no HTTP.
    const isRubbish = String((error as { code?: unknown }).code).startsWith('HPE_');
    return new CallError(isRubbish ? 'FASTTUNNEL_BAD_ANSWER' : 'FASTTUNNEL_CONNECTION_LOST', true, `${what} was sent to ${place.url} and has no answer: ${error.message}. Its handler may have run.`, { cause: error });
  }
}

function refused(end: (how: End) => void, error: Error): Error {
  end(End.Error);
  return error;
}

function isJson({ headers }: IncomingMessage): boolean {
  return /^application\/json\b/i.test(headers['content-type'] ?? '');
}
