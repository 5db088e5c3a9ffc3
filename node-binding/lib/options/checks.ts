// The checks that every option goes through. Each throws an OptionError that names the option, the value and the fix.
import type { ExplainedBounds } from '../facts/bounds.js';
import { OptionError } from '../errors/errors.js';
import { show } from './show.js';

export { show };

/** Throws: `<option> <problem>, got <value>. <fix>` */
export function fail(option: string, value: unknown, problem: string, fix: string): never {
  throw new OptionError(option, value, `${option} ${problem}, got ${show(value)}. ${fix}`);
}

/** As {@link fail}, for values that must not appear in logs. */
export function failHidden(option: string, problem: string, fix: string): never {
  throw new OptionError(option, '(hidden)', `${option} ${problem}, got (hidden). ${fix}`);
}

/** Groups of options, of `fastTunnel()` and of the Runner resource, with a token or a key in them or one level further down. */
const MAY_HOLD_TOKENS = new Set(['options', 'auth', 'tls', 'interceptTls', 'admin', 'admin.tls', 'engine', 'engine.tls', 'engine.admin', 'engine.admin.tls', 'http.listen', 'http.listen.tls', 'fastTunnel', 'http', 'http.auth']);

/** A group of options: a plain object with known keys only. */
export function asGroup<Known extends string>(
  option: string,
  value: unknown,
  known: readonly Known[],
  elsewhere: Readonly<Record<string, string>> = {},
): Partial<Record<Known, unknown>> {
  if (!isPlainObject(value)) {
    const fix = `Known keys: ${known.join(', ')}.`;
    // Whatever was given instead may be, or hold, such a secret.
    if (MAY_HOLD_TOKENS.has(option)) failHidden(option, `must be an object, not ${kindOf(value)}`, fix);
    fail(option, value, 'must be an object', fix);
  }
  for (const key of Object.keys(value)) {
    if ((known as readonly string[]).includes(key)) continue;
    const prefix = option === 'options' ? '' : `${option}.`;
    const path = `${prefix}${key}`;
    const near = closest(key, known);
    const meant = elsewhere[key] ?? (near === undefined ? undefined : `${prefix}${near}`);
    const fix = meant === undefined ? `Known options: ${known.join(', ')}.` : `Did you mean ${meant}?`;
    // The value of an option that nobody knows may be a mistyped token.
    throw new OptionError(path, '(hidden)', `${path} is not an option. ${fix}`);
  }
  return value as Partial<Record<Known, unknown>>;
}

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  return typeof value === 'object' ? 'an instance of a class' : `a ${typeof value}`;
}

export function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  // Objects of another realm (vm, jest) have another Object.prototype, whose own prototype is null.
  return prototype === null || Object.getPrototypeOf(prototype as object) === null;
}

export function asInteger(option: string, value: unknown, { fallback, least, most, unit, fix }: ExplainedBounds): number {
  if (value === undefined && fallback !== undefined) return fallback;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < least || value > most) {
    const range = `an integer from ${least} to ${most}${unit === undefined ? '' : ` (${unit})`}`;
    const numeric = typeof value === 'string' && value.trim() !== '' && Number.isInteger(Number(value));
    fail(option, value, `must be ${range}`, numeric ? `Pass a number: Number(${show(value)}).` : fix ?? (fallback === undefined ? 'Leave it out for none.' : `The default is ${fallback}.`));
  }
  return value;
}

export function asBoolean(option: string, value: unknown, fallback: boolean): boolean {
  if (value === undefined) return fallback;
  if (typeof value !== 'boolean') fail(option, value, 'must be true or false', `The default is ${fallback}.`);
  return value;
}

export function asChoice<Choice extends string>(option: string, value: unknown, choices: readonly [Choice, ...Choice[]]): Choice {
  if (value === undefined) return choices[0];
  if (typeof value !== 'string' || !(choices as readonly string[]).includes(value)) {
    const meant = typeof value === 'string' ? closest(value, choices) : undefined;
    const quoted = choices.map((choice) => `'${choice}'`).join(', ');
    fail(option, value, `must be one of ${quoted}`, meant === undefined ? `The default is '${choices[0]}'.` : `Did you mean '${meant}'?`);
  }
  return value as Choice;
}

/** A list of strings, each of which passes `check`. */
export function asList(option: string, value: unknown, check: (option: string, item: unknown) => string): string[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) fail(option, value, 'must be an array of strings', `Write [${show(value)}] for a single one.`);
  return Array.from(value, (item: unknown, index) => check(`${option}[${index}]`, item));
}

/** A header name or a method: a token of RFC 9110. */
export function asToken(what: string): (option: string, value: unknown) => string {
  return (option, value) => {
    if (typeof value !== 'string' || !/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(value)) {
      fail(option, value, `must be ${what}`, "Letters, digits and !#$%&'*+-.^_`|~ only, without spaces or a colon.");
    }
    return value;
  };
}

/** The known name that was probably meant: at most two typing errors away, one for short names. */
export function closest(given: string, known: readonly string[]): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.min(2, Math.floor(given.length / 3)) + 1;
  for (const name of known) {
    const distance = editDistance(given.toLowerCase(), name.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [name, distance];
  }
  return best;
}

/** Edit distance in which two exchanged neighbours count as one error. */
function editDistance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 3) return Infinity;
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, column) => column)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let cost = Math.min(rows[i - 1]![j]! + 1, row[j - 1]! + 1, rows[i - 1]![j - 1]! + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) cost = Math.min(cost, rows[i - 2]![j - 2]! + 1);
      row.push(cost);
    }
    rows.push(row);
  }
  return rows[a.length]![b.length]!;
}
