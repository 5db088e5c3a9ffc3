/// <reference types="node" preserve="true" />
export { CallError, RemoteError } from '../errors/client-errors.js';
export type { CallErrorCode, RemoteErrorDetails } from '../errors/client-errors.js';
export { OptionError } from '../errors/errors.js';
export type { EventsOf, Serializer, TasksOf } from '../options/types.js';
export { createClient } from './client.js';
export type { CallOptions, Client, ClientOptions, ClientStats, ServerStats, TaskCalls } from './types.js';
