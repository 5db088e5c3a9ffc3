import { addon } from '../native/addon.js';
import type { NativeTls } from '../native/addon.js';
import type { ProxyContext, ProxyRoute } from './types.js';

/** `src/proxy.rs`, `NativeProxyOptions`. */
export interface NativeProxyOptions {
  host: string;
  port: number;
  shards: number;
  driver: string;
  tls?: NativeTls;
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
  stats(): string | null;
}

interface ProxyAddon {
  NativeProxy: new (options: NativeProxyOptions) => NativeProxy;
}

/** Starts listening. */
export function startNative(options: NativeProxyOptions): NativeProxy {
  const { NativeProxy } = addon() as unknown as ProxyAddon;
  return new NativeProxy(options);
}
