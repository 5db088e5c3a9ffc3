import type { Context, Histogram, Span, SpanKind, Attributes, TextMapPropagator, Tracer } from '@opentelemetry/api';
import { metrics, propagation, SpanStatusCode, trace } from '@opentelemetry/api';
import type { InstrumentOptions } from './options.js';

const NAME = 'fasttunnel';
/** As the conventions for HTTP advise. */
const BOUNDARIES_S = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];

/** A span under way, and what its duration is recorded with. */
export class Measured {
  readonly span: Span;
  readonly #startMs: number;
  readonly #startedAt: number;
  readonly #attributes: Attributes;

  /** A span that has begun `agoMs` ago. */
  constructor(tracer: Tracer, name: string, kind: SpanKind, attributes: Attributes, recorded: Attributes, agoMs: number, parent: Context) {
    // By one clock from begin to end: that of the day may be set meanwhile.
    this.#startedAt = performance.now() - agoMs;
    this.#startMs = Date.now() - agoMs;
    this.#attributes = recorded;
    this.span = tracer.startSpan(name, { kind, attributes: { ...attributes, ...recorded }, startTime: this.#startMs }, parent);
  }

  end(histogram: Histogram, outcome: Attributes): void {
    const ms = performance.now() - this.#startedAt;
    this.span.setAttributes(outcome);
    if (outcome['error.type'] !== undefined) this.span.setStatus({ code: SpanStatusCode.ERROR });
    this.span.end(this.#startMs + ms);
    histogram.record(ms / 1000, { ...this.#attributes, ...outcome });
  }
}

/** What spans and measurements are made with. */
export class Tools {
  readonly tracer: Tracer;
  readonly #options: InstrumentOptions;
  readonly #metric: string;
  readonly #description: string;
  #histogram: Histogram | undefined;

  constructor(options: InstrumentOptions, metric: string, description: string) {
    this.#options = options;
    this.#metric = metric;
    this.#description = description;
    this.tracer = (options.tracerProvider ?? trace).getTracer(NAME);
  }

  /** Made when it is first needed: the API gives one that records nothing before a provider is registered. */
  get histogram(): Histogram {
    return (this.#histogram ??= (this.#options.meterProvider ?? metrics)
      .getMeter(NAME)
      .createHistogram(this.#metric, { unit: 's', description: this.#description, advice: { explicitBucketBoundaries: BOUNDARIES_S } }));
  }

  get propagator(): Pick<TextMapPropagator, 'inject' | 'extract'> {
    return this.#options.propagator ?? propagation;
  }
}

/** Host and port of an authority; `fallback` is the port where it names none. */
export function addressOf(authority: string, fallback: number): Attributes {
  const parts = /^(\[[^\]]*\]|[^:]*)(?::(\d+))?$/.exec(authority);
  if (parts === null || parts[1] === '') return {};
  return { 'server.address': parts[1]!.replace(/^\[(.*)\]$/, '$1'), 'server.port': parts[2] === undefined ? fallback : Number(parts[2]) };
}

/** The class of an error, as far as it says so. Never throws: what was thrown may be a Proxy. */
export function nameOf(error: unknown): string {
  try {
    const { code, name } = error as { code?: unknown; name?: unknown };
    if (typeof code === 'string') return code;
    if (typeof name === 'string' && name !== '') return name;
  } catch {
    // As any other.
  }
  return '_OTHER';
}
