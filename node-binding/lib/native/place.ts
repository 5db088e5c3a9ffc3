import { readFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import type { Libc } from './elf.js';

/** What there is an addon for: `napi.targets` of package.json, with the names that @napi-rs/cli gives them. */
export const TARGETS = ['linux-x64-gnu', 'linux-arm64-gnu', 'linux-x64-musl', 'linux-arm64-musl'] as const;

/** Set it to load another build of the addon, for example one with debug symbols. */
export const PATH_VARIABLE = 'FASTTUNNEL_NATIVE_PATH';

export const PACKAGE = 'fasttunnel';

/** Its name in its package. */
const addonFile = (target: string): string => `${PACKAGE}.${target}.node`;
/** For messages: its name on most systems with this processor. */
export const ADDON_FILE = addonFile(targetsFor(undefined)[0] ?? TARGETS[0]);

/** Where the addon was looked for: that was said, that is the package's place for it, or that is a bundle's. */
export interface Place {
  readonly of: 'variable' | 'package' | 'bundle';
  /** The file, if it is there. */
  readonly file: string | undefined;
  readonly tried: readonly string[];
}

/** The file that the environment names. */
export function chosenPlace(): Place | undefined {
  const chosen = chosenPath();
  return chosen ? lookAt('variable', resolve(chosen)) : undefined;
}

function chosenPath(): string | undefined {
  try {
    return process.env[PATH_VARIABLE];
  } catch {
    // Deno without --allow-env.
    return undefined;
  }
}

/** Whether there is an addon for this system and processor. */
export function isSupported(): boolean {
  return targetsFor(undefined).length > 0;
}

/** Those of this system and processor; first those for the libc, and those for another, which a system may know how to load (gcompat). */
function targetsFor(libc: Libc | undefined): string[] {
  const ours = TARGETS.filter((target) => target.startsWith(`${process.platform}-${process.arch}-`));
  return libc === 'musl' ? ours.reverse() : ours;
}

/**
 * Where it is without a word of the user: in a checkout, in `native/`; in an app, in the package of this platform, which
 * npm has chosen; or, when this is a part of a bundle, beside that.
 */
export function ownPlace(libc: Libc | undefined): Place {
  // A bundle of ES modules has no such name.
  if (typeof __dirname !== 'string') return { of: 'bundle', file: undefined, tried: [] };
  const root = join(__dirname, '..', '..', '..');
  const targets = targetsFor(libc);
  const built = targets.map((target) => join(root, 'native', addonFile(target)));
  const file = built.find(isSeen) ?? packagedFile(targets) ?? built.find(exists);
  const tried = file === undefined ? [built[0]!, ...targets.map(packageOf)] : [file];
  if (file !== undefined || isPackage(root)) return { of: 'package', file, tried };
  return lookAt('bundle', join(__dirname, addonFile(targets[0]!)));
}

const packageOf = (target: string): string => `${PACKAGE}-${target}`;

/** The addon of the first such package that is installed: wherever Node, or what stands in for its search (Yarn's PnP), finds it from here. */
function packagedFile(targets: readonly string[]): string | undefined {
  const { resolve: find } = createRequire(join(__dirname, 'place.js'));
  for (const target of targets) {
    try {
      return find(packageOf(target));
    } catch {
      // Not that one.
    }
  }
  return undefined;
}

function lookAt(of: Place['of'], file: string): Place {
  return { of, file: exists(file) ? file : undefined, tried: [file] };
}

/** Whether this is the folder of the package, with this file where the build has put it. */
function isPackage(folder: string): boolean {
  const file = join(folder, 'package.json');
  if (!exists(file)) return false;
  try {
    return (JSON.parse(readFileSync(file, 'utf8')) as { name?: unknown }).name === PACKAGE;
  } catch {
    // It may not be read: no reason to look elsewhere.
    return true;
  }
}

function isSeen(file: string): boolean {
  try {
    return statSync(file, { throwIfNoEntry: false }) !== undefined;
  } catch {
    return false;
  }
}

/** False when there is nothing; what is there and may not be looked at is there. */
function exists(file: string): boolean {
  try {
    return statSync(file, { throwIfNoEntry: false }) !== undefined;
  } catch {
    return true;
  }
}
