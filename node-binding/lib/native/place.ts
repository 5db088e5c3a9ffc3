import { readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** What there is an addon for. */
export const TARGETS = ['linux-x64-gnu'] as const;

/** Set it to load another build of the addon, for example one with debug symbols. */
export const PATH_VARIABLE = 'FASTTUNNEL_NATIVE_PATH';

export const PACKAGE = 'fasttunnel';
/** Its name in the package. */
export const ADDON_FILE = `${PACKAGE}.${TARGETS[0]}.node`;

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

/** Where the package has it; or, when this is a part of a bundle, beside that. */
export function ownPlace(): Place {
  // A bundle of ES modules has no such name.
  if (typeof __dirname !== 'string') return { of: 'bundle', file: undefined, tried: [] };
  const root = join(__dirname, '..', '..', '..');
  const ours = lookAt('package', join(root, 'native', ADDON_FILE));
  return ours.file !== undefined || isPackage(root) ? ours : lookAt('bundle', join(__dirname, ADDON_FILE));
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

/** False when there is nothing; what is there and may not be looked at is there. */
function exists(file: string): boolean {
  try {
    return statSync(file, { throwIfNoEntry: false }) !== undefined;
  } catch {
    return true;
  }
}
