// Who calls: proxies that are trusted to say so, and addresses that may.
import { isIP, isIPv4 } from 'node:net';
import { NUMBERS } from '../facts/bounds.js';
import { asBoolean, asChoice, asGroup, asInteger, asList, fail } from './checks.js';

/** What holds of callers. */
export interface CallerOptions {
  trustedHops?: number;
  trustedNetworks?: string[];
  proxyProtocol?: { optional: boolean; from?: string[] };
  access?: { allow?: string[]; deny: string[] };
  limits: CallerLimit[];
}

/** What each caller may ask. */
export interface CallerLimit {
  per: 'token' | 'address';
  rate?: number;
  burst: number;
  maxConcurrent?: number;
  maxCallers: number;
}

/** The options about callers, as they stand in a group of options. */
interface Given {
  trustProxy?: unknown;
  proxyProtocol?: unknown;
  access?: unknown;
  rateLimit?: unknown;
}

/** Requests a second: one in a quarter of an hour, or as many as a tunnel can answer. */
const LEAST_RATE = 0.001;
const MOST_RATE = 1_000_000;

/** Upper bound of proxies in a row: no chain is longer, and a larger number is a mistake. */
const MOST_HOPS = 32;

/** What users have said of callers; `prefix` stands before the names of the options. */
export function asCallers(prefix: string, given: Given): { callers?: CallerOptions } {
  const callers: CallerOptions = {
    ...asTrustProxy(`${prefix}trustProxy`, given.trustProxy),
    ...asProxyProtocol(`${prefix}proxyProtocol`, given.proxyProtocol),
    ...asAccess(`${prefix}access`, given.access),
    limits: asRateLimits(`${prefix}rateLimit`, given.rateLimit),
  };
  return Object.keys(callers).length === 1 && callers.limits.length === 0 ? {} : { callers };
}

function asTrustProxy(option: string, value: unknown): Pick<CallerOptions, 'trustedHops' | 'trustedNetworks'> {
  if (value === undefined) return {};
  if (Array.isArray(value)) return { trustedNetworks: asList(option, value, asPeerNetwork) };
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > MOST_HOPS) {
    fail(option, value, `must be an array of networks, or an integer from 0 to ${MOST_HOPS} (proxies in a row)`, "For example ['10.0.0.0/8'], the addresses of your proxies.");
  }
  return { trustedHops: value };
}

function asProxyProtocol(option: string, value: unknown): Pick<CallerOptions, 'proxyProtocol'> {
  if (value === undefined || value === false) return {};
  if (value === true || value === 'optional') return { proxyProtocol: { optional: value === 'optional' } };
  if (typeof value === 'string') fail(option, value, "must be true, 'optional' or an object", "For example { from: ['10.0.0.0/8'] }.");
  const { from, optional } = asGroup(option, value, ['from', 'optional'], { trusted: `${option}.from`, allow: `${option}.from` });
  const rule = { optional: asBoolean(`${option}.optional`, optional, false) };
  return { proxyProtocol: from === undefined ? rule : { ...rule, from: asList(`${option}.from`, from, asPeerNetwork) } };
}

function asAccess(option: string, value: unknown): Pick<CallerOptions, 'access'> {
  if (value === undefined) return {};
  const { allow, deny } = asGroup(option, value, ['allow', 'deny'], { from: `${option}.allow`, block: `${option}.deny` });
  const rule = { deny: asList(`${option}.deny`, deny, asNetwork) };
  return { access: allow === undefined ? rule : { ...rule, allow: asList(`${option}.allow`, allow, asNetwork) } };
}

/** Throws where a limit counts tokens, and nobody is asked for one: callers would choose what they are counted by, or send none. */
export function mustAskForTokens(option: string, { callers, auth }: { readonly callers?: CallerOptions; readonly auth: { readonly tokens: readonly string[] | undefined; readonly validators?: boolean } }): void {
  if (auth.tokens !== undefined || auth.validators === true) return;
  if (callers?.limits.some(({ per }) => per === 'token') === true) fail(`${option}.per`, 'token', 'limits nobody where no token is asked for', "Give auth.token, or count by per: 'address'.");
}

/** One limit, or one for each kind of callers. */
function asRateLimits(option: string, value: unknown): CallerLimit[] {
  if (value === undefined) return [];
  const list: unknown[] = Array.isArray(value) ? value : [value];
  const limits = list.map((one, index) => asRateLimit(Array.isArray(value) ? `${option}[${index}]` : option, one));
  const [first, ...others] = limits.map(({ per }) => per);
  if (others.length > 1 || others.includes(first!)) fail(option, value, 'has two limits for the same callers', "Give one with per: 'token' and one with per: 'address', at most.");
  return limits;
}

function asRateLimit(option: string, value: unknown): CallerLimit {
  const given = asGroup(option, value, ['per', 'rate', 'burst', 'maxConcurrent', 'maxCallers'], { by: `${option}.per`, max: `${option}.burst`, window: `${option}.rate (requests a second)`, concurrency: `${option}.maxConcurrent` });
  if (given.per === undefined) fail(`${option}.per`, undefined, "must be 'token' or 'address'", 'Say whose requests are counted together.');
  const per = asChoice(`${option}.per`, given.per, ['token', 'address']);
  const { rate, maxConcurrent } = given;
  if (rate === undefined && maxConcurrent === undefined) fail(option, value, 'limits nothing', 'Give rate (requests a second), maxConcurrent (calls under way), or both.');
  if (rate !== undefined && !(typeof rate === 'number' && rate >= LEAST_RATE && rate <= MOST_RATE)) {
    fail(`${option}.rate`, rate, `must be a number from ${LEAST_RATE} to ${MOST_RATE} (requests a second)`, 'For example 10, or 1 / 60 for one a minute.');
  }
  if (rate === undefined && given.burst !== undefined) fail(`${option}.burst`, given.burst, 'is of no use without rate', 'Give rate as well, or leave it out.');
  // A second's worth may come at once, unless somebody says otherwise.
  const burst = asInteger(`${option}.burst`, given.burst, { ...NUMBERS.burst, fallback: Math.max(1, Math.ceil(Number(rate ?? 1))) });
  const limit: CallerLimit = { per, burst, maxCallers: asInteger(`${option}.maxCallers`, given.maxCallers, NUMBERS.maxCallers) };
  if (rate !== undefined) limit.rate = rate;
  if (maxConcurrent !== undefined) limit.maxConcurrent = asInteger(`${option}.maxConcurrent`, maxConcurrent, NUMBERS.maxConcurrent);
  return limit;
}

/** As {@link asNetwork}, or `unix`: the peers of a unix socket have no address. */
function asPeerNetwork(option: string, value: unknown): string {
  return value === 'unix' ? value : asNetwork(option, value);
}

/** An address, or one and the length of a prefix, behind which all bits are zero. The engine reads it. */
function asNetwork(option: string, value: unknown): string {
  const wrong = (problem: string, fix = "For example '10.0.0.0/8', '2001:db8::/32' or '192.0.2.1'."): never => fail(option, value, problem, fix);
  if (typeof value !== 'string') return wrong('must be a string');
  const [address = '', length, ...more] = value.split('/');
  if (isIP(address) === 0 || address.includes('%') || more.length > 0) return wrong('must be an address or a network');
  const bits = isIPv4(address) ? 32 : 128;
  if (length === undefined) return value;
  if (!/^\d{1,3}$/.test(length) || Number(length) > bits) return wrong(`must have a prefix from 0 to ${bits}`);
  const below = BigInt(bits - Number(length));
  const number = numberOf(address);
  if ((number >> below) << below !== number) return wrong(`has bits behind its prefix of ${length}`, 'Write zeros there, or a longer prefix.');
  return value;
}

/** The bits of an address. */
function numberOf(address: string): bigint {
  if (isIPv4(address)) return address.split('.').reduce((number, part) => (number << 8n) | BigInt(part), 0n);
  // An address of IPv4 at the end stands for two groups.
  const text = address.replace(/\d+\.\d+\.\d+\.\d+$/, (tail) => {
    const number = numberOf(tail);
    return `${(number >> 16n).toString(16)}:${(number & 0xffffn).toString(16)}`;
  });
  const [head = '', tail] = text.split('::');
  const groups = (part: string): string[] => (part === '' ? [] : part.split(':'));
  const [first, last] = [groups(head), groups(tail ?? '')];
  const between = tail === undefined ? [] : Array<string>(8 - first.length - last.length).fill('0');
  return [...first, ...between, ...last].reduce((number, group) => (number << 16n) | BigInt(`0x${group}`), 0n);
}
