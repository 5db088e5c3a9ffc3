// What a client's options mean where there are no sockets, and their checks.
import { headersOf } from '../client/header-lines.js';
import { checkClientOptions, NUMBERS } from '../client/settings.js';
import { asChoice, asGroup, fail, isPlainObject } from '../options/checks.js';
import type { ValueCodec } from '../values/codec.js';
import type { ClientOptions } from './types.js';

/** Options that were checked, with their defaults. */
export interface FetchSettings {
  /** Base path included, without a slash at its end. */
  readonly url: string;
  /** Header lines of every request. */
  readonly headers: Readonly<Record<string, string>>;
  readonly codec: ValueCodec;
  readonly timeoutMs: number;
  readonly retries: number;
  readonly maxAnswerBytes: number;
  readonly credentials: 'omit' | 'same-origin' | 'include';
}

const KNOWN = ['url', 'auth', 'headers', 'serializer', 'timeoutMs', 'retries', 'maxAnswerBytes', 'credentials'] as const;
/** What only a client with sockets has. */
const OF_SOCKETS: readonly string[] = ['urls', 'socketPath', 'tls', ...Object.keys(NUMBERS)].filter((name) => !(KNOWN as readonly string[]).includes(name));
const MEANT = { baseUrl: 'url', timeout: 'timeoutMs', token: 'auth.token', basePath: 'the path of url' };

export function checkFetchOptions(value: ClientOptions): FetchSettings {
  const sockets = typeof value === 'object' && value !== null ? OF_SOCKETS.find((name) => (value as unknown as Record<string, unknown>)[name] !== undefined) : undefined;
  if (sockets !== undefined) fail(sockets, '(hidden)', 'has no effect here: in a browser fetch makes the connections', 'Leave it out.');
  const given = isPlainObject(value) ? Object.fromEntries(Object.entries(value).filter(([name]) => !OF_SOCKETS.includes(name))) : value;
  const { url, credentials, ...others } = asGroup('options', given, KNOWN, MEANT);
  const { places, lines, codec, timeoutMs, retries, maxAnswerBytes } = checkClientOptions({ ...others, ...(url === undefined ? {} : { url: absolute(url) }) } as ClientOptions);
  const { secure, authority, basePath, socketPath } = places[0]!;
  if (socketPath !== undefined) fail('url', url, 'must begin with http:// or https://', 'A browser has no Unix domain sockets.');
  return {
    url: `${secure ? 'https' : 'http'}://${authority}${basePath}`,
    headers: headersOf(lines),
    codec,
    timeoutMs,
    retries,
    maxAnswerBytes,
    credentials: asChoice('credentials', credentials, ['same-origin', 'include', 'omit']),
  };
}

/** A url that is relative to the page, as a whole one. What is none is left to the check that follows. */
function absolute(url: unknown): unknown {
  const page = (globalThis as { location?: { href: string } }).location?.href;
  if (typeof url !== 'string' || page === undefined || /^[a-z]+:/i.test(url)) return url;
  try {
    return new URL(url, page).href;
  } catch {
    return url;
  }
}
