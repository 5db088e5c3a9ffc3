import { NUMBERS } from '../facts/bounds.js';
import { addon } from '../native/addon.js';
import type { NativeAllow, NativeOptions } from '../native/addon.js';
import { nativeTls } from '../native/tls.js';
import type { Allow, EngineOptions, Ring } from '../options/engine-options.js';
import type { MultipartBounds } from '../options/multipart.js';
import { onNode } from '../process/runtime.js';
import type { ValueCodec } from '../values/codec.js';
import type { BridgeHooks } from './hooks.js';

/** What native code takes for a policy. */
export function nativeAllow(allow: Allow = 'registered'): NativeAllow {
  if (typeof allow === 'string') return { policy: allow, tasks: [], events: [] };
  return { policy: 'list', tasks: [...allow.tasks], events: [...allow.events] };
}

/** Other runtimes have Node-API and no libuv, or its functions without what they do. */
export function defaultRing(): Ring {
  return onNode ? 'loop' : 'threadsafe';
}

/** As many workers as there are cores for the process, which is what `auto` stands for. */
export function workersByCores(): number {
  return Math.min(addon().availableCores(), NUMBERS.workers.most);
}

/** A bound that is not there is none. */
function nativeMultipart(bounds: MultipartBounds): NonNullable<NativeOptions['limits']['multipart']> {
  return Object.fromEntries(Object.entries(bounds).filter(([, bound]) => bound !== Infinity));
}

/** What native code takes for the options. */
export function nativeOptions(options: EngineOptions, codec: ValueCodec, hooks: BridgeHooks): NativeOptions {
  const { auth, cors, limits, socketPath, reference = false, http2 = !reference, inProcess = false, workers = false, ring = defaultRing(), placement = 'auto', allow: _given, tempDir: _ours, tls, admin, log, ...rest } = options;
  const { drainTimeoutMs: _bridges, multipart, ...bounds } = limits;
  const native: NativeOptions = {
    ...rest,
    inProcess,
    workers,
    adminTlsShared: admin?.tls === true,
    loopRing: ring === 'loop',
    placement,
    tokenHeader: auth.header,
    ...(auth.tokens === undefined ? {} : { tokens: auth.tokens }),
    allowAnonymous: auth.allowAnonymous,
    validators: auth.validators ?? false,
    http2,
    reference,
    reportRefusals: hooks.onRefused !== undefined,
    exactBodies: codec.exact,
    limits: multipart === undefined ? bounds : { ...bounds, multipart: nativeMultipart(multipart) },
  };
  if (tls !== undefined) native.tls = nativeTls(tls);
  if (admin !== undefined) {
    const { tls: own, dashboard = false, ...address } = admin;
    native.admin = { ...address, dashboard };
    if (typeof own === 'object') native.adminTls = nativeTls(own);
  }
  if (log !== undefined) native.log = { combined: log.format === 'combined', sample: log.sample, ...(log.path === undefined ? {} : { path: log.path }) };
  if (socketPath !== undefined) native.socketPath = socketPath;
  if (cors !== undefined) {
    const { origin, originFromHook, maxAge, ...lists } = cors;
    native.cors = { ...lists };
    if (originFromHook === true) native.cors.askedOrigin = true;
    else if (typeof origin === 'string') native.cors.fixedOrigin = origin;
    else if (Array.isArray(origin)) native.cors.listedOrigins = origin;
    if (maxAge !== undefined) native.cors.maxAge = maxAge;
  }
  return native;
}
