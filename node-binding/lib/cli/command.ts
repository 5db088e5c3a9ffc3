// What a command of the command line is. Its options are stated once: reading them and the help text follow from that.
import type { Bounds } from '../facts/bounds.js';

/** What comes of a command; docs/command-line.md lists them. */
export const EXIT = { fine: 0, failed: 1, usage: 2, unanswered: 3 } as const;

export interface OptionSpec {
  readonly type: 'string' | 'integer' | 'number' | 'boolean' | 'list';
  /** Stands for the value in help texts. */
  readonly value?: string;
  /** Of an integer, or of a number with decimals. */
  readonly bounds?: Bounds;
  readonly help: string;
}

export interface Command {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** What stands behind the name, as usage texts have it. */
  readonly operands: string;
  /** How many operands there may be. */
  readonly least: number;
  readonly most: number;
  readonly options: Readonly<Record<string, OptionSpec>>;
  /** Lines of the help text between usage and options. */
  readonly about: readonly string[];
  readonly examples: readonly string[];
  /** Loads what does the work: nobody else needs it loaded. Resolves to an exit code; `undefined` while it runs on. */
  readonly run: (given: Given) => Promise<number | undefined>;
}

/** The operands and options of a command, checked by its specification. */
export class Given {
  readonly operands: readonly string[];
  readonly #values: Readonly<Record<string, unknown>>;
  readonly #specs: Command['options'];

  constructor(operands: readonly string[], values: Readonly<Record<string, unknown>>, specs: Command['options']) {
    this.operands = operands;
    this.#values = values;
    this.#specs = specs;
  }

  has(name: string): boolean {
    return this.#values[name] !== undefined;
  }

  text(name: string): string | undefined {
    return this.#values[name] as string | undefined;
  }

  /** With its default; `undefined` where it has none. */
  number(name: string): number | undefined {
    return (this.#values[name] as number | undefined) ?? this.#specs[name]?.bounds?.fallback;
  }

  flag(name: string): boolean {
    return this.#values[name] === true;
  }

  list(name: string): readonly string[] {
    return (this.#values[name] as readonly string[] | undefined) ?? [];
  }
}

/** What ends a command with a message that its user is meant to read, and no stack. */
export class CommandError extends Error {
  static {
    this.prototype.name = 'CommandError';
  }

  readonly exitCode: number;

  constructor(message: string, exitCode: number = EXIT.failed, options?: { cause?: unknown }) {
    super(message, options);
    this.exitCode = exitCode;
  }
}
