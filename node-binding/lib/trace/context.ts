/** Where in a trace a request stands, as its caller says (W3C Trace Context). */
export interface TraceContext {
  /** The field `traceparent`, as received. */
  readonly traceparent: string;
  /** The field `tracestate`, as received; lines are joined. */
  readonly tracestate: string | undefined;
  /** 32 hexadecimal digits. */
  readonly traceId: string;
  /** The span that the caller is in: 16 hexadecimal digits. */
  readonly parentId: string;
  /** The caller records the trace. */
  readonly sampled: boolean;
}

/** Version, trace, parent and flags. A version after 00 may append fields. */
const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const NO_TRACE = '0'.repeat(32);
const NO_PARENT = '0'.repeat(16);

/** The trace context in the headers of a request; undefined where there is none, or none that is valid. */
export function traceContextOf(headers: Readonly<Record<string, string | string[] | undefined>>): TraceContext | undefined {
  // Several lines are joined by a comma, which no valid value has.
  const { traceparent, tracestate } = headers;
  if (typeof traceparent !== 'string') return undefined;
  const parts = TRACEPARENT.exec(traceparent);
  if (parts === null) return undefined;
  const [, version, traceId, parentId, flags, further] = parts;
  if (version === 'ff' || (version === '00' && further !== undefined) || traceId === NO_TRACE || parentId === NO_PARENT) return undefined;
  return { traceparent, tracestate: typeof tracestate === 'string' ? tracestate : undefined, traceId: traceId!, parentId: parentId!, sampled: (parseInt(flags!, 16) & 1) === 1 };
}
