import { onDeno, onNode, runtimeName } from '../process/runtime.js';
import { withElf } from './elf.js';
import type { Libc } from './elf.js';

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
  return `${process.platform} ${process.arch}${process.platform === 'linux' ? ` ${describeLibc()}` : ''}, ${runtimeName}`;
}

function describeLibc(): string {
  const libc = processLibc();
  // Its program may not be read everywhere, the report may.
  const version = onNode && libc !== 'musl' ? glibcVersion() : undefined;
  return version === undefined ? (libc ?? 'unknown libc') : `glibc ${version}`;
}

function glibcVersion(): string | undefined {
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
