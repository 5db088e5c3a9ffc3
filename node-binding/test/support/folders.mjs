// Folders of a test, which go with it.
import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Where holes of files take no memory, if there is such a place. */
export const IN_MEMORY = mayWrite('/dev/shm') ? '/dev/shm' : tmpdir();

function mayWrite(folder) {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** Runs a test with an empty folder: `file(name)` is a path in it. `within` is where it is made. */
export async function withFolder(body, within = tmpdir()) {
  const folder = mkdtempSync(join(within, 'fasttunnel-test-'));
  try {
    return await body((name) => join(folder, name), folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
