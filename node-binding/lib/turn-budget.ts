import { MAX_CALLS } from './layout.js';

/** Drains in a row before the application's own events get their turn. */
const MAX_ROUNDS = 64;
/** The same, in milliseconds. */
const TURN_MS = 5;
/** What a call takes is found out again after so much time. */
const SAMPLE_MS = 5;
/** What a call is taken to cost before one was answered. */
const FIRST_CALL_MS = 0.05;
/** An estimate that was too high, because of a pause of the process perhaps, falls to this part of it at once. */
const FALL = 1 / 8;

/**
 * How much may be done before the application's own events get their turn.
 *
 * Nothing interrupts a handler, and most do their work in microtasks or when something that they wait for has come: it is
 * the calls that are started which have to fit. What a call takes is the time that the event loop was busy, for
 * whatever reason, by the calls that were answered meanwhile. Small calls are never held back by that: those that fit
 * are as many as the time allows anyway.
 */
export class TurnBudget {
  #sinceMs = 0;
  #rounds = 0;
  /** Calls that may still be started in this turn. */
  #left = 0;
  #callMs = FIRST_CALL_MS;
  #sampledMs = 0;
  #activeMs = 0;
  #answered = 0;

  /** A new turn. */
  begin(): void {
    const now = performance.now();
    this.#sinceMs = now;
    this.#rounds = 0;
    if (now - this.#sampledMs >= SAMPLE_MS) this.#sample(now);
    this.#left = Math.max(1, TURN_MS / this.#callMs);
  }

  /** How many calls the next drain may bring; 0 when the turn is over. */
  room(): number {
    const leftMs = TURN_MS - (performance.now() - this.#sinceMs);
    this.#rounds += 1;
    if (this.#rounds > MAX_ROUNDS || this.#left < 1 || leftMs <= 0) return 0;
    return Math.max(1, Math.min(this.#left, leftMs / this.#callMs, MAX_CALLS));
  }

  /** A drain has brought so many calls. */
  started(calls: number): void {
    this.#left -= calls;
  }

  /** So many calls were answered. */
  answered(calls: number): void {
    this.#answered += calls;
  }

  #sample(now: number): void {
    const { active } = performance.eventLoopUtilization();
    if (this.#answered > 0) {
      const callMs = (active - this.#activeMs) / this.#answered;
      this.#callMs = Math.max(callMs, this.#callMs * FALL, Number.EPSILON);
    }
    this.#sampledMs = now;
    this.#activeMs = active;
    this.#answered = 0;
  }
}
