import type { ITask, TaskRunner } from '@bluelibs/runner';
import type { Call } from '../calls/call.js';
import type { Conclusion, Entry, MakeBody } from '../calls/entry.js';
import { CallFailure, LATER } from '../calls/outcome.js';
import type { StreamAnswer } from '../calls/outcome.js';
import { discardStream, streamAnswerOf } from '../calls/stream-result.js';
import type { InputFileFactory } from '../files/input-file.js';
import type { AsyncContexts } from './async-contexts.js';
import { ExposedCall } from './exposed-call.js';
import type { Provide } from './exposure-context.js';
import type { Failures } from './failures.js';
import { TunnelRequest } from './request.js';
import type { ResultValues } from './result-values.js';

/** What all tasks of an exposure share. */
export interface TaskScope {
  readonly taskRunner: TaskRunner;
  readonly contexts: AsyncContexts;
  readonly values: ResultValues;
  readonly failures: Failures;
  readonly inputFile: InputFileFactory;
  readonly provide: Provide;
}

/** An entry of the store: a tunnel of mode `both` puts another definition in its place. */
interface Stored {
  readonly task: ITask;
}

/** A task of the app's, callable over HTTP. */
export class TaskEntry implements Entry {
  readonly kind = 'task';
  readonly id: string;
  readonly acceptsContext: boolean;
  readonly inputFile: InputFileFactory;
  readonly #stored: Stored;
  readonly #scope: TaskScope;

  constructor(id: string, stored: Stored, acceptsContext: boolean, scope: TaskScope) {
    this.id = id;
    this.acceptsContext = acceptsContext;
    this.#stored = stored;
    this.#scope = scope;
    this.inputFile = scope.inputFile;
  }

  run = (input: unknown, call: Call): Promise<unknown> => {
    const { taskRunner, contexts, provide } = this.#scope;
    const run = (): Promise<unknown> => taskRunner.run(this.#stored.task, input) as Promise<unknown>;
    return provide(call, this.acceptsContext ? contexts.wrap(call, run) : run);
  };

  readonly makeBody: MakeBody = (call, port) => new TunnelRequest(call, { ...call.headers } as Record<string, string | string[]>, port);

  readonly conclusion: Conclusion = {
    result: (result, call) => {
      try {
        return this.#answerTo(result, call);
      } catch (error) {
        return this.#fail(error, call);
      }
    },
    failure: (error, call) => this.#fail(error, call),
  };

  #answerTo(result: unknown, call: Call): unknown {
    const response = ExposedCall.responseOf(call);
    if (response !== undefined) {
      // A task that ends the response answers by itself, now or later; so does one that returns the response.
      if (result === response) return LATER;
      if (response.writableEnded || response.destroyed) {
        discardStream(result);
        return LATER;
      }
    }
    const stream = streamAnswerOf(result);
    if (stream !== undefined) return this.#streamed(stream, call);
    if (response === undefined) return this.#scope.values.settle(result);
    if (!response.headersSent) response.answer(200, `{"ok":true,"result":${this.#scope.values.stringify(result)}}`);
    return LATER;
  }

  /** A stream goes before what the task has written to the response, unless that is under way. */
  #streamed(stream: StreamAnswer, call: Call): unknown {
    const { failures } = this.#scope;
    const response = ExposedCall.responseOf(call);
    if (response?.headersSent === true) {
      stream.source.destroy();
      call.note(() => failures.tooLate());
      return LATER;
    }
    const { requestId } = call;
    stream.events = {
      failed: (error) => {
        const { status, body } = failures.answerTo(error, 'task', requestId);
        return new CallFailure(status, body, error);
      },
      broken: (error) => failures.broken(error, requestId),
    };
    return response === undefined ? stream : response.streamed(stream);
  }

  #fail(error: unknown, call: Call): typeof LATER {
    const { failures } = this.#scope;
    const { status, body } = failures.answerTo(error, 'task', call.requestId, (tell) => call.note(tell));
    const response = ExposedCall.responseOf(call);
    if (response === undefined) throw new CallFailure(status, body, error);
    if (response.headersSent) call.note(() => failures.tooLate());
    else if (!response.destroyed) {
      call.trace?.failed(status, error);
      response.answer(status, body);
    }
    return LATER;
  }
}
