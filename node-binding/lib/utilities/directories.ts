import { asBoolean, asInteger } from '../options/checks.js';
import { asOptions, asPath, asSignal } from './arguments.js';
import type { PathLike } from './arguments.js';
import { abortError } from './errors.js';
import { utilitiesAddon } from './native.js';
import type { NativeWalk, Settled } from './native.js';
import { operate } from './operations.js';
import type { Subject } from './operations.js';

/** `src/native/walk_plan.rs`, `Kind`. */
const KINDS = ['file', 'directory', 'symlink', 'fifo', 'socket', 'characterDevice', 'blockDevice', 'other'] as const;
/** Numbers an entry: directory, kind, size, modified. */
const PER_ENTRY = 4;
/** Entries that {@link listDirectory} takes unless it is told otherwise. */
const MAX_ENTRIES = 1_000_000;
/** Entries that cross from native code at a time. */
const BATCH = 4096;
/** As many as there can be: paths are shorter. */
const ANY_DEPTH = 2 ** 32 - 1;

/** What an entry of a directory is. */
export type EntryKind = (typeof KINDS)[number];

/** An entry of a directory. */
export interface DirectoryEntry {
  /** Its name. What is not UTF-8 in it is U+FFFD; then there is `pathBytes`. */
  name: string;
  /** The path of the directory as it was given, and what leads from there to the entry. */
  path: string;
  /** What it is. A symbolic link is one, unless `followSymlinks` is given and it leads somewhere. */
  kind: EntryKind;
  /** Its bytes. */
  size: number;
  /** When its content was last changed, in milliseconds since 1970, with fractions. */
  modified: number;
  /** The bytes of `path`, where they are not UTF-8: all functions take them as a path. */
  pathBytes?: Buffer;
}

/** What {@link listDirectory} and {@link walkDirectory} take. */
export interface ListDirectoryOptions {
  /** Also what is in its directories. False unless given; true for `walkDirectory`. */
  recursive?: boolean | undefined;
  /** How deep it goes: 1 is the directory's own entries. Directories at that depth are listed, and not entered. */
  maxDepth?: number | undefined;
  /** It fails with `FASTTUNNEL_TOO_MANY_ENTRIES` when there are more: than 1 000 000 unless given; any number for `walkDirectory`. */
  maxEntries?: number | undefined;
  /** Tells of what links lead to, and enters those that lead to directories; each directory once. False unless given. */
  followSymlinks?: boolean | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * The entries of a directory, in the order of the file system, and those of a directory before those of the directories in it.
 *
 * @throws UtilityError with the system's code, also for a directory in it that may not be read; `FASTTUNNEL_TOO_MANY_ENTRIES`; `ABORT_ERR`.
 */
export async function listDirectory(path: PathLike, options?: boolean | ListDirectoryOptions): Promise<DirectoryEntry[]> {
  const given = typeof options === 'boolean' ? { recursive: options } : options;
  const entries: DirectoryEntry[] = [];
  for await (const batch of batches(begin('listDirectory', path, given, { recursive: false, maxEntries: MAX_ENTRIES }))) {
    for (const entry of entriesOf(batch)) entries.push(entry);
  }
  return entries;
}

/**
 * The entries of a directory and of all directories in it, one by one: any number of them takes little memory. Otherwise as
 * {@link listDirectory}.
 */
export function walkDirectory(path: PathLike, options?: ListDirectoryOptions): AsyncGenerator<DirectoryEntry, void, undefined> {
  // Here, so that wrong options throw at once.
  return entriesThrough(begin('walkDirectory', path, options, { recursive: true, maxEntries: Number.MAX_SAFE_INTEGER }));
}

async function* entriesThrough(begun: Begun): AsyncGenerator<DirectoryEntry, void, undefined> {
  const { signal } = begun.what;
  for await (const batch of batches(begun)) {
    for (const entry of entriesOf(batch)) {
      // What was read ahead is not given any more.
      if (signal?.aborted === true) throw abortError(signal);
      yield entry;
    }
  }
  if (signal?.aborted === true) throw abortError(signal);
}

/** What comes from native code, which reads on while one batch is looked at. */
async function* batches({ what, walk }: Begun): AsyncGenerator<Settled, void, undefined> {
  let next = nextBatch(what, walk);
  try {
    for (;;) {
      const batch = await next;
      if (batch.ended !== true) next = nextBatch(what, walk);
      yield batch;
      if (batch.ended === true) return;
    }
  } finally {
    // Nobody asks for the next one any more when the caller has stopped; it is read to its end nevertheless.
    const close = (): void => walk.close();
    next.then(close, close);
  }
}

/** A walk, and what it is called. */
interface Begun {
  readonly what: Subject;
  readonly walk: NativeWalk;
}

function begin(operation: string, path: PathLike, options: ListDirectoryOptions | undefined, fallback: { recursive: boolean; maxEntries: number }): Begun {
  const { bytes, text } = asPath('path', path);
  const given = asOptions(operation, options, ['recursive', 'maxDepth', 'maxEntries', 'followSymlinks', 'signal']);
  const recursive = asBoolean(`${operation}.recursive`, given.recursive, fallback.recursive);
  const maxDepth = asInteger(`${operation}.maxDepth`, given.maxDepth, { fallback: ANY_DEPTH, least: 1, most: ANY_DEPTH, unit: 'levels' });
  const maxEntries = asInteger(`${operation}.maxEntries`, given.maxEntries, { fallback: fallback.maxEntries, least: 1, most: Number.MAX_SAFE_INTEGER, unit: 'entries' });
  const followSymlinks = asBoolean(`${operation}.followSymlinks`, given.followSymlinks, false);
  const signal = asSignal(`${operation}.signal`, given.signal);
  const walk = new (utilitiesAddon().NativeWalk)(bytes, { maxDepth: recursive ? maxDepth : 1, maxEntries, followSymlinks });
  return { what: { operation, subject: text, signal }, walk };
}

function nextBatch(what: Subject, walk: NativeWalk): Promise<Settled> {
  return operate(what, (native, id) => native.walk(id, walk, BATCH));
}

/** The entries of a batch. Each text ends with a zero, which no name has. */
function* entriesOf({ names = '', directories = '', rows = new Float64Array(), rawPlaces = [], rawPaths = [] }: Settled): Generator<DirectoryEntry, void, undefined> {
  const prefixes = directories.split('\0').map((directory) => (directory.endsWith('/') ? directory : `${directory}/`));
  const all = names.split('\0');
  let raw = 0;
  for (let place = 0; place < all.length - 1; place += 1) {
    const row = place * PER_ENTRY;
    const name = all[place]!;
    const entry: DirectoryEntry = {
      name,
      path: prefixes[rows[row]!]! + name,
      kind: KINDS[rows[row + 1]!]!,
      size: rows[row + 2]!,
      modified: rows[row + 3]!,
    };
    if (rawPlaces[raw] === place) {
      entry.pathBytes = rawPaths[raw]!;
      raw += 1;
    }
    yield entry;
  }
}
