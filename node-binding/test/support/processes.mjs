// Programs that listen, as processes of their own: to be stopped, starved and killed.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/**
 * Starts a program that prints where it listens, as JSON; `lines` is what it prints afterwards. `handed`: descriptors that it
 * gets, as 3 and above.
 */
export async function startProgram(command, args, env = {}, handed = []) {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe', ...handed], env: { ...process.env, ...env } });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text) => { stderr += text; });
  const ended = once(child, 'exit').then(([code, signal]) => ({ code, signal, stderr }));
  const lines = [];
  const output = createInterface({ input: child.stdout }).on('line', (line) => lines.push(line));
  await Promise.race([once(output, 'line'), ended.then(({ stderr: text }) => { throw new Error(`it ended before it listened: ${text}`); })]);
  return { child, ended, lines, ...JSON.parse(lines.shift()) };
}

/** Runs `body` with such a program, and ends it whatever happens. */
export async function withProgram(command, args, env, body, handed = []) {
  const program = await startProgram(command, args, env, handed);
  try {
    return await body(program);
  } finally {
    program.child.kill('SIGKILL');
    await program.ended;
  }
}
