// What to say when the package that holds the addon is not there: package managers leave it out as if that were nothing.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { chosenPlace, PACKAGE, TARGETS } from './place.js';
import { packageManager, platformPackage } from './platform.js';

/** Not looked for before it is asked for: a bundle of ES modules has no such name. */
const root = (): string => join(__dirname, '..', '..', '..');

/** How each package manager adds a package that other platforms can do without. npm is who has not said a name. */
const ADD: Readonly<Record<string, string>> = {
  npm: 'npm install --save-optional',
  pnpm: 'pnpm add --save-optional',
  yarn: 'yarn add --optional',
  bun: 'bun add --optional',
  deno: 'deno add npm:',
};

/** Of a checkout, that it has to be built; of an installed package, what was not installed, why, and the command that does it. */
export function lostPackage(missing: string): { reason: string; fix: string } {
  if (isCheckout()) return { reason: missing, fix: 'Run `make build`.' };
  const wanted = platformPackage();
  const others = installedFor(wanted);
  const why = others.length > 0
    ? `Installed is ${others.join(', ')}: the packages were installed on another platform, or for one`
    : `It is an optional dependency; package managers leave those out with --omit=optional, and npm before 11.3 where the lockfile was written on another platform`;
  return { reason: `${missing}: the package ${wanted} is not installed`, fix: `${why}. ${runCommand(wanted)}` };
}

/**
 * The command that brings the package of this platform, where another one's was loaded: nothing where there is none, and
 * where the user has named the file.
 */
export function mendingCommand(): string | undefined {
  const wanted = platformPackage();
  const exists = (TARGETS as readonly string[]).includes(wanted.slice(PACKAGE.length + 1));
  return exists && !isCheckout() && chosenPlace() === undefined ? runCommand(wanted) : undefined;
}

function runCommand(wanted: string): string {
  const add = ADD[packageManager()?.name ?? 'npm'] ?? ADD['npm']!;
  return `Run \`${add}${add.endsWith(':') ? '' : ' '}${wanted}@${version()}\`.`;
}

/** What is published has no crate beside it. */
function isCheckout(): boolean {
  return typeof __dirname !== 'string' || existsSync(join(root(), 'Cargo.toml'));
}

/** Packages of other platforms that lie beside this one. */
function installedFor(wanted: string): string[] {
  try {
    return readdirSync(join(root(), '..')).filter((name) => name !== wanted && new RegExp(`^${PACKAGE}-(?:linux|darwin|win32|freebsd|android)-`).test(name));
  } catch {
    return [];
  }
}

/** Of this package: the two are of one version. */
function version(): string {
  try {
    return (JSON.parse(readFileSync(join(root(), 'package.json'), 'utf8')) as { version: string }).version;
  } catch {
    return 'latest';
  }
}
