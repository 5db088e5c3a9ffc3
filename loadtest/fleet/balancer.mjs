// HAProxy with the file that is shipped, at other addresses, and what it says of itself: its log, which tells of each call
// that it did not pass an answer on for, and the state of its servers.
import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { findHaproxy } from '../attacks/servers/haproxy.mjs';

const SHIPPED = fileURLToPath(new URL('../../deploy/haproxy.cfg', import.meta.url));
const PATIENCE_MS = 5000;

/** The shipped file for these tunnels: the same but for addresses, the socket, what takes more descriptors or time than a run has, and a log. */
export function configFor({ hosts, port, adminPort, agentPort, frontend, socket, logPort, serverTimeoutMs, slowStartMs }) {
  const change = (text, from, to) => {
    if (!text.includes(from)) throw new Error(`deploy/haproxy.cfg has no '${from}'`);
    return text.replace(from, to);
  };
  let text = readFileSync(SHIPPED, 'utf8');
  text = change(text, '/run/haproxy/admin.sock', socket);
  text = change(text, 'maxconn 20000', 'maxconn 2000');
  text = change(text, 'global\n', `global\n  log 127.0.0.1:${logPort} local0\n`);
  text = change(text, 'defaults\n', 'defaults\n  log global\n  option dontlog-normal\n');
  text = change(text, 'timeout server 65s', `timeout server ${serverTimeoutMs}ms`);
  text = change(text, 'slowstart 10s', `slowstart ${slowStartMs}ms`);
  text = change(text, 'bind :80\n', `bind 127.0.0.1:${frontend}\n  http-request capture req.hdr(x-call) len 20\n  log-format "call=%[capture.req.hdr(0)] by=%s status=%ST state=%ts retries=%rc"\n`);
  text = change(text, 'check port 7071', `check port ${adminPort}`);
  text = change(text, 'agent-port 7072', `agent-port ${agentPort}`);
  const at = text.indexOf('  server one ');
  return `${text.slice(0, at)}${hosts.map((host, index) => `  server tunnel${index + 1} ${host}:${port}\n`).join('')}`;
}

export class Balancer {
  /** By id of a call: what HAProxy says of it, `{ by, status, state }`. */
  said = new Map();

  async start(folder, options) {
    this.log = createSocket({ type: 'udp4', recvBufferSize: 4 * 1024 * 1024 }).bind(0, '127.0.0.1');
    await once(this.log, 'listening');
    this.log.on('message', (bytes) => {
      const [, call, by, status, state] = /call=(\d+) by=(\S+) status=(-?\d+) state=(\S+)/.exec(bytes.toString()) ?? [];
      if (call !== undefined) this.said.set(Number(call), { by, status: Number(status), state });
    });
    this.socket = join(folder, 'haproxy.sock');
    const file = join(folder, 'haproxy.cfg');
    writeFileSync(file, configFor({ ...options, socket: this.socket, logPort: this.log.address().port }));
    const { path, env } = findHaproxy();
    this.child = spawn(path, ['-db', '-f', file], { env, stdio: ['ignore', 'ignore', 'pipe'] });
    let stderr = '';
    this.child.stderr.setEncoding('utf8').on('data', (text) => { stderr += text; });
    this.ended = once(this.child, 'exit').then(() => stderr);
    await Promise.race([this.until((servers) => servers.every(({ status }) => status.startsWith('UP')), 'all are up'), this.ended.then((text) => { throw new Error(`HAProxy has ended: ${text}`); })]);
  }

  /** What is said of each server: its status (`UP`, `DOWN`, `DRAIN`, …) and weight. */
  async servers() {
    const text = await new Promise((resolve, reject) => {
      let all = '';
      net.connect(this.socket).setEncoding('utf8').on('data', (piece) => { all += piece; }).on('end', () => resolve(all)).on('error', reject).end('show stat\n');
    });
    const [head, ...lines] = text.replace(/^# /, '').trim().split('\n').map((line) => line.split(','));
    const column = (line, name) => line[head.indexOf(name)];
    return lines.filter((line) => /^tunnel\d/.test(column(line, 'svname'))).map((line) => ({ status: column(line, 'status'), weight: Number(column(line, 'weight')) }));
  }

  /** Waits for a state of the servers; gives the milliseconds that it took. */
  async until(check, what, patienceMs = PATIENCE_MS) {
    const began = performance.now();
    for (;;) {
      const servers = await this.servers().catch(() => undefined);
      const tookMs = performance.now() - began;
      if (servers !== undefined && check(servers)) return tookMs;
      if (tookMs > patienceMs) throw new Error(`not within ${patienceMs} ms: ${what} (${JSON.stringify(servers)})`);
      await sleep(20);
    }
  }

  async stop() {
    this.child?.kill('SIGKILL');
    await this.ended;
    this.log?.close();
  }
}
