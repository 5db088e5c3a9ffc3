import { checkBuild } from '../facts/layout.js';
import type { CallerOptions } from '../options/callers.js';
import type { Placement, Ring, LimitName } from '../options/engine-options.js';
import { loadNative } from './load.js';

/** `src/options.rs`, `NativeOptions`. */
export interface NativeOptions {
  host: string;
  port: number;
  inProcess: boolean;
  workers: boolean;
  loopRing: boolean;
  placement: 'auto' | Placement;
  socketPath?: string;
  fd?: number;
  tls?: NativeTls;
  adminTls?: NativeTls;
  log?: { path?: string; combined: boolean; sample: number };
  adminTlsShared: boolean;
  admin?: { host: string; port: number; socketPath?: string; fd?: number; dashboard: boolean; agent?: { host: string; port: number; socketPath?: string; fd?: number } };
  callers?: CallerOptions;
  backlog: number;
  shards: number;
  driver: string;
  basePath: string;
  tokenHeader: string;
  tokens?: string[];
  validators: boolean;
  allowAnonymous: boolean;
  cors?: {
    askedOrigin?: boolean;
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
  http2: boolean;
  reference: boolean;
  reportRefusals: boolean;
  /** How long it waits at its end it is told then. */
  limits: Record<Exclude<LimitName, 'drainTimeoutMs'>, number> & {
    /** Without it the defaults; in it, a bound that is missing is none. */
    multipart?: { fileSize?: number; files?: number; fieldSize?: number; fields?: number; parts?: number };
  };
}

/** `src/tls.rs`, `NativeTls`. */
export interface NativeTls {
  identities: { cert: string; key: string; names: string[] }[];
  minVersion: string;
  ca?: string;
  requireClientCert: boolean;
}

/** `src/tls.rs`, `NativePeer`. */
export interface NativePeer {
  protocol: 'TLSv1.2' | 'TLSv1.3';
  cipher: string;
  servername?: string;
  alpnProtocol?: string;
  certificate?: Buffer;
}

/** `src/callers.rs`. */
export interface NativeCaller {
  address?: string;
  port?: number;
  secure: boolean;
  host?: string;
}

export interface NativeHandler {
  event: boolean;
  id: string;
  /** The number that it has, unless it is new. */
  number?: number;
}

export interface NativeAllow {
  policy: 'registered' | 'none' | 'open' | 'list';
  tasks: string[];
  events: string[];
}

/** Where a request target leads: `engine/src/tunnel/target.rs`. */
export type Destination = 'outside' | 'malformed' | 'none' | 'task' | 'event' | 'discovery';

/** `src/tunnel.rs`. */
export interface NativeTunnel {
  readonly port: number;
  /** 0 without an admin listener, or where that has no port. */
  readonly adminPort: number;
  readonly agentPort: number;
  readonly driver: 'io_uring' | 'epoll';
  readonly driverReason: string | null;
  readonly ring: Ring;
  readonly placement: Placement;
  readonly placementReason: string | null;
  readonly shards: number;
  poll(maxCalls: number): string | null;
  /** Says how this event loop is; `worker` is negative for the one that has opened the tunnel. */
  beat(delayMs: number, delayMaxMs: number, utilization: number, worker: number, restarts: number): void;
  /** With `maxCalls` 0 it does not poll. */
  complete(text: string, rows: Uint32Array, count: number, maxCalls: number): string | null;
  requestId(ticket: number): string | null;
  head(ticket: number): string | null;
  /** Milliseconds that the call has waited for this event loop. */
  queuedMs(ticket: number): number;
  /** The access log is written into this file from now on. */
  reopenLog(path: string): void;
  /** The next lines of the access log as a JSON array, at most so many; null where there are none. */
  readLog(most: number): string | null;
  /** Why the access log could not be written, once for each time that it began. */
  logFailure(): string | null;
  advise(ticket: number, passed: boolean, origin: string | undefined): void;
  /** False: it may not be written, and the call is to be answered with something else. */
  raw(ticket: number, status: number, reason: string, headers: string[], body: Uint8Array, cors: boolean, security: boolean): boolean;
  /** The next frame's bytes, if it has any; the table says what it is. */
  frame(): Buffer | null;
  /** False: as of {@link raw}. */
  openStream(ticket: number, status: number, reason: string, headers: string[], length: number, cors: boolean, security: boolean): boolean;
  sendData(ticket: number, bytes: Uint8Array): void;
  endStream(ticket: number): void;
  cutStream(ticket: number): void;
  creditBody(ticket: number, bytes: number): void;
  discardBody(ticket: number): void;
  notices(): string;
  /** The numbers of the handlers that it was made with, in their order: calls name them so. */
  readonly handlerNumbers: number[];
  /** Returns their numbers. */
  setHandlers(handlers: NativeHandler[], allow: NativeAllow): number[];
  setTls(tls: NativeTls): void;
  setAdminTls(tls: NativeTls): void;
  peer(ticket: number): NativePeer | null;
  caller(ticket: number): NativeCaller | null;
  /** A descriptor, which is the caller's to close. */
  connect(): number;
  /** By which threads of this process attach. */
  readonly number: number;
  /** The engine's number of this event loop. */
  readonly member: number;
  /** Calls that this event loop has begun and not answered. */
  readonly live: number;
  /** No more calls: what this event loop has not begun goes to others. */
  leave(): void;
  route(target: string): Destination;
  retire(): void;
  stop(drainMs: number): void;
  finish(): void;
  stats(): string;
}

interface NativeTunnelClass {
  new (options: NativeOptions, handlers: NativeHandler[], allow: NativeAllow, table: Uint32Array, ring: () => void): NativeTunnel;
  /** Another event loop for the tunnel of that number, which was made with `workers`. */
  attach(number: number, loopRing: boolean, handlers: NativeHandler[], table: Uint32Array, ring: () => void): NativeTunnel;
}

interface Addon {
  NativeTunnel: NativeTunnelClass;
  /** The hash of all that it states as `facts.generated.ts` does. */
  factsHash(): string;
  /** Cores that the process may use: by its affinity, and by the quotas of its control groups. */
  availableCores(): number;
  /** Processor time of the thread that calls. */
  threadCpuMs(): number;
  /** Where the socket of a descriptor listens that another process has bound. */
  inheritedSocket(option: string, descriptor: number): { host?: string; port: number; socketPath?: string };
  /** Sends one message of sd_notify(3). */
  notifyManager(address: string, message: string): void;
}

let checked: Addon | undefined;

/** The addon, once it has proved to be of our build. */
export function addon(): Addon {
  if (checked === undefined) {
    const loaded = loadNative() as Addon;
    checkBuild(loaded);
    checked = loaded;
  }
  return checked;
}
