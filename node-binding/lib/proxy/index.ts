/// <reference types="node" preserve="true" />
export { ProxyServer } from './server.js';
export { createLocalCA, keepLocalCA } from './local-ca.js';
export type { InterceptTls, LocalCA, PortRange, ProxyAddresses, ProxyContext, ProxyContextStats, ProxyHttp2Stats, ProxyLimits, ProxyOptions, ProxyRequest, ProxyRoute, ProxyServerStreamStats, ProxyStats, ProxyStreamStats } from './types.js';
export type { TlsOptions } from '../options/types.js';
export { ClosedError, OptionError, StateError } from '../errors/errors.js';
export { ListenError } from '../errors/listen-error.js';
export { NativeLoadError } from '../native/load.js';
