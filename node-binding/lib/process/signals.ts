// SIGTERM and SIGINT: the tunnels of this process stop as they should, then it ends as the signal would have ended it.
import { constants } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { SIGNALS } from '../options/graceful-signals.js';
import type { GracefulSignal } from '../options/graceful-signals.js';

/** A tunnel, as far as a signal is concerned. */
export interface Stoppable {
  readonly signals: readonly GracefulSignal[];
  /** It serves on for so long after it has said that it will not. */
  readonly readinessDelayMs: number;
  /** Says that it will not serve for long. */
  retire(): void;
  close(): Promise<void>;
  /** Ends a `close` that is under way at once. */
  cut(): void;
}

/** What all copies of the package in this process know of each other: an app and a library of its may bring one each. */
interface Copies {
  /** The listeners of all of them: none of these is the application's. */
  readonly listeners: Set<unknown>;
  /** Those that have not stopped yet. */
  stopping: number;
}

const copies = ((process as unknown as Record<symbol, Copies | undefined>)[Symbol.for('fasttunnel.signals')] ??= { listeners: new Set(), stopping: 0 });

const stoppables = new Set<Stoppable>();
const listeners = new Map<GracefulSignal, () => void>();
/** A signal has come. */
let stopping = false;
/** Ends what only waits for others to notice. */
let hurry = new AbortController();

/** Stops a tunnel when one of its signals comes; the function that is returned forgets it again. */
export function stopOnSignals(stoppable: Stoppable): () => void {
  stoppables.add(stoppable);
  for (const signal of stoppable.signals) {
    if (listeners.has(signal)) continue;
    const listener = (): void => onSignal(signal);
    listeners.set(signal, listener);
    copies.listeners.add(listener);
    // Before the application's own: its `once` listeners are gone when they have run, and would not be counted.
    process.prependListener(signal, listener);
  }
  return () => {
    stoppables.delete(stoppable);
    for (const signal of stoppable.signals) if (concernedBy(signal).length === 0) unlisten(signal);
  };
}

function concernedBy(signal: GracefulSignal): Stoppable[] {
  return [...stoppables].filter(({ signals }) => signals.includes(signal));
}

function unlisten(signal: GracefulSignal): void {
  const listener = listeners.get(signal);
  if (listener !== undefined) process.off(signal, listener);
  copies.listeners.delete(listener);
  listeners.delete(signal);
}

function ofAllCopies(signal: GracefulSignal): NodeJS.SignalsListener[] {
  return process.listeners(signal).filter((listener) => copies.listeners.has(listener)) as NodeJS.SignalsListener[];
}

/**
 * Listeners of the package signal-exit (versions 3 and 4), which many others bring along: it leaves the end of the process to
 * whoever else listens, as we do.
 */
function bystanders(): number {
  type Holder = Record<PropertyKey, { count?: number } | undefined>;
  const emitters = [(globalThis as unknown as Holder)[Symbol.for('signal-exit emitter')], (process as unknown as Holder)['__signal_exit_emitter__']];
  return emitters.reduce((sum, emitter) => sum + (Number(emitter?.count) || 0), 0);
}

function onSignal(signal: GracefulSignal): void {
  // An application that listens itself decides when the process ends.
  const decidesItself = process.listenerCount(signal) > ofAllCopies(signal).length + bystanders();
  if (stopping) {
    hurry.abort();
    for (const stoppable of stoppables) stoppable.cut();
    if (!decidesItself) end(signal);
    return;
  }
  stopping = true;
  copies.stopping += 1;
  hurry = new AbortController();
  void stopAll(signal).finally(() => {
    stopping = false;
    copies.stopping -= 1;
    // The last one ends the process.
    if (!decidesItself && copies.stopping === 0) end(signal);
  });
}

/** All tunnels together; also those that begin to listen meanwhile. */
async function stopAll(signal: GracefulSignal): Promise<void> {
  for (let group = concernedBy(signal); group.length > 0; group = concernedBy(signal)) {
    await Promise.all(group.map(stop));
  }
}

async function stop(stoppable: Stoppable): Promise<void> {
  stoppable.retire();
  if (stoppable.readinessDelayMs > 0) await sleep(stoppable.readinessDelayMs, undefined, { signal: hurry.signal }).catch(() => {});
  // A failure belongs to whoever calls `close` as well; here it must not keep the process from ending.
  await stoppable.close().catch(() => {});
  stoppables.delete(stoppable);
}

/** What the signal does where nobody listens. */
function end(signal: GracefulSignal): void {
  for (const one of SIGNALS) for (const listener of ofAllCopies(one)) process.off(one, listener);
  process.kill(process.pid, signal);
  // Still here: the kernel spares the first process of a container what it has no handler for.
  process.exit(128 + constants.signals[signal]);
}
