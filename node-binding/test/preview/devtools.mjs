// Chromium without a window, driven by its debugging protocol over two pipes of its own.
import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--disable-background-networking', '--no-first-run', '--remote-debugging-pipe'];

/** Starts `program`. What it says by itself are events, by their method: parameters, and the session that they are of. */
export class Chromium extends EventEmitter {
  #browser;
  #folder = mkdtempSync(join(tmpdir(), 'fasttunnel-preview-'));
  #last = 0;
  #asked = new Map();
  #ended;

  constructor(program, ...flags) {
    super();
    this.setMaxListeners(0);
    this.#browser = spawn(program, [...FLAGS, `--user-data-dir=${this.#folder}`, ...flags, 'about:blank'], { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] });
    this.#ended = new Promise((resolve) => this.#browser.once('exit', resolve).once('error', resolve)).then((why) => {
      for (const { reject } of this.#asked.values()) reject(new Error(`${program} has ended: ${why}`));
      this.#asked.clear();
    });
    this.#browser.stdio[3].on('error', () => {});
    let rest = '';
    this.#browser.stdio[4].setEncoding('utf8').on('data', (text) => {
      const messages = (rest + text).split('\0');
      rest = messages.pop();
      for (const message of messages) this.#hear(JSON.parse(message));
    });
  }

  /** Asks for `method`; of one target, by its session. */
  send(method, params = {}, sessionId = undefined) {
    const id = ++this.#last;
    return new Promise((resolve, reject) => {
      this.#asked.set(id, { resolve, reject: (error) => reject(new Error(`${method}: ${error.message}`)) });
      this.#browser.stdio[3].write(`${JSON.stringify({ id, method, params, ...(sessionId === undefined ? {} : { sessionId }) })}\0`);
    });
  }

  /** Ends it in order, so that what it writes is whole. */
  async finish() {
    await this.send('Browser.close').catch(() => {});
    await this.close();
  }

  async close() {
    // It ends when its pipes do; the program that was started may be a script around it.
    for (const pipe of this.#browser.stdio.slice(3)) pipe.destroy();
    await this.#ended;
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5 });
  }

  #hear({ id, result, error, method, params, sessionId }) {
    if (id === undefined) {
      this.emit(method, params, sessionId);
      return;
    }
    const { resolve, reject } = this.#asked.get(id);
    this.#asked.delete(id);
    if (error === undefined) resolve(result);
    else reject(error);
  }
}

/** The first event of this method that `fits`. */
export async function event(chromium, method, fits = () => true, signal = AbortSignal.timeout(30_000)) {
  for (;;) {
    const [params, sessionId] = await once(chromium, method, { signal });
    if (fits(params, sessionId)) return params;
  }
}
