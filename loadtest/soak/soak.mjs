// Rounds of mixed traffic against a server in a process of its own. Between two rounds everything comes to rest, the books
// of both sides are compared, and memory is measured.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { WARM_UP_SHARE } from './assess.mjs';
import { BEHAVIOURS, Late, Life } from './behaviours.mjs';
import { checkBooks } from './books.mjs';
import { Dice } from './dice.mjs';
import { MAX_BODY_BYTES, smallExchange } from './exchanges.mjs';
import { Ledger } from './ledger.mjs';
import { vitalsOf } from './vitals.mjs';

const SERVER = fileURLToPath(new URL('server.mjs', import.meta.url));
const HANDLER_TIMEOUT_MS = 700;
const LIMITS = {
  maxBodyBytes: MAX_BODY_BYTES, handlerTimeoutMs: HANDLER_TIMEOUT_MS, headTimeoutMs: 1500,
  // Reached now and then by a crowd of pipelines.
  maxCallsInFlight: 240,
};

/** Clients while it warms up, for one of later: buffers and pools grow to what they will ever be soon, not by chance later. */
const WARM_UP_CROWD = 2;

/** Connections that live as long as the soak, silent but for one call a round. */
const SLEEPERS = 20;

/** The soak has found something. */
export class SoakError extends Error {}

/** Starts the server: `{ pid, port, driver, faults, ask(message), stop() }`. */
async function startServer({ driver, shards, placement, workers }, onBegun) {
  const faults = [];
  const child = spawn(process.execPath, ['--expose-gc', SERVER], {
    env: { ...process.env, DRIVER: driver, SHARDS: String(shards), PLACEMENT: placement, WORKERS: String(workers), LIMITS: JSON.stringify(LIMITS) },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text) => { stderr = (stderr + text).slice(-4000); });
  createInterface({ input: child.stdout }).on('line', (line) => (line.startsWith('!') ? faults.push(line.slice(1)) : onBegun(line)));
  const died = new Promise((_resolve, reject) => {
    child.once('exit', (code, signal) => reject(new SoakError(`the server ended (${code ?? signal})\n${stderr}`)));
  });
  died.catch(() => {});
  const ask = async (message) => {
    const answer = once(child, 'message');
    if (message !== undefined) child.send(message);
    return (await Promise.race([answer, died]))[0];
  };
  return { pid: child.pid, ...(await ask()), faults, ask, died, stop: () => ask({ stop: true }), kill: () => child.kill('SIGKILL'), stderr: () => stderr };
}

/** A connection that sleeps through the rounds. */
class Sleeper extends Life {
  async turn() {
    try {
      if (this.connection === undefined) await this.open();
      const made = this.next(smallExchange);
      void this.write(made.bytes);
      if (!(await this.answered(made))) throw this.wrong(made, 'the connection of a quiet client was ended');
    } catch (error) {
      if (!(error instanceof Late)) throw error;
      this.giveUp();
      this.connection = undefined;
      this.tally.late += 1;
      await this.turn();
    }
  }
}

/**
 * Runs a soak; resolves with what it has seen, rejects with a SoakError at the first thing that is wrong.
 * `log` gets a line a round.
 */
export async function soak({ driver = 'auto', placement = 'threads', shards = placement === 'inline' ? 1 : 2, workers = 0, seed, seconds, roundSeconds = Math.min(10, seconds / 10), clients = 48, log = () => {} }) {
  const ledger = new Ledger();
  const server = await startServer({ driver, shards, placement, workers }, (id) => ledger.ran(id));
  const tally = { opened: 0, fromHandlers: 0, broken: 0, late: 0, kinds: {}, statuses: {}, behaviours: {}, handlerTimeoutMs: HANDLER_TIMEOUT_MS };
  const rounds = [];
  let [going, failure] = [false];
  const fail = (name, error) => {
    failure ??= error instanceof SoakError ? error : new SoakError(`${name}: ${error.stack}`);
    going = false;
  };
  const lifeOf = (name, dice) => new Life({ port: server.port, dice, ledger, tally, name, going: () => going });
  const counts = Array(clients * WARM_UP_CROWD).fill(0);
  const client = async (index) => {
    while (going) {
      // The plan of a connection depends on nothing but its number.
      const number = (counts[index] += 1);
      const dice = new Dice(seed, index, number);
      const behave = dice.weighed(BEHAVIOURS);
      tally.behaviours[behave.name] = (tally.behaviours[behave.name] ?? 0) + 1;
      const life = lifeOf(`c${index}.${number}`, dice);
      await behave(life).catch((error) => {
        if (!(error instanceof Late)) return fail(`client ${index}, connection ${number}, ${behave.name}`, error);
        tally.late += 1;
        return life.giveUp();
      });
    }
  };
  const sleepers = Array.from({ length: SLEEPERS }, (_, index) => new Sleeper({ port: server.port, dice: new Dice(seed, -1 - index, 0), ledger, tally, name: `s${index}`, going: () => true }));
  server.died.catch((error) => fail('server', error));
  try {
    const started = performance.now();
    for (let part = 0; part < 1 && failure === undefined; part = (performance.now() - started) / 1000 / seconds) {
      going = true;
      const warmsUp = part < WARM_UP_SHARE;
      const timer = setTimeout(() => { going = false; }, roundSeconds * 1000);
      await Promise.all([...Array.from({ length: warmsUp ? clients * WARM_UP_CROWD : clients }, (_, index) => client(index)), ...sleepers.map((sleeper) => sleeper.turn().catch((error) => fail(sleeper.name, error)))]);
      clearTimeout(timer);
      if (failure !== undefined) break;
      const resting = await server.ask({ rest: SLEEPERS });
      const wrong = [...checkBooks(resting, tally, ledger), ...server.faults, ...ledger.close()];
      if (wrong.length > 0) throw new SoakError(`round ${rounds.length + 1}:\n  ${wrong.slice(0, 10).join('\n  ')}\n  ${JSON.stringify(resting.total)}\n  ${JSON.stringify(tally)}`);
      const vitals = await vitalsOf(server.pid);
      rounds.push({ warmsUp, ...vitals, heapMib: resting.heapUsed / 2 ** 20, buffersMib: resting.arrayBuffers / 2 ** 20 });
      log(progress(rounds, tally, resting.total));
    }
    if (failure !== undefined) throw failure;
    for (const { connection } of sleepers) connection.destroy();
    const empty = await server.ask({ rest: 0 });
    const { fds, threads } = await vitalsOf(server.pid);
    if (!empty.quiet) throw new SoakError(`the server does not come to rest: ${JSON.stringify(empty)}`);
    await server.stop();
    return { driver: server.driver, seed, rounds, tally, total: empty.total, end: { fds: fds + SLEEPERS, threads } };
  } catch (error) {
    error.message += `\n  again: node loadtest/soak/run.mjs --seed ${seed} --driver ${driver} --placement ${placement} --shards ${shards} --workers ${workers} --seconds ${seconds} --round ${roundSeconds} --clients ${clients}\n${server.stderr()}`;
    throw error;
  } finally {
    going = false;
    server.kill();
  }
}

function progress(rounds, tally, total) {
  const { rssMib, heapMib, fds, threads, cpuS } = rounds.at(-1);
  const list = (counts) => Object.entries(counts).sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, count]) => `${name} ${count}`).join(', ');
  const answers = Object.values(tally.kinds).reduce((sum, count) => sum + count, 0);
  return `round ${rounds.length}: ${answers} answers on ${tally.opened} connections, ${tally.late} of clients that were late (${list(tally.kinds)}); statuses ${list(tally.statuses)}; calls ${total.calls}, abandoned ${total.abandoned}; `
    + `RSS ${rssMib.toFixed(1)} MiB, heap ${heapMib.toFixed(1)}, fds ${fds}, threads ${threads}, CPU ${cpuS.toFixed(1)} s`;
}
