import { NUMBERS } from '../facts/bounds.js';
import { asBoolean, asGroup, asInteger, asList, asToken, fail } from './checks.js';
import type { EngineOptions } from './engine-options.js';

type Cors = NonNullable<EngineOptions['cors']>;

/** The `cors` group, or its short form `corsOrigins`. */
export function asCors(value: unknown, origins: unknown): Cors | undefined {
  if (origins !== undefined) {
    if (value !== undefined) fail('corsOrigins', origins, 'is the short form of cors, which is given too', 'Keep one of them.');
    return asCorsOrigins(origins);
  }
  if (value === undefined) return undefined;
  const given = asGroup('cors', value, ['origin', 'methods', 'allowedHeaders', 'exposedHeaders', 'credentials', 'maxAge', 'varyOrigin'], {
    origins: 'cors.origin',
    headers: 'cors.allowedHeaders',
  });
  const cors: Cors = {
    methods: asList('cors.methods', given.methods, asToken('an HTTP method')),
    allowedHeaders: asList('cors.allowedHeaders', given.allowedHeaders, asToken('a header name')),
    exposedHeaders: asList('cors.exposedHeaders', given.exposedHeaders, asToken('a header name')),
    credentials: asBoolean('cors.credentials', given.credentials, false),
    varyOrigin: asBoolean('cors.varyOrigin', given.varyOrigin, true),
  };
  if (given.maxAge !== undefined) cors.maxAge = asInteger('cors.maxAge', given.maxAge, NUMBERS.maxAge);
  if (given.origin !== undefined) cors.origin = asOriginOption(given.origin);
  if (cors.credentials && cors.origin === '*') {
    fail('cors.origin', '*', 'cannot be combined with credentials: browsers refuse that', 'List the origins that may send credentials.');
  }
  return cors;
}

function asCorsOrigins(value: unknown): Cors {
  const cors: Cors = { methods: [], allowedHeaders: [], exposedHeaders: [], credentials: false, varyOrigin: true };
  if (!Array.isArray(value)) fail('corsOrigins', value, 'must be an array of origins', "Write ['https://app.example'], or ['*'] for any.");
  if (value.includes('*')) {
    if (value.length > 1) fail('corsOrigins', value, "must not hold '*' beside other origins", "Write ['*'] for any origin, or list them without '*'.");
    return cors;
  }
  return { ...cors, origin: asList('corsOrigins', value, asOrigin) };
}

function asOriginOption(value: unknown): string | string[] | null {
  if (value === null || value === '*') return value;
  if (Array.isArray(value)) return asList('cors.origin', value, asOrigin);
  if (value instanceof RegExp || typeof value === 'function') {
    fail('cors.origin', value, 'must be a string or an array of strings', 'Origins are compared in Rust, without entering JavaScript: list them.');
  }
  return asOrigin('cors.origin', value);
}

/** An origin exactly as browsers send it; anything else would never match, silently. */
function asOrigin(option: string, value: unknown): string {
  const example = "An origin is a scheme, a host and a port if it is not the default one: 'https://app.example'.";
  if (typeof value !== 'string') fail(option, value, 'must be an origin', example);
  if (value === '*') fail(option, value, "must not be '*' in a list", option.startsWith('cors.') ? "Write origin: '*'." : "Write ['*'].");
  if (value === 'null') return value;
  if (!/^[a-z][a-z0-9+.-]*:\/\/[^\s/?#\\@\x00-\x20\x7f-\uffff]+\/?$/i.test(value) || !URL.canParse(value)) fail(option, value, 'must be an origin', example);
  const url = new URL(value);
  const sent = url.origin === 'null' ? value.replace(/\/$/, '') : url.origin;
  if (sent !== value) fail(option, value, 'must be written as browsers send it', `Write '${sent}'.`);
  return value;
}
