import { MAX_CALLS } from '../facts/facts.generated.js';

/** Drains in a row before the application's own events get their turn. */
const MAX_ROUNDS = 64;
/** Milliseconds of drains in a row before the application's own events get their turn. */
const TURN_MS = 5;
/**
 * What all calls that are started in a turn may take together, most of it later. More than the time of the turn itself:
 * timers are exact to a millisecond, and one of them is often lost between two crowds that wake up.
 */
const STARTED_MS = 12;
/** However much a call takes, so many may be started in a turn while there is time. */
const LEAST_CALLS = 4;
/** Calls are started at most so many times as fast as they were answered when the event loop was busy all the time. */
const HEADROOM = 2;
/** What a call takes is found out again after so much time. */
const SAMPLE_MS = 5;
/** What a call is taken to take before one was answered. */
const FIRST_CALL_MS = 0.05;

/**
 * How much may be done before the application's own events get their turn.
 *
 * Nothing interrupts a handler, and many do their work when something that they wait for has come, all of them together
 * if many were started together. So it is the calls started that are counted: in a turn, as many as fit; from turn to
 * turn, not many more than can be answered, so that a crowd waits outside, where it costs nothing, and not in here. What
 * a call takes is how long the event loop was busy, whatever with, by the calls that were answered meanwhile.
 */
export class TurnBudget {
  #sinceMs = 0;
  #rounds = 0;
  /** Calls that may still be started. */
  #left = 0;
  /** Until when `#left` was counted. */
  #countedMs = 0;
  #callMs = FIRST_CALL_MS;
  #sampledMs = 0;
  #busyMs = 0;
  #answered = 0;
  readonly #busy: () => number;

  /** `busy`: for how many milliseconds the event loop was busy, since any time that stays the same. */
  constructor(busy: () => number) {
    this.#busy = busy;
  }

  /** A new turn. */
  begin(): void {
    const now = performance.now();
    if (now - this.#sampledMs >= SAMPLE_MS) this.#sample(now);
    this.#left = Math.min(this.#most, this.#due(now));
    this.#countedMs = now;
    this.#sinceMs = now;
    this.#rounds = 0;
  }

  /** How many calls the next drain may bring; 0 when the turn is over. */
  room(): number {
    const leftMs = TURN_MS - (performance.now() - this.#sinceMs);
    this.#rounds += 1;
    if (this.#rounds > MAX_ROUNDS || this.#left < 1 || leftMs <= 0) return 0;
    return Math.max(1, Math.min(this.#left, leftMs / this.#callMs, MAX_CALLS));
  }

  /** False when a turn that began now would have no room. */
  get isDue(): boolean {
    return this.#due(performance.now()) >= 1;
  }

  /** A drain has brought so many calls. */
  started(calls: number): void {
    this.#left -= calls;
  }

  /** So many calls were answered. */
  answered(calls: number): void {
    this.#answered += calls;
  }

  /** Calls in a turn. */
  get #most(): number {
    return Math.max(LEAST_CALLS, STARTED_MS / this.#callMs);
  }

  #due(now: number): number {
    const perMs = Math.max(LEAST_CALLS / TURN_MS, HEADROOM / this.#callMs);
    return this.#left + (now - this.#countedMs) * perMs;
  }

  #sample(now: number): void {
    const busyMs = this.#busy();
    // While nothing is answered, nothing is known.
    if (this.#answered > 0) this.#callMs = Math.max((busyMs - this.#busyMs) / this.#answered, Number.EPSILON);
    this.#sampledMs = now;
    this.#busyMs = busyMs;
    this.#answered = 0;
  }
}
