import type { Attributes, Context } from '@opentelemetry/api';
import { context, defaultTextMapSetter, SpanKind, trace } from '@opentelemetry/api';
import type { ClientCallMessage } from '../trace/client-trace.js';
import type { Follower } from './follow.js';
import type { InstrumentOptions } from './options.js';
import { addressOf, Measured, nameOf, Tools } from './tools.js';

/** A span and a duration of each call that a client makes. The span's context goes along in the headers. */
export class ClientSpans implements Follower<ClientCallMessage> {
  readonly #tools: Tools;
  readonly #open = new WeakMap<ClientCallMessage, Measured>();

  constructor(options: InstrumentOptions) {
    this.#tools = new Tools(options, 'http.client.request.duration', 'Duration of HTTP client requests.');
  }

  begin(call: ClientCallMessage): Context {
    const { tracer, propagator } = this.#tools;
    const parent = context.active();
    const recorded = { 'http.request.method': 'POST', 'network.protocol.version': '1.1' };
    const measured = new Measured(tracer, `POST ${call.path}`, SpanKind.CLIENT, { 'url.template': call.path, 'fasttunnel.kind': call.kind, 'fasttunnel.id': call.id }, recorded, 0, parent);
    this.#open.set(call, measured);
    const inside = trace.setSpan(parent, measured.span);
    propagator.inject(inside, call.headers, defaultTextMapSetter);
    return inside;
  }

  finish(call: ClientCallMessage): void {
    const measured = this.#open.get(call);
    if (measured === undefined) return;
    const { statusCode, error, url } = call;
    if (url !== undefined) measured.span.setAttribute('url.full', `${url.replace(/\/$/, '')}${call.path}`);
    if (statusCode === undefined && error instanceof Error) measured.span.recordException(error);
    measured.end(this.#tools.histogram, {
      ...placeOf(url),
      ...(statusCode === undefined ? {} : { 'http.response.status_code': statusCode }),
      ...(error === undefined ? {} : { 'error.type': statusCode === undefined ? nameOf(error) : String(statusCode) }),
    });
  }
}

/** Where the server is, by the url of a client: `http://host:port/path`, or `unix:/path/of/socket:/path`. */
function placeOf(url: string | undefined): Attributes {
  if (url === undefined) return {};
  const socket = /^unix:([^\0]+?):/.exec(url);
  if (socket !== null) return { 'server.address': socket[1]!, 'url.scheme': 'http' };
  const { host, protocol } = new URL(url);
  const scheme = protocol.slice(0, -1);
  return { ...addressOf(host, scheme === 'https' ? 443 : 80), 'url.scheme': scheme };
}
