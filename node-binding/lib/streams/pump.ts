import { finished, PassThrough } from 'node:stream';
import { isThenable } from '../values/thenable.js';
import type { Outlet, Source } from './outlet.js';

/** What everything with a `pipe` method is taken for; older kinds of streams have less of it. */
export interface Pipeable {
  pipe(destination: NodeJS.WritableStream): unknown;
  on?(event: string, listener: (...args: never[]) => void): unknown;
  pause?(): unknown;
  resume?(): unknown;
  destroy?(): unknown;
}

/** A Node stream, of whatever age. */
export class ReadableSource implements Source {
  readonly #stream: Pipeable;
  /** What is read: the stream itself, or what it is piped into because it cannot be paused. */
  #flow: NodeJS.ReadableStream | undefined;

  constructor(stream: Pipeable) {
    this.#stream = stream;
    // An error before or after its time must not take the process along.
    if (typeof stream.on === 'function') stream.on('error', ignore);
  }

  start(outlet: Outlet): void {
    try {
      const flow = (this.#flow = this.#flowing());
      flow.on('data', (chunk: unknown) => {
        if (!outlet.write(chunk)) flow.pause();
      });
      // `finished` may wait for the source to close; it also knows of what happened before we came.
      flow.on('end', () => outlet.end());
      finished(flow, { writable: false }, (error) => (error ? outlet.fail(error) : outlet.end()));
      flow.resume();
    } catch (error) {
      outlet.fail(error);
    }
  }

  resume(): void {
    this.#flow?.resume();
  }

  destroy(): void {
    contain(() => this.#stream.destroy?.());
    if (this.#flow instanceof PassThrough && (this.#flow as unknown) !== this.#stream) this.#flow.destroy();
  }

  #flowing(): NodeJS.ReadableStream {
    const stream = this.#stream;
    const { on, pause, resume, _readableState: readable, _writableState: writable } = stream as Pipeable & { _readableState?: unknown; _writableState?: unknown };
    if (readable === undefined && writable !== undefined) throw new TypeError('the stream cannot be read');
    if (typeof on === 'function' && typeof pause === 'function' && typeof resume === 'function') return stream as unknown as NodeJS.ReadableStream;
    const through = new PassThrough();
    through.on('error', ignore);
    if (typeof on === 'function') stream.on?.('error', (error: Error) => through.destroy(error));
    stream.pipe(through);
    return through;
  }
}

/** Gives chunks when it is asked. */
export interface Puller {
  next(): PromiseLike<{ done?: boolean | undefined; value?: unknown }>;
  /** Nobody will ask again. */
  stop(): unknown;
}

/** What is read chunk by chunk: a web stream, an async iterable. */
export class PullSource implements Source {
  readonly #open: () => Puller;
  #puller: Puller | undefined;
  #stopped = false;
  #wake: (() => void) | undefined;

  constructor(open: () => Puller) {
    this.#open = open;
  }

  start(outlet: Outlet): void {
    void this.#run(outlet);
  }

  async #run(outlet: Outlet): Promise<void> {
    try {
      const puller = (this.#puller = this.#open());
      while (!this.#stopped) {
        if (!outlet.hasRoom) {
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
          continue;
        }
        const { done, value } = await puller.next();
        if (done === true) return outlet.end();
        outlet.write(value);
      }
    } catch (error) {
      outlet.fail(error);
    }
  }

  resume(): void {
    this.#wake?.();
  }

  destroy(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#wake?.();
    contain(() => (this.#puller ?? this.#open()).stop());
  }
}

/** Runs code of the application whose failure is nobody's concern any more. */
function contain(run: () => unknown): void {
  try {
    const outcome = run();
    if (isThenable(outcome)) Promise.resolve(outcome).catch(ignore);
  } catch {
    // It was on its way out.
  }
}

function ignore(): void {}
