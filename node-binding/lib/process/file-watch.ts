import { stateOf } from '../options/file-state.js';

/** What is done when files have changed. */
export interface FileWatchOptions {
  readonly files: readonly string[];
  readonly intervalMs: number;
  /** Their state before they were read. */
  readonly state: string;
  /** Takes them anew. When it throws, what was taken before stays. */
  readonly take: () => void;
  /** Hears why that failed: once for each state of the files. */
  readonly report: (error: unknown) => void;
}

/**
 * Looks at files again and again, behind symbolic links as well: a certificate is renewed by whoever likes, in place, by
 * renaming, or by a link of a folder above, and not all of its files at once. Only a state that two looks in a row have
 * found is taken. Notices of the kernel would not be enough: there are none over a network, nor of what lies behind a link.
 */
export class FileWatch {
  readonly #options: FileWatchOptions;
  readonly #timer: NodeJS.Timeout;
  /** The state that was taken last, or that was no good. */
  #known: string;
  #seen: string | undefined;
  #looking = false;
  #stopped = false;

  constructor(options: FileWatchOptions) {
    this.#options = options;
    this.#known = options.state;
    this.#timer = setInterval(() => void this.#look(), options.intervalMs).unref();
  }

  stop(): void {
    this.#stopped = true;
    clearInterval(this.#timer);
  }

  async #look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    const state = await stateOf(this.#options.files);
    this.#looking = false;
    if (this.#stopped) return;
    const settled = state === this.#seen;
    this.#seen = state;
    if (!settled || state === this.#known) return;
    this.#known = state;
    try {
      this.#options.take();
    } catch (error) {
      this.#options.report(error);
    }
  }
}
