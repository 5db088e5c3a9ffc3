// Forward proxies, each in a process of its own.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { usage } from '../attacks/proc.mjs';

const programOf = (name) => fileURLToPath(new URL(`../peers/${name.startsWith('proxy-') ? name : `proxy-${name}`}.mjs`, import.meta.url));

/** Starts one: `ours`, `proxy-chain`, `http-proxy-3` or `tinyproxy`. The first thing that it says is where it listens, and its credentials. */
export async function start(name) {
  const child = fork(programOf(name), { execArgv: ['--expose-gc'], stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text) => { stderr = (stderr + text).slice(-2000); });
  const ended = once(child, 'exit');
  const [proxy] = await Promise.race([once(child, 'message'), ended.then(() => { throw new Error(stderr.match(/Error: (.*)/)?.[1] ?? stderr); })]);
  const pid = proxy.pid ?? child.pid;
  return {
    ...proxy,
    usage: () => usage(pid),
    get alive() { return child.exitCode === null && child.signalCode === null; },
    async tell(message) {
      const told = once(child, 'message');
      child.send(message);
      return (await told)[0];
    },
    async stop() {
      if (child.connected) child.disconnect();
      await ended;
    },
  };
}
