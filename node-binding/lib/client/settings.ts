// What a client's options mean, and their checks. The types stand in types.ts.
import type { Bounds } from '../facts/bounds.js';
import { BASE_PATH, REQUEST_ID_HEADER, TOKEN_HEADER } from '../facts/facts.generated.js';
import { asGroup, asInteger, asToken, fail, failHidden, isPlainObject } from '../options/checks.js';
import { plainCodec, serializerCodec } from '../values/codec.js';
import type { ValueCodec } from '../values/codec.js';
import { asHeaderLines, isAscii } from './header-lines.js';
import { asPlace } from './place.js';
import type { Place } from './place.js';
import type { ClientOptions } from './types.js';

/** What each number may be. docs/client.md says what it does. */
export const NUMBERS = {
  timeoutMs: { fallback: 30_000, least: 0, most: 86_400_000, unit: 'milliseconds, 0 = none' },
  connectTimeoutMs: { fallback: 5_000, least: 1, most: 86_400_000, unit: 'milliseconds' },
  connections: { fallback: 256, least: 1, most: 10_000, unit: 'connections' },
  pipelining: { least: 1, most: 1024, unit: "calls, or 'auto'" },
  lateMs: { fallback: 20, least: 1, most: 86_400_000, unit: 'milliseconds' },
  slowMs: { fallback: 10, least: 1, most: 86_400_000, unit: 'milliseconds' },
  idleTimeoutMs: { fallback: 4_000, least: 1, most: 86_400_000, unit: 'milliseconds' },
  retries: { fallback: 2, least: 0, most: 100, unit: 'times' },
  maxAnswerBytes: { fallback: 64 * 1024 * 1024, least: 1024, most: 512 * 1024 * 1024 - 64, unit: 'bytes' },
  maxQueued: { fallback: 100_000, least: 1, most: 10_000_000, unit: 'calls' },
} as const satisfies Readonly<Record<string, Bounds>>;

/** Options that were checked, with their defaults. */
export interface Settings extends Readonly<Record<Exclude<keyof typeof NUMBERS, 'pipelining'>, number>> {
  readonly places: readonly Place[];
  /** Undefined: as the server turns out to be. */
  readonly pipelining: number | undefined;
  /** Complete lines of every request: the token and what was given as `headers`. */
  readonly lines: string;
  /** They are latin-1, so that bodies have to be ASCII: what is sent together is sent in one encoding. */
  readonly latin1: boolean;
  readonly codec: ValueCodec;
  readonly tls: Readonly<Record<string, unknown>>;
}

const KNOWN = ['url', 'urls', 'socketPath', 'auth', 'headers', 'serializer', 'tls', ...(Object.keys(NUMBERS) as (keyof typeof NUMBERS)[])] as const;
const MEANT = { baseUrl: 'url', timeout: 'timeoutMs', token: 'auth.token', maxConnections: 'connections', basePath: 'the path of url' };

export function checkClientOptions(value: ClientOptions): Settings {
  const options = asGroup('options', value, KNOWN, MEANT);
  const own = isPlainObject(options.headers) ? Object.keys(options.headers).find((name) => name.toLowerCase() === REQUEST_ID_HEADER) : undefined;
  if (own !== undefined) fail(`headers.${own}`, '(hidden)', 'must not be the same for all requests', 'Give it to each call, or leave it out.');
  const lines = `${asTokenLine(options.auth)}${asHeaderLines('headers', options.headers)}`;
  const { pipelining: _, ...numbers } = NUMBERS;
  const checked = Object.fromEntries(Object.entries(numbers).map(([name, bounds]) => [name, asInteger(name, options[name as keyof typeof numbers], bounds)]));
  return {
    ...(checked as unknown as Record<keyof typeof numbers, number>),
    pipelining: options.pipelining === undefined || options.pipelining === 'auto' ? undefined : asInteger('pipelining', options.pipelining, NUMBERS.pipelining),
    places: asPlaces(options.url, options.urls, options.socketPath),
    lines,
    latin1: !isAscii(lines),
    codec: options.serializer === undefined ? plainCodec : serializerCodec(asSerializer(options.serializer)),
    tls: options.tls === undefined ? {} : asObject('tls', options.tls),
  };
}

function asPlaces(url: unknown, urls: unknown, socketPath: unknown): Place[] {
  if (socketPath !== undefined && (typeof socketPath !== 'string' || socketPath === '')) fail('socketPath', socketPath, 'must be the path of a Unix domain socket', "For example '/run/app/tunnel.sock'.");
  if (urls !== undefined) {
    if (url !== undefined || socketPath !== undefined) fail('urls', urls, 'cannot be combined with url or socketPath', 'Put all of them into urls.');
    if (!Array.isArray(urls) || urls.length === 0) fail('urls', urls, 'must be a list of urls', `For example ['http://10.0.0.1:7070${BASE_PATH}', 'http://10.0.0.2:7070${BASE_PATH}'].`);
    return urls.map((one: unknown, index) => asPlace(`urls[${index}]`, one, undefined));
  }
  if (url === undefined && socketPath === undefined) fail('url', undefined, 'is missing', `Set url, for example 'http://127.0.0.1:7070${BASE_PATH}', or socketPath.`);
  return [asPlace('url', url ?? `http://localhost${BASE_PATH}`, socketPath)];
}

function asTokenLine(value: unknown): string {
  if (value === undefined) return '';
  const { token, header } = asGroup('auth', value, ['token', 'header']);
  if (token === undefined) return '';
  if (typeof token !== 'string' || token === '' || token !== token.trim()) failHidden('auth.token', 'must be a string that is not empty and has no blanks around it', 'Is its environment variable set?');
  if (/[^\t\x20-\x7e\x80-\xff]/.test(token)) failHidden('auth.token', 'must consist of characters that a header can carry', 'Use printable ASCII, for example 32 random bytes in hex.');
  const name = header === undefined ? TOKEN_HEADER : asToken('the name of a request header')('auth.header', header).toLowerCase();
  return `${name}: ${token}\r\n`;
}

function asSerializer(value: unknown): NonNullable<ClientOptions['serializer']> {
  const { parse, stringify } = asObject('serializer', value);
  if (typeof parse !== 'function' || typeof stringify !== 'function') fail('serializer', value, 'must have the methods parse and stringify', "For example new Serializer() of '@bluelibs/runner'.");
  return value as NonNullable<ClientOptions['serializer']>;
}

function asObject(option: string, value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null) fail(option, value, 'must be an object', 'Leave it out for none.');
  return value as Record<string, unknown>;
}
