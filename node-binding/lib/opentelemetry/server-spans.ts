import type { Attributes, Context } from '@opentelemetry/api';
import { defaultTextMapGetter, ROOT_CONTEXT, SpanKind, trace } from '@opentelemetry/api';
import type { CallMessage } from '../trace/call-trace.js';
import type { Follower } from './follow.js';
import type { InstrumentOptions } from './options.js';
import { addressOf, Measured, nameOf, Tools } from './tools.js';

/** A span and a duration of each call that a handler answers. */
export class ServerSpans implements Follower<CallMessage> {
  readonly #tools: Tools;
  readonly #open = new WeakMap<CallMessage, Measured>();

  constructor(options: InstrumentOptions) {
    this.#tools = new Tools(options, 'http.server.request.duration', 'Duration of HTTP server requests.');
  }

  begin(call: CallMessage): Context {
    const { tracer, propagator } = this.#tools;
    const { kind, id, requestId, headers, method, path, httpVersion, protocol, host = '', queuedMs } = call;
    const route = routeOf(call);
    const parent = propagator.extract(ROOT_CONTEXT, headers, defaultTextMapGetter);
    const agent = headers['user-agent'];
    const measured = new Measured(
      tracer,
      `${method} ${route}`,
      SpanKind.SERVER,
      {
        'url.path': path,
        ...addressOf(host, protocol === 'https' ? 443 : 80),
        ...(agent === undefined ? {} : { 'user_agent.original': String(agent) }),
        'fasttunnel.kind': kind,
        'fasttunnel.id': id,
        'fasttunnel.request_id': requestId,
        'fasttunnel.queue.duration': queuedMs / 1000,
      },
      { 'http.request.method': method, 'url.scheme': protocol, 'http.route': route, 'network.protocol.version': httpVersion === '2.0' ? '2' : httpVersion },
      queuedMs,
      parent,
    );
    this.#open.set(call, measured);
    return trace.setSpan(parent, measured.span);
  }

  finish(call: CallMessage): void {
    const measured = this.#open.get(call);
    if (measured === undefined) return;
    const outcome = outcomeOf(call);
    if (outcome['error.type'] !== undefined && call.error instanceof Error) measured.span.recordException(call.error);
    measured.end(this.#tools.histogram, outcome);
  }
}

/** By the conventions a refusal (4xx) is the client's error, and no error of a server's span. */
function outcomeOf({ statusCode, clientGone, error }: CallMessage): Attributes {
  // Nothing was sent.
  if (clientGone || statusCode === undefined) return { 'error.type': clientGone ? 'FASTTUNNEL_CLIENT_CLOSED' : nameOf(error) };
  // What has failed after its head went out has said 200.
  if (statusCode < 400 && error !== undefined) return { 'http.response.status_code': statusCode, 'error.type': nameOf(error) };
  return { 'http.response.status_code': statusCode, ...(statusCode >= 500 ? { 'error.type': String(statusCode) } : {}) };
}

/** The path of the task or event. As received it may be encoded in many ways: they would be many routes. */
function routeOf({ kind, id, path }: CallMessage): string {
  return path.slice(0, path.lastIndexOf('/') + 1).replace(/[^/]*\/$/, `${kind}/`) + id;
}
