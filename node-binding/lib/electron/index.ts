/// <reference types="node" preserve="true" />
export { configurePreviewProxyForView, getProxyCredentialsForWebContents, releasePreviewProxy, startPreviewProxy, stopPreviewProxy } from './preview.js';
export { previewPartition, previewRoute } from './route.js';
export type { PreviewLogger, PreviewSession, PreviewView, PreviewWebContents, ProxyCredentials } from './types.js';
export { ProxyServer } from '../proxy/server.js';
export type { ProxyContext, ProxyContextStats, ProxyOptions, ProxyRequest, ProxyRoute, ProxyStats } from '../proxy/types.js';
