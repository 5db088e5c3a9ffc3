import type { LIMITS } from '../facts/facts.generated.js';
import type { AdminEngineOptions } from './admin.js';
import type { CallerOptions } from './callers.js';
import type { LogEngineOptions } from './log.js';
import type { MultipartBounds } from './multipart.js';
import type { TlsEngineOptions } from './tls.js';

/** Which ids may be called (CONTRACT 5): every registered one, none ("Exposure not enabled"), those listed, or all without a list. */
export type Allow = 'registered' | 'none' | 'open' | { readonly tasks: readonly string[]; readonly events: readonly string[] };

/** A handle of the event loop's own library, libuv, or Node-API's portable way, which costs more thread switches (`src/raw_ring.rs`). */
export type Ring = 'loop' | 'threadsafe';

/** The limits that are numbers. */
export type LimitName = keyof typeof LIMITS;

/** Where shards run: on threads, or turned by the event loop. */
export type Placement = 'threads' | 'inline';

/** What the engine is started with: checked, defaults filled in. */
export interface EngineOptions {
  host: string;
  port: number;
  socketPath?: string;
  /** Of a socket that is bound to that address already. */
  fd?: number;
  /** What it encrypts with. Default: nothing is. */
  tls?: TlsEngineOptions;
  /** Where it says how it is. Default: nowhere. */
  admin?: AdminEngineOptions;
  /** Where requests are written down. Default: nowhere. */
  log?: LogEngineOptions;
  /** Listen nowhere: `Bridge.connect` alone makes connections. */
  inProcess?: boolean;
  /** Which worker of a tunnel this is, where how it is is told. */
  seat?: { worker: number; restarts: number };
  /** Entries are only announced: event loops of other threads join, and run the calls. */
  workers?: boolean;
  /** What holds of callers. Default: nothing. */
  callers?: CallerOptions;
  backlog: number;
  /** 0 = by the number of cores. */
  shards: number;
  driver: 'auto' | 'io_uring' | 'epoll';
  /** Default `auto`. */
  placement?: 'auto' | Placement;
  /** How native code wakes JavaScript. Default: through the event loop where that is Node's, else by a threadsafe function. */
  ring?: Ring;
  basePath: string;
  /** Clients may speak HTTP/2, too. Default: not where the reference is followed, which does not. */
  http2?: boolean;
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
