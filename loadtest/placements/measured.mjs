// What was measured: every round of every server under every load, and what their medians say.
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CORES, pinned } from './servers.mjs';

const IDLE_MS = 2000;
/** Ticks of `/proc/<pid>/stat` in a second. */
const TICKS = 100;

const median = (numbers) => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)];
const shown = (number, digits) => (number === undefined ? '–' : number.toFixed(digits));

/** Processor time of a process with all its threads, in milliseconds. */
function cpuMs(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ');
  return ((Number(fields[11]) + Number(fields[12])) / TICKS) * 1000;
}

export class Measured {
  #options;
  /** By cores, server and connections. */
  #rounds = new Map();
  #idle = new Map();

  constructor(options) {
    this.#options = options;
  }

  /** One round. */
  async load({ name, port, token }, cores, connections) {
    const { binaries, 'warmup-s': warmup, 'duration-s': duration } = this.#options;
    const folder = mkdtempSync(join(tmpdir(), 'placements-'));
    const file = join(folder, 'result.json');
    const own = [`${binaries}/loadtest`, 'add', `http://127.0.0.1:${port}/__runner`, '--connections', String(connections), '--warmup-s', warmup, '--duration-s', duration, '--json', file, ...(token === undefined ? [] : ['--token', token])];
    const [command, ...args] = cores === 'one' ? [...pinned(CORES.generator), ...own] : own;
    try {
      await new Promise((resolve, reject) => execFile(command, args, (error, _stdout, stderr) => (error === null ? resolve() : reject(new Error(`${name}, ${connections} connections: ${stderr}`)))));
      const { answers_per_s: perS, latency_us: latency, server, generator } = JSON.parse(readFileSync(file, 'utf8'));
      const quantile = (wanted) => latency.quantiles.find(([one]) => one === wanted)[1];
      const round = { perS, cpuUs: server.cpu_us_per_answer, p50Us: quantile(0.5), p99Us: quantile(0.99), limit: generator.limit, restCores: generator.rest_of_the_machine_cores };
      console.error(`${cores}, ${connections} connections, ${name}: ${JSON.stringify(round)}`);
      const key = `${cores} ${name} ${connections}`;
      this.#rounds.set(key, [...(this.#rounds.get(key) ?? []), round]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  }

  /** What a server costs that nobody calls, after it was called. */
  async idle({ name, pid }, cores) {
    const before = cpuMs(pid);
    await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
    this.#idle.set(`${cores} ${name}`, (cpuMs(pid) - before) / (IDLE_MS / 1000));
  }

  /** The median of a figure over the rounds; undefined where there are none. */
  of(cores, name, connections, figure) {
    const rounds = this.#rounds.get(`${cores} ${name} ${connections}`);
    return rounds && median(rounds.map((round) => round[figure]));
  }

  /** Milliseconds of processor time in an idle second. */
  idleOf(cores, name) {
    return this.#idle.get(`${cores} ${name}`);
  }

  /** How many rounds say that not the server was the limit, and on how many the machine had other work. */
  #doubts(cores, name, connections) {
    const rounds = this.#rounds.get(`${cores} ${name} ${connections}`) ?? [];
    const limited = rounds.filter(({ limit }) => limit !== 'server').length;
    const disturbed = rounds.filter(({ restCores }) => restCores > 0.1).length;
    return `${limited}, ${disturbed} of ${rounds.length}`;
  }

  /** Medians as Markdown. */
  table(cores) {
    const loads = this.#options.connections.split(',');
    const line = (cells) => `| ${cells.join(' | ')} |`;
    const heads = loads.flatMap((load) => [`add/s, ${load}`, `CPU µs/request, ${load}`, `p50 µs, ${load}`, `p99 µs, ${load}`, `generator the limit, machine busy, ${load}`]);
    const rows = this.#options.servers.split(',').map((name) => {
      const figures = loads.flatMap((load) => [
        shown(this.of(cores, name, load, 'perS'), 0), shown(this.of(cores, name, load, 'cpuUs'), 2),
        shown(this.of(cores, name, load, 'p50Us'), 0), shown(this.of(cores, name, load, 'p99Us'), 0), this.#doubts(cores, name, load),
      ]);
      return line([name, ...figures, shown(this.idleOf(cores, name), 0)]);
    });
    const head = ['server', ...heads, 'idle CPU ms/s'];
    return [line(head), line(head.map(() => '---')), ...rows].join('\n');
  }
}
