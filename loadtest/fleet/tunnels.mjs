// The tunnels of the fleet, each a process on an address of its own.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const SERVER = fileURLToPath(new URL('server.mjs', import.meta.url));

export class Tunnel {
  /** `env`: of server.mjs; the ports are the same on every address. */
  constructor(host, env) {
    this.host = host;
    this.env = { ...env, HOST: host };
  }

  async start() {
    const child = fork(SERVER, { env: { ...process.env, ...this.env }, stdio: ['ignore', 'inherit', 'pipe', 'ipc'] });
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text) => { stderr += text; });
    this.child = child;
    this.ended = once(child, 'exit').then(([code, signal]) => ({ code, signal, stderr }));
    await Promise.race([once(child, 'message'), this.ended.then(() => { throw new Error(`${this.host} ended before it listened: ${stderr}`); })]);
  }

  /** Stops as a deployment stops it, and starts the next one. */
  async restart() {
    this.child.kill('SIGTERM');
    const { signal, stderr } = await this.ended;
    if (signal !== 'SIGTERM' || stderr !== '') throw new Error(`${this.host} ended by ${signal}: ${stderr}`);
    await this.start();
  }

  async kill() {
    this.child.kill('SIGKILL');
    await this.ended;
  }

  /** Its handlers take so long from now on. */
  async setService(serviceMs) {
    this.child.send({ serviceMs });
    await once(this.child, 'message');
  }
}

/** How often each call ran, by id. */
export function runsOf(ledger, count) {
  const runs = new Uint32Array(count);
  for (const line of readFileSync(ledger, 'utf8').split('\n')) if (line !== '') runs[Number(line)] += 1;
  return runs;
}
