import { addon } from '../native/addon.js';
import type { NativeTls } from '../native/addon.js';
import type { Identity } from '../options/tls.js';
import type { LocalCA, ProxyContext, ProxyRoute } from './types.js';

/** `src/proxy.rs`, `NativeProxyOptions`. */
export interface NativeProxyOptions {
  host: string;
  port: number;
  shards: number;
  driver: string;
  tls?: NativeTls;
  interceptTls?: Identity;
  http2: boolean;
  ports?: number[];
  allow: string[];
  deny: string[];
  loopback: boolean;
  privateNetworks: boolean;
  linkLocal: boolean;
  hosts: string[];
  ca?: string;
  limits: Partial<Record<string, number>>;
}

/** `src/proxy.rs`. */
export interface NativeProxy {
  readonly port: number;
  readonly driver: 'io_uring' | 'epoll';
  createContext(webContentsId: number, route: ProxyRoute | undefined): ProxyContext;
  releaseContext(id: string): void;
  setTls(tls: NativeTls): void;
  stop(drainMs: number): Promise<void>;
  /** JSON of `ProxyRequest[]`. */
  takeLog(): string | null;
  endLog(): void;
  stats(): string | null;
}

interface ProxyAddon {
  NativeProxy: new (options: NativeProxyOptions, heard: (() => void) | undefined) => NativeProxy;
  createLocalCa(): LocalCA;
}

/** Starts listening. `heard` is called when there is a log to take. */
export function startNative(options: NativeProxyOptions, heard: (() => void) | undefined): NativeProxy {
  const { NativeProxy } = addon() as unknown as ProxyAddon;
  return new NativeProxy(options, heard);
}

/** A CA that was never there before. */
export function makeLocalCA(): LocalCA {
  return (addon() as unknown as ProxyAddon).createLocalCa();
}
