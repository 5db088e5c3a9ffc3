import type { InputFileFactory } from '../files/input-file.js';
import type { BodyPort, BodyStream } from '../streams/body.js';
import type { Call } from './call.js';

export type Kind = 'task' | 'event';

/**
 * What a call is answered with, from what the promise of `run` has come to; asked once. Each may throw what the call
 * fails with, or return `LATER`. This is not done by a promise of `run`'s own because every promise costs every call.
 */
export interface Conclusion {
  result(result: unknown, ctx: Call): unknown;
  failure(error: unknown, ctx: Call): unknown;
}

/**
 * What runs a call. Returns (or resolves to) the result, `DONE`, a `RawAnswer` or a `StreamAnswer`; may throw or reject with anything,
 * `CallFailure` among it.
 */
export interface Entry {
  readonly kind: Kind;
  readonly id: string;
  readonly run: (input: unknown, ctx: Call) => unknown;
  /** Has a say in what the outcome of `run` means. Default: it is the call's outcome. */
  readonly conclusion?: Conclusion;
  /**
   * Gets the body's value as it is, `undefined` for an empty one, instead of the input or payload in it; and an event's
   * result is what it returns, whatever the body says.
   */
  readonly raw?: true;
  /** A result that is a stream is sent as one (CONTRACT 14); otherwise it is a value like any other. */
  readonly streams?: true;
  /** Makes the bodies that this entry reads by itself. Default: a `BodyStream`. */
  readonly makeBody?: MakeBody;
  /** Makes the files in its input. Default: `plainInputFile`. */
  readonly inputFile?: InputFileFactory;
}

/** Makes the body of a call: a `BodyStream`, or something more. */
export type MakeBody = (call: Call, port: BodyPort) => BodyStream;

export type OnError = (error: unknown, where: { kind: Kind; id: string; requestId: string }) => void;
