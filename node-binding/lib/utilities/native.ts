import { addon } from '../native/addon.js';
import { onNode } from '../process/runtime.js';

/** What has become of an operation: `src/utilities.rs`, `settled`. */
export interface Settled {
  readonly id: number;
  readonly bytes?: Buffer;
  readonly file?: NativeFile;
  readonly count?: number;
  readonly rest?: Buffer;

  readonly names?: string;
  readonly directories?: string;
  readonly rows?: Float64Array;
  readonly ended?: boolean;
  readonly rawPlaces?: readonly number[];
  readonly rawPaths?: readonly Buffer[];

  readonly stdout?: Buffer;
  readonly stderr?: Buffer;
  readonly exitCode?: number;
  readonly signal?: number;
  readonly cut?: Cut;
  readonly complete?: boolean;
  readonly durationMs?: number;

  readonly reason?: 'system' | 'aborted' | 'tooLarge' | 'tooMany' | 'internal';
  /** The system's number of the error, or the bound. */
  readonly number?: number;
  readonly syscall?: string;
  readonly path?: Buffer;
}

/** Why a command was ended. */
export type Cut = 'aborted' | 'timedOut' | 'tooMuchOutput';

/** `src/utilities.rs`, `NativeCommand`. */
export interface NativeCommand {
  command: Buffer;
  args: Buffer[];
  cwd?: Buffer;
  env: string[];
  stdin?: Buffer;
  timeoutMs: number;
  maxOutputBytes: number;
  killSignal: number;
  killAfterMs: number;
}

/** `src/utilities.rs`, `NativeListing`. */
export interface NativeListing {
  maxDepth: number;
  maxEntries: number;
  followSymlinks: boolean;
}

/** `src/utilities.rs`: a file that is open, until it is filled into memory or closed. */
export interface NativeFile {
  readonly size: number;
  close(): void;
}

declare const opaque: unique symbol;
export interface NativeWalk {
  readonly [opaque]: 'walk';
  close(): void;
}
export interface NativeWriter { readonly [opaque]: 'writer' }

/** `src/utilities.rs`. Every operation has a number, under which `fetch` tells what has become of it. */
export interface NativeUtilities {
  readFile(id: number, path: Uint8Array, maxRegular: number, maxOther: number): void;
  fill(id: number, file: NativeFile, memory: Buffer): void;
  writeFile(id: number, writer: NativeWriter, piece: Uint8Array, last: boolean): void;
  dropWriter(id: number, writer: NativeWriter): void;
  walk(id: number, walk: NativeWalk, most: number): void;
  execute(id: number, command: NativeCommand): void;
  abort(id: number): void;
  fetch(): Settled[];
  /** Kills the commands, ends the threads. */
  end(): void;
  threads(): number;
}

/** `src/sessions.rs`. */
export interface NativeSessionStore {
  configure(config: string): boolean;
  config(): string;
  add(message: string): boolean;
  messages(): string;
  clear(): void;
  facts(): { id: number; maxMessages: number; maxBytes: number; messages: number; bytes: number; dropped: number };
}

/** `src/version.rs`. */
export interface NativeVersion {
  readonly version: string;
  readonly gitHash: string;
  readonly buildTime: string;
  readonly rustVersion: string;
}

interface UtilitiesAddon {
  NativeUtilities: new (ring: () => void, byLoop: boolean) => NativeUtilities;
  NativeWalk: new (path: Uint8Array, listing: NativeListing) => NativeWalk;
  NativeWriter: new (path: Uint8Array, atomic: boolean, fsync: boolean, mode: number | undefined) => NativeWriter;
  NativeSessionStore: { new (maxMessages: number, maxBytes: number): NativeSessionStore; find(id: number): NativeSessionStore | null };
  nativeVersion(): NativeVersion;
}

/** The part of the addon that is about the utilities. */
export function utilitiesAddon(): UtilitiesAddon {
  return addon() as unknown as UtilitiesAddon;
}

/** The operations of this thread; `ring` is called when some have ended. */
export function openUtilities(ring: () => void): NativeUtilities {
  // Other runtimes have Node-API and no libuv, or its functions without what they do.
  return new (utilitiesAddon().NativeUtilities)(ring, onNode);
}
