// Writes docs/seccomp.json: what Podman and CRI-O let a container do that has no capability, and io_uring besides. Flat, so
// that Docker, containerd, Podman and CRI-O read it alike: containerd knows no conditions.
//
//     node scripts/seccomp.mjs BASE OUT             BASE is seccomp.json of Debian's golang-github-containers-common
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const IO_URING = ['io_uring_enter', 'io_uring_register', 'io_uring_setup'];
const ARCHITECTURES = ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86', 'SCMP_ARCH_X32', 'SCMP_ARCH_AARCH64', 'SCMP_ARCH_ARM'];
const GO_ARCHITECTURES = ['amd64', 'x32', 'x86', 'arm64', 'arm'];

/** True for a rule of the base that holds here, for a container without capabilities. */
function applies({ includes = {}, excludes = {} }) {
  const here = (arches) => arches?.some((arch) => GO_ARCHITECTURES.includes(arch)) ?? false;
  return includes.caps === undefined && (includes.arches === undefined || here(includes.arches)) && !here(excludes.arches);
}

/** The profile, from the base's text. */
export function profileOf(base) {
  const { defaultAction, defaultErrnoRet, syscalls } = JSON.parse(base);
  const rules = syscalls.filter(applies).map(({ names, action, args, errnoRet }) => ({
    names, action, ...(args?.length > 0 ? { args } : {}), ...(errnoRet === undefined ? {} : { errnoRet }),
  }));
  return { defaultAction, defaultErrnoRet, architectures: ARCHITECTURES, syscalls: [...rules, { names: IO_URING, action: 'SCMP_ACT_ALLOW' }] };
}

/** As the file has it: a rule a line. */
export function written({ syscalls, ...rest }) {
  const lines = syscalls.map((rule) => `    ${JSON.stringify(rule)}`).join(',\n');
  return `${JSON.stringify(rest, null, 2).slice(0, -2)},\n  "syscalls": [\n${lines}\n  ]\n}\n`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [base, out] = process.argv.slice(2);
  writeFileSync(out, written(profileOf(readFileSync(base, 'utf8'))));
}
