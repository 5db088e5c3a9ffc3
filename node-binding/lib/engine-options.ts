import type { NativeAllow, NativeOptions } from './addon.js';
import type { Address } from './addresses.js';
import type { ValueCodec } from './codec.js';
import type { LIMITS } from './facts.generated.js';
import type { MultipartBounds } from './files/file-rules.js';
import type { BridgeHooks } from './hooks.js';
import { onNode } from './runtime.js';

/** Which ids may be called (CONTRACT 5): every registered one, none ("Exposure not enabled"), those listed, or all without a list. */
export type Allow = 'registered' | 'none' | 'open' | { readonly tasks: readonly string[]; readonly events: readonly string[] };

/** A handle of the event loop's own library, libuv, or Node-API's portable way, which costs more thread switches (`src/raw_ring.rs`). */
export type Ring = 'loop' | 'threadsafe';

/** The limits that are numbers. */
export type LimitName = keyof typeof LIMITS;

/** What the engine is started with: checked, defaults filled in. */
export interface EngineOptions {
  host: string;
  port: number;
  socketPath?: string;
  /** Where it says how it is. Default: nowhere. */
  admin?: Address;
  /** Listen nowhere: `Bridge.connect` alone makes connections. */
  inProcess?: boolean;
  backlog: number;
  /** 0 = by the number of cores. */
  shards: number;
  driver: 'auto' | 'io_uring' | 'epoll';
  /** How native code wakes JavaScript. Default: through the event loop where that is Node's, else by a threadsafe function. */
  ring?: Ring;
  basePath: string;
  /** Do as the reference does where the engine by itself does otherwise: `OPTIONS *`, unknown methods and expectations, … */
  reference?: boolean;
  /** What the entries that it starts with may do. Default `registered`. */
  allow?: Allow;
  auth: {
    header: string;
    /** None at all: no token is configured. An empty list is configured and lets nobody in. */
    tokens: string[] | undefined;
    allowAnonymous: boolean;
    /** Ask `hooks.authenticate` when no token matches. */
    validators?: boolean;
  };
  cors?: {
    origin?: string | string[] | null;
    /** Ask `hooks.origin`, whatever `origin` says. */
    originFromHook?: boolean;
    methods: string[];
    allowedHeaders: string[];
    exposedHeaders: string[];
    credentials: boolean;
    maxAge?: number;
    varyOrigin: boolean;
  };
  disableDiscovery: boolean;
  limits: Record<LimitName, number> & {
    /** Without it: the defaults. */
    multipart?: MultipartBounds;
  };
  /** Directory for what of files does not fit in memory. Default: the system's. */
  tempDir?: string;
}

/**
 * Lets go of the texts of tokens: the engine has its digests. A string cannot be wiped, but nothing of ours keeps it from
 * being collected. What were started with these options again would let nobody in.
 */
export function forgetTokens({ auth }: EngineOptions): void {
  if (auth.tokens !== undefined) auth.tokens = [];
}

/** What native code takes for a policy. */
export function nativeAllow(allow: Allow = 'registered'): NativeAllow {
  if (typeof allow === 'string') return { policy: allow, tasks: [], events: [] };
  return { policy: 'list', tasks: [...allow.tasks], events: [...allow.events] };
}

/** Other runtimes have Node-API and no libuv, or its functions without what they do. */
function defaultRing(): Ring {
  return onNode ? 'loop' : 'threadsafe';
}

/** A bound that is not there is none. */
function nativeMultipart(bounds: MultipartBounds): NonNullable<NativeOptions['limits']['multipart']> {
  return Object.fromEntries(Object.entries(bounds).filter(([, bound]) => bound !== Infinity));
}

/** What native code takes for the options. */
export function nativeOptions(options: EngineOptions, codec: ValueCodec, hooks: BridgeHooks): NativeOptions {
  const { auth, cors, limits, socketPath, reference = false, inProcess = false, ring = defaultRing(), allow: _given, tempDir: _ours, ...rest } = options;
  const { drainTimeoutMs: _bridges, multipart, ...bounds } = limits;
  const native: NativeOptions = {
    ...rest,
    inProcess,
    loopRing: ring === 'loop',
    tokenHeader: auth.header,
    ...(auth.tokens === undefined ? {} : { tokens: auth.tokens }),
    allowAnonymous: auth.allowAnonymous,
    validators: auth.validators ?? false,
    reference,
    reportRefusals: hooks.onRefused !== undefined,
    exactBodies: codec.exact,
    limits: multipart === undefined ? bounds : { ...bounds, multipart: nativeMultipart(multipart) },
  };
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
