/// <reference types="node" preserve="true" />
export { init } from './log.js';
export type { InitOptions, LogLevel } from './log.js';
export { getVersion } from './version.js';
export type { Version } from './version.js';
export { readFile, writeFile } from './files.js';
export type { ReadFileOptions, WriteFileOptions } from './files.js';
export { listDirectory, walkDirectory } from './directories.js';
export type { DirectoryEntry, EntryKind, ListDirectoryOptions } from './directories.js';
export { executeCommand } from './commands.js';
export type { CommandOptions, CommandResult } from './commands.js';
export { NativeSession } from './session.js';
export type { Json, SessionConfig, SessionMessage, SessionOptions, SessionStats } from './session.js';
export { CommandError, UtilityError } from './errors.js';
export type { PathLike } from './arguments.js';
export { OptionError } from '../errors/errors.js';
export { NativeLoadError } from '../native/load.js';
