import { AsyncResource } from 'node:async_hooks';

/**
 * Stands for a listening tunnel where tools look for what keeps a process alive (`jest --detectOpenHandles`,
 * why-is-node-running, an async hook): they show its type, and the stack of where it was made, which is why it is made
 * before anything is awaited. It keeps nothing alive itself, and runs nothing: calls cost as much as without it.
 */
export class OpenTunnel extends AsyncResource {
  #open = true;
  #referenced = true;

  constructor() {
    super('FASTTUNNEL', { requireManualDestroy: true });
  }

  /** What handles of Node's tell: whether the process lives as long as this is open. */
  hasRef(): boolean {
    return this.#open && this.#referenced;
  }

  ref(): void {
    this.#referenced = true;
  }

  unref(): void {
    this.#referenced = false;
  }

  /** It listens no more, or never did. May be called again. */
  end(): void {
    if (!this.#open) return;
    this.#open = false;
    this.emitDestroy();
  }
}
