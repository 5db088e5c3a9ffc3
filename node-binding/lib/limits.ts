import type { Bounds } from './bounds.js';
import type { EngineOptions } from './options/engine-options.js';
import { asGroup, asInteger, fail } from './options/checks.js';
import { asMultipart, MULTIPART_DEFAULTS } from './options/multipart.js';

const MEBIBYTE = 1024 * 1024;
const DAY_MS = 24 * 60 * 60 * 1000;

type Limits = EngineOptions['limits'];
type NumberLimits = Omit<Limits, 'multipart'>;

/** Default, least and most of every limit. docs/options.md says what happens when one is reached. */
export const LIMITS: Readonly<Record<keyof NumberLimits, Required<Bounds>>> = {
  maxHeadBytes: { fallback: 16_384, least: 512, most: 65_536, unit: 'bytes' },
  maxTargetBytes: { fallback: 8192, least: 16, most: 65_536, unit: 'bytes' },
  // The engine's table of field lines has a fixed size.
  maxHeaders: { fallback: 100, least: 1, most: 100, unit: 'header lines' },
  maxChunkExtensionBytes: { fallback: 4096, least: 0, most: 65_536, unit: 'bytes' },
  maxTrailerBytes: { fallback: 8192, least: 0, most: 65_536, unit: 'bytes' },
  // Bodies become one string; V8 ends a string at about 512 MiB, and a batch holds several.
  maxBodyBytes: { fallback: 2 * MEBIBYTE, least: 0, most: 256 * MEBIBYTE, unit: 'bytes' },
  // Runner's serializer reads no deeper.
  maxJsonDepth: { fallback: 1001, least: 1, most: 1001, unit: 'levels' },
  maxPipelined: { fallback: 32, least: 1, most: 1024, unit: 'requests' },
  maxRequestsPerConnection: { fallback: 0, least: 0, most: 1_000_000_000, unit: 'requests, 0 = any number' },
  maxCallsInFlight: { fallback: 10_000, least: 1, most: 1_000_000, unit: 'calls' },
  maxConnections: { fallback: 0, least: 0, most: 1_000_000, unit: 'connections, 0 = by the limit of open files' },
  maxBufferedBytes: { fallback: 65_536, least: 4096, most: 64 * MEBIBYTE, unit: 'bytes' },
  maxTotalBufferedBytes: { fallback: 256 * MEBIBYTE, least: MEBIBYTE, most: 1024 * 1024 * MEBIBYTE, unit: 'bytes' },
  headTimeoutMs: { fallback: 10_000, least: 1, most: DAY_MS, unit: 'milliseconds' },
  bodyTimeoutMs: { fallback: 30_000, least: 1, most: DAY_MS, unit: 'milliseconds' },
  minBodyBytesPerS: { fallback: 500, least: 1, most: 1024 * MEBIBYTE, unit: 'bytes a second' },
  maxBodyTimeMs: { fallback: 300_000, least: 1, most: DAY_MS, unit: 'milliseconds' },
  maxDiscardedBytes: { fallback: 1024 * MEBIBYTE, least: 0, most: 1024 * 1024 * MEBIBYTE, unit: 'bytes' },
  discardTimeoutMs: { fallback: 10_000, least: 1, most: DAY_MS, unit: 'milliseconds' },
  idleTimeoutMs: { fallback: 65_000, least: 1, most: DAY_MS, unit: 'milliseconds' },
  writeTimeoutMs: { fallback: 30_000, least: 1, most: DAY_MS, unit: 'milliseconds' },
  handlerTimeoutMs: { fallback: 0, least: 0, most: DAY_MS, unit: 'milliseconds, 0 = none' },
  queueTimeoutMs: { fallback: 500, least: 0, most: DAY_MS, unit: 'milliseconds, 0 = none' },
  drainTimeoutMs: { fallback: 10_000, least: 0, most: DAY_MS, unit: 'milliseconds' },
  keepAliveHintS: { fallback: 5, least: 0, most: 3600, unit: 'seconds' },
};

const LIMIT_NAMES = Object.keys(LIMITS) as (keyof NumberLimits)[];

/** Limits that may stand beside `limits` as well. */
export const FLAT_LIMITS = ['handlerTimeoutMs', 'drainTimeoutMs'] as const;

/** Names that people bring from elsewhere, mostly from node:http. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  maxBodySize: 'maxBodyBytes', maxSize: 'maxBodyBytes', fileSize: 'multipart.fileSize', files: 'multipart.files', maxHeaderSize: 'maxHeadBytes',
  maxHeadersCount: 'maxHeaders', maxRequestsPerSocket: 'maxRequestsPerConnection', headersTimeout: 'headTimeoutMs', requestTimeout: 'maxBodyTimeMs', keepAliveTimeout: 'idleTimeoutMs',
};

/** The group of limits called `group`, with the two limits that may be given at the top. */
export function asLimits(value: unknown, flat: Readonly<Partial<Record<(typeof FLAT_LIMITS)[number], unknown>>>, group = 'limits'): Limits {
  const elsewhere = Object.fromEntries(Object.entries(ELSEWHERE).map(([name, meant]) => [name, `${group}.${meant}`]));
  const given: Partial<Record<string, unknown>> = { ...asGroup(group, value ?? {}, [...LIMIT_NAMES, 'json', 'multipart'], elsewhere) };
  const paths: Partial<Record<string, string>> = {};

  if (given['json'] !== undefined) {
    const { maxSize } = asGroup(`${group}.json`, given['json'], ['maxSize']);
    give('maxBodyBytes', maxSize, `${group}.json.maxSize`);
  }
  for (const name of FLAT_LIMITS) give(name, flat[name], name);

  const limits = { multipart: asMultipart(`${group}.multipart`, given['multipart'], MULTIPART_DEFAULTS) } as Limits;
  for (const name of LIMIT_NAMES) {
    limits[name] = asInteger(paths[name] ?? `${group}.${name}`, given[name], LIMITS[name]);
  }
  return limits;

  function give(name: keyof NumberLimits, second: unknown, path: string): void {
    if (second === undefined) return;
    if (given[name] !== undefined) fail(path, second, `is the same limit as ${group}.${name}, which is given too`, 'Keep one of them.');
    given[name] = second;
    paths[name] = path;
  }
}
