import { JSON_TYPE } from '../facts/facts.generated.js';
import type { Source } from '../streams/outlet.js';

/** What an entry returns for "200 without a result": `{"ok":true}`. */
export const DONE: unique symbol = Symbol('fasttunnel.done');

/** What an entry says of a call that it answers by itself, through the call's `settlement`. */
export const LATER: unique symbol = Symbol('fasttunnel.later');

/** Which of the contract's own header lines go along with a raw answer. The request id always does. */
export interface OwnLines {
  readonly cors: boolean;
  readonly security: boolean;
}

/**
 * A whole answer made in JavaScript.
 *
 * Native code checks it before it is written: a status outside 200..599, a name that is no token, or a value or reason
 * with a control character or a character beyond latin-1 gives a 500, and `onError` hears of it. `connection`,
 * `keep-alive`, `transfer-encoding` and `content-length` are left out: they are written by what frames the message. A
 * line replaces ours of the same name (request id, CORS, `date`); security lines replace it, and `vary` stands beside
 * ours.
 */
export class RawAnswer {
  // A private name is looked up without running anybody's code: instances of other classes may be Proxies.
  readonly #brand = true;

  constructor(
    readonly status: number,
    readonly headers: readonly (readonly [string, string])[],
    readonly body: Uint8Array | string,
    readonly own: OwnLines,
    readonly reason?: string,
  ) {}

  static is(value: unknown): value is RawAnswer {
    return typeof value === 'object' && value !== null && #brand in value && value.#brand;
  }
}

/** Why native code has refused an answer. */
export const HEAD_REFUSED = 'a status, reason or header line of the answer may not be sent';

/** False for the statuses whose answers end with the head, whatever was written (RFC 9110 6.4.1). */
export function hasContent(status: number): boolean {
  return status !== 204 && status !== 304;
}

/** Hears what becomes of a streamed answer. */
export interface StreamEvents {
  /** The source has failed before its first byte. Returns what the call fails with instead, for example a `CallFailure`. */
  failed?(error: unknown): unknown;
  /** The source has failed after the head went out: the connection is cut. Default: reported like any failure. */
  broken?(error: unknown): void;
  /** All of it is handed over. */
  finished?(): void;
}

/**
 * An answer whose body comes from a source, as fast as the client takes it. Status and header lines as in a
 * {@link RawAnswer}.
 */
export class StreamAnswer {
  readonly #brand = true;
  /** Bytes of the body where they are known: `Content-Length` instead of chunks. */
  readonly length: number | undefined;
  readonly reason: string | undefined;
  events: StreamEvents = {};

  constructor(
    readonly status: number,
    readonly headers: readonly (readonly [string, string])[],
    readonly source: Source,
    readonly own: OwnLines,
    more: { readonly length?: number | undefined; readonly reason?: string | undefined } = {},
  ) {
    this.length = more.length;
    this.reason = more.reason;
  }

  static is(value: unknown): value is StreamAnswer {
    return typeof value === 'object' && value !== null && #brand in value && value.#brand;
  }
}

/** Thrown: the call failed with this status and this whole body text (an error envelope), because of `cause`, if there is one. Not reported to `onError`. */
export class CallFailure {
  readonly #brand = true;

  constructor(
    readonly status: number,
    readonly body: string,
    readonly cause?: unknown,
  ) {}

  static is(value: unknown): value is CallFailure {
    return typeof value === 'object' && value !== null && #brand in value && value.#brand;
  }
}

/** The answer to a failure. The text need not be JSON, so it goes by itself and cannot spoil its neighbours. */
export function answerOfFailure(failure: CallFailure): RawAnswer {
  return new RawAnswer(failure.status, JSON_LINES, failure.body, ALL_OWN);
}

const JSON_LINES: RawAnswer['headers'] = [['content-type', JSON_TYPE]];
const ALL_OWN: OwnLines = { cors: true, security: true };
