import { otherBuild } from './layout.js';

/** What a numeric option may be. */
export interface Bounds {
  /** What holds where none is given; without it that is none. */
  readonly fallback?: number;
  readonly least: number;
  readonly most: number;
  /** What it counts, for messages. */
  readonly unit?: string;
}

/** The numeric options but those in `limits`, by their names without the group. docs/options.md says what they do. */
export const NUMBERS = {
  port: { fallback: 0, least: 0, most: 65_535 },
  backlog: { fallback: 4096, least: 1, most: 65_535, unit: 'connections' },
  shards: { fallback: 0, least: 0, most: 64, unit: 'threads, 0 = by the number of cores' },
  readinessDelayMs: { fallback: 0, least: 0, most: 600_000, unit: 'milliseconds' },
  // As many seconds as every cache can count (RFC 9111 1.2.2).
  maxAge: { least: 0, most: 2 ** 31 - 1, unit: 'seconds' },
} as const satisfies Readonly<Record<string, Bounds>>;

/** `src/bounds.rs`, `NativeBound`. */
export interface NativeBound {
  option: string;
  least: number;
  most: number;
}

/** Compares what the engine says of numbers with a table of ours: the ranges that it sets, and its defaults. */
export function checkBounds(table: Readonly<Record<string, Bounds>>, bounds: readonly NativeBound[], defaults: Readonly<Record<string, number>>): void {
  const ranges = bounds.every(({ option, least, most }) => table[option]?.least === least && table[option].most === most);
  if (!ranges || Object.entries(defaults).some(([option, value]) => table[option]?.fallback !== value)) throw otherBuild();
}
