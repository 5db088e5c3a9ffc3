import { NUMBERS } from '../facts/bounds.js';
import { asBoolean, asGroup, asInteger, asList, asToken, fail } from '../options/checks.js';
import type { EngineOptions } from '../options/engine-options.js';

/** What browsers on other origins may do, as `nodeExposure` has it. */
export interface FastTunnelCors {
  /** A text that is always sent, a list, a pattern, or a function that gives the value to send. */
  origin?: string | readonly string[] | RegExp | ((origin: string | undefined) => string | null | undefined) | null | undefined;
  methods?: readonly string[] | undefined;
  allowedHeaders?: readonly string[] | undefined;
  exposedHeaders?: readonly string[] | undefined;
  credentials?: boolean | undefined;
  maxAge?: number | undefined;
  varyOrigin?: boolean | undefined;
}

/** Tells the value of `Access-Control-Allow-Origin`, or nothing. */
export type OriginDecision = (origin: string | undefined) => string | null | undefined;

export interface CorsConfig {
  readonly engine: NonNullable<EngineOptions['cors']>;
  /** Only for patterns and functions: everything else is decided in Rust. */
  readonly decide: OriginDecision | undefined;
}

export function asCors(value: unknown): CorsConfig | undefined {
  if (value === undefined || value === null) return undefined;
  const given = asGroup('http.cors', value, ['origin', 'methods', 'allowedHeaders', 'exposedHeaders', 'credentials', 'maxAge', 'varyOrigin'], {
    origins: 'http.cors.origin',
    headers: 'http.cors.allowedHeaders',
  });
  const decide = asDecision(given.origin);
  const engine: CorsConfig['engine'] = {
    methods: asList('http.cors.methods', given.methods ?? undefined, asToken('an HTTP method')),
    allowedHeaders: asList('http.cors.allowedHeaders', given.allowedHeaders ?? undefined, asToken('a header name')),
    exposedHeaders: asList('http.cors.exposedHeaders', given.exposedHeaders ?? undefined, asToken('a header name')),
    credentials: asBoolean('http.cors.credentials', given.credentials, false),
    varyOrigin: asBoolean('http.cors.varyOrigin', given.varyOrigin, true),
  };
  if (given.maxAge !== undefined) engine.maxAge = asInteger('http.cors.maxAge', given.maxAge, NUMBERS.maxAge);
  if (decide !== undefined) engine.originFromHook = true;
  else if (given.origin !== undefined) engine.origin = asOrigin(given.origin);
  return { engine, decide };
}

function asDecision(origin: unknown): OriginDecision | undefined {
  if (typeof origin === 'function') return origin as OriginDecision;
  if (!(origin instanceof RegExp)) return undefined;
  return (sent) => {
    if (sent === undefined || sent === '') return undefined;
    // With the flags g and y a pattern remembers where it stopped, and would match every other time (CONTRACT D10).
    origin.lastIndex = 0;
    return origin.test(sent) ? sent : undefined;
  };
}

function asOrigin(origin: unknown): string | string[] | null {
  if (origin === null) return null;
  if (Array.isArray(origin)) return asList('http.cors.origin', origin, asOneOrigin);
  return asOneOrigin('http.cors.origin', origin);
}

/** Compared or sent as it is; it only has to be something that a header can carry. */
function asOneOrigin(option: string, value: unknown): string {
  if (typeof value !== 'string' || value === '') fail(option, value, 'must be an origin', "For example 'https://app.example'; in place of one also a list, a RegExp, a function, or '*'.");
  if (/[^\t\x20-\x7e\x80-\xff]/.test(value)) fail(option, value, 'must consist of characters that a header can carry', "For example 'https://app.example'.");
  return value;
}
