import { onDeno, onNode, runtimeName } from '../process/runtime.js';
import { withElf } from './elf.js';
import type { Libc } from './elf.js';
import { PACKAGE } from './place.js';

/** The program that runs us; its own name for it may be gone. */
const PROGRAM = '/proc/self/exe';

/** The libc of this process, by what loads its program. */
export function processLibc(): Libc | undefined {
  // There are no others, and it does not let everybody look.
  if (onDeno) return 'glibc';
  const loader = withElf(PROGRAM, (elf) => elf?.interpreter);
  if (loader === undefined) return undefined;
  if (loader.includes('ld-musl')) return 'musl';
  return /\/ld(-linux.*|64)\.so/.test(loader) ? 'glibc' : undefined;
}

/** For messages. */
export function describePlatform(): string {
  const manager = packageManager();
  return `${process.platform} ${process.arch}${process.platform === 'linux' ? ` ${describeLibc()}` : ''}, ${runtimeName}${manager === undefined ? '' : `, ${manager.name} ${manager.version}`}`;
}

function describeLibc(): string {
  const version = glibcVersion();
  return version === undefined ? (processLibc() ?? 'unknown libc') : `glibc ${version}`;
}

/** The package that holds the addon for this process, as it is named for every target. */
export function platformPackage(): string {
  const libc = process.platform === 'linux' ? (processLibc() === 'musl' ? '-musl' : '-gnu') : '';
  return `${PACKAGE}-${process.platform}-${process.arch}${libc}`;
}

/** What has started us as a script of a package, or by its `npx`: all of them set the variable that npm sets. */
export function packageManager(): { name: string; version: string } | undefined {
  const [, name, version] = /^(npm|pnpm|yarn|bun|deno)\/(\S+)/.exec(userAgent()) ?? [];
  return name === undefined || version === undefined ? undefined : { name, version };
}

function userAgent(): string {
  try {
    return process.env['npm_config_user_agent'] ?? '';
  } catch {
    // Deno without --allow-env.
    return '';
  }
}

/** Of the glibc that this process runs on. */
export function glibcVersion(): string | undefined {
  // Its program may not be read everywhere, the report may.
  if (!onNode || process.platform !== 'linux' || processLibc() === 'musl') return undefined;
  // The report also lists network interfaces, which can take seconds; it has no other switch in Node 20.
  const report = process.report as (typeof process.report & { excludeNetwork?: boolean }) | undefined;
  if (report === undefined) return undefined;
  const excludeNetwork = report.excludeNetwork;
  report.excludeNetwork = true;
  try {
    return (report.getReport() as unknown as { header: { glibcVersionRuntime?: string } }).header.glibcVersionRuntime;
  } finally {
    if (excludeNetwork !== undefined) report.excludeNetwork = excludeNetwork;
  }
}
