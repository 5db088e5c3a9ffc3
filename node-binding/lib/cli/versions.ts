// Versions of what works together.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { runtimeName } from '../process/runtime.js';

/** Of this package. */
export function packageVersion(): string {
  return versionIn(join(__dirname, '..', '..', '..')) ?? 'unknown';
}

/** Of the Runner that an app in the working directory would use; without loading it. */
export function runnerVersion(): string | undefined {
  try {
    const found = createRequire(join(process.cwd(), 'package.json')).resolve('@bluelibs/runner');
    for (let folder = dirname(found); folder !== dirname(folder); folder = dirname(folder)) {
      const version = versionIn(folder, '@bluelibs/runner');
      if (version !== undefined) return version;
    }
  } catch {
    // It is not installed.
  }
  return undefined;
}

export const runtimeVersion = runtimeName;

function versionIn(folder: string, expected?: string): string | undefined {
  try {
    const { name, version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { name?: unknown; version?: unknown };
    return typeof version === 'string' && (expected === undefined || name === expected) ? version : undefined;
  } catch {
    return undefined;
  }
}
