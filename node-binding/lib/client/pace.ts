import { onNode } from '../process/runtime.js';

/** Weight of one answer in how often a task is slow when nothing else goes on. */
const HABIT_WEIGHT = 1 / 8;
const HABIT = 1 / 2;
/** Weight of one call in the share of calls that took long: one alone says nothing, two among a few hundred do. */
const SHARE_WEIGHT = 1 / 512;
const SHARE = 1.3 * SHARE_WEIGHT;
/** Weights of one answer in what all calls take now: near to what the quicker ones do. */
const DOWN_WEIGHT = 1 / 8;
const UP_WEIGHT = 1 / 64;
/** Without a byte of a server for longer is a pause: nobody can tell whether a call, the server or we have been slow. */
const PAUSE_MS = 2;

/** Time in which stalls are forgotten, and the most of one that counts: one alone is an accident. */
const STALL_MEMORY_MS = 500;
const STALL_COUNTS_MS = 200;
/** What a call costs more, about, that has a connection without others. */
const APART_MS = 0.02;

/** How long a task takes, as far as its answers tell. */
export class Pace {
  /** How often it took long of late, pauses included. */
  #habit = 0;
  /** How often it took long while others were answered. */
  #share = 0;
  #pause = 0;
  /** Nothing should wait behind a call of this task. */
  slow = false;
  readonly #slowMs: number;

  constructor(slowMs: number) {
    this.#slowMs = slowMs;
  }

  /** Most of its calls take long: what waits for one of them would wait in any other place as well. */
  get mostlySlow(): boolean {
    return this.#habit > HABIT;
  }

  /** Notes a call that is late already: what it is to teach should not wait for its answer. */
  suspect(): void {
    this.#share += (1 - this.#share) * SHARE_WEIGHT;
    this.#judge();
  }

  /**
   * Notes a call that a connection has waited for since `from`, when `clock` showed what `fromClock` says.
   *
   * @param suspected it was noted as late before
   */
  note(rhythm: Rhythm, from: number, fromClock: number, now: number, suspected: boolean): void {
    const ms = rhythm.beyond(now - from);
    const busyMs = rhythm.clock - fromClock;
    // A pause makes all calls late that it falls into: it counts once.
    if (rhythm.pauses !== this.#pause || busyMs > ms / 2) {
      this.#habit += ((ms > this.#slowMs ? 1 : 0) - this.#habit) * HABIT_WEIGHT;
      this.#pause = rhythm.pauses;
    }
    if (!suspected) this.#share += ((busyMs - rhythm.wayMs > this.#slowMs ? 1 : 0) - this.#share) * SHARE_WEIGHT;
    this.#judge();
  }

  /** Notes a call that has not been waited for by itself: it was done when the one before it was. */
  pass(): void {
    if (this.#share === 0) return;
    this.#share -= this.#share * SHARE_WEIGHT;
    this.#judge();
  }

  #judge(): void {
    // Who was slow has to be quick for a while: what happens now and then does not happen all the time.
    this.slow = this.mostlySlow || this.#share > (this.slow ? SHARE / 2 : SHARE);
  }
}

/** What all answers of a server have in common. */
export class Rhythm {
  /**
   * What a call takes now that does nothing: the way there and back, and the wait for a busy server, or for us. Where all
   * calls take long, none is slow: none would wait for another.
   */
  wayMs = 0;
  /** Milliseconds, without pauses. */
  clock = 0;
  pauses = 0;
  /**
   * Most of the time calls wait, and nothing comes. They may wait for each other, or the server may take long for all of them:
   * from connections with many calls on each nobody can tell. Where each call has its own, as far as there are connections, it
   * shows; and it costs nothing, because little is done.
   */
  stalls = false;
  /** Answers that were read since the last stall. */
  answers = 0;
  #stalled = 0;
  #idleMs = 0;
  #readAt = -Infinity;
  readonly #idleClock: () => number;

  /** @param idleClock for how many milliseconds our loop has waited, in all */
  constructor(idleClock: () => number = idleMs) {
    this.#idleClock = idleClock;
  }

  /** Something was read, of any connection; the oldest call on that has waited for so many milliseconds. */
  read(now: number, waitedMs: number, slowMs: number): void {
    const ms = now - this.#readAt;
    this.#readAt = now;
    if (ms > PAUSE_MS) this.pauses += 1;
    this.clock += Math.min(ms, PAUSE_MS);
    const share = Math.min(ms, waitedMs, STALL_COUNTS_MS) / STALL_MEMORY_MS;
    const counts = ms > slowMs && this.#isStall(Math.min(ms, waitedMs), slowMs);
    this.#stalled += ((counts ? 1 : 0) - this.#stalled) * share;
    this.stalls = this.#stalled > (this.stalls ? 1 / 4 : 1 / 2);
  }

  #isStall(ms: number, slowMs: number): boolean {
    const { answers } = this;
    this.answers = 0;
    const idle = this.#idleClock();
    const wereIdle = idle - this.#idleMs > ms / 2;
    this.#idleMs = idle;
    return wereIdle && ms - this.wayMs > slowMs && answers * APART_MS < ms;
  }

  /** What is beyond the way of a call that took so long. */
  beyond(ms: number): number {
    this.wayMs += (ms - this.wayMs) * (ms < this.wayMs ? DOWN_WEIGHT : UP_WEIGHT);
    return ms - this.wayMs;
  }
}

/** Other runtimes do not say: there we were never busy. */
function idleMs(): number {
  return onNode ? performance.eventLoopUtilization().idle : performance.now();
}
