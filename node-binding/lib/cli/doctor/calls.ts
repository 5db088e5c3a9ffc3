// The proof: a tunnel on each driver, and a call that it answers.
import { randomBytes } from 'node:crypto';
import { TOKEN_HEADER } from '../../facts/facts.generated.js';
import { TunnelServer } from '../../tunnel/server.js';
import { ask, textOf } from '../exchange.js';
import { asTarget } from '../target.js';
import type { CallReport, DriverReport } from './report.js';

const ID = 'doctor.add';
const WAIT_MS = 5000;

/** Starts a tunnel on a driver and calls it. Never rejects. */
export async function tryCall(driver: CallReport['driver']): Promise<CallReport> {
  const started = performance.now();
  try {
    await withTunnel(driver, 1, async ({ url }, token) => {
      const target = asTarget(url);
      const answer = await ask(target, { path: `${target.basePath}/task/${ID}`, headers: { 'content-type': 'application/json', [TOKEN_HEADER]: token }, body: '{"input":{"a":1,"b":2}}', timeoutMs: WAIT_MS });
      const text = await textOf(target, answer);
      if (text !== '{"ok":true,"result":3}') throw new Error(`the answer is ${answer.statusCode} ${text}`);
    });
    return { driver, ok: true, ms: Math.round((performance.now() - started) * 10) / 10, error: null };
  } catch (error) {
    return { driver, ok: false, ms: null, error: error instanceof Error ? error.message : String(error) };
  }
}

/** What `driver: 'auto'` comes to with as many shards as it takes by itself. Rejects when nothing can be started. */
export async function chosenDriver(): Promise<Pick<DriverReport, 'name' | 'reason'>> {
  // On epoll the tunnel warns of it; here it is what is asked for.
  const warnings = process.listeners('warning');
  process.removeAllListeners('warning');
  try {
    return await withTunnel('auto', 0, async ({ driver, driverReason }) => {
      await new Promise(setImmediate);
      return { name: driver, reason: driverReason ?? null };
    });
  } finally {
    for (const listener of warnings) process.on('warning', listener);
  }
}

async function withTunnel<Result>(driver: 'auto' | CallReport['driver'], shards: number, body: (server: TunnelServer, token: string) => Promise<Result>): Promise<Result> {
  const token = randomBytes(16).toString('hex');
  const server = new TunnelServer({ driver, shards, auth: { token }, tasks: { [ID]: ({ a, b }: { a: number; b: number }) => a + b } });
  await server.listen();
  try {
    return await body(server, token);
  } finally {
    await server.close();
  }
}
