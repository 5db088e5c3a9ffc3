// What there is of requests and responses that come from somebody else's server: node:http, node:https, the compatibility
// API of node:http2, or a test's stand-ins, which have less.

type Listener = (...values: any[]) => void;

/** A request: `http.IncomingMessage`, or what is left of it. */
export interface ForeignRequest {
  readonly method?: string | undefined;
  readonly url?: string | undefined;
  readonly headers?: Readonly<Record<string, unknown>>;
  readonly rawHeaders?: readonly string[];
  readonly httpVersionMajor?: number;
  readonly readableEnded?: boolean;
  readonly destroyed?: boolean;
  readonly socket?: { readonly destroyed?: boolean } | null;
  /** What other listeners have made of a body that they have read. */
  readonly rawBody?: unknown;
  readonly body?: unknown;
  on?(event: string, listener: Listener): unknown;
  pause?(): unknown;
  resume?(): unknown;
  destroy?(error?: Error): unknown;
}

/** A response: `http.ServerResponse`, or what is left of it. */
export interface ForeignResponse {
  statusCode: number;
  statusMessage?: string;
  readonly headersSent?: boolean;
  readonly writableEnded?: boolean;
  readonly destroyed?: boolean;
  setHeader(name: string, value: string | readonly string[]): unknown;
  getHeader?(name: string): unknown;
  write?(bytes: Uint8Array): unknown;
  end(bytes?: Uint8Array | string): unknown;
  on?(event: string, listener: Listener): unknown;
  once?(event: string, listener: Listener): unknown;
  destroy?(error?: Error): unknown;
}

/** Header lines, names and values in turn. */
export type Lines = readonly string[];

/**
 * A request's header lines: in the order and the case in which they were received, as far as `headers` still says the
 * same. What a middleware has changed there counts, as it does for everybody who looks at `headers`.
 */
export function headerLinesOf({ rawHeaders = [], headers = {} }: ForeignRequest): Lines {
  let same = rawHeaders.length > 0 && Object.keys(headers).length === rawHeaders.length / 2;
  for (let index = 0; same && index < rawHeaders.length; index += 2) {
    same = headers[rawHeaders[index]!.toLowerCase()] === rawHeaders[index + 1];
  }
  return same ? rawHeaders : reconciled(rawHeaders, headers);
}

function reconciled(raw: Lines, headers: Readonly<Record<string, unknown>>): Lines {
  const received = new Map<string, { name: string; values: string[] }>();
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const key = raw[index]!.toLowerCase();
    const known = received.get(key);
    if (known === undefined) received.set(key, { name: raw[index]!, values: [raw[index + 1]!] });
    else known.values.push(raw[index + 1]!);
  }
  const lines: string[] = [];
  for (const [key, { name, values }] of received) {
    const current = headers[key];
    for (const value of isJoined(values, current) ? values : valuesOf(current)) lines.push(name, value);
  }
  for (const [key, current] of Object.entries(headers)) {
    if (!received.has(key.toLowerCase())) for (const value of valuesOf(current)) lines.push(key, value);
  }
  return lines;
}

/** True when `current` is what node:http makes of these values: joined, listed, or the first of them. */
function isJoined(values: readonly string[], current: unknown): boolean {
  if (Array.isArray(current)) return current.length === values.length && current.every((value, index) => value === values[index]);
  return current === values[0] || current === values.join(', ') || current === values.join('; ');
}

function valuesOf(value: unknown): string[] {
  if (value === undefined || value === null) return [];
  return Array.isArray(value) ? value.map(String) : [String(value)];
}

/**
 * The body of a request that somebody has read to its end: the bytes that he has left on it (`rawBody`, or a `body` that
 * is not parsed), else none. `undefined`: it can still be read.
 */
export function leftOverBody(request: ForeignRequest): Uint8Array | undefined {
  if (request.readableEnded !== true) return undefined;
  for (const kept of [request.rawBody, request.body]) {
    if (kept instanceof Uint8Array) return kept;
    if (typeof kept === 'string') return Buffer.from(kept);
  }
  return Buffer.alloc(0);
}

/** True when a body came with the request and is not to be had any more: the engine will see a request without one. */
export function isBodyLost(request: ForeignRequest): boolean {
  if (request.readableEnded !== true || leftOverBody(request)!.length > 0) return false;
  const { 'content-length': length, 'transfer-encoding': coding } = request.headers ?? {};
  return coding !== undefined || (length !== undefined && Number(length) > 0);
}
