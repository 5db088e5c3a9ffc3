// A terminal whose screen is ours for a while: it is as before when we leave, however that is.

const ENTER = '\x1b[?1049h\x1b[?25l';
const LEAVE = '\x1b[?25h\x1b[?1049l';
const CTRL_C = '\x03';

export class Terminal {
  readonly #out = process.stdout;
  readonly #in = process.stdin;
  readonly #leave = (): void => this.leave();
  #ours = false;

  get columns(): number {
    return this.#out.columns ?? 80;
  }

  /** Takes the screen; `onQuit` hears of q, Ctrl-C and the signals that end a program. */
  enter(onQuit: () => void): void {
    this.#ours = true;
    this.#out.write(ENTER);
    // Also when something fails.
    process.once('exit', this.#leave);
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, onQuit);
    if (!this.#in.isTTY) return;
    this.#in.setRawMode(true);
    this.#in.setEncoding('utf8').on('data', (keys: string) => {
      if (keys.includes('q') || keys.includes(CTRL_C)) onQuit();
    });
  }

  /** Shows lines, those that fit. What was there is written over: a screen that is cleared first would flicker. */
  show(lines: readonly string[]): void {
    const fitting = lines.slice(0, Math.max(1, (this.#out.rows ?? 24) - 1));
    this.#out.write(`\x1b[H${fitting.map((line) => `${line}\x1b[K\n`).join('')}\x1b[J`);
  }

  leave(): void {
    if (!this.#ours) return;
    this.#ours = false;
    process.removeListener('exit', this.#leave);
    if (this.#in.isTTY) {
      this.#in.setRawMode(false);
      this.#in.pause();
    }
    this.#out.write(LEAVE);
  }
}
