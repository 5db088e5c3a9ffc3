import { inspect } from 'node:util';

/** A value, as messages show it. In browsers another file stands for this one. */
export function show(value: unknown): string {
  const text = inspect(value, { depth: 1, breakLength: Infinity, maxArrayLength: 5, maxStringLength: 80 });
  return text.length > 160 ? `${text.slice(0, 160)}…` : text;
}
