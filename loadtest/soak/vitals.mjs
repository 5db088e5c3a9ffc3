// What a process holds, as the kernel counts it.
import { readdirSync, readFileSync } from 'node:fs';

const TICKS_PER_S = 100;
const SAMPLES = 5;
const BETWEEN_MS = 25;

const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}

const residentKib = (pid) => Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);

/** Resident memory (the median of a few looks: what was freed goes back a little later), descriptors, threads, CPU seconds. */
export async function vitalsOf(pid) {
  const samples = [];
  for (let count = 0; count < SAMPLES; count += 1) {
    await sleep(BETWEEN_MS);
    samples.push(residentKib(pid));
  }
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1).split(' ');
  return {
    rssMib: median(samples) / 1024,
    fds: readdirSync(`/proc/${pid}/fd`).length,
    threads: readdirSync(`/proc/${pid}/task`).length,
    cpuS: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_S,
  };
}
