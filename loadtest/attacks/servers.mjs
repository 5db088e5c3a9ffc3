// The servers under attack, each in a process of its own.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { usage } from './proc.mjs';
import { certificateFolder } from './servers/certificate.mjs';

const SERVERS = {
  'node:http': { file: 'node.mjs' },
  nginx: { file: 'nginx.mjs' },
  fasttunnel: { file: 'fasttunnel.mjs' },
  'fasttunnel-io_uring': { file: 'fasttunnel.mjs', env: { DRIVER: 'io_uring' } },
  'fasttunnel-epoll': { file: 'fasttunnel.mjs', env: { DRIVER: 'epoll' } },
};

export const NAMES = Object.keys(SERVERS);

/** Starts one; `{ name, version, port, usage(), alive, stop() }`. Rejects when it does not start. */
export async function start(name, { limits, tls = false } = {}) {
  const { file, env } = SERVERS[name];
  const child = spawn(process.execPath, [fileURLToPath(new URL(`servers/${file}`, import.meta.url))], {
    env: { ...process.env, ...env, ...(limits && { LIMITS: JSON.stringify(limits) }), ...(tls && { TLS: certificateFolder() }) },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text) => { stderr = (stderr + text).slice(-2000); });
  const exit = once(child, 'exit');
  const [line] = await Promise.race([
    once(createInterface({ input: child.stdout }), 'line'),
    exit.then(() => { throw new Error(stderr.match(/Error: (.*)/)?.[1] ?? stderr); }),
  ]);
  const { port, version, pid = child.pid } = JSON.parse(line);
  return {
    name,
    version,
    port,
    usage: () => usage(pid),
    get alive() { return child.exitCode === null && child.signalCode === null; },
    get stderr() { return stderr; },
    async stop() {
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), 15_000);
      await exit;
      clearTimeout(timer);
    },
  };
}
