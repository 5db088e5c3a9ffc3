// Makes the packages, as npm names them, in node-binding/packages, from what is built: pack.mjs [host|all|name,...].
//
// `napi create-npm-dirs` lays out the packages of the platforms. Not `napi pre-publish`: it writes the names of those
// packages into the package.json of the checkout, wants every target built, and publishes by itself; what is published
// here is what was tested.
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, cpSync, mkdirSync, readdirSync, readFileSync, realpathSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { checkAddon, checkDist } from './fresh.mjs';
import { BINDING, REPOSITORY, WORK } from './sources.mjs';
import { GLIBC_FLOOR, MANIFEST, TARGETS, targetsNamed } from './targets.mjs';

const OUT = join(BINDING, 'packages');
const STAGE = join(WORK, 'stage');
const ROOT = join(STAGE, 'root');

const json = (value) => `${JSON.stringify(value, null, 2)}\n`;
/** A tool's words are shown when it fails; they are its reason. */
function run(file, ...args) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [file, ...args], { encoding: 'utf8', env: { ...process.env, NO_COLOR: '1' } });
  if (status !== 0) throw new Error(`${basename(file)} ${args.join(' ')}:\n${stdout}${stderr}`);
}
const tool = (name) => realpathSync(join(BINDING, 'packaging', 'node_modules', '.bin', name));
const packageOf = ({ name }) => `${MANIFEST.name}-${name}`;

/** What is for this repository alone. */
const INTERNAL = ['scripts', 'devDependencies', 'napi'];

function stageRoot() {
  mkdirSync(ROOT, { recursive: true });
  const shipped = Object.fromEntries(Object.entries(MANIFEST).filter(([key]) => !INTERNAL.includes(key)));
  shipped.optionalDependencies = Object.fromEntries(TARGETS.map((target) => [packageOf(target), MANIFEST.version]));
  writeFileSync(join(ROOT, 'package.json'), json(shipped));
  cpSync(join(BINDING, 'dist'), join(ROOT, 'dist'), { recursive: true, filter: (path) => !path.endsWith('.built') });
  copyFileSync(join(REPOSITORY, 'LICENSE'), join(ROOT, 'LICENSE'));
  run(join(BINDING, 'scripts', 'readme.mjs'), join(ROOT, 'README.md'));
}

/** One folder for each target, built or not: what the registry says of a package is the same in both cases. */
function stagePlatforms() {
  writeFileSync(join(STAGE, 'package.json'), json(MANIFEST));
  run(tool('napi'), 'create-npm-dirs', '--cwd', STAGE, '--npm-dir', 'npm');
  for (const target of TARGETS) {
    const folder = join(STAGE, 'npm', target.name);
    const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    writeFileSync(join(folder, 'package.json'), json({ ...manifest, description: `The native addon of ${MANIFEST.name} for ${target.name}` }));
    copyFileSync(join(REPOSITORY, 'LICENSE'), join(folder, 'LICENSE'));
    writeFileSync(join(folder, 'README.md'), readmeOf(target));
  }
}

function readmeOf(target) {
  const libc = target.abi === 'musl' ? 'musl' : `glibc ${GLIBC_FLOOR} or newer`;
  return `# ${packageOf(target)}

The native addon of [${MANIFEST.name}](https://www.npmjs.com/package/${MANIFEST.name}) for Linux on ${target.name.split('-')[1]} with ${libc}.

\`npm install ${MANIFEST.name}\` installs it where it is needed; nobody has to name it.
`;
}

function pack(folder) {
  const [{ filename }] = JSON.parse(execFileSync('npm', ['pack', '--json', '--silent', '--pack-destination', OUT], { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }));
  return join(OUT, filename);
}

/** Strictly: a warning of publint is a failure, too. */
function check(file) {
  run(tool('publint'), '--strict', file);
}

try {
  const targets = targetsNamed(process.argv[2] ?? 'host');
  checkDist();
  for (const target of targets) checkAddon(target);
  rmSync(STAGE, { recursive: true, force: true });
  rmSync(OUT, { recursive: true, force: true });
  mkdirSync(join(OUT, 'debug'), { recursive: true });
  stageRoot();
  stagePlatforms();
  const files = [pack(ROOT)];
  for (const target of targets) {
    const folder = join(STAGE, 'npm', target.name);
    copyFileSync(target.addon, join(folder, target.file));
    files.push(pack(folder));
    copyFileSync(target.debug, join(OUT, 'debug', `${target.file}.debug`));
  }
  for (const file of files) check(file);
  run(tool('attw'), files[0]);
  for (const name of readdirSync(OUT)) if (name.endsWith('.tgz')) console.log(`node-binding/packages/${name}: ${Math.ceil(statSync(join(OUT, name)).size / 1000)} kB`);
} catch (error) {
  console.error(`pack: ${error.message}`);
  process.exitCode = 1;
}
