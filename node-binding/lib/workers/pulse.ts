// How a worker shows that its event loop turns: it writes the time into memory that its tunnel's thread reads.

import { BEAT_MS } from '../facts/facts.generated.js';

const [BEAT, LATE, LATEST, LENGTH] = [0, 1, 2, 3];

/** Milliseconds of a clock that all threads share. */
export function now(): number {
  return Number(process.hrtime.bigint() / 1_000_000n);
}

/** The worker's end. */
export class Pulse {
  readonly #memory: Float64Array;
  readonly #timer: NodeJS.Timeout;

  static memory(): SharedArrayBuffer {
    return new SharedArrayBuffer(LENGTH! * Float64Array.BYTES_PER_ELEMENT);
  }

  constructor(buffer: SharedArrayBuffer) {
    this.#memory = new Float64Array(buffer);
    this.#memory[BEAT!] = now();
    this.#timer = setInterval(() => this.#beat(), BEAT_MS);
    this.#timer.unref();
  }

  #beat(): void {
    const memory = this.#memory;
    const at = now();
    const late = Math.max(0, at - memory[BEAT!]! - BEAT_MS);
    memory[LATE!] = late;
    memory[LATEST!] = Math.max(memory[LATEST!]!, late);
    memory[BEAT!] = at;
  }

  stop(): void {
    clearInterval(this.#timer);
    // No beat is missed any more.
    this.#memory[BEAT!] = 0;
  }
}

/** What a pulse says. */
export interface Reading {
  /** How late the last beat was, or the next one is. */
  readonly lateMs: number;
  readonly latestMs: number;
}

/** Reads a pulse on another thread. Nothing is late where nothing beats yet, or any more. */
export function readPulse(buffer: SharedArrayBuffer): Reading {
  const memory = new Float64Array(buffer);
  const beat = memory[BEAT!]!;
  const due = beat === 0 ? 0 : Math.max(0, now() - beat - BEAT_MS);
  const lateMs = Math.max(due, beat === 0 ? 0 : memory[LATE!]!);
  return { lateMs: due > 0 ? due : lateMs, latestMs: Math.max(memory[LATEST!]!, due) };
}

/** For how long the next beat is due. */
export function dueMs(buffer: SharedArrayBuffer): number {
  const beat = new Float64Array(buffer)[BEAT!]!;
  return beat === 0 ? 0 : Math.max(0, now() - beat - BEAT_MS);
}
