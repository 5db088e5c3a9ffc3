import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fail } from '../options/checks.js';

/** A file of the package that a worker thread runs. Throws an OptionError where the package was packed into a bundle, which has no such file. */
export function entryFile(folder: string | undefined, name: string): string {
  const file = folder === undefined ? undefined : join(folder, name);
  if (file === undefined || !existsSync(file)) fail('workers', file ?? name, 'need a file of the package that is not there: it was packed into a bundle', 'Mark fasttunnel external in the bundler\'s options, and install it where the bundle runs.');
  return file;
}

/** The folder of a file, which a bundle of ES modules does not know. */
export function folderOf(known: () => string): string | undefined {
  try {
    return known();
  } catch {
    return undefined;
  }
}
