/// <reference types="node" preserve="true" />
export { CallError, RemoteError } from '../errors/client-errors.js';
export type { CallErrorCode, RemoteErrorDetails } from '../errors/client-errors.js';
export { OptionError } from '../errors/errors.js';
export type { EventsOf, Serializer, TasksOf } from '../options/types.js';
export type { ClientCallMessage } from '../trace/client-trace.js';
export { createClient } from './client.js';
export { fileFrom } from './file-form.js';
export type { FileMeta, SourceFile } from './file-form.js';
export type { ByteSource, CallOptions, Client, ClientOptions, ClientStats, ServerStats, StreamOptions, TaskCalls } from './types.js';
