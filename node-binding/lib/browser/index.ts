// What `fasttunnel/client` is to bundlers for browsers: the same names, over fetch.
export { CallError, RemoteError } from '../errors/client-errors.js';
export type { CallErrorCode, RemoteErrorDetails } from '../errors/client-errors.js';
export { OptionError } from '../errors/errors.js';
export { fileFrom } from '../client/file-form.js';
export type { FileMeta, SourceFile } from '../client/file-form.js';
export type { ByteSource, CallOptions, StreamOptions, TaskCalls } from '../client/types.js';
export type { EventsOf, Serializer, TasksOf } from '../options/types.js';
export { createClient } from './client.js';
export type { AnswerStream, Client, ClientOptions, ClientStats } from './types.js';
