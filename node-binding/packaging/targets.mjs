// What is built and packed: `napi.targets` of package.json, with the names that @napi-rs/cli gives to their packages.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BINDING, WORK } from './sources.mjs';

export const MANIFEST = JSON.parse(readFileSync(join(BINDING, 'package.json'), 'utf8'));

const ARCHITECTURES = { x86_64: 'x64', aarch64: 'arm64' };

/** Of this machine. */
const hostName = `${process.platform}-${process.arch}-${process.report.getReport().header.glibcVersionRuntime === undefined ? 'musl' : 'gnu'}`;

/** { triple, name, abi, isHost, file, addon, debug }: rustc's name, ours, …, the file in the package, and where it and its debug information are built. */
export const TARGETS = MANIFEST.napi.targets.map((triple) => {
  const [arch, , os, abi] = triple.split('-');
  const name = `${os}-${ARCHITECTURES[arch]}-${abi}`;
  const file = `${MANIFEST.napi.binaryName}.${name}.node`;
  return { triple, name, abi, isHost: name === hostName, file, addon: join(WORK, 'addons', file), debug: join(WORK, 'addons', `${file}.debug`) };
});

/** The oldest glibc that what ships runs on: that of CentOS 7, for which there are builds of Node still. */
export const GLIBC_FLOOR = '2.17';

/** Targets by their names: one or several of ours with commas between, `host`, or `all`. */
export function targetsNamed(names) {
  if (names === 'all') return TARGETS;
  return names.split(',').map((name) => {
    const wanted = name === 'host' ? hostName : name;
    const target = TARGETS.find((one) => one.name === wanted);
    if (target === undefined) throw new Error(`no addon can be built for ${wanted}: TARGETS is host, all, or some of ${TARGETS.map((one) => one.name).join(',')}`);
    return target;
  });
}
