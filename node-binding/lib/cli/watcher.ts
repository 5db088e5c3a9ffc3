// Tells of changes of files, by their folders: editors replace a file by another one.
import { watch } from 'node:fs';
import type { FSWatcher } from 'node:fs';
import { dirname, join } from 'node:path';

/** A file is written in several steps, and a checkout changes many. */
const SETTLE_MS = 60;

export class Watcher {
  readonly #folders = new Map<string, FSWatcher>();
  readonly #concerns: (file: string) => boolean;
  readonly #changed: () => Promise<void>;
  #timer: NodeJS.Timeout | undefined;
  #running = false;
  #again = false;

  /** `changed` runs when files have changed for which `concerns` is true, never twice at a time. */
  constructor(concerns: (file: string) => boolean, changed: () => Promise<void>) {
    this.#concerns = concerns;
    this.#changed = changed;
  }

  /** Looks at these files, too. Throws what the system says when it will not. */
  look(files: Iterable<string>): void {
    for (const folder of new Set([...files].map(dirname))) {
      if (this.#folders.has(folder)) continue;
      const watcher = watch(folder, (_event, name) => {
        if (name !== null && this.#concerns(join(folder, name))) this.#soon();
      });
      // The folder is gone, for example: it may come back with another watch of it.
      watcher.on('error', () => {
        watcher.close();
        this.#folders.delete(folder);
      });
      this.#folders.set(folder, watcher);
    }
  }

  #soon(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#run(), SETTLE_MS);
  }

  async #run(): Promise<void> {
    if (this.#running) {
      this.#again = true;
      return;
    }
    this.#running = true;
    do {
      this.#again = false;
      await this.#changed();
    } while (this.#again);
    this.#running = false;
  }
}
