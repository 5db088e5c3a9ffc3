// What the package is built from, as one hash. A build leaves it beside what it has made; packing compares.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const REPOSITORY = fileURLToPath(new URL('../../', import.meta.url));
export const BINDING = join(REPOSITORY, 'node-binding');
/** Where packages are made. */
export const WORK = join(REPOSITORY, 'target', 'packages');

const JAVASCRIPT = ['lib', 'tsconfig.json', 'scripts/build.mjs'];
const RUST = ['Cargo.toml', 'Cargo.lock', 'engine/Cargo.toml', 'engine/src', 'engine/assets', 'node-binding/Cargo.toml', 'node-binding/build.rs', 'node-binding/src', 'node-binding/packaging/addons.mjs', 'node-binding/packaging/requirements.txt'];

/** Of dist/. */
export const hashOfJavaScript = (binding = BINDING) => hashOf(binding, JAVASCRIPT);

/** Of an addon that ships. */
export const hashOfRust = (repository = REPOSITORY) => hashOf(repository, RUST);

/** Where `scripts/build.mjs` leaves the hash of what dist/ is made from. */
export const distStamp = (binding = BINDING) => join(binding, 'dist', '.built');

function hashOf(root, paths) {
  const hash = createHash('sha256');
  for (const path of paths.flatMap((path) => filesIn(root, path)).sort()) hash.update(`${path}\0`).update(readFileSync(join(root, path))).update('\0');
  return hash.digest('hex');
}

function filesIn(root, path) {
  if (!statSync(join(root, path)).isDirectory()) return [path];
  return readdirSync(join(root, path)).flatMap((name) => filesIn(root, `${path}/${name}`));
}
