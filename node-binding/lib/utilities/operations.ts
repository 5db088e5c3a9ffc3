import { abortError, failureOf } from './errors.js';
import { tell, tells } from './log.js';
import { openUtilities } from './native.js';
import type { NativeUtilities, Settled } from './native.js';

/** As long as a timer may take: it never fires, and keeps the process alive while it is referenced. */
const FOR_EVER = 2 ** 31 - 1;
const NOTHING = (): void => {};

let native: NativeUtilities | undefined;
let alive: NodeJS.Timeout | undefined;
let lastId = 0;
const open = new Map<number, (settled: Settled) => void>();

/** What an operation is called, and what it is about, for errors and for the log. */
export interface Subject {
  readonly operation: string;
  readonly subject: string;
  readonly signal: AbortSignal | undefined;
  /** Whoever has begun it tells of its end. */
  readonly tellsItself?: boolean;
}

/**
 * Begins an operation and waits for its end, also when it is aborted: only then is it certain what has become of it.
 * Rejects with what it has failed with.
 */
export async function operate(what: Subject, begin: (native: NativeUtilities, id: number) => void): Promise<Settled> {
  const { operation, subject, signal } = what;
  if (signal?.aborted === true) throw abortError(signal);
  const startedMs = tells('error') ? performance.now() : 0;
  const settled = await run(signal, begin);
  const failure = failureOf(operation, settled, signal);
  if (failure !== undefined) {
    if (tells('error')) tell('error', operation, subject, failure.code, startedMs);
    throw failure;
  }
  if (tells('debug') && what.tellsItself !== true) tell('debug', operation, subject, 'done', startedMs);
  return settled;
}

function run(signal: AbortSignal | undefined, begin: (native: NativeUtilities, id: number) => void): Promise<Settled> {
  const utilities = (native ??= begun());
  const id = nextId();
  return new Promise((resolve) => {
    begin(utilities, id);
    if (signal === undefined) open.set(id, resolve);
    else {
      const abort = (): void => utilities.abort(id);
      signal.addEventListener('abort', abort, { once: true });
      open.set(id, (settled) => {
        signal.removeEventListener('abort', abort);
        resolve(settled);
      });
    }
    if (open.size > 1) return;
    alive ??= setInterval(NOTHING, FOR_EVER);
    alive.ref();
  });
}

function begun(): NativeUtilities {
  const utilities = openUtilities(fetch);
  // `process.exit()` ends the process without the hooks by which native code learns of the end.
  process.once('exit', () => utilities.end());
  return utilities;
}

function nextId(): number {
  do lastId = (lastId + 1) >>> 0;
  while (open.has(lastId));
  return lastId;
}

/** Native code calls it when operations have ended. */
function fetch(): void {
  for (const settled of native?.fetch() ?? []) {
    const settle = open.get(settled.id);
    open.delete(settled.id);
    settle?.(settled);
  }
  if (open.size === 0) alive?.unref();
}
