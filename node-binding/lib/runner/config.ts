import { NUMBERS } from '../facts/bounds.js';
import { OptionError } from '../errors/errors.js';
import { BASE_PATH, TOKEN_HEADER } from '../facts/facts.generated.js';
import { asLimits, LIMITS } from '../options/limits.js';
import { asAdmin } from '../options/admin.js';
import { asCallers, mustAskForTokens } from '../options/callers.js';
import { asBoolean, asChoice, asGroup, asInteger, asToken, fail, failHidden, isPlainObject } from '../options/checks.js';
import type { EngineOptions } from '../options/engine-options.js';
import { refuseSharedSockets } from '../options/inherited.js';
import { asLog } from '../options/log.js';
import type { LogFileOptions, Logger, LoggerOptions } from '../options/log.js';
import { asMultipart, asTempDir, PARSER_DEFAULTS } from '../options/multipart.js';
import type { MultipartBounds } from '../options/multipart.js';
import { asPlacement } from '../options/placement.js';
import { asTls } from '../options/tls.js';
import type { AccessOptions, AdminOptions, LimitOptions, ProxyProtocolOptions, RateLimitOptions, TlsOptions, WorkersOptions } from '../options/types.js';
import { asGroupOfWorkers } from '../options/workers.js';
import type { CheckedWorkers } from '../options/workers.js';
import { asAttachable } from './attachable-server.js';
import type { AttachableServer } from './attachable-server.js';
import { asCors } from './cors-config.js';
import type { CorsConfig, FastTunnelCors } from './cors-config.js';

export type { FastTunnelCors } from './cors-config.js';

/** Who may call, as `nodeExposure` has it. Tasks tagged `globals.tags.authValidator` are asked when no token matches. */
export interface FastTunnelAuth {
  /** Default `x-runner-token`. */
  header?: string | undefined;
  token?: string | readonly string[] | undefined;
  /** Let everybody call. Counts only while there is neither a token nor a validator. */
  allowAnonymous?: boolean | undefined;
}

/** Bounds of multipart forms. As with `nodeExposure`, to give the object is to drop all defaults but that of `fieldSize`. */
export interface MultipartLimits {
  fieldNameSize?: number;
  fieldSize?: number;
  fields?: number;
  fileSize?: number;
  files?: number;
  parts?: number;
  headerPairs?: number;
}

export interface FastTunnelLimits {
  json?: { maxSize?: number | undefined } | undefined;
  multipart?: MultipartLimits | undefined;
}

/** What stands under `http` for `nodeExposure`, word for word. */
export interface FastTunnelHttp {
  /** Default `/__runner`. */
  basePath?: string | undefined;
  /**
   * A server of the app's to attach to: `listen` is ignored then. It is neither started nor closed, and requests outside
   * of `basePath` are left to it. An `http.Server`, an `https.Server`, or an `http2` one with its compatibility API.
   */
  server?: AttachableServer | null | undefined;
  /**
   * Port 0 takes any free one; the host defaults to 127.0.0.1. Without it, and without `server`, nothing listens: requests
   * come through the value's handlers (`attachTo`, `createRequestListener`, `handleRequest`, …).
   */
  listen?: { port: number; host?: string | undefined; tls?: TlsOptions | undefined } | undefined;
  auth?: FastTunnelAuth | undefined;
  cors?: FastTunnelCors | undefined;
  limits?: FastTunnelLimits | undefined;
  /** Without a server tunnel, let every registered task and event be called. */
  dangerouslyAllowOpenExposure?: boolean | undefined;
  /** Answer 404 to `GET {basePath}/discovery`. */
  disableDiscovery?: boolean | undefined;
}

/** What `nodeExposure` has no word for: threads, driver and bounds. See docs/options.md. */
export interface FastTunnelEngine {
  shards?: number | undefined;
  driver?: 'auto' | 'io_uring' | 'epoll' | undefined;
  placement?: 'auto' | 'threads' | 'inline' | undefined;
  backlog?: number | undefined;
  /** Speak HTTPS where `http.listen` says: the same as `http.listen.tls`. Default: plain HTTP. */
  tls?: TlsOptions | undefined;
  /** Where `/livez` and `/readyz` are answered, without JavaScript. Default: nowhere. */
  admin?: AdminOptions | undefined;
  /** Proxies that are trusted to name their clients. Default: none. */
  trustProxy?: number | readonly string[] | undefined;
  /** Connections begin with a header of the PROXY protocol, or may. Default: they do not. */
  proxyProtocol?: boolean | 'optional' | ProxyProtocolOptions | undefined;
  /** Who may call, by address. Default: everybody. */
  access?: AccessOptions | undefined;
  /** What each caller may ask. Refused with 429, without JavaScript. Default: anything. */
  rateLimit?: RateLimitOptions | readonly RateLimitOptions[] | undefined;
  /** Clients may speak HTTP/2, too: in clear, by prior knowledge. Default false, as with `nodeExposure`. */
  http2?: boolean | undefined;
  limits?: Omit<LimitOptions, 'json' | 'maxBodyBytes' | 'multipart'> | undefined;
  /** Directory for files of which more has come than fits in memory. Default: the system's for temporary files. */
  tempDir?: string | undefined;
  /** Where every request is written down, those that are refused among them: a file, or a logger of pino. Default: nowhere. */
  log?: LogFileOptions | LoggerOptions | Logger | undefined;
  /** Event loops of their own, each of which runs the app that `app` names. Default: none. */
  workers?: number | 'auto' | WorkersOptions | undefined;
  /**
   * The module that each worker loads, as a file: URL or an absolute path. It exports `app`: the app's resource, in which this
   * resource is registered as it is here, or a function that runs it and resolves to what `run()` resolves to.
   */
  app?: URL | string | undefined;
}

export interface FastTunnelConfig {
  http?: FastTunnelHttp | undefined;
  engine?: FastTunnelEngine | undefined;
}

/** Checked, with defaults. */
export interface ExposureConfig {
  readonly engine: EngineOptions;
  readonly cors: CorsConfig | undefined;
  /** As `nodeExposure` would have it: with a leading slash, without one trailing slash. */
  readonly basePath: string;
  readonly open: boolean;
  /** What to attach to, instead of listening. */
  readonly server: AttachableServer | undefined;
  readonly workers: CheckedWorkers | undefined;
}

const HTTP_KEYS = ['basePath', 'server', 'listen', 'auth', 'cors', 'limits', 'dangerouslyAllowOpenExposure', 'disableDiscovery'] as const;
const IN_PROCESS = { host: '', port: 0, inProcess: true };
const LISTEN = 'For example http: { listen: { port: 7070 } }; port 0 takes any free one.';

/** Checks everything. Throws an OptionError for the first thing that is wrong. */
export function checkConfig(config: unknown, hasValidators: boolean): ExposureConfig {
  const given = asGroup('fastTunnel', config ?? {}, ['http', 'engine'], { listen: 'http.listen', port: 'http.listen.port', auth: 'http.auth' });
  const http = asGroup('http', given.http ?? {}, HTTP_KEYS, { port: 'http.listen.port', host: 'http.listen.host', token: 'http.auth.token' });
  const engine = asGroup('engine', given.engine ?? {}, ['shards', 'driver', 'placement', 'backlog', 'tls', 'admin', 'trustProxy', 'proxyProtocol', 'access', 'rateLimit', 'http2', 'limits', 'tempDir', 'log', 'workers', 'app'], { gracefulSignals: 'shutdownHooks of run(), which Runner sets by itself' });
  const limits = asGroup('http.limits', http.limits ?? {}, ['json', 'multipart'], { maxSize: 'http.limits.json.maxSize', maxHeadBytes: 'engine.limits.maxHeadBytes', fileSize: 'http.limits.multipart.fileSize' });
  const server = http.server === undefined || http.server === null ? undefined : asAttachable('http.server', http.server);
  const [tlsOption, tls] = tlsOf(http.listen, engine.tls);
  if (tls !== undefined && (server !== undefined || http.listen === undefined)) {
    failHidden(tlsOption, 'is of no use: nothing listens', 'Set http.listen, or leave it out: a server of your own that is attached to encrypts by itself.');
  }
  const auth = asAuth(http.auth, hasValidators);
  const basePath = asBasePath(http.basePath);
  const workers = asEngineWorkers(engine.workers, engine.app);
  const cors = asCors(http.cors);
  const told = asAdmin('engine.admin', engine.admin, tls, 'engine.tls');
  refuseSharedSockets([['engine.admin.fd', told.admin], ['engine.admin.agent.fd', told.admin?.agent]]);
  const callers = asCallers('engine.', engine);
  mustAskForTokens('engine.rateLimit', { ...callers, auth });
  return {
    open: asBoolean('http.dangerouslyAllowOpenExposure', http.dangerouslyAllowOpenExposure, false),
    cors,
    basePath,
    server,
    workers,
    engine: {
      ...(server === undefined ? asListen(http.listen) : IN_PROCESS),
      ...asTls(tlsOption, tls),
      ...told,
      ...callers,
      http2: asBoolean('engine.http2', engine.http2, false),
      backlog: asInteger('engine.backlog', engine.backlog, NUMBERS.backlog),
      shards: asInteger('engine.shards', engine.shards, NUMBERS.shards),
      driver: asChoice('engine.driver', engine.driver, ['auto', 'io_uring', 'epoll']),
      placement: asPlacement('engine.', engine.placement, engine.shards, workers !== undefined),
      // The engine removes a trailing slash, too: `/x//` is to become `/x/` once.
      basePath: basePath.length > 1 && basePath.endsWith('/') ? `${basePath}/` : basePath,
      auth,
      ...(cors === undefined ? {} : { cors: cors.engine }),
      disableDiscovery: asBoolean('http.disableDiscovery', http.disableDiscovery, false),
      limits: { ...asBounds(engine.limits), maxBodyBytes: asMaxBody(limits.json), multipart: asForm(limits.multipart) },
      tempDir: asTempDir('engine.tempDir', engine.tempDir),
      ...asLog('engine.log', engine.log),
      ...(workers === undefined ? {} : { workers: true }),
      reference: true,
    },
  };
}

/** As the options `workers` and `handlers` of `fastTunnel()`. */
function asEngineWorkers(workers: unknown, app: unknown): CheckedWorkers | undefined {
  if (workers !== undefined) return asGroupOfWorkers('engine.workers', workers, 'engine.app', app, "Write engine: { workers: 2, app: new URL('./app.js', import.meta.url) }, and export app from that module.");
  if (app !== undefined) fail('engine.app', app, 'is for workers, and engine.workers is not set', 'Set engine.workers, or leave it out.');
  return undefined;
}

/** Where to listen; nowhere when nothing is said. */
function asListen(value: unknown): Pick<EngineOptions, 'host' | 'port' | 'inProcess'> {
  if (value === undefined) return IN_PROCESS;
  const listen = asGroup('http.listen', value, ['port', 'host', 'tls']);
  if (listen.port === undefined) throw new OptionError('http.listen.port', undefined, `http.listen.port is missing. ${LISTEN}`);
  return { host: asHost(listen.host), port: asInteger('http.listen.port', listen.port, NUMBERS.port) };
}

/** `http.listen.tls`, or `engine.tls`, and which of them. */
function tlsOf(listen: unknown, engineTls: unknown): [string, unknown] {
  const listenTls = isPlainObject(listen) ? listen['tls'] : undefined;
  if (listenTls === undefined) return ['engine.tls', engineTls];
  if (engineTls !== undefined) failHidden('engine.tls', 'says the same as http.listen.tls', 'Leave one of them out.');
  return ['http.listen.tls', listenTls];
}

function asHost(value: unknown): string {
  if (value === undefined) return '127.0.0.1';
  if (typeof value !== 'string' || !/^[0-9A-Za-z.:_%-]+$/.test(value)) fail('http.listen.host', value, 'must be a host name or an IP address', "Use '127.0.0.1' for this machine only, '0.0.0.0' for all networks.");
  return value;
}

/** A leading slash is added, one trailing slash removed, as the reference does. */
function asBasePath(value: unknown): string {
  if (value === undefined || value === null) return BASE_PATH;
  if (typeof value !== 'string') fail('http.basePath', value, 'must be a string', `For example '${BASE_PATH}'.`);
  const path = value.startsWith('/') ? value : `/${value}`;
  const trimmed = path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path;
  if (/[^\x21-\x7e]|[?#\\]/.test(trimmed)) fail('http.basePath', value, 'must be a path of printable ASCII, without a query', 'Percent-encode other characters.');
  if (trimmed.startsWith('//')) fail('http.basePath', value, 'must not start with two slashes: such a path reads as a host name', `For example '${BASE_PATH}'.`);
  if (trimmed.split('/').some((segment) => /^(?:\.|%2e){1,2}$/i.test(segment))) fail('http.basePath', value, "must not contain '.' or '..' segments", 'Clients resolve them before they send. Write the path out.');
  return trimmed;
}

type Auth = EngineOptions['auth'];

/**
 * What counts as a token is the reference's notion: the empty string is none, an empty list is one that nothing
 * matches. A list that holds an empty token would let in callers without one (CONTRACT D7): that is refused.
 */
function asAuth(value: unknown, validators: boolean): Auth {
  const auth = asGroup('http.auth', value ?? {}, ['header', 'token', 'allowAnonymous'], { tokens: 'http.auth.token (a string or an array)' });
  const header = auth.header === undefined || auth.header === null ? TOKEN_HEADER : asToken('the name of a request header')('http.auth.header', auth.header).toLowerCase();
  return { header, tokens: asTokens(auth.token), allowAnonymous: auth.allowAnonymous === true, validators };
}

function asTokens(value: unknown): string[] | undefined {
  if (value === undefined || value === null || value === '') return undefined;
  const tokens: unknown[] = Array.isArray(value) ? value : [value];
  return tokens.map((token, index) => {
    const option = Array.isArray(value) ? `http.auth.token[${index}]` : 'http.auth.token';
    if (typeof token !== 'string') failHidden(option, `must be a string, not ${token === null ? 'null' : typeof token}`, 'Is its environment variable set?');
    if (token === '') throw new OptionError(option, '', `${option} must not be empty, got ''. An empty token would let in callers that send none.`);
    return token;
  });
}

/** The bounds that `http.limits` has no word for. */
function asBounds(value: unknown): EngineOptions['limits'] {
  const names = (Object.keys(LIMITS) as (keyof typeof LIMITS)[]).filter((name) => name !== 'maxBodyBytes');
  const given = asGroup('engine.limits', value ?? {}, names, { maxBodyBytes: 'http.limits.json.maxSize', json: 'http.limits.json', multipart: 'http.limits.multipart' });
  const limits = asLimits(given, {}, 'engine.limits');
  // To node:http a target is a part of the head: as long as nobody says otherwise, it may fill it.
  return given.maxTargetBytes === undefined ? { ...limits, maxTargetBytes: limits.maxHeadBytes } : limits;
}

/** `null` is no object of limits, and so no limits that were given. */
function asForm(value: unknown): MultipartBounds {
  return asMultipart('http.limits.multipart', value ?? undefined, PARSER_DEFAULTS);
}

/** Bodies become one string; what the engine cannot hold is as good as no limit. */
function asMaxBody(value: unknown): number {
  const { maxSize } = asGroup('http.limits.json', value ?? {}, ['maxSize']);
  const { fallback, most } = LIMITS.maxBodyBytes;
  if (maxSize === undefined) return fallback;
  if (typeof maxSize !== 'number' || !(maxSize >= 0)) fail('http.limits.json.maxSize', maxSize, 'must be a number of bytes, from 0', `The default is ${fallback}.`);
  return Math.min(Math.floor(maxSize), most);
}
