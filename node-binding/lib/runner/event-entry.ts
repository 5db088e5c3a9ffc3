import type { EventManager, IEvent } from '@bluelibs/runner';
import type { Call } from '../calls/call.js';
import type { Entry } from '../calls/entry.js';
import { CallFailure, DONE } from '../calls/outcome.js';
import { payloadOf, returnPayload } from '../values/values.js';
import type { AsyncContexts } from './async-contexts.js';
import type { Failures } from './failures.js';
import type { ResultValues } from './result-values.js';

/** What hooks see as the emission's source. */
const SOURCE = 'exposure:http';

/** What all events of an exposure share. */
export interface EventScope {
  readonly eventManager: EventManager;
  readonly contexts: AsyncContexts;
  readonly values: ResultValues;
  readonly failures: Failures;
}

/** An event of the app's that can be emitted over HTTP. */
export class EventEntry implements Entry {
  readonly kind = 'event';
  readonly id: string;
  readonly acceptsContext: boolean;
  /** Gets the whole body: a parallel event may refuse to return its payload. */
  readonly raw = true;
  readonly #event: IEvent;
  readonly #scope: EventScope;

  constructor(id: string, event: IEvent, acceptsContext: boolean, scope: EventScope) {
    this.id = id;
    this.acceptsContext = acceptsContext;
    this.#event = event;
    this.#scope = scope;
  }

  run = (body: unknown, call: Call): Promise<unknown> => {
    const wanted = returnPayload(body);
    if (wanted && this.#event.parallel === true) throw refusalOfParallel(this.id);
    return this.#emit(call, payloadOf(body), wanted).then(
      (payload) => (wanted ? this.#scope.values.settle(payload) : DONE),
      (error: unknown) => {
        const { status, body: text } = this.#scope.failures.answerTo(error, 'event', call.requestId);
        throw new CallFailure(status, text, error);
      },
    );
  };

  readonly #emit = (call: Call, payload: unknown, wanted: boolean): Promise<unknown> => {
    const { eventManager, contexts } = this.#scope;
    const emit = (): Promise<unknown> =>
      wanted ? eventManager.emitWithResult(this.#event, payload, SOURCE) : eventManager.emit(this.#event, payload, SOURCE);
    return this.acceptsContext ? contexts.wrap(call, emit)() : emit();
  };
}

function refusalOfParallel(id: string): CallFailure {
  const message = `Event ${id} is marked parallel; returning a payload is not supported.`;
  return new CallFailure(400, JSON.stringify({ ok: false, error: { message, code: 'PARALLEL_EVENT_RETURN_UNSUPPORTED' } }));
}
