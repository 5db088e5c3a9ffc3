// The configuration files of docs/deployment.md, and the programs that read them.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findProgram, unpacked } from '../../../loadtest/attacks/servers/debian.mjs';
import { codeBlocks } from './markdown.mjs';

export const root = fileURLToPath(new URL('../../..', import.meta.url));
const PAGE = join(root, 'docs', 'deployment.md');

/** A file of the page, by the name that its block gives it. */
export function fileOf(name) {
  const block = codeBlocks(PAGE).find((one) => one.kind === 'file' && one.name === name);
  if (block === undefined) throw new Error(`docs/deployment.md has no block file=${name}`);
  return block.code;
}

const findRunc = () => findProgram({ name: 'runc', packages: ['runc', 'libseccomp2'], at: 'usr/sbin/runc', probe: ['--version'] });

/** The profile that Podman and CRI-O give a container. */
export function baseProfile() {
  const at = 'usr/share/containers/seccomp.json';
  const folder = existsSync(`/${at}`) ? '/' : unpacked(['golang-github-containers-common'], (one) => existsSync(join(one, at)));
  return readFileSync(join(folder, at), 'utf8');
}

/** Runs `body(folder)` in a new folder. */
export async function inFolder(body) {
  const folder = mkdtempSync(join(tmpdir(), 'fasttunnel-deployment-'));
  try {
    return await body(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Runs `body()` beside a server, which is ended then. */
export async function beside({ path, env }, args, body) {
  const child = spawn(path, args, { env, stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text) => { stderr += text; });
  const ended = once(child, 'exit');
  try {
    return await Promise.race([body(), ended.then(() => { throw new Error(`${path} has ended: ${stderr}`); })]);
  } finally {
    child.kill('SIGTERM');
    setTimeout(() => child.kill('SIGKILL'), 2000).unref();
    await ended;
  }
}

/**
 * What a command says in a container of runc that has this seccomp profile: { status, stdout, stderr }. The container sees
 * the system's programs and the folders `binds`, and nothing else.
 */
export const inContainer = (args, seccomp, binds = []) => inFolder((folder) => {
  const runc = findRunc();
  mkdirSync(join(folder, 'rootfs'));
  const mount = (source) => ({ destination: source, source, type: 'bind', options: ['rbind', 'ro'] });
  const config = {
    ociVersion: '1.0.2',
    process: { args, cwd: '/', env: [`PATH=${process.env.PATH}`], user: { uid: 0, gid: 0 }, noNewPrivileges: true },
    root: { path: 'rootfs' },
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc' },
      { destination: '/dev', type: 'tmpfs', source: 'tmpfs' },
      ...['/usr', '/lib', '/lib64', '/bin', ...binds].filter((path) => existsSync(path)).map(mount),
    ],
    linux: { namespaces: ['pid', 'mount', 'ipc', 'uts', 'network'].map((type) => ({ type })), seccomp },
  };
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
  return spawnSync(runc.path, ['--root', join(folder, 'state'), 'run', '--bundle', folder, `fasttunnel-${process.pid}`], { encoding: 'utf8', env: runc.env, timeout: 20_000 });
});

/** Why no container starts here, or false: it takes root, and namespaces. */
export async function withoutContainers() {
  try {
    const { status, stderr } = await inContainer(['/bin/true'], { defaultAction: 'SCMP_ACT_ALLOW' });
    return status === 0 ? false : `no container starts here: ${stderr.trim()}`;
  } catch (error) {
    return error.message;
  }
}
