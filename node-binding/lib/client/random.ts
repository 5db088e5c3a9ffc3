import { randomBytes } from 'node:crypto';

/** A text of letters, digits, `-` and `_` that nobody can guess. In browsers another file stands for this one. */
export function randomText(length: number): string {
  return randomBytes(length).toString('base64url').slice(0, length);
}
