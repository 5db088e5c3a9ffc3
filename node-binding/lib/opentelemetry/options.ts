import type { MeterProvider, TextMapPropagator, TracerProvider } from '@opentelemetry/api';
import { asGroup, fail } from '../options/checks.js';

/** What `instrument` may be told; everything is optional. */
export interface InstrumentOptions {
  /** Default: the one that is registered globally. */
  tracerProvider?: TracerProvider | undefined;
  /** Default: the one that is registered globally. */
  meterProvider?: MeterProvider | undefined;
  /** Reads and writes the trace context in headers. Default: the one that is registered globally. */
  propagator?: TextMapPropagator | undefined;
}

const METHODS = { tracerProvider: 'getTracer', meterProvider: 'getMeter', propagator: 'inject' } as const;

/** Throws an OptionError for the first thing that is wrong. */
export function checkInstrumentOptions(value: unknown): InstrumentOptions {
  const options = asGroup<keyof InstrumentOptions>('options', value ?? {}, ['tracerProvider', 'meterProvider', 'propagator']);
  for (const [name, method] of Object.entries(METHODS)) {
    const given = options[name as keyof InstrumentOptions] as Record<string, unknown> | null | undefined;
    if (given !== undefined && typeof given?.[method] !== 'function') fail(name, given, `must have the method ${method}`, 'Leave it out for the one that is registered globally.');
  }
  return options as InstrumentOptions;
}
