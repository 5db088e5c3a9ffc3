// Three tunnels behind one HAProxy under a constant load, and what is done to them. Every call is accounted for.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../attacks/servers/free-port.mjs';
import { Balancer } from './balancer.mjs';
import { balance } from './books.mjs';
import { Load } from './load.mjs';
import { PHASES } from './phases.mjs';
import { runsOf, Tunnel } from './tunnels.mjs';

const HOSTS = ['127.0.0.2', '127.0.0.3', '127.0.0.4'];

/** Runs the phases of these names: `{ calls, phases, measured, wrong }`. `settings`: see run.mjs. */
export async function fleet({ phases: names, settings, log = () => {} }) {
  const folder = mkdtempSync(join(tmpdir(), 'fasttunnel-fleet-'));
  const ledger = join(folder, 'ledger');
  const [port, adminPort, agentPort, frontend] = [await freePort(), await freePort(), await freePort(), await freePort()];
  const env = { LEDGER: ledger, PORT: String(port), ADMIN_PORT: String(adminPort), AGENT_PORT: String(agentPort), SERVICE_MS: String(settings.serviceMs), MOST_CALLS: String(settings.mostCalls), READINESS_MS: String(settings.readinessMs) };
  const tunnels = HOSTS.map((host) => new Tunnel(host, env));
  const balancer = new Balancer();
  const load = new Load({ port: frontend, rate: settings.rate });
  const measured = {};
  const wrong = [];
  try {
    await Promise.all(tunnels.map((tunnel) => tunnel.start()));
    await balancer.start(folder, { hosts: HOSTS, port, adminPort, agentPort, frontend, serverTimeoutMs: settings.serverTimeoutMs, slowStartMs: settings.slowStartMs });
    load.phase = 'calm';
    load.start();
    for (const [index, name] of names.entries()) {
      load.phase = names.indexOf(name) === index ? name : `${name} again`;
      const began = performance.now();
      measured[load.phase] = (await PHASES[name]({ tunnels, balancer, load, settings })) ?? {};
      log(`${load.phase}: ${Math.round(performance.now() - began)} ms, ${load.calls.length} calls so far ${JSON.stringify(measured[load.phase])}`);
    }
    await load.end();
    // What the balancer says of the last calls is on its way.
    await new Promise((resolve) => { setTimeout(resolve, 200); });
    const books = balance(load.calls, balancer.said, runsOf(ledger, load.calls.length));
    return { calls: load.calls, phases: books.phases, measured, wrong: [...wrong, ...books.wrong, ...faults(books.phases, measured, settings)] };
  } finally {
    await load.end();
    await balancer.stop();
    for (const { child } of tunnels) child?.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What is worse than it has to be. */
function faults(phases, measured, { mostCalls }) {
  const wrong = [];
  for (const name of ['calm', 'rolling', 'calm again']) {
    const phase = phases.get(name);
    // A machine that is busy with something else may make a tunnel refuse some; none of these has run.
    if (phase?.lost > 0) wrong.push(`${name}: ${phase.lost} calls are lost: ${JSON.stringify(phase.errors)}`);
  }
  const { killed } = Object.fromEntries(phases);
  // HAProxy does not say of a connection that ends without an answer which tunnel it was.
  if (killed !== undefined && (killed.lost > mostCalls || killed.at.size > 1)) wrong.push(`killed: ${killed.lost} calls lost at ${[...killed.at].join(', ')}, where ${mostCalls} at most were under way at the one that was killed`);
  for (const name of ['killed', 'cut', 'hangs']) if (measured[name]?.outMs > 2000) wrong.push(`${name}: out of rotation after ${Math.round(measured[name].outMs)} ms`);
  const [rest, overloaded] = [measured.rest?.goodput, measured.overloaded?.goodput];
  if (rest !== undefined && overloaded < 0.95 * rest) wrong.push(`overloaded: ${overloaded.toFixed(0)} answers a second, where the rest alone gives ${rest.toFixed(0)}`);
  return wrong;
}
