// The command line as its users call it: a process, by the link that npm makes.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const HOME = fileURLToPath(new URL('../..', import.meta.url));
/** No variable of the one who runs the tests may decide. */
const ENV = { ...process.env, FASTTUNNEL_TOKEN: '', NO_COLOR: '1' };

/** Makes a folder as it is after `npm install fasttunnel`; returns the program's path in it. */
export function installInto(folder) {
  const modules = join(folder, 'node_modules');
  mkdirSync(join(modules, '.bin'), { recursive: true });
  symlinkSync(HOME, join(modules, 'fasttunnel'));
  const program = join(modules, '.bin', 'fasttunnel');
  symlinkSync('../fasttunnel/dist/cjs/cli/bin.js', program);
  return program;
}

/** Starts `fasttunnel` in a folder. `command` is what runs it: by default the file itself. */
function start(folder, args, { env = {}, command = [], stdin = 'ignore' } = {}) {
  const [program, ...rest] = [...command, join(folder, 'node_modules', '.bin', 'fasttunnel'), ...args];
  const child = spawn(program, rest, { cwd: folder, stdio: [stdin, 'pipe', 'pipe'], env: { ...ENV, ...env } });
  const said = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr']) child[name].setEncoding('utf8').on('data', (text) => { said[name] += text; });
  const ended = once(child, 'close').then(([status, signal]) => ({ status, signal, ...said }));
  return { child, said, ended };
}

/** Runs it to its end: { status, stdout, stderr }. */
export async function fasttunnel(folder, args, { input, timeoutMs = 30_000, ...options } = {}) {
  const { child, ended } = start(folder, args, { ...options, stdin: input === undefined ? 'ignore' : 'pipe' });
  if (input !== undefined) child.stdin.on('error', () => {}).end(input);
  const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
  const end = await ended;
  clearTimeout(timer);
  return end;
}

/** Runs `fasttunnel serve` while `body` runs; it gets the URL that was printed, and can await what is printed later. */
export async function serving(folder, args, body, options) {
  const { child, said, ended } = start(folder, ['serve', ...args], options);
  const printed = async (pattern, where = 'stdout') => {
    for (let turn = 0; turn < 1000; turn += 1) {
      const match = pattern.exec(said[where]);
      if (match !== null) return match;
      if (child.exitCode !== null) break;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    throw new Error(`${pattern} was not printed: ${JSON.stringify(said)}`);
  };
  try {
    const [, url] = await printed(/^listening on (\S+) /m);
    await printed(/^events: .*\n/m);
    return await body({ url, child, said, printed, ended });
  } finally {
    child.kill('SIGKILL');
    await ended;
  }
}
