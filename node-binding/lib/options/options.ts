import { NUMBERS } from '../facts/bounds.js';
import { BASE_PATH } from '../facts/facts.generated.js';
import { asLimits } from './limits.js';
import { asAddress } from './addresses.js';
import { asAdmin } from './admin.js';
import { asAuth } from './auth.js';
import { asCallers, mustAskForTokens } from './callers.js';
import { asBoolean, asChoice, asGroup, asInteger, fail, isPlainObject } from './checks.js';
import { asCors } from './cors.js';
import type { EngineOptions } from './engine-options.js';
import { asGracefulSignals } from './graceful-signals.js';
import type { GracefulSignal } from './graceful-signals.js';
import { asTempDir } from './multipart.js';
import { refuseSharedSockets } from './inherited.js';
import { asLog } from './log.js';
import { asPlacement } from './placement.js';
import { asTls } from './tls.js';
import { asWorkers } from './workers.js';
import type { CheckedWorkers } from './workers.js';
import type { EventHandler, Serializer, TaskHandler, TunnelOptions } from './types.js';

/** Options that were checked, with their defaults. */
export interface CheckedOptions {
  readonly engine: EngineOptions;
  readonly tasks: readonly (readonly [string, TaskHandler])[];
  readonly events: readonly (readonly [string, EventHandler])[];
  readonly serializer: Serializer | undefined;
  readonly onError: TunnelOptions['onError'];
  readonly signals: readonly GracefulSignal[];
  readonly readinessDelayMs: number;
  readonly systemd: boolean;
  readonly workers: CheckedWorkers | undefined;
}

const OPTION_NAMES = [
  'port', 'host', 'socketPath', 'fd', 'tls', 'admin', 'trustProxy', 'proxyProtocol', 'access', 'rateLimit', 'http2', 'backlog', 'shards', 'driver', 'placement', 'basePath', 'auth', 'cors', 'corsOrigins', 'disableDiscovery', 'limits',
  'handlerTimeoutMs', 'drainTimeoutMs', 'gracefulSignals', 'readinessDelayMs', 'systemd', 'tempDir', 'log', 'serializer', 'onError', 'tasks', 'events', 'workers', 'handlers',
] as const satisfies readonly (keyof TunnelOptions)[];

/** Names that people bring from elsewhere. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  token: 'auth.token', tokens: 'auth.token', allowAnonymous: 'auth.allowAnonymous', origin: 'cors.origin', origins: 'corsOrigins',
  hostname: 'host', path: 'socketPath', prefix: 'basePath', threads: 'shards', maxBodyBytes: 'limits.maxBodyBytes',
  timeout: 'handlerTimeoutMs', multipart: 'limits.multipart', tmpDir: 'tempDir', tempDirectory: 'tempDir', listen: 'port and host', notify: 'systemd', sdNotify: 'systemd', logger: 'log', accessLog: 'log', signals: 'gracefulSignals', adminPort: 'admin.port', health: 'admin', cert: 'tls.cert', key: 'tls.key', ca: 'tls.ca', requestCert: 'tls.requireClientCert', ssl: 'tls', https: 'tls', proxy: 'trustProxy', trustedProxies: 'trustProxy', allow: 'access.allow', deny: 'access.deny', rate: 'rateLimit.rate', throttle: 'rateLimit', maxConcurrent: 'rateLimit.maxConcurrent',
};

/** Checks everything. Throws an OptionError for the first thing that is wrong. */
export function checkOptions(options: unknown): CheckedOptions {
  const given = asGroup('options', options ?? {}, OPTION_NAMES, ELSEWHERE);
  const cors = asCors(given.cors, given.corsOrigins);
  const workers = asWorkers(given);
  const engine: EngineOptions = {
    ...asAddress('', given),
    ...asTls('tls', given.tls),
    ...asAdmin('admin', given.admin, given.tls, 'tls'),
    ...asCallers('', given),
    ...asLog('log', given.log),
    http2: asBoolean('http2', given.http2, true),
    backlog: asInteger('backlog', given.backlog, NUMBERS.backlog),
    shards: asInteger('shards', given.shards, NUMBERS.shards),
    driver: asChoice('driver', given.driver, ['auto', 'io_uring', 'epoll']),
    placement: asPlacement('', given.placement, given.shards, workers !== undefined),
    basePath: asBasePath(given.basePath),
    auth: asAuth(given.auth),
    ...(cors === undefined ? {} : { cors }),
    disableDiscovery: asBoolean('disableDiscovery', given.disableDiscovery, false),
    limits: asLimits(given.limits, given),
    tempDir: asTempDir('tempDir', given.tempDir),
    ...(workers === undefined ? {} : { workers: true }),
  };
  refuseSharedSockets([['fd', engine], ['admin.fd', engine.admin], ['admin.agent.fd', engine.admin?.agent]]);
  mustAskForTokens('rateLimit', engine);
  return {
    engine,
    tasks: asTasks(given.tasks),
    events: asEvents(given.events),
    serializer: asSerializer(given.serializer),
    onError: given.onError === undefined ? undefined : asFunction('onError', given.onError, ON_ERROR),
    signals: asGracefulSignals(given.gracefulSignals),
    readinessDelayMs: asReadinessDelay(given.readinessDelayMs, given.gracefulSignals),
    systemd: asBoolean('systemd', given.systemd, false),
    workers,
  };
}

function asReadinessDelay(value: unknown, signals: unknown): number {
  const delayMs = asInteger('readinessDelayMs', value, NUMBERS.readinessDelayMs);
  if (delayMs > 0 && (signals === undefined || signals === false)) fail('readinessDelayMs', value, 'counts from a signal, and gracefulSignals is not set', 'Set gracefulSignals: true, or leave it out.');
  return delayMs;
}

/** The base path with a leading and without a trailing slash. Requests are matched against its text as it is. */
function asBasePath(value: unknown): string {
  if (value === undefined) return BASE_PATH;
  const wrong = (problem: string, fix = `For example '${BASE_PATH}'.`): never => fail('basePath', value, problem, fix);
  if (typeof value !== 'string') return wrong('must be a string');
  const path = (value.startsWith('/') ? value : `/${value}`).replace(/\/$/, '');
  if (path === '') return '/';
  if (/[?#]/.test(path)) return wrong("must not contain '?' or '#'", 'It is a path, without query and fragment.');
  if (path.includes('\\')) return wrong('must not contain a backslash', "Write '/'.");
  if (/[^\x21-\x7e]/.test(path)) return wrong('must be printable ASCII without blanks', 'Percent-encode other characters.');
  if (/[^A-Za-z0-9\-._~!$&'()*+,;=:@%/]/.test(path)) return wrong('must consist of characters that a URL path may hold', 'Percent-encode the others.');
  if (/%(?![0-9A-Fa-f]{2})/.test(path)) return wrong("must have two hex digits after every '%'");
  const segments = path.slice(1).split('/');
  if (segments.includes('')) return wrong('must not contain empty segments', `Write '/${segments.filter((segment) => segment !== '').join('/')}'.`);
  if (segments.some((segment) => /^(?:\.|%2e){1,2}$/i.test(segment))) return wrong("must not contain '.' or '..' segments", 'Clients and gateways resolve them before they send. Write the path out.');
  if (path.length > 256) return wrong('must have at most 256 characters');
  return path;
}

/** The serializer of options, or of a module. */
export function asSerializer(value: unknown): Serializer | undefined {
  if (value === undefined) return undefined;
  const serializer = value as Partial<Serializer> | null;
  if (typeof serializer !== 'object' || serializer === null || typeof serializer.parse !== 'function' || typeof serializer.stringify !== 'function') {
    fail('serializer', value, 'must be an object with the methods parse(text) and stringify(value)', "For example Runner's serializer; leave it out for plain JSON.");
  }
  return serializer as Serializer;
}

/** Tasks of options, or of a module. */
export function asTasks(value: unknown): CheckedOptions['tasks'] {
  return asHandlerMap('tasks', value).map(([id, handler]) => [asId('task', id), asFunction<TaskHandler>(`tasks[${JSON.stringify(id)}]`, handler)] as const);
}

/** Events of options, or of a module. */
export function asEvents(value: unknown): CheckedOptions['events'] {
  return asHandlerMap('events', value).flatMap(([id, handler]) => {
    const option = `events[${JSON.stringify(id)}]`;
    if (!Array.isArray(handler)) return [[asId('event', id), asFunction<EventHandler>(option, handler)] as const];
    if (handler.length === 0) fail(option, handler, 'must hold at least one function', 'Write () => {} for an event that is only accepted.');
    return Array.from(handler, (one: unknown, index) => [asId('event', id), asFunction<EventHandler>(`${option}[${index}]`, one)] as const);
  });
}

function asHandlerMap(option: string, value: unknown): [string, unknown][] {
  if (value === undefined) return [];
  if (!isPlainObject(value)) fail(option, value, 'must be an object from ids to functions', `For example { 'app.${option}.first': async (input) => input }.`);
  return Object.entries(value);
}

/** What an `onError` may look like. */
export const ON_ERROR = '(error, { kind, id }) => console.error(kind, id, error)';

/** A handler, or another function of the user's. */
export function asFunction<Func extends (...args: any[]) => unknown>(option: string, value: unknown, example = 'async (input, { signal }) => input'): Func {
  if (typeof value !== 'function') fail(option, value, 'must be a function', `For example ${example}.`);
  return value as Func;
}

/** An id that a request can name. */
export function asId(kind: 'task' | 'event', value: unknown): string {
  const option = `${kind} id`;
  if (typeof value !== 'string') fail(option, value, 'must be a string', `For example 'app.${kind}s.add'.`);
  if (value === '') fail(option, value, 'must not be empty', `For example 'app.${kind}s.add'.`);
  if (value === '.' || value === '..') fail(option, value, 'must not be a dot segment', 'Clients resolve it before they send.');
  if (/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/.test(value)) {
    fail(option, value, 'must be well-formed Unicode', 'It has half of a surrogate pair, which no request can name.');
  }
  return value;
}
