// Builds the addons that ship, into target/packages/addons: addons.mjs [host|all|name,...]. Each is linked by zig, for the
// oldest glibc or for musl; stripped, with its debug information beside it; and with the hash of its sources.
//
// Not by `napi build`: that cannot name a glibc for zig to link with (`--cross-compile`), and its own toolchain for an old
// glibc (`--use-napi-cross`) has no musl.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { hashOfRust, REPOSITORY, WORK } from './sources.mjs';
import { GLIBC_FLOOR, targetsNamed } from './targets.mjs';

const PROFILE = 'ship';
const TOOLS = join(WORK, 'python', 'bin');
const RUSTUP_HOME = join(WORK, 'rustup');

const say = (text) => console.log(`addons: ${text}`);
const output = (command, args, env) => execFileSync(command, args, { encoding: 'utf8', env }).trim();
const HOST_SYSROOT = output('rustc', ['--print', 'sysroot']);
const VERSION = /^rustc (\S+)/.exec(output('rustc', ['--version']))[1];
const HOST_TRIPLE = /^host: (.+)$/m.exec(output('rustc', ['--version', '--verbose']))[1];

/** A toolchain of our own, which has the standard libraries of other targets; the user's stays as it is. */
function installLibraries(targets) {
  const env = { ...process.env, RUSTUP_HOME, RUSTUP_TOOLCHAIN: VERSION };
  if (spawnSync('rustup', ['--version'], { env }).error !== undefined) throw new Error(`rustup is missing: the standard libraries of ${targets.map(({ triple }) => triple).join(', ')} come from it`);
  const options = targets.flatMap(({ triple }) => ['--target', triple]);
  execFileSync('rustup', ['toolchain', 'install', VERSION, '--profile', 'minimal', '--no-self-update', ...options], { env, stdio: ['ignore', 'ignore', 'inherit'] });
}

function build({ triple, name, abi, addon, debug, isHost }) {
  const sources = hashOfRust();
  const built = JSON.stringify({ sources, profile: PROFILE, rustc: VERSION }, null, 2);
  if (read(`${addon}.json`) === built) return say(`${name} is up to date`);
  const started = Date.now();
  const env = {
    ...process.env,
    PATH: `${TOOLS}:${process.env.PATH}`,
    // A musl library of Rust links libc into itself unless told otherwise: two of them in one process.
    RUSTFLAGS: [
      ...(abi === 'musl' ? ['-Ctarget-feature=-crt-static'] : []),
      // Messages of panics name files: not those of the machine that built it.
      ...[[REPOSITORY.replace(/\/$/, ''), '.'], [process.env.CARGO_HOME ?? join(homedir(), '.cargo'), 'cargo'], [HOST_SYSROOT, 'rust'], [RUSTUP_HOME, 'rustup']].map(([from, to]) => `--remap-path-prefix=${from}=${to}`),
    ].join(' '),
    ...(isHost ? {} : { RUSTUP_HOME, RUSTUP_TOOLCHAIN: VERSION }),
  };
  execFileSync('cargo', ['zigbuild', '--locked', '--package', 'fasttunnel-node', '--profile', PROFILE, '--target', abi === 'gnu' ? `${triple}.${GLIBC_FLOOR}` : triple], { cwd: REPOSITORY, env, stdio: 'inherit' });
  if (hashOfRust() !== sources) throw new Error('the sources have changed while they were built: build again');
  rmSync(`${addon}.json`, { force: true });
  split(join(REPOSITORY, 'target', triple, PROFILE, 'libfasttunnel_node.so'), addon, debug);
  writeFileSync(`${addon}.json`, built);
  say(`${name} built in ${Math.round((Date.now() - started) / 1000)} s`);
}

function read(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

/** The library without what only debuggers need, and that in a file which debuggers find by its name. */
function split(library, addon, debug) {
  mkdirSync(dirname(addon), { recursive: true });
  const objcopy = (...args) => execFileSync(join(HOST_SYSROOT, 'lib', 'rustlib', HOST_TRIPLE, 'bin', 'rust-objcopy'), args, { env: { ...process.env, LD_LIBRARY_PATH: join(HOST_SYSROOT, 'lib') }, stdio: 'inherit' });
  objcopy('--only-keep-debug', library, debug);
  objcopy('--strip-all', `--add-gnu-debuglink=${debug}`, library, `${addon}.new`);
  renameSync(`${addon}.new`, addon);
}

try {
  const targets = targetsNamed(process.argv[2] ?? 'host');
  const foreign = targets.filter(({ isHost }) => !isHost);
  if (foreign.length > 0) installLibraries(foreign);
  for (const target of targets) build(target);
} catch (error) {
  console.error(`addons: ${error.message}`);
  process.exitCode = 1;
}
