import * as facts from './facts.generated.js';

/** What a numeric option may be. */
export interface Bounds {
  /** What holds where none is given; without it that is none. */
  readonly fallback?: number;
  readonly least: number;
  readonly most: number;
  /** What it counts, for messages. */
  readonly unit?: string;
}

/** And what to do where to leave it out is not the answer. */
export interface ExplainedBounds extends Bounds {
  readonly fix?: string;
}

/** The numeric options but those in `limits`, by their names without the group. docs/options.md says what they do. */
export const NUMBERS = facts.NUMBERS satisfies Readonly<Record<string, Bounds>>;
