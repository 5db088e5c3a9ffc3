// What a proxy is started with, checked. What holds where nothing is said is the engine's business, but for the address.
import { isIP } from 'node:net';
import type { ExplainedBounds as Bounds } from '../facts/bounds.js';
import { asBoolean, asChoice, asGroup, asInteger, asList, fail, failHidden } from '../options/checks.js';
import { asSigner, asTls } from '../options/tls.js';
import type { TlsEngineOptions } from '../options/tls.js';
import type { NativeProxyOptions } from './native.js';
import type { ProxyRequest, ProxyRoute } from './types.js';

/** Checked options. */
export interface CheckedProxy {
  readonly native: NativeProxyOptions;
  readonly tls: TlsEngineOptions | undefined;
  readonly onRequest: ((request: ProxyRequest) => unknown) | undefined;
  readonly drainTimeoutMs: number;
}

const KNOWN = ['host', 'port', 'allowRemote', 'shards', 'driver', 'tls', 'interceptTls', 'http2', 'ports', 'allow', 'deny', 'addresses', 'hosts', 'ca', 'onRequest', 'limits'] as const;
const ELSEWHERE = { https: 'tls', intercept: 'interceptTls', mitm: 'interceptTls', localCA: 'interceptTls', hostname: 'host', address: 'host', listen: 'port', listenAddr: 'host', allowlist: 'allow', denylist: 'deny', blocklist: 'deny', timeouts: 'limits', log: 'onRequest', logger: 'onRequest', onResponse: 'onRequest' };
const PORT: Bounds = { least: 0, most: 65_535, fix: '0 takes any free one.' };
const DEFAULT = 'Leave it out for the default.';
const SHARDS: Bounds = { least: 1, most: 64, fix: DEFAULT };
const LEAST_ONE: Bounds = { least: 1, most: 1_000_000, fix: DEFAULT };
/** 24 days: what a timer of Node's can count. */
const TIME: Bounds = { least: 1, most: 2_147_483_647, unit: 'milliseconds', fix: DEFAULT };

const LIMITS: Readonly<Record<string, Bounds>> = {
  maxConnections: LEAST_ONE,
  maxUpstreams: LEAST_ONE,
  maxIdleUpstreams: { ...LEAST_ONE, least: 0 },
  maxUpstreamsPerContext: LEAST_ONE,
  headTimeoutMs: TIME,
  bodyTimeoutMs: TIME,
  idleTimeoutMs: TIME,
  writeTimeoutMs: TIME,
  idleUpstreamTimeoutMs: TIME,
  dnsTimeoutMs: TIME,
  connectTimeoutMs: TIME,
  tlsTimeoutMs: TIME,
  sendTimeoutMs: TIME,
  answerTimeoutMs: TIME,
  contentTimeoutMs: TIME,
  tunnelTimeoutMs: TIME,
  tunnelHalfTimeoutMs: TIME,
  sniffTimeoutMs: TIME,
  maxCertificates: LEAST_ONE,
};

/** How long a stop waits for what is under way, unless it is said. */
const DRAIN: Bounds = { ...TIME, least: 0, fallback: 1000 };

/** Every option that is a number, by the name that stands last in its path. */
export const NUMBERS: Readonly<Record<string, Bounds>> = { port: PORT, shards: SHARDS, ...LIMITS, drainTimeoutMs: DRAIN };

/** Whether a view is to go through the proxy. */
export const isEnabled = (value: unknown): boolean => asBoolean('enabled', value, true);

/** Checks the options of a proxy. */
export function checkProxy(value: unknown, enableHttp2?: unknown): CheckedProxy {
  const given = asGroup('options', value, KNOWN, ELSEWHERE);
  const { tls } = asTls('tls', given.tls);
  const host = asHost(given.host, asBoolean('allowRemote', given.allowRemote, false), tls !== undefined);
  const addresses = asGroup('addresses', given.addresses ?? {}, ['loopback', 'private', 'linkLocal']);
  const { drainTimeoutMs, ...limits } = asGroup('limits', given.limits ?? {}, [...Object.keys(LIMITS), 'drainTimeoutMs']);
  const ports = asPorts(given.ports);
  const ca = asCa(given.ca);
  const native: NativeProxyOptions = {
    host,
    port: asInteger('port', given.port, PORT),
    shards: given.shards === undefined ? 0 : asInteger('shards', given.shards, SHARDS),
    driver: asChoice('driver', given.driver, ['auto', 'io_uring', 'epoll']),
    http2: asBoolean('enableHttp2', enableHttp2, true) && asBoolean('http2', given.http2, true),
    allow: asAllow(given.allow),
    deny: asList('deny', given.deny, asText),
    loopback: asBoolean('addresses.loopback', addresses.loopback, false),
    privateNetworks: asBoolean('addresses.private', addresses.private, false),
    linkLocal: asBoolean('addresses.linkLocal', addresses.linkLocal, false),
    hosts: asHosts(given.hosts),
    limits: Object.fromEntries(Object.entries(limits).filter(([, limit]) => limit !== undefined).map(([name, limit]) => [name, asInteger(`limits.${name}`, limit, LIMITS[name]!)])),
    ...(ports === undefined ? {} : { ports }),
    ...(ca === undefined ? {} : { ca }),
    ...(given.interceptTls === undefined ? {} : { interceptTls: asSigner('interceptTls', given.interceptTls) }),
  };
  return { native, tls, onRequest: asHook(given.onRequest), drainTimeoutMs: asInteger('limits.drainTimeoutMs', drainTimeoutMs, DRAIN) };
}

/** `host:port`, an IPv6 address in brackets. */
export function asListenAddress(value: unknown): { host: string; port: number } {
  const [, host, port] = typeof value === 'string' ? /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(value)?.filter((part) => part !== undefined) ?? [] : [];
  if (host === undefined || port === undefined) fail('address', value, 'must be an IP address and a port', "Write for example '127.0.0.1:39385'.");
  return { host, port: asInteger('address', Number(port), PORT) };
}

/** A context's route, as far as its parts are texts; the engine checks them. */
export function asRoute(value: unknown): ProxyRoute | undefined {
  if (value === undefined || value === null) return undefined;
  const given = asGroup('route', value, ['morphId', 'scope', 'domainSuffix', 'morphDomainSuffix']);
  const part = (name: 'morphId' | 'scope' | 'domainSuffix') => asText(`route.${name}`, given[name]);
  const morph = given.morphDomainSuffix ?? undefined;
  return {
    morphId: part('morphId'),
    scope: part('scope'),
    domainSuffix: part('domainSuffix'),
    ...(morph === undefined ? {} : { morphDomainSuffix: asText('route.morphDomainSuffix', morph) }),
  };
}

/** The number of a WebContents. */
export function asWebContentsId(value: unknown): number {
  return asInteger('webContentsId', value, { least: 0, most: 4_294_967_295, fix: 'Give webContents.id.' });
}

/** How many ports `startWithAutoPort` tries. */
export function asAttempts(value: unknown): number {
  return asInteger('maxAttempts', value, { least: 1, most: 65_535, fix: 'Say how many ports to try, 50 for example.' });
}

function asText(option: string, value: unknown): string {
  if (typeof value !== 'string') fail(option, value, 'must be a string', 'Give it in quotes.');
  return value;
}

function asHost(value: unknown, allowRemote: boolean, encrypted: boolean): string {
  const host = value === undefined || value === 'localhost' ? '127.0.0.1' : value;
  if (typeof host !== 'string' || isIP(host) === 0) fail('host', value, 'must be an IP address', "The default is '127.0.0.1'.");
  const isOwn = /^127\./.test(host) || host === '::1';
  if (!isOwn && !allowRemote) fail('host', value, 'is an address that others than this machine reach', `Set allowRemote: true if they may ask, with the credentials of a context${encrypted ? '' : ', sent in the clear'}.`);
  return host;
}

function asPorts(value: unknown): number[] | undefined {
  if (value === undefined) return undefined;
  if (!Array.isArray(value) || value.length === 0) fail('ports', value, 'must be an array of ports', 'Write for example [80, 443, [1024, 65535]].');
  return value.flatMap((range: unknown, index) => {
    const pair: unknown[] = Array.isArray(range) ? range : [range, range];
    const [first, last] = pair.map((port) => asInteger(`ports[${index}]`, port, { least: 1, most: 65_535, fix: 'Write for example [80, 443, [1024, 65535]].' }));
    if (pair.length !== 2 || first! > last!) fail(`ports[${index}]`, range, 'must be a port, or the first and the last of several', 'Write for example [1024, 65535].');
    return [first!, last!];
  });
}

/** An empty list would allow everything, as none does: more than whoever has emptied it wants. */
function asAllow(value: unknown): string[] {
  const allow = asList('allow', value, asText);
  if (value !== undefined && allow.length === 0) fail('allow', value, 'must name at least one host', "Leave it out to allow all, or set deny: ['*'] to allow none.");
  return allow;
}

function asHook(value: unknown): CheckedProxy['onRequest'] {
  if (value === undefined) return undefined;
  if (typeof value !== 'function') fail('onRequest', value, 'must be a function', 'For example ({ method, host, status }) => console.log(method, host, status).');
  return value as CheckedProxy['onRequest'];
}

function asHosts(value: unknown): string[] {
  if (value === undefined) return [];
  if (typeof value !== 'object' || value === null || Array.isArray(value)) fail('hosts', value, 'must be an object of hosts and addresses', "Write for example { '*.cmux.test': '127.0.0.1:8443' }.");
  return Object.entries(value).flatMap(([host, address]) => [host, asText(`hosts[${JSON.stringify(host)}]`, address)]);
}

function asCa(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value === 'string') return value;
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('latin1');
  failHidden('ca', 'must be certificates in PEM', 'Read them from their file.');
}
