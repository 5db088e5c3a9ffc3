// Forward proxies, each in a process of its own.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { usage } from '../attacks/proc.mjs';
import { pinned } from '../placements/servers.mjs';

const programOf = (name) => fileURLToPath(new URL(`../peers/${name.startsWith('proxy-') ? name : `proxy-${name}`}.mjs`, import.meta.url));

/**
 * Starts one: `ours`, `proxy-chain`, `http-proxy-3` or `tinyproxy`; on `core`, if it is to stay on one. The first thing that it says is where it
 * listens, and its credentials.
 */
export async function start(name, { env, core } = {}) {
  const [execPath, ...execArgv] = [...(core === undefined ? [] : pinned(core)), process.execPath, '--expose-gc'];
  const child = fork(programOf(name), { execPath, execArgv, env: { ...process.env, ...env }, stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text) => { stderr = (stderr + text).slice(-2000); });
  const ended = once(child, 'exit');
  const [proxy] = await Promise.race([once(child, 'message'), ended.then(() => { throw new Error(stderr.match(/Error: (.*)/)?.[1] ?? stderr); })]);
  const pid = proxy.pid ?? child.pid;
  return {
    ...proxy,
    pid,
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
