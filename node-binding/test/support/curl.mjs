// curl, that of the machine or Debian's.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { findProgram } from '../../../loadtest/attacks/servers/debian.mjs';

const run = promisify(execFile);
/** What it needs beside the libraries that every Debian has. */
const LIBRARIES = ['libcurl4', 'libnghttp2-14', 'librtmp1', 'libssh2-1', 'libpsl5', 'libldap-2.5-0', 'libsasl2-2', 'libbrotli1'];

/** `{ path, env }`, or an error that says why there is none. */
export const findCurl = () => findProgram({ name: 'curl', packages: ['curl', ...LIBRARIES], at: 'usr/bin/curl', probe: ['--version'] });

/** What it prints, without the progress: `{ stdout, stderr }`. */
export function curl(...args) {
  const { path, env } = findCurl();
  return run(path, ['-sS', ...args], { env, maxBuffer: 64 << 20 });
}
