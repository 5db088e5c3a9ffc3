/// <reference types="node" preserve="true" />
export { configurePreviewProxyForView, getProxyCredentialsForWebContents, releasePreviewProxy, startPreviewProxy, stopPreviewProxy } from './preview.js';
export { previewPartition, previewRoute } from './route.js';
export type { PreviewLogger, PreviewSession, PreviewView, PreviewWebContents, ProxyCredentials } from './types.js';
export { ProxyServer } from '../proxy/server.js';
export type { ProxyContext, ProxyContextStats, ProxyHttp2Stats, ProxyOptions, ProxyRequest, ProxyRoute, ProxyServerStreamStats, ProxyStats, ProxyStreamStats } from '../proxy/types.js';
