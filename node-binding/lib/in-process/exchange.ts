import { AsyncResource } from 'node:async_hooks';
import { ERROR_CODES } from '../facts/facts.generated.js';
import type { Connection, Holder } from './connection.js';
import { leftOverBody } from './foreign.js';
import type { ForeignRequest, ForeignResponse } from './foreign.js';
import { answer, BAD_REQUEST, CLIENT_GONE, INTERNAL, NOT_ENABLED, UNAVAILABLE } from './own-answers.js';
import type { OwnAnswer } from './own-answers.js';
import type { Pool } from './pool.js';
import { requestHead } from './request-head.js';
import { ResponseWriter } from './response-writer.js';

/** Bytes of a body that are read and thrown away behind its answer. More: the foreign connection is cut off. */
const DISCARD_BYTES = 8 * 1024 * 1024;

/** Called once, when the answer has been handed on; with an error when the foreign response has thrown one. */
export type Settled = (error?: unknown) => void;

/**
 * One foreign request, put to the engine, and its answer, put on the foreign response: both piece by piece, each only as
 * fast as the other side takes it. Whichever of the two ends early takes the other along.
 */
export class Exchange implements Holder {
  readonly #pool: Pool;
  readonly #request: ForeignRequest;
  readonly #response: ForeignResponse;
  readonly #writer: ResponseWriter;
  readonly #settled: Settled;
  // What the application has wrapped around its response runs where its request does.
  readonly #scope = new AsyncResource('FASTTUNNEL_EXCHANGE');
  #connection: Connection | undefined;
  #chunked = false;
  /** Bytes of a body of known length that have not come. */
  #left = 0;
  /** The request is with the engine, whole. */
  #sent = false;
  /** Its answer is over. */
  #answered = false;
  #over = false;
  #discarded = 0;
  #watchesDrain = false;

  constructor(pool: Pool, request: ForeignRequest, response: ForeignResponse, settled: Settled) {
    this.#pool = pool;
    this.#request = request;
    this.#response = response;
    this.#writer = new ResponseWriter(response, request.httpVersionMajor !== 2);
    this.#settled = settled;
  }

  /** Asks for `target`, whatever the request's own says. */
  start(target: string): void {
    const request = this.#request;
    const body = leftOverBody(request);
    if (body === undefined && request.destroyed === true) return this.#finish();
    const head = requestHead(request, target, body?.length);
    if (head === undefined) return this.#fail(BAD_REQUEST);
    let connection;
    try {
      connection = this.#pool.take();
    } catch (error) {
      return this.#fail((error as { code?: unknown }).code === ERROR_CODES.closed ? NOT_ENABLED : UNAVAILABLE);
    }
    this.#connection = connection;
    this.#chunked = head.framing === 'chunked';
    this.#left = head.framing === 'chunked' ? 0 : head.framing;
    this.#sent = body !== undefined || head.framing === 0;
    connection.begin(this, head.text, request.method === 'HEAD');
    this.#watch();
    if (this.#sent) {
      if (body !== undefined && body.length > 0) connection.write(body);
      connection.flush();
    } else {
      this.#takeBody();
      // What of the body came with the head is there by then, and leaves with it.
      process.nextTick(() => connection.flush());
    }
  }

  #watch(): void {
    const request = this.#request;
    const response = this.#response;
    const gone = (): void => this.#abandon();
    if (response.once === undefined) response.on?.('close', gone);
    else response.once('close', gone);
    request.on?.('aborted', gone);
    // A stream by itself has no client that goes.
    request.on?.('error', gone);
  }

  #takeBody(): void {
    const request = this.#request;
    if (request.on === undefined) return this.#endOfBody();
    request.on('data', (bytes: Buffer | string) => this.#forward(typeof bytes === 'string' ? Buffer.from(bytes) : bytes));
    request.on('end', () => this.#endOfBody());
  }

  #forward(bytes: Buffer): void {
    if (this.#over) return this.#discard(bytes);
    const connection = this.#connection;
    if (connection === undefined || this.#sent || bytes.length === 0) return;
    // More than was declared would be taken for the next request.
    if (!this.#chunked && bytes.length > this.#left) return this.#fail(BAD_REQUEST);
    const room = this.#chunked ? connection.writeChunk(bytes) : connection.write(bytes);
    this.#left -= this.#chunked ? 0 : bytes.length;
    this.#sent = !this.#chunked && this.#left === 0;
    if (!room) this.#request.pause?.();
  }

  #endOfBody(): void {
    if (this.#over || this.#sent) return;
    if (!this.#chunked) return this.#fail(BAD_REQUEST);
    this.#connection?.write('0\r\n\r\n');
    this.#sent = true;
  }

  /** What is left of a body whose request is answered: the foreign connection goes on behind it. */
  #discard(bytes: Buffer): void {
    this.#discarded += bytes.length;
    if (this.#discarded > DISCARD_BYTES) this.#request.destroy?.();
  }

  drained(): void {
    if (!this.#over) this.#request.resume?.();
  }

  head(status: number, reason: string, lines: string[]): void {
    this.#run(() => this.#writer.begin(status, reason, lines));
  }

  data(bytes: Buffer): void {
    this.#run(() => {
      if (this.#writer.write(bytes)) return;
      this.#connection?.pause();
      if (this.#watchesDrain) return;
      this.#watchesDrain = true;
      this.#response.on?.('drain', () => this.#connection?.resume());
    });
  }

  end(): void {
    this.#answered = true;
    this.#run(() => this.#writer.end());
    // Also when the request is not whole yet: there is nothing more to be said to it.
    this.#finish();
  }

  /** The engine has ended the connection. */
  cut(): void {
    this.#fail(INTERNAL);
  }

  /** The client has gone. */
  #abandon(): void {
    if (this.#over) return;
    // A request without a socket has somebody behind it who may still want to know.
    if (!this.#writer.midway && this.#request.socket?.destroyed !== true) this.#run(() => answer(this.#response, CLIENT_GONE));
    this.#finish();
  }

  /** There is no answer, or no more of it. */
  #fail(instead: OwnAnswer): void {
    if (this.#over) return;
    if (this.#writer.midway) this.#run(() => this.#writer.cut());
    else this.#run(() => answer(this.#response, instead));
    this.#finish();
  }

  /** Runs what touches the foreign response, which may throw: an invalid header, or a wrapper of the application's. */
  #run(work: () => void): void {
    if (this.#over) return;
    try {
      this.#scope.runInAsyncScope(work);
    } catch (error) {
      this.#response.destroy?.();
      this.#finish(error);
    }
  }

  #finish(error?: unknown): void {
    if (this.#over) return;
    this.#over = true;
    const connection = this.#connection;
    this.#connection = undefined;
    if (connection !== undefined) {
      // What comes next on it would be taken for the rest.
      if (!this.#sent || !this.#answered) connection.destroy();
      this.#pool.give(connection);
    }
    // Whatever held the body back is over.
    if (!this.#sent) this.#request.resume?.();
    this.#settled(error);
  }
}
