import { checkLayout } from './layout.js';
import { loadNative } from './native.js';

/** `src/options.rs`, `NativeOptions`. */
export interface NativeOptions {
  host: string;
  port: number;
  socketPath?: string;
  backlog: number;
  shards: number;
  driver: string;
  basePath: string;
  tokenHeader: string;
  tokens: string[];
  allowAnonymous: boolean;
  cors?: {
    fixedOrigin?: string;
    listedOrigins?: string[];
    methods: string[];
    allowedHeaders: string[];
    exposedHeaders: string[];
    credentials: boolean;
    maxAge?: number;
    varyOrigin: boolean;
  };
  disableDiscovery: boolean;
  exactBodies: boolean;
  limits: {
    maxHeadBytes: number;
    maxBodyBytes: number;
    maxPipelined: number;
    maxBufferedBytes: number;
    maxCallsInFlight: number;
    maxConnections: number;
    headTimeoutMs: number;
    bodyTimeoutMs: number;
    idleTimeoutMs: number;
    writeTimeoutMs: number;
    handlerTimeoutMs: number;
    keepAliveHintS: number;
  };
}

export interface NativeHandler {
  event: boolean;
  id: string;
  index: number;
}

/** `src/tunnel.rs`. */
export interface NativeTunnel {
  readonly port: number;
  readonly driver: 'io_uring' | 'epoll';
  readonly driverReason: string | null;
  readonly shards: number;
  poll(): string | null;
  complete(text: string, rows: Uint32Array, count: number, more: boolean): string | null;
  requestId(ticket: number): string | null;
  fields(ticket: number): string | null;
  setHandlers(handlers: NativeHandler[]): void;
  stop(drainMs: number): void;
  finish(): void;
  stats(): string;
}

interface Addon {
  NativeTunnel: new (options: NativeOptions, handlers: NativeHandler[], table: Uint32Array, ring: () => void) => NativeTunnel;
  callTableLayout(): number[];
}

let checked: Addon | undefined;

/** The addon, once it has proved to be of our build. */
export function addon(): Addon {
  if (checked === undefined) {
    const loaded = loadNative() as Addon;
    checkLayout(loaded.callTableLayout());
    checked = loaded;
  }
  return checked;
}
