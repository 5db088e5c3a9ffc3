import type { Logger } from '@bluelibs/runner';

/** The reference's, so that filters on it go on working. */
const SOURCE = 'platform.node.resources.exposure';

type Level = 'debug' | 'info' | 'warn' | 'error';

/** Writes to an app's logger. A logger that fails must not fail a call. */
export class Logs {
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** `fields` other than `error` and `data` become the entry's context. */
  write(level: Level, message: string, fields: Readonly<Record<string, unknown>>): void {
    try {
      this.#logger[level](message, { source: SOURCE, ...fields }).catch(ignore);
    } catch {
      // Whoever reads the log will notice.
    }
  }
}

function ignore(): void {}

/** What the reference writes of an error. Never throws. */
export function messageOf(error: unknown): string {
  try {
    return error instanceof Error ? error.message : String(error);
  } catch {
    return '(an error that throws when it is looked at)';
  }
}
