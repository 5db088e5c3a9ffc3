import type { SerializerLike, Store } from '@bluelibs/runner';
import type { Kind } from '../calls/entry.js';
import { INTERNAL_ERROR } from '../errors/task-error.js';
import type { ErrorAnswer } from '../errors/task-error.js';
import { REFUSALS } from '../facts/facts.generated.js';
import { messageOf } from './logs.js';
import type { Logs } from './logs.js';
import type { Runner } from './runtime.js';

const CANCELLED: ErrorAnswer = Object.freeze({ status: REFUSALS.aborted.status, body: REFUSALS.aborted.body });

/** What a caller may see of an error that the app has registered. */
interface Typed {
  readonly id: unknown;
  readonly data: unknown;
  readonly httpCode: number | undefined;
}

/** Runs what tells of a failure: now, or when it is certain that it counts. */
type Note = (tell: () => void) => void;
const now: Note = (tell) => tell();

/** From whatever a task or a hook threw to the answer and the log (CONTRACT 19 and 21). */
export class Failures {
  readonly #runner: Runner;
  readonly #store: Store;
  readonly #serializer: SerializerLike;
  readonly #logs: Logs;

  constructor(runner: Runner, store: Store, serializer: SerializerLike, logs: Logs) {
    this.#runner = runner;
    this.#store = store;
    this.#serializer = serializer;
    this.#logs = logs;
  }

  /** Never throws: what was thrown may be a Proxy, and its data may be anything. */
  answerTo(error: unknown, kind: Kind, requestId: string, note: Note = now): ErrorAnswer {
    try {
      if (this.#runner.cancellationError.is(error)) return CANCELLED;
      const typed = this.#typed(error);
      note(() => this.log(error, kind, requestId));
      if (typed === undefined) return INTERNAL_ERROR;
      const status = typed.httpCode ?? 500;
      return { status, body: this.#serializer.stringify({ ok: false, error: bodyOf(error, typed, status) }) };
    } catch (failure) {
      note(() => this.#logs.write('error', 'exposure.http.unhandled', { error: messageOf(failure) }));
      return INTERNAL_ERROR;
    }
  }

  log(error: unknown, kind: Kind, requestId: string): void {
    this.#logs.write('error', kind === 'task' ? 'exposure.task.error' : 'exposure.event.error', { error: messageOf(error), requestId });
  }

  /** A streamed answer broke off. */
  broken(error: unknown, requestId: string): void {
    this.#logs.write('error', 'exposure.stream.error', { error: messageOf(error), requestId });
  }

  /** The task had begun its own answer before it failed: only the log hears of it, in the reference's words. */
  tooLate(): void {
    this.#logs.write('error', 'exposure.http.unhandled', { error: 'Cannot set headers after they are sent to the client' });
  }

  #typed(error: unknown): Typed | undefined {
    try {
      for (const helper of this.#store.errors.values()) {
        if (!helper.is(error)) continue;
        const { name, data, httpCode } = error as { name: unknown; data: unknown; httpCode: unknown };
        return { id: typeof name === 'string' ? name : undefined, data, httpCode: asStatus(httpCode) ?? asStatus(helper.httpCode) };
      }
    } catch {
      // An error that cannot be looked at is not one of the app's.
    }
    return undefined;
  }
}

/** The key order is part of the contract. With status 500 only what is there is sent, and no message without an id. */
function bodyOf(error: unknown, typed: Typed, status: number): Record<string, unknown> {
  const { id, data, httpCode } = typed;
  const message = (error as Error).message || 'Internal Error';
  const { code } = REFUSALS.internal;
  if (status !== 500) return { message, code, id, data, httpCode };
  return {
    message: id === undefined ? 'Internal Error' : message,
    code,
    ...(id === undefined ? {} : { id }),
    ...(data === undefined ? {} : { data }),
    ...(httpCode === undefined ? {} : { httpCode }),
  };
}

function asStatus(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isInteger(value) && value >= 100 && value <= 599 ? value : undefined;
}
