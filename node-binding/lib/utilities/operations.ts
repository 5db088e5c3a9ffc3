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
const open = new Map<number, Open>();
/** Operations by their signals: one listener for all of a signal's, or Node warns of a leak. */
const listening = new WeakMap<AbortSignal, { readonly ids: Set<number>; readonly abort: () => void }>();

/** An operation that has not ended. */
interface Open {
  readonly signal: AbortSignal | undefined;
  readonly resolve: (settled: Settled) => void;
}

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
    // Both may throw: nothing is open then.
    if (signal !== undefined) listen(signal, id);
    try {
      begin(utilities, id);
    } catch (error) {
      if (signal !== undefined) unlisten(signal, id);
      throw error;
    }
    open.set(id, { signal, resolve });
    if (open.size > 1) return;
    alive ??= setInterval(NOTHING, FOR_EVER);
    alive.ref();
  });
}

function listen(signal: AbortSignal, id: number): void {
  const known = listening.get(signal);
  if (known !== undefined) {
    known.ids.add(id);
    return;
  }
  const ids = new Set([id]);
  const abort = (): void => ids.forEach((one) => native?.abort(one));
  signal.addEventListener('abort', abort);
  listening.set(signal, { ids, abort });
}

function unlisten(signal: AbortSignal, id: number): void {
  const known = listening.get(signal);
  if (known === undefined || !known.ids.delete(id) || known.ids.size > 0) return;
  listening.delete(signal);
  try {
    signal.removeEventListener('abort', known.abort);
  } catch {
    // It may be of a library. Others wait for what they have begun.
  }
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
    const ended = open.get(settled.id);
    if (ended === undefined) continue;
    open.delete(settled.id);
    ended.resolve(settled);
    if (ended.signal !== undefined) unlisten(ended.signal, settled.id);
  }
  if (open.size === 0) alive?.unref();
}
