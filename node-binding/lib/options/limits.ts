import type { Bounds } from '../facts/bounds.js';
import * as facts from '../facts/facts.generated.js';
import { asGroup, asInteger, fail } from './checks.js';
import type { EngineOptions, LimitName } from './engine-options.js';
import { asMultipart, MULTIPART_DEFAULTS } from './multipart.js';

type Limits = EngineOptions['limits'];

/** Default, least and most of every limit. docs/options.md says what happens when one is reached. */
export const LIMITS: Readonly<Record<LimitName, Required<Bounds>>> = facts.LIMITS;

const LIMIT_NAMES = Object.keys(LIMITS) as LimitName[];

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

  function give(name: LimitName, second: unknown, path: string): void {
    if (second === undefined) return;
    if (given[name] !== undefined) fail(path, second, `is the same limit as ${group}.${name}, which is given too`, 'Keep one of them.');
    given[name] = second;
    paths[name] = path;
  }
}
