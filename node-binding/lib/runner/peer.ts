// Finds the optional peer `@bluelibs/runner` and checks its version. Nothing here loads it before it is asked for.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const PEER = '@bluelibs/runner';
const INSTALL = `npm install ${PEER}@^5.5.0`;

/** `@bluelibs/runner` is missing or of a version that fasttunnel does not know. */
export class RunnerPeerError extends Error {
  static {
    this.prototype.name = 'RunnerPeerError';
  }

  readonly code: 'FASTTUNNEL_RUNNER_MISSING' | 'FASTTUNNEL_RUNNER_UNSUPPORTED';
  /** What brings a version that fits. */
  readonly install = INSTALL;

  constructor(code: RunnerPeerError['code'], message: string, options?: { cause?: unknown }) {
    super(`${message} Run: ${INSTALL}`, options);
    this.code = code;
  }
}

export interface LoadedRunner {
  readonly version: string;
  /** File that was loaded. */
  readonly path: string;
  /** The module's exports. */
  readonly module: Readonly<Record<string, unknown>>;
}

/**
 * Loads the app's `@bluelibs/runner` (5.5.0 or a later 5.x).
 *
 * @param from a file or directory to search from; default: this package's place, then the working directory
 * @throws RunnerPeerError when it is missing or out of range
 */
export function loadRunner(from?: string): LoadedRunner {
  // A bundle of ES modules has no name of a file.
  const own = typeof __filename === 'string' ? [__filename] : [];
  const places = from === undefined ? [...own, join(process.cwd(), 'package.json')] : [join(from, 'package.json')];
  let missing: unknown;
  for (const place of places) {
    const requireFrom = createRequire(place);
    let path: string;
    try {
      // As CommonJS: the ES module build of 5.5.0 does not load in Node.
      path = requireFrom.resolve(PEER);
    } catch (error) {
      missing ??= error;
      continue;
    }
    const version = versionOf(path);
    if (!isSupported(version)) {
      throw new RunnerPeerError('FASTTUNNEL_RUNNER_UNSUPPORTED', `fasttunnel/runner works with ${PEER} ^5.5.0, found ${version} at ${path}.`);
    }
    return { version, path, module: requireFrom(path) as Record<string, unknown> };
  }
  throw new RunnerPeerError('FASTTUNNEL_RUNNER_MISSING', `fasttunnel/runner needs ${PEER}, which is not installed.`, { cause: missing });
}

/** ^5.5.0, without pre-releases. */
function isSupported(version: string): boolean {
  const [, major, minor] = /^(\d+)\.(\d+)\.\d+(?:\+.*)?$/.exec(version) ?? [];
  return Number(major) === 5 && Number(minor) >= 5;
}

/** Version of the package that a file belongs to. */
function versionOf(path: string): string {
  for (let folder = dirname(path); folder !== dirname(folder); folder = dirname(folder)) {
    try {
      const { name, version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { name?: unknown; version?: unknown };
      if (name === PEER && typeof version === 'string') return version;
    } catch {
      // No package.json here: look further up.
    }
  }
  return 'unknown';
}
