import type { ITask, TaskRunner } from '@bluelibs/runner';
import type { Entry } from '../bridge-types.js';
import type { Call, CallContext } from '../call.js';
import { CallFailure } from '../outcome.js';
import type { InputFileFactory } from '../files/input-file.js';
import type { StreamAnswer } from '../outcome.js';
import { discardStream, streamAnswerOf } from '../streams/source.js';
import type { MakeBody } from '../streams/streams.js';
import { INTERNAL_ERROR } from '../task-error.js';
import type { AsyncContexts } from './async-contexts.js';
import type { Failures } from './failures.js';
import { ExposedCall } from './exposed-call.js';
import { TunnelRequest } from './request.js';
import type { ResultValues } from './result-values.js';
import type { Runner } from './runtime.js';

/** What all tasks of an exposure share. */
export interface TaskScope {
  readonly runner: Runner;
  readonly taskRunner: TaskRunner;
  readonly basePath: string;
  readonly contexts: AsyncContexts;
  readonly values: ResultValues;
  readonly failures: Failures;
  readonly inputFile: InputFileFactory;
  /** Runs a function with the exposure context of its call. */
  provide(call: ExposedCall, run: () => Promise<unknown>): Promise<unknown>;
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
  readonly #stored: Stored;
  readonly #scope: TaskScope;

  constructor(id: string, stored: Stored, acceptsContext: boolean, scope: TaskScope) {
    this.id = id;
    this.acceptsContext = acceptsContext;
    this.#stored = stored;
    this.#scope = scope;
    this.inputFile = scope.inputFile;
  }

  run = (input: unknown, context: CallContext): Promise<unknown> => {
    const call = new ExposedCall(context as Call, this.#scope.runner, this.#scope.basePath);
    return new Promise((resolve, reject) => {
      call.onResponse(resolve, (error) => {
        if (error !== null) call.call.note(() => this.#scope.failures.log(error, 'task', call.call.requestId));
        reject(new CallFailure(INTERNAL_ERROR.status, INTERNAL_ERROR.body));
      });
      this.#start(call, input).then(
        (result) => this.#finish(call, result, resolve, reject),
        (error: unknown) => this.#fail(call, error, reject),
      );
    });
  };

  readonly inputFile: InputFileFactory;
  readonly makeBody: MakeBody = (call, port) => new TunnelRequest(call, { ...call.headers } as Record<string, string | string[]>, port);

  /** Async, so that whatever goes wrong in it rejects. */
  readonly #start = (call: ExposedCall, input: unknown): Promise<unknown> => {
    const { taskRunner, contexts } = this.#scope;
    const run = (): Promise<unknown> => taskRunner.run(this.#stored.task, input) as Promise<unknown>;
    return this.#scope.provide(call, this.acceptsContext ? contexts.wrap(call.call, run) : run);
  };

  #finish(call: ExposedCall, result: unknown, resolve: (answer: unknown) => void, reject: (failure: unknown) => void): void {
    const { response } = call;
    try {
      // A task that ends the response answers by itself, now or later; so does one that returns the response.
      if (result === response && response !== undefined) return;
      if (response !== undefined && (response.writableEnded || response.destroyed)) return discardStream(result);
      const stream = streamAnswerOf(result);
      if (stream !== undefined) this.#send(call, stream, resolve);
      else if (response === undefined) resolve(this.#scope.values.settle(result));
      else if (!response.headersSent) response.answer(200, `{"ok":true,"result":${this.#scope.values.stringify(result)}}`);
    } catch (error) {
      this.#fail(call, error, reject);
    }
  }

  /** A stream goes before what the task has written to the response, unless that is under way. */
  #send({ call, response }: ExposedCall, stream: StreamAnswer, resolve: (answer: unknown) => void): void {
    const { failures } = this.#scope;
    if (response?.headersSent === true) {
      stream.source.destroy();
      call.note(() => failures.tooLate());
      return;
    }
    const { requestId } = call;
    stream.events = {
      failed: (error) => {
        const { status, body } = failures.answerTo(error, 'task', requestId);
        return new CallFailure(status, body);
      },
      broken: (error) => failures.broken(error, requestId),
    };
    resolve(response === undefined ? stream : response.streamed(stream));
  }

  #fail(call: ExposedCall, error: unknown, reject: (failure: unknown) => void): void {
    const { status, body } = this.#scope.failures.answerTo(error, 'task', call.call.requestId, (tell) => call.call.note(tell));
    const { response } = call;
    if (response === undefined) reject(new CallFailure(status, body));
    else if (response.headersSent) call.call.note(() => this.#scope.failures.tooLate());
    else if (!response.destroyed) response.answer(status, body);
  }
}
