import type { IncomingMessage } from 'node:http';
import { CallError } from '../errors/client-errors.js';
import { ERROR_CODES, JSON_TYPE } from '../facts/facts.generated.js';
import { isPlainObject } from '../options/checks.js';
import { asyncDispose } from '../process/async-dispose.js';
import { CLIENT_CALLS, ClientCallTrace } from '../trace/client-trace.js';
import { Call, RETURN_PAYLOAD } from './call.js';
import type { Target } from './call.js';
import { asCall, mustHaveNoBody, mustHaveOneBody, pathOf } from './call-options.js';
import { Dispatcher } from './dispatcher.js';
import { EnvelopeReader } from './envelope.js';
import { formOf } from './file-form.js';
import { replaceLines } from './header-lines.js';
import { Ledger } from './ledger.js';
import { Pace } from './pace.js';
import { RequestIds } from './request-ids.js';
import { checkClientOptions } from './settings.js';
import type { Settings } from './settings.js';
import { StreamCalls } from './streams.js';
import type { StreamRequest } from './streams.js';
import type { CallOptions, Client, ClientOptions, ClientStats, StreamOptions, TaskCalls } from './types.js';

/** Ids that are kept in mind. Who makes up ids as they come gets new ones each time. */
const MAX_TARGETS = 10_000;

/**
 * Calls the tasks and events of a tunnel.
 *
 * ```js
 * const client = createClient({ url: 'http://127.0.0.1:7070/__runner', auth: { token } });
 * const sum = await client.task('app.tasks.add', { a: 1, b: 2 });
 * ```
 *
 * Nothing is connected before the first call. Throws an OptionError.
 */
export function createClient<Tasks = TaskCalls, Events = Record<string, any>>(options: ClientOptions): Client<Tasks, Events> {
  return new TunnelClient(checkClientOptions(options)) as unknown as Client<Tasks, Events>;
}

/** What {@link createClient} gives, for whom its types are in the way. */
export class TunnelClient {
  readonly #settings: Settings;
  readonly #ledger = new Ledger();
  readonly #dispatcher: Dispatcher;
  readonly #streams: StreamCalls;
  readonly #ids = new RequestIds();
  readonly #tasks = new Map<string, Target>();
  readonly #events = new Map<string, Target>();
  #closing: Promise<void> | undefined;

  constructor(settings: Settings) {
    this.#settings = settings;
    const envelopes = new EnvelopeReader(settings.codec);
    this.#dispatcher = new Dispatcher(settings, this.#ledger, envelopes);
    this.#streams = new StreamCalls(settings, this.#ledger, envelopes);
  }

  task(id: string, input?: unknown, options?: StreamOptions): Promise<unknown> {
    if (CLIENT_CALLS.wanted) return this.#traced('task', id, options, (given, trace) => this.#task(id, input, given, trace));
    return this.#task(id, input, options);
  }

  #task(id: string, input: unknown, options: StreamOptions | undefined, trace?: ClientCallTrace): Promise<unknown> {
    if (options?.body !== undefined || options?.files === true) return this.#apart(id, input, options, trace);
    return this.#call('task', id, 'input', input, '}', options, trace);
  }

  /** Makes a call to which somebody listens. What listeners add to its headers does not replace what its caller has set. */
  async #traced<Options extends StreamOptions, Result>(kind: 'task' | 'event', id: string, options: Options | undefined, make: (options: Options, trace: ClientCallTrace) => Promise<Result>): Promise<Result> {
    const { places } = this.#settings;
    const trace = new ClientCallTrace(kind, id, pathOf(kind, id), places.length === 1 ? places[0]!.url : undefined);
    return trace.follow(() => make({ ...options, headers: withoutTwins(trace.headers, options?.headers) } as Options, trace));
  }

  async #apart(id: string, input: unknown, options: StreamOptions, trace?: ClientCallTrace): Promise<unknown> {
    return this.#streams.task(this.#streamed(id, input, options, trace));
  }

  async stream(id: string, input?: unknown, options: StreamOptions = {}): Promise<IncomingMessage> {
    if (CLIENT_CALLS.wanted) return this.#traced('task', id, options, async (given, trace) => {
        const answer = await this.#streams.stream(this.#streamed(id, input, given, trace));
        trace.statusCode = answer.statusCode;
        return answer;
      });
    return this.#streams.stream(this.#streamed(id, input, options));
  }

  /** As `task` or as `stream`, whichever the task answers with. */
  async either(id: string, input: unknown, options: StreamOptions): Promise<unknown> {
    if (CLIENT_CALLS.wanted) return this.#traced('task', id, options, (given, trace) => this.#either(id, input, given, trace));
    return this.#either(id, input, options);
  }

  async #either(id: string, input: unknown, options: StreamOptions, trace?: ClientCallTrace): Promise<unknown> {
    const answer = await this.#streams.either(this.#streamed(id, input, options, trace));
    if ('value' in answer) return answer.value;
    if (trace !== undefined) trace.statusCode = answer.stream.statusCode;
    return answer.stream;
  }

  /** A call with a connection of its own. It begins in the tick in which it is made, or close() would not know of it. */
  #streamed(id: string, input: unknown, given: StreamOptions, trace?: ClientCallTrace): StreamRequest {
    const target = this.#tasks.get(id) ?? this.#newTarget('task', id);
    this.#mustBeOpen(target);
    const { body, files, ...options } = given;
    const { requestId, ...rest } = asCall(options, this.#settings.timeoutMs, this.#ids);
    mustHaveOneBody(body, input, files);
    const form = files === true ? formOf(input, this.#settings.codec) : undefined;
    const content = form ?? (body === undefined ? { contentType: JSON_TYPE, body: `{"input":${this.#settings.codec.stringify(input)}}` } : { contentType: 'application/octet-stream', body });
    const place = this.#dispatcher.place();
    if (trace !== undefined) trace.url = place.url;
    return { what: target.what, path: target.path, place, requestId, ...rest, ...content };
  }

  async event(id: string, payload?: unknown, options?: CallOptions): Promise<void> {
    await this.#event(id, payload, '}', options);
  }

  eventWithResult(id: string, payload?: unknown, options?: CallOptions): Promise<unknown> {
    return this.#event(id, payload, RETURN_PAYLOAD, options);
  }

  #event(id: string, payload: unknown, end: string, options: CallOptions | undefined): Promise<unknown> {
    if (CLIENT_CALLS.wanted) return this.#traced('event', id, options, (given, trace) => this.#call('event', id, 'payload', payload, end, given, trace));
    return this.#call('event', id, 'payload', payload, end, options);
  }

  #call(kind: 'task' | 'event', id: string, name: string, value: unknown, end: string, options: CallOptions | undefined, trace?: ClientCallTrace): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const target = (kind === 'task' ? this.#tasks : this.#events).get(id) ?? this.#newTarget(kind, id);
      this.#mustBeOpen(target);
      let body = `{"${name}":${this.#settings.codec.stringify(value)}${end}`;
      if (this.#settings.latin1) body = asAscii(body);
      const call = options === undefined ? new Call(target, this.#ids.next(), body, this.#settings.timeoutMs, this.#ledger, resolve, reject) : this.#withOptions(target, body, options, resolve, reject);
      call.trace = trace;
      this.#dispatcher.submit(call);
    });
  }

  #withOptions(target: Target, body: string, given: CallOptions, resolve: (value: unknown) => void, reject: (error: unknown) => void): Call {
    const { requestId, lines, timeoutMs, idempotent, signal } = asCall(given, this.#settings.timeoutMs, this.#ids);
    if (target.kind === 'event') mustHaveNoBody(given);
    const call = new Call(target, requestId, body, timeoutMs, this.#ledger, resolve, reject);
    const replaced = replaceLines(this.#settings.lines, lines);
    call.lines = replaced ?? lines;
    call.replaces = replaced !== undefined;
    call.idempotent = idempotent;
    if (signal !== undefined) call.watch(signal);
    return call;
  }

  #mustBeOpen({ what }: Target): void {
    if (this.#closing !== undefined) throw closedError(what);
  }

  #newTarget(kind: 'task' | 'event', id: string): Target {
    const path = pathOf(kind, id);
    const target: Target = { what: `${kind} ${JSON.stringify(id)}`, kind, id, method: 'POST', path, pace: new Pace(this.#settings.slowMs), begin: '', beginsWith: '' };
    const targets = kind === 'task' ? this.#tasks : this.#events;
    if (targets.size === MAX_TARGETS) targets.clear();
    targets.set(id, target);
    return target;
  }

  stats(): ClientStats {
    const { calls, results, errors, failed, timedOut, aborted, retries, open } = this.#ledger;
    const { queued } = this.#dispatcher;
    return { calls, results, errors, failed, timedOut, aborted, retries, queued, outstanding: open - queued, phases: { queue: this.#ledger.queue.snapshot(), answer: this.#ledger.answer.snapshot() }, servers: this.#dispatcher.servers.map((server) => server.stats()) };
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#end());
  }

  destroy(): void {
    void this.close();
    this.#streams.destroy();
    this.#dispatcher.endAll(({ target, maybeRan }) => new CallError(ERROR_CODES.closed, maybeRan, `${target.what} was ended: the client was destroyed.`));
  }

  [asyncDispose](): Promise<void> {
    return this.close();
  }

  async #end(): Promise<void> {
    await this.#ledger.none();
    this.#dispatcher.end();
  }
}

/** Of a call that is made when the client is closed. */
export function closedError(what: string): CallError {
  return new CallError(ERROR_CODES.closed, false, `${what} was not sent: the client is closed. Create a new one.`);
}

/** The headers that listeners have added, and those of the caller, which count where both have set one. */
function withoutTwins(added: Readonly<Record<string, string>>, own: Readonly<Record<string, string>> | undefined): Readonly<Record<string, string>> | undefined {
  if (!isPlainObject(own)) return own ?? added;
  const names = new Set(Object.keys(own).map((name) => name.toLowerCase()));
  return { ...Object.fromEntries(Object.entries(added).filter(([name]) => !names.has(name.toLowerCase()))), ...own };
}

/** The same JSON in ASCII. */
function asAscii(json: string): string {
  return json.replace(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
