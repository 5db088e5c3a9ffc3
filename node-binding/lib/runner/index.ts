/// <reference types="node" preserve="true" />
import '../native/supported.js';
/** The Runner side of fasttunnel: {@link fastTunnel} stands where an app had `nodeExposure`. */
export { fastTunnel } from './resource.js';
export { TunnelError } from '../errors/client-errors.js';
export { createClient } from './client.js';
export type { RunnerClient, RunnerClientOptions } from './client.js';
export { httpClientFactory } from './client-factory.js';
export type { RunnerClientFactory, RunnerClientFactoryConfig } from './client-factory.js';
export { loadRunner, RunnerPeerError } from './peer.js';
export type { LoadedRunner } from './peer.js';
export type {
  FastTunnelAuth,
  FastTunnelConfig,
  FastTunnelCors,
  FastTunnelEngine,
  FastTunnelHttp,
  FastTunnelLimits,
  MultipartLimits,
} from './config.js';
export type { FastTunnelExposure } from './exposure.js';
export type { AttachableServer } from './attachable-server.js';
export type { ForeignHandlers, RequestListener, ServerAnswer, ServerRequest } from './foreign-servers.js';
