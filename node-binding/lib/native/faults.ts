// Loaded when something is wrong.
import type { Stats } from 'node:fs';
import { wantedLibc, withElf } from './elf.js';
import type { Elf } from './elf.js';
import { lostPackage, mendingCommand } from './lost-package.js';
import { ADDON_FILE, PACKAGE, PATH_VARIABLE } from './place.js';
import type { Place } from './place.js';
import { glibcVersion, processLibc } from './platform.js';

/** Why a file cannot be loaded, and what to do. */
export interface Fault {
  readonly reason: string;
  readonly fix: string;
}

const DAMAGED = 'The file is damaged: remove it and install or build again.';
const INSTALL_HERE = 'Install fasttunnel on the machine or in the image where it runs, or build it there with `make build`: packages that were installed elsewhere have its addon';

/** With the command that brings the right one, if there is one. */
const installHere = (what: string): string => [`${INSTALL_HERE} for that ${what}.`, mendingCommand()].filter((part) => part !== undefined).join(' ');

function needsGlibc(): string {
  const command = processLibc() === 'musl' ? mendingCommand() : undefined;
  if (command !== undefined) return `The addon is built for glibc, and this system has musl. ${command}`;
  return 'The addon is built for glibc, and this system has musl, as Alpine has. Install fasttunnel on the machine or in the image where it runs: npm chooses its addon by the libc.';
}

/** What is wrong when nothing is where the addon should be. */
export function missingFault({ of }: Pick<Place, 'of'>): Fault {
  const reason = `${PACKAGE}'s native addon is missing`;
  if (of === 'variable') return { reason, fix: `Check ${PATH_VARIABLE}, or unset it.` };
  if (of === 'package') return lostPackage(reason);
  return {
    reason: `${reason}: the package was packed into a bundle, which cannot hold it`,
    fix: `Mark ${PACKAGE} external in the bundler's options, or set ${PATH_VARIABLE} to a copy of ${ADDON_FILE}, the addon of its package for this platform.`,
  };
}

/**
 * What is wrong with a file, before the dynamic linker sees it: that would map a file that is cut off, and the process
 * would die of SIGBUS; or load a second libc. Nothing when the file may not be read: the linker says why.
 */
export function faultOf(file: string): Fault | undefined {
  return withElf(file, (elf, stats) => (elf === undefined ? notElf(stats) : elfFault(elf, stats.size)));
}

function notElf(stats: Stats): Fault {
  if (!stats.isFile()) return { reason: 'it is no regular file', fix: `Name the addon itself, ${ADDON_FILE} of the package for this platform.` };
  return { reason: stats.size === 0 ? 'the file is empty' : 'the file is no ELF file', fix: DAMAGED };
}

function elfFault(elf: Elf, bytes: number): Fault | undefined {
  if (!elf.isForUs) return { reason: `the file is made for another processor, ${elf.arch}`, fix: installHere('processor') };
  if (bytes < elf.leastBytes) return { reason: `the file is cut off: it has ${bytes} bytes and should have ${elf.leastBytes}`, fix: DAMAGED };
  // The other way round is left to the linker, which refuses it unless somebody has seen to it (gcompat).
  if (wantedLibc(elf) === 'musl' && processLibc() === 'glibc') {
    return { reason: 'the file is made for musl, and this system has glibc', fix: installHere('libc') };
  }
  return undefined;
}

/** What to do when a file was not loaded. */
export function loadFault(file: string, error: unknown): Fault {
  const reason = error instanceof Error ? error.message.trim() : String(error);
  if (isDisabled(error)) return { reason, fix: fixForDisabled() };
  const wantsGlibc = withElf(file, (elf) => elf !== undefined && wantedLibc(elf) === 'glibc');
  if (wantsGlibc === true && processLibc() === 'musl') return { reason, fix: needsGlibc() };
  return { reason, fix: fixFor(reason) };
}

function isDisabled(error: unknown): boolean {
  return (error as { code?: unknown } | undefined)?.code === 'ERR_DLOPEN_DISABLED' || /loading addons is disabled/.test(String(error));
}

function fixForDisabled(): string {
  const noAddons = [...process.execArgv, process.env.NODE_OPTIONS ?? ''].some((options) => options.includes('--no-addons'));
  // Its type has no `permission` before Node 23.
  const permission = (process as { permission?: unknown }).permission;
  if (permission !== undefined && !noAddons) return 'Node runs with --permission: give it --allow-addons as well.';
  return 'Start without --no-addons (also in NODE_OPTIONS and in the `execArgv` of a worker).';
}

/** What to do about a message of the dynamic linker, or of a runtime that guards it. */
export function fixFor(reason: string): string {
  const glibc = /GLIBC_([0-9.]+)' not found/.exec(reason)?.[1];
  if (glibc !== undefined) return `The addon needs glibc ${glibc} or newer, and this system has ${glibcVersion() ?? 'another'}: use a newer distribution or container image, or build it here with \`make build\`.`;
  if (/libc\.musl/.test(reason)) return installHere('libc');
  if (/ld-linux|Error relocating|symbol not found/i.test(reason)) return needsGlibc();
  if (/wrong ELF class|invalid ELF header|file too short/i.test(reason)) return 'The file is damaged or made for another processor: remove it and install or build again.';
  if (/cannot allocate memory in static TLS/i.test(reason)) return 'Load fasttunnel before other native addons.';
  if (/ffi access/.test(reason)) return 'Run Deno with --allow-ffi: a native addon is what Deno calls FFI.';
  if (/failed to map segment/i.test(reason)) return 'Programs may not be run from its folder (mounted `noexec`, or forbidden by SELinux or the like): install elsewhere.';
  if (/permission denied/i.test(reason)) return 'Let the user of this process read the file.';
  return 'Build it for this machine with `make build`, or report this text.';
}
