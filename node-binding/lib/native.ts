import { existsSync } from 'node:fs';
import { join } from 'node:path';

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

/** What there is an addon for. */
const TARGETS = ['linux-x64-gnu'] as const;

/** Set it to load another build of the addon, for example one with debug symbols. */
const PATH_VARIABLE = 'FASTTUNNEL_NATIVE_PATH';

let loaded: unknown;

/** The native addon. Both module forms, and every tunnel of a thread, share one. */
export function loadNative(): unknown {
  return (loaded ??= load());
}

function load(): unknown {
  const chosen = process.env[PATH_VARIABLE];
  const { platform, arch } = process;
  if (!chosen && !TARGETS.some((target) => target.startsWith(`${platform}-${arch}-`))) {
    throw new NativeLoadError(`fasttunnel has no native addon for ${describePlatform()}. It runs on ${TARGETS.join(', ')}.`, []);
  }
  const file = chosen || join(__dirname, '..', '..', 'native', `fasttunnel.${TARGETS[0]}.node`);
  if (!existsSync(file)) {
    const fix = chosen ? `Check ${PATH_VARIABLE}, or unset it.` : 'Run `make build` in a checkout, or `npm install fasttunnel` again in an app.';
    throw new NativeLoadError(`fasttunnel's native addon is missing. Platform: ${describePlatform()}. Tried: ${file}. ${fix}`, [file]);
  }
  try {
    // A literal `require` of the file name would be resolved by bundlers, which cannot pack it anyway.
    return require(file) as unknown;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new NativeLoadError(
      `fasttunnel's native addon could not be loaded: ${reason}. Platform: ${describePlatform()}. Tried: ${file}. ${fixFor(reason)}`,
      [file],
      { cause: error },
    );
  }
}

/** What to do about a message of the dynamic linker. */
export function fixFor(reason: string): string {
  const glibc = /GLIBC_([0-9.]+)' not found/.exec(reason)?.[1];
  if (glibc !== undefined) return `The addon needs glibc ${glibc} or newer: use a newer distribution or container image, or build it here with \`make build\`.`;
  if (/ld-linux|libc\.musl|Error relocating|symbol not found/i.test(reason)) return 'The addon is built for glibc; on Alpine and other musl systems use a Debian or Ubuntu image.';
  if (/wrong ELF class|invalid ELF header|file too short/i.test(reason)) return 'The file is damaged or made for another processor: remove it and install or build again.';
  if (/cannot allocate memory in static TLS/i.test(reason)) return 'Load fasttunnel before other native addons.';
  return 'Build it for this machine with `make build`, or report this text.';
}

function describePlatform(): string {
  return `${process.platform} ${process.arch}${process.platform === 'linux' ? ` ${describeLibc()}` : ''}, Node ${process.versions.node}`;
}

function describeLibc(): string {
  // The report also lists network interfaces, which can take seconds; it has no other switch in Node 20.
  const report = process.report as (typeof process.report & { excludeNetwork?: boolean }) | undefined;
  if (report === undefined) return 'unknown libc';
  const excludeNetwork = report.excludeNetwork;
  report.excludeNetwork = true;
  try {
    const { header } = report.getReport() as unknown as { header: { glibcVersionRuntime?: string } };
    return header.glibcVersionRuntime === undefined ? 'musl' : `glibc ${header.glibcVersionRuntime}`;
  } finally {
    if (excludeNetwork !== undefined) report.excludeNetwork = excludeNetwork;
  }
}
