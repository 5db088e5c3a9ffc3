// Other runtimes, and bundlers, from the packages of ../runtimes; `make test-js` installs them.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

export const RUNTIMES = fileURLToPath(new URL('../runtimes/', import.meta.url));

/** Modules of those packages. */
export const requireFrom = createRequire(`${RUNTIMES}package.json`);

const programs = (name) => `${RUNTIMES}node_modules/${name}`;

/** The command that runs a script, by name and version of the runtime. */
export const COMMANDS = {
  'Node 18.20': [programs('node-18/bin/node')],
  'Node 22': [programs('node-22/bin/node')],
  'Node 24': [programs('node-24/bin/node')],
  'Node 25': [programs('node-25/bin/node')],
  Bun: [programs('@oven/bun-linux-x64/bin/bun')],
  Deno: [programs('@deno/linux-x64-glibc/deno'), 'run', '--allow-all', '--no-prompt'],
};

/** Runs a command to its end. One that is not installed is a failure, nothing to be skipped. */
export async function run([program, ...args], { env = {}, cwd = RUNTIMES, timeoutMs = 30_000 } = {}) {
  assert.ok(existsSync(program), `${program} is missing: \`make test-js\` installs it`);
  const child = spawn(program, args, { cwd, timeout: timeoutMs, killSignal: 'SIGKILL', stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, NO_COLOR: '1', ...env } });
  const [stdout, stderr, [status, signal]] = await Promise.all([
    text(child.stdout), text(child.stderr),
    new Promise((resolve, reject) => child.on('error', reject).on('close', (...end) => resolve(end))),
  ]);
  return { status, signal, stdout, stderr };
}

async function text(stream) {
  let all = '';
  for await (const chunk of stream.setEncoding('utf8')) all += chunk;
  return all;
}
