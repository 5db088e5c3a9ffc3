// Programs of Debian's packages: the one on the PATH, or packages that are unpacked (not installed) below target/.
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const CACHE = fileURLToPath(new URL('../../../target/debian', import.meta.url));

/**
 * A folder with the contents of these packages; throws when apt-get gives none. `found(root)` says whether what is looked
 * for is there.
 */
export function unpacked(packages, found) {
  const root = join(CACHE, packages[0]);
  if (found(root)) return root;
  mkdirSync(CACHE, { recursive: true });
  // Tests that run beside each other may want the same: what is at `root` is whole from the beginning.
  const begun = mkdtempSync(`${root}.`);
  try {
    chmodSync(begun, 0o755);
    const download = () => spawnSync('apt-get', ['download', ...packages], { cwd: begun }).status === 0;
    // A new machine has no list of packages, or an old one. Two updates at a time refuse each other.
    if (!download() && spawnSync('flock', [join(CACHE, 'update.lock'), 'apt-get', 'update']).status === 0) download();
    for (const deb of readdirSync(begun).filter((name) => name.endsWith('.deb'))) spawnSync('dpkg', ['-x', deb, '.'], { cwd: begun });
    if (!found(begun)) throw new Error(`\`apt-get download ${packages.join(' ')}\` does not give what is needed`);
    if (!found(root)) rmSync(root, { recursive: true, force: true });
    renameSync(begun, root);
  } catch (error) {
    // Another process was first.
    if (!found(root)) throw error;
  } finally {
    rmSync(begun, { recursive: true, force: true });
  }
  return root;
}

/**
 * How a program is started: { path, env }. `at` is where it is in the first of the packages; the others hold its libraries.
 * Throws when there is none that starts (with the arguments `probe`).
 */
export function findProgram({ name, packages, at, probe = ['-v'] }) {
  const starts = (path, env) => spawnSync(path, probe, { env }).status === 0;
  for (const path of [name, `/usr/sbin/${name}`]) if (starts(path, process.env)) return { path, env: process.env };
  const within = (root) => ({ path: join(root, at), env: { ...process.env, LD_LIBRARY_PATH: librariesOf(root) } });
  const root = unpacked(packages, (folder) => existsSync(join(folder, at)));
  const program = within(root);
  if (!starts(program.path, program.env)) throw new Error(`no ${name} on the PATH, and that of ${packages.join(', ')} does not start`);
  return program;
}

/** Where the libraries of unpacked packages are. */
function librariesOf(root) {
  const folders = ['lib', 'usr/lib'].flatMap((lib) => [lib, ...(existsSync(join(root, lib)) ? readdirSync(join(root, lib)).map((triplet) => `${lib}/${triplet}`) : [])]);
  return folders.map((folder) => join(root, folder)).join(delimiter);
}
