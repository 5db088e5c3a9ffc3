import { validateHeaderName, validateHeaderValue } from 'node:http';
import type { OutgoingHttpHeader, OutgoingHttpHeaders } from 'node:http';
import { Writable } from 'node:stream';
import { CallFailure, hasContent, RawAnswer, StreamAnswer } from '../calls/outcome.js';
import { lengthOf } from '../calls/stream-result.js';
import { INTERNAL_ERROR } from '../errors/task-error.js';
import { JSON_TYPE, REQUEST_ID_HEADER } from '../facts/facts.generated.js';
import type { Outlet, Source } from '../streams/outlet.js';
import type { TunnelRequest } from './request.js';

/** What is taken in ahead of the client, beside what is under way to it. */
const HIGH_WATER_MARK = 128 * 1024;

/** The engine's own business: it frames the answer and keeps the connection. */
const FRAMING = new Set(['connection', 'content-length', 'keep-alive', 'trailer', 'transfer-encoding', 'upgrade']);

/** Written anew by the contract's own lines where these go along. */
const OWN_LINES = new Set([
  'access-control-allow-origin', 'access-control-allow-credentials', 'access-control-expose-headers', 'x-content-type-options', 'x-frame-options',
]);

/** Which of the contract's own header lines go along with an answer. */
export type OwnLines = RawAnswer['own'];
const NONE: OwnLines = { cors: false, security: false };
const ALL: OwnLines = { cors: true, security: true };

type HeaderValue = number | string | readonly string[];

/**
 * What `useExposureContext().res` gives, in the shape of an `http.ServerResponse` (CONTRACT 14). Made when a task asks for
 * it. What is written by `end` alone is answered in one piece; anything written before that is streamed, as fast as the
 * client takes it.
 */
export class TunnelResponse extends Writable {
  statusCode = 200;
  statusMessage: string | undefined;
  readonly req: TunnelRequest;
  readonly #headers = new Map<string, { readonly name: string; readonly value: HeaderValue }>();
  #deliver: (answer: RawAnswer | StreamAnswer) => void;
  #sent = false;
  #own = NONE;
  /** Ended before anything was written: its only chunks. */
  #whole: Buffer[] | undefined;
  /** Where written chunks go, once the answer is on its way. */
  #outlet: Outlet | undefined;
  #streaming = false;
  /** The chunk, or the end, that waits for the outlet. */
  #resume: (() => void) | undefined;

  constructor(req: TunnelRequest, requestId: string, deliver: (answer: RawAnswer | StreamAnswer) => void) {
    super({ decodeStrings: true, highWaterMark: HIGH_WATER_MARK });
    this.req = req;
    this.#deliver = deliver;
    this.#headers.set(REQUEST_ID_HEADER, { name: REQUEST_ID_HEADER, value: requestId });
    // Writing after the end, or to a client that has gone, is no reason to end the process (CONTRACT D6).
    this.on('error', ignore);
  }

  /** The head is settled: by `writeHead`, `flushHeaders`, the first write, or the end. */
  get headersSent(): boolean {
    return this.#sent;
  }

  get finished(): boolean {
    return this.writableEnded;
  }

  setHeader(name: string, value: HeaderValue): this {
    this.#mustBeOpen('set');
    validateHeaderName(name);
    for (const one of Array.isArray(value) ? (value as readonly string[]) : [value as string]) validateHeaderValue(name, one);
    this.#headers.set(name.toLowerCase(), { name, value });
    return this;
  }

  appendHeader(name: string, value: string | readonly string[]): this {
    const known = this.getHeader(name);
    const before = known === undefined ? [] : Array.isArray(known) ? (known as string[]) : [String(known)];
    return this.setHeader(name, [...before, ...(typeof value === 'string' ? [value] : value)]);
  }

  getHeader(name: string): OutgoingHttpHeader | undefined {
    return this.#headers.get(name.toLowerCase())?.value as OutgoingHttpHeader | undefined;
  }

  hasHeader(name: string): boolean {
    return this.#headers.has(name.toLowerCase());
  }

  removeHeader(name: string): void {
    this.#mustBeOpen('remove');
    this.#headers.delete(name.toLowerCase());
  }

  getHeaderNames(): string[] {
    return [...this.#headers.keys()];
  }

  getRawHeaderNames(): string[] {
    return Array.from(this.#headers.values(), ({ name }) => name);
  }

  getHeaders(): OutgoingHttpHeaders {
    const headers = Object.create(null) as OutgoingHttpHeaders;
    for (const [key, { value }] of this.#headers) headers[key] = value as OutgoingHttpHeader;
    return headers;
  }

  writeHead(status: number, reason?: string | OutgoingHttpHeaders | readonly OutgoingHttpHeader[], headers?: OutgoingHttpHeaders | readonly OutgoingHttpHeader[]): this {
    this.#mustBeOpen('write');
    if (typeof reason === 'string') this.statusMessage = reason;
    const given = typeof reason === 'string' ? headers : reason;
    this.statusCode = status;
    for (const [name, value] of pairsOf(given)) this.setHeader(name, value);
    this.#settleHead();
    return this;
  }

  flushHeaders(): void {
    if (!this.#sent) this.#settleHead();
    this.#stream();
  }

  override write(...args: unknown[]): boolean {
    if (!this.writableEnded) this.flushHeaders();
    return (super.write as (...all: unknown[]) => boolean).apply(this, args);
  }

  override end(...args: unknown[]): this {
    if (!this.writableEnded) {
      if (!this.#sent) this.#settleHead();
      if (!this.#streaming) this.#whole ??= [];
    }
    return (super.end as (...all: unknown[]) => this).apply(this, args);
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error) => void): void {
    if (this.#whole !== undefined) {
      this.#whole.push(chunk);
      return done();
    }
    this.#whenOpen((outlet) => {
      if (outlet.write(chunk)) done();
      else this.#resume = done;
    });
  }

  override _final(done: () => void): void {
    if (this.#whole !== undefined) {
      const body = hasContent(this.statusCode) ? Buffer.concat(this.#whole) : '';
      this.#deliver(new RawAnswer(this.statusCode, this.#lines(), body, this.#own, this.statusMessage));
      return done();
    }
    this.#whenOpen((outlet) => {
      outlet.end();
      done();
    });
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    // After an end that was sent this does nothing; otherwise it cuts what has begun.
    this.#outlet?.fail(error ?? new Error('the response was destroyed'));
    done(error);
  }

  /** Ends it with an envelope, beside the headers that the task has set. */
  answer(status: number, envelope: string): void {
    this.#own = ALL;
    this.statusCode = status;
    this.statusMessage = undefined;
    this.#headers.set('content-type', { name: 'content-type', value: JSON_TYPE });
    this.end(envelope);
  }

  /** A stream that the task has returned, with the headers that the task has set beside its own. */
  streamed(answer: StreamAnswer): StreamAnswer {
    const length = answer.length ?? this.#length();
    this.#sent = this.#streaming = true;
    this.#own = answer.own;
    const theirs = new Set(answer.headers.map(([name]) => name.toLowerCase()));
    const headers = [...this.#lines().filter(([name]) => !theirs.has(name.toLowerCase())), ...answer.headers];
    const whole = new StreamAnswer(answer.status, headers, answer.source, answer.own, { length });
    const { events } = answer;
    whole.events = {
      failed: (error) => {
        this.destroy();
        return events.failed === undefined ? error : events.failed(error);
      },
      broken: (error) => {
        this.destroy();
        events.broken?.(error);
      },
      finished: () => {
        // Nothing is left to answer, but 'finish' and 'close' may be waited for.
        this.#whole = [];
        this.#deliver = ignore;
        this.end();
      },
    };
    return whole;
  }

  #stream(): void {
    if (this.#streaming || this.#whole !== undefined) return;
    this.#streaming = true;
    const source: Source = {
      start: (outlet) => {
        this.#outlet = outlet;
        if (this.destroyed) return outlet.fail(this.errored ?? new Error('the response was destroyed'));
        outlet.open();
        this.#continue();
      },
      resume: () => this.#continue(),
      destroy: (error) => this.destroy(error),
    };
    const answer = new StreamAnswer(this.statusCode, this.#lines(), source, this.#own, { length: this.#length(), reason: this.statusMessage });
    // Whoever waits for it to close tells of the error.
    answer.events = { failed: () => new CallFailure(INTERNAL_ERROR.status, INTERNAL_ERROR.body), broken: ignore };
    this.#deliver(answer);
  }

  #whenOpen(run: (outlet: Outlet) => void): void {
    const outlet = this.#outlet;
    if (outlet !== undefined) run(outlet);
    else this.#resume = () => run(this.#outlet!);
  }

  #continue(): void {
    const resume = this.#resume;
    this.#resume = undefined;
    resume?.();
  }

  #length(): number | undefined {
    const value = this.#headers.get('content-length')?.value;
    return value === undefined ? undefined : lengthOf(String(value));
  }

  #lines(): [string, string][] {
    const lines: [string, string][] = [];
    for (const [key, { name, value }] of this.#headers) {
      if (FRAMING.has(key) || (this.#own.cors && OWN_LINES.has(key))) continue;
      for (const one of Array.isArray(value) ? (value as readonly string[]) : [String(value)]) lines.push([name, one]);
    }
    return lines;
  }

  #settleHead(): void {
    const { statusCode } = this;
    if (!Number.isInteger(statusCode) || statusCode < 200 || statusCode > 999) {
      throw Object.assign(new RangeError(`Invalid status code: ${statusCode}`), { code: 'ERR_HTTP_INVALID_STATUS_CODE' });
    }
    this.#sent = true;
  }

  #mustBeOpen(action: string): void {
    if (this.#sent) throw Object.assign(new Error(`Cannot ${action} headers after they are sent to the client`), { code: 'ERR_HTTP_HEADERS_SENT' });
  }
}

function* pairsOf(headers: OutgoingHttpHeaders | readonly OutgoingHttpHeader[] | undefined): Iterable<[string, HeaderValue]> {
  if (headers === undefined || headers === null) return;
  if (!Array.isArray(headers)) {
    for (const [name, value] of Object.entries(headers as OutgoingHttpHeaders)) if (value !== undefined) yield [name, value];
    return;
  }
  const list = headers as readonly OutgoingHttpHeader[];
  // Flat, or a list of pairs.
  if (Array.isArray(list[0])) for (const [name, value] of list as unknown as [string, HeaderValue][]) yield [name, value];
  else for (let index = 0; index + 1 < list.length; index += 2) yield [String(list[index]), list[index + 1] as HeaderValue];
}

function ignore(): void {}
