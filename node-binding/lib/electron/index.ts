/// <reference types="node" preserve="true" />
export { configurePreviewProxyForView, getProxyCredentialsForWebContents, releasePreviewProxy, startPreviewProxy, stopPreviewProxy } from './preview.js';
export { localCAVerifier } from './local-ca.js';
export { previewPartition, previewRoute } from './route.js';
export type { CertificateVerifyRequest, PreviewLogger, PreviewSession, PreviewView, PreviewWebContents, ProxyCredentials } from './types.js';
export { createLocalCA, keepLocalCA } from '../proxy/local-ca.js';
export { ProxyServer } from '../proxy/server.js';
export { ClosedError, OptionError, StateError } from '../errors/errors.js';
export { ListenError } from '../errors/listen-error.js';
export { NativeLoadError } from '../native/load.js';
export type { InterceptTls, LocalCA, ProxyContext, ProxyContextStats, ProxyHttp2Stats, ProxyOptions, ProxyRequest, ProxyRoute, ProxyServerStreamStats, ProxyStats, ProxyStreamStats } from '../proxy/types.js';
