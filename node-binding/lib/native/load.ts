import { isOrdinary } from './elf.js';
import type { Fault } from './faults.js';
import { chosenPlace, isSupported, ownPlace, TARGETS } from './place.js';
import { describePlatform, processLibc } from './platform.js';

/** The native addon could not be loaded. The message says for which platform, what was tried and what to do. */
export class NativeLoadError extends Error {
  static {
    this.prototype.name = 'NativeLoadError';
  }

  readonly code = 'FASTTUNNEL_NATIVE_LOAD';
  /** Files that were tried. */
  readonly tried: readonly string[];

  constructor(message: string, tried: readonly string[], options?: { cause?: unknown }) {
    super(message, options);
    this.tried = tried;
  }
}

let loaded: unknown;
let loadedFrom: string | undefined;

/** The file that the addon was loaded from, if it was. */
export function loadedFile(): string | undefined {
  return loadedFrom;
}

/** The native addon. Both module forms, and every tunnel of a thread, share one. */
export function loadNative(): unknown {
  return (loaded ??= load());
}

/** Where there is no addon it says so, unless another is named. */
export function checkPlatform(): void {
  if (isSupported() || chosenPlace() !== undefined) return;
  throw new NativeLoadError(
    `fasttunnel has no native addon for ${describePlatform()}. A tunnel runs on ${TARGETS.join(', ')}; use one of these systems, a container or WSL. The client, fasttunnel/client, runs on every system.`, []);
}

function load(): unknown {
  checkPlatform();
  const chosen = chosenPlace();
  const { file, ...place } = chosen ?? ownPlace(processLibc());
  if (file === undefined) throw failure(faults().missingFault(place), place.tried, absenceOf(place.tried));
  const fault = isOrdinary(file) ? undefined : faults().faultOf(file);
  if (fault !== undefined) throw couldNot(fault, file);
  // Not `require`: bundlers take that for theirs, single executables have none for files, and it takes what is not named
  // `.node` for JavaScript.
  const addon = { exports: {} };
  try {
    process.dlopen(addon, file);
  } catch (error) {
    throw couldNot(faults().loadFault(file, error), file, { cause: error });
  }
  loadedFrom = file;
  return addon.exports;
}

/** An error for each thing that was not there, each the cause of the one before. */
function absenceOf(tried: readonly string[]): { cause?: unknown } {
  return tried.reduceRight<{ cause?: unknown }>((options, file) => ({ cause: new Error(`there is no ${file}`, options) }), {});
}

function couldNot({ reason, fix }: Fault, file: string, options?: { cause?: unknown }): NativeLoadError {
  return failure({ reason: `fasttunnel's native addon could not be loaded: ${reason.replace(/\.$/, '')}`, fix }, [file], options);
}

function failure({ reason, fix }: Fault, tried: readonly string[], options?: { cause?: unknown }): NativeLoadError {
  return new NativeLoadError(`${reason}. Platform: ${describePlatform()}. Tried: ${tried.join(', ') || 'nothing'}. ${fix}`, tried, options);
}

// What follows is loaded when something is wrong: most never need it.

function faults(): typeof import('./faults.js') {
  return require('./faults.js') as typeof import('./faults.js');
}

/** What to do about a message of the dynamic linker, or of a runtime that guards it. */
export function fixFor(reason: string): string {
  return faults().fixFor(reason);
}
