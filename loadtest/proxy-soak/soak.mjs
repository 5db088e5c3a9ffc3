// Rounds of mixed traffic through proxies in a process of their own. Between two rounds everything comes to rest, the books of both sides are compared,
// and memory is measured.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createLocalCA } from '../../node-binding/dist/esm/proxy/index.mjs';
import { certificateFolder } from '../attacks/servers/certificate.mjs';
import { WARM_UP_SHARE } from '../soak/assess.mjs';
import { Dice } from '../soak/dice.mjs';
import { Ledger } from '../soak/ledger.mjs';
import { vitalsOf } from '../soak/vitals.mjs';
import { ROUTES } from './asks.mjs';
import { ROUTED, UNROUTED } from './behaviours.mjs';
import { checkBooks } from './books.mjs';
import { Late, Life } from './life.mjs';
import { openServers } from './servers.mjs';
import { watchStarving } from './starved.mjs';

const PROGRAM = fileURLToPath(new URL('proxies.mjs', import.meta.url));
const NAMES = ['localhost', ...ROUTES.map(({ domainSuffix }) => `*.${domainSuffix}`)].map((name) => `DNS:${name}`).join();
const LIMITS = { answerTimeoutMs: 2000, idleUpstreamTimeoutMs: 300 };

/** Clients while it warms up, for one of later: buffers and pools grow to what they will ever be soon, not by chance later. */
const WARM_UP_CROWD = 2;

/** The soak has found something. */
export class SoakError extends Error {}

/** Starts the proxies: `{ pid, driver, ports, lostMs(), does(what, message), died, kill() }`. */
async function startProxies(options, tls) {
  const child = fork(PROGRAM, { execArgv: ['--expose-gc'], env: { ...process.env, SOAK: JSON.stringify({ options, tls }) }, stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
  let [stderr, last] = ['', 0];
  child.stderr.setEncoding('utf8').on('data', (text) => { stderr = (stderr + text).slice(-4000); });
  const died = once(child, 'exit').then(([code, signal]) => { throw new SoakError(`the proxies ended (${code ?? signal})\n${stderr}`); });
  died.catch(() => {});
  const [first] = await Promise.race([once(child, 'message'), died]);
  const asked = new Map();
  child.on('message', ({ number, answer }) => {
    asked.get(number)(answer);
    asked.delete(number);
  });
  const does = (what, message = {}) => Promise.race([died, new Promise((resolve) => {
    const number = (last += 1);
    asked.set(number, resolve);
    child.send({ number, does: what, ...message });
  })]);
  const lostMs = watchStarving(child.pid);
  const kill = () => {
    lostMs.stop();
    child.kill('SIGKILL');
  };
  return { pid: child.pid, ...first, lostMs, does, died, kill };
}

/**
 * Runs a soak, until so many seconds are over and so many clients have come; resolves with what it has seen, rejects with a SoakError at the first thing
 * that is wrong. `log` gets a line a round.
 */
export async function soak({ driver = 'auto', shards = 2, seed, seconds, roundSeconds = Math.min(10, seconds / 10), clients = 32, leastContexts = 0, log = () => {} }) {
  const [ledger, faults] = [new Ledger(), []];
  const folder = certificateFolder(NAMES, 'basicConstraints=critical,CA:FALSE');
  const pem = { cert: readFileSync(join(folder, 'own.crt'), 'utf8'), key: readFileSync(join(folder, 'own.key'), 'utf8') };
  const localCa = createLocalCA();
  const servers = await openServers(pem, (id) => ledger.ran(id), (text) => { if (faults.length < 20) faults.push(text); });
  const hosts = Object.fromEntries(ROUTES.map(({ domainSuffix }, at) => [`*.${domainSuffix}`, `127.0.0.1:${servers.ports[['secure', 'http2'][at]]}`]));
  const proxy = await startProxies({ port: 0, driver, shards, hosts, ca: pem.cert, interceptTls: localCa, addresses: { loopback: true }, deny: ['denied.test'], limits: LIMITS }, pem);
  const tally = { opened: 0, late: 0, contexts: 0, kinds: {}, statuses: {}, behaviours: {} };
  const rounds = [];
  let [going, failure] = [false];
  const fail = (name, error) => {
    failure ??= error instanceof SoakError ? error : new SoakError(`${name}: ${error.stack}`);
    going = false;
  };
  proxy.died.catch((error) => fail('proxies', error));
  /** One client: its plan depends on nothing but its number. */
  const live = async (name, dice) => {
    const place = dice.pick(['clear', 'tls']);
    const route = dice.pick([undefined, ...ROUTES]);
    const behave = dice.weighed(route === undefined ? UNROUTED : ROUTED);
    tally.behaviours[behave.name] = (tally.behaviours[behave.name] ?? 0) + 1;
    const context = await proxy.does('create', { place, route });
    tally.contexts += 1;
    const who = { id: context.id, proof: Life.proofOf(context), route };
    const life = new Life({ proxy, place, who, dice, ports: proxy.ports, servers: servers.ports, ca: localCa.cert, ledger, tally, name });
    try {
      await behave(life).catch((error) => {
        if (!(error instanceof Late)) throw error;
        tally.late += 1;
        life.giveUp();
      });
      const stats = await proxy.does('release', { place, id: context.id });
      if (stats !== undefined && life.asked !== undefined) life.must(stats.requests === life.asked, `its context has counted ${stats.requests} requests, of ${life.asked}`);
    } catch (error) {
      throw new SoakError(`${name}, ${behave.name}, ${place}, ${route?.domainSuffix ?? 'no route'}: ${error.stack}`);
    }
  };
  const counts = Array(clients * WARM_UP_CROWD).fill(0);
  const client = async (index) => {
    while (going) {
      const number = (counts[index] += 1);
      await live(`c${index}.${number}`, new Dice(seed, index, number)).catch((error) => fail(`client ${index}`, error));
    }
  };
  try {
    const started = performance.now();
    for (let part = 0; (part < 1 || tally.contexts < leastContexts || rounds.every((round) => round.warmsUp)) && failure === undefined; part = (performance.now() - started) / 1000 / seconds) {
      going = true;
      const warmsUp = part < WARM_UP_SHARE;
      const timer = setTimeout(() => { going = false; }, roundSeconds * 1000);
      await Promise.all(Array.from({ length: warmsUp ? clients * WARM_UP_CROWD : clients }, (_, index) => client(index)));
      clearTimeout(timer);
      if (failure !== undefined) break;
      const resting = await proxy.does('rest');
      for (let tries = 0; servers.open().length > 0 && tries < 500; tries += 1) await new Promise((resolve) => { setTimeout(resolve, 10); });
      const wrong = [...checkBooks(resting, tally, servers.open()), ...resting.faults, ...faults, ...ledger.close()];
      const vitals = await vitalsOf(proxy.pid);
      if (wrong.length > 0) throw new SoakError(`round ${rounds.length + 1}:\n  ${wrong.slice(0, 10).join('\n  ')}\n  ${[resting, tally, vitals].map((part) => JSON.stringify(part)).join('\n  ')}`);
      rounds.push({ warmsUp, ...vitals, heapMib: resting.heapUsed / 2 ** 20, total: resting.total });
      log(progress(rounds, tally));
    }
    if (failure !== undefined) throw failure;
    const { fds, threads } = await vitalsOf(proxy.pid);
    await proxy.does('stop');
    return { driver: proxy.driver, seed, rounds, tally, total: rounds.at(-1).total, end: { fds, threads } };
  } catch (error) {
    error.message += `\n  again: node loadtest/proxy-soak/run.mjs --seed ${seed} --driver ${driver} --shards ${shards} --seconds ${seconds} --round ${roundSeconds} --clients ${clients}`;
    throw error;
  } finally {
    going = false;
    proxy.kill();
    servers.close();
  }
}

/** Answers that were checked. */
export const answersOf = ({ kinds }) => Object.values(kinds).reduce((sum, count) => sum + count, 0);

function progress(rounds, tally) {
  const { rssMib, heapMib, fds, threads, cpuS, total } = rounds.at(-1);
  const list = (counts) => Object.entries(counts).sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, count]) => `${name} ${count}`).join(', ');
  return `round ${rounds.length}: ${answersOf(tally)} answers on ${tally.opened} connections of ${tally.contexts} contexts, ${tally.late} late (${list(tally.kinds)}); statuses ${list(tally.statuses)}; ${total.requests} requests; `
    + `RSS ${rssMib.toFixed(1)} MiB, heap ${heapMib.toFixed(1)}, fds ${fds}, threads ${threads}, CPU ${cpuS.toFixed(1)} s`;
}
