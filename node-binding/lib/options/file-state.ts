// What of files changes when they are written, or others take their place; behind symbolic links as well.
import { statSync } from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { stat } from 'node:fs/promises';

/** Their state now. */
export function stateNow(files: readonly string[]): string {
  return files.map((file) => {
    try {
      return textOf(statSync(file, { bigint: true }));
    } catch (error) {
      return codeOf(error);
    }
  }).join();
}

/** The same, without keeping the thread: a file may lie far away. */
export async function stateOf(files: readonly string[]): Promise<string> {
  return (await Promise.all(files.map((file) => stat(file, { bigint: true }).then(textOf, codeOf)))).join();
}

function textOf({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return `${dev}:${ino}:${size}:${mtimeNs}:${ctimeNs}`;
}

function codeOf(error: unknown): string {
  return String((error as NodeJS.ErrnoException).code);
}
