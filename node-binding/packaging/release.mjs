// A release, step by step, as .github/workflows/release.yml takes them: release.mjs check TAG | notes | publish [--dry-run].
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { BINDING, REPOSITORY } from './sources.mjs';
import { MANIFEST, TARGETS } from './targets.mjs';

const { name, version } = MANIFEST;
const read = (path) => readFileSync(join(REPOSITORY, path), 'utf8');

/** The part of the change log that is about this version: { date, notes }. */
function changes() {
  const [, date, notes] = new RegExp(`^## ${version.replaceAll('.', '\\.')} – (.+)\\n([^]*?)(?=^## |$(?![^]))`, 'm').exec(read('CHANGELOG.md')) ?? [];
  if (notes === undefined || notes.trim() === '') throw new Error(`CHANGELOG.md has nothing under "## ${version} – date"`);
  return { date, notes: notes.trim() };
}

const COMMANDS = {
  /** That the tag, both manifests and the change log speak of one version. */
  check(tag) {
    if (tag !== `v${version}`) throw new Error(`the tag is ${tag}, and node-binding/package.json has version ${version}`);
    const [, crates] = /^\[workspace\.package\]\nversion = "(.+)"$/m.exec(read('Cargo.toml')) ?? [];
    if (crates !== version) throw new Error(`Cargo.toml has version ${crates}, and node-binding/package.json ${version}`);
    const { date } = changes();
    if (!/^\d{4}-\d\d-\d\d$/.test(date)) throw new Error(`CHANGELOG.md has "${date}" for the date of ${version}: write the day of the release, as 2026-01-31`);
  },

  notes() {
    console.log(changes().notes);
  },

  /** All of them or none; the package itself last, so that whoever can install it can install its addons. */
  publish(...options) {
    const files = [...TARGETS.map((target) => `${name}-${target.name}`), name].map((one) => join(BINDING, 'packages', `${one}-${version}.tgz`));
    for (const file of files) if (!existsSync(file)) throw new Error(`${file} is missing: run \`make pack TARGETS=all\``);
    const isDry = options.includes('--dry-run');
    // A release that has failed half-way goes on.
    const isThere = (file) => spawnSync('npm', ['view', `${basename(file, `-${version}.tgz`)}@${version}`, 'version'], { encoding: 'utf8' }).stdout.trim() === version;
    // What npm signs says which workflow has built it: outside of one there is nothing to sign.
    for (const file of files) if (isDry || !isThere(file)) execFileSync('npm', ['publish', file, '--access', 'public', isDry ? '--dry-run' : '--provenance'], { stdio: 'inherit' });
  },
};

try {
  const [command = '', ...args] = process.argv.slice(2);
  if (!Object.hasOwn(COMMANDS, command)) throw new Error(`usage: release.mjs ${Object.keys(COMMANDS).join('|')}`);
  COMMANDS[command](...args);
} catch (error) {
  console.error(`release: ${error.message}`);
  process.exitCode = 1;
}
