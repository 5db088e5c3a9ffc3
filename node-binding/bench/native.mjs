// The native utilities beside what Node has for the same: `make bench-native`. Each figure is the best of rounds in which both
// take turns, which other work of the machine disturbs least; files are in the page cache.
import { execFile } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { lstat, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';
import { parseArgs, promisify } from 'node:util';
import * as native from 'fasttunnel/native';

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '9' }, entries: { type: 'string', default: '100000' }, mib: { type: 'string', default: '1024' }, smoke: { type: 'boolean', default: false } } });
const rounds = values.smoke ? 1 : Number(values.rounds);
const entries = values.smoke ? 1000 : Number(values.entries);
const large = (values.smoke ? 8 : Number(values.mib)) * 2 ** 20;
const times = (count) => (values.smoke ? 2 : count);

const run = promisify(execFile);
const folder = await mkdtemp(join(process.env.FASTTUNNEL_BENCH_DIR ?? tmpdir(), 'fasttunnel-native-'));
const file = (name) => join(folder, name);

/** Does `work` `count` times, `at` of them at a time. */
async function repeat(count, at, work) {
  let left = count;
  await Promise.all(Array.from({ length: at }, async () => { while (left-- > 0) await work(); }));
}

/** Milliseconds that one takes, processor time that it takes of this process, and the longest that the event loop stood still meanwhile. */
async function measure(count, at, work) {
  let stood = 0;
  let last = performance.now();
  const timer = setInterval(() => { const now = performance.now(); stood = Math.max(stood, now - last - 1); last = now; }, 1);
  const cpu = process.cpuUsage();
  const start = performance.now();
  await repeat(count, at, work);
  const took = (performance.now() - start) / count;
  const { user, system } = process.cpuUsage(cpu);
  clearInterval(timer);
  return { took, cpu: (user + system) / 1000 / count, stood: Math.max(stood, performance.now() - last - 1) };
}

const shown = (ms) => (ms < 0.9995 ? `${(ms * 1000).toFixed(0)} µs` : ms < 100 ? `${ms.toFixed(2)} ms` : `${ms.toFixed(0)} ms`);

async function compare(name, count, at, theirs, ours) {
  const best = { theirs: { took: Infinity, cpu: Infinity, stood: Infinity }, ours: { took: Infinity, cpu: Infinity, stood: Infinity } };
  await theirs();
  await ours();
  for (let round = 0; round < rounds; round += 1) {
    for (const [side, work] of round % 2 === 0 ? [['theirs', theirs], ['ours', ours]] : [['ours', ours], ['theirs', theirs]]) {
      globalThis.gc?.();
      const seen = await measure(times(count), at, work);
      for (const of of Object.keys(seen)) best[side][of] = Math.min(best[side][of], seen[of]);
    }
  }
  const { theirs: a, ours: b } = best;
  console.log(`| ${name} | ${shown(a.took)} | ${shown(b.took)} | ${(a.took / b.took).toFixed(2)}x | ${shown(a.cpu)} | ${shown(b.cpu)} | ${shown(a.stood)} | ${shown(b.stood)} |`);
}

try {
  await writeFile(file('1k'), Buffer.alloc(1024, 'a'));
  await writeFile(file('1m'), Buffer.alloc(2 ** 20, 'a'));
  const stream = createWriteStream(file('large'));
  for (let written = 0; written < large; written += 2 ** 20) if (!stream.write(Buffer.alloc(2 ** 20, 'b'))) await once(stream, 'drain');
  stream.end();
  await once(stream, 'finish');
  await mkdir(file('many'));
  for (let entry = 0; entry < entries; entry += 1000) await Promise.all(Array.from({ length: 1000 }, (_, index) => writeFile(file(`many/entry-${entry + index}`), '')));

  console.log(`Node ${process.version}, ${availableParallelism()} cores, ${cpus()[0]?.model.trim()}, best of ${rounds} rounds\n`);
  console.log('| operation | Node | native | | CPU, Node | native | event loop stands still, Node | native |\n|---|---|---|---|---|---|---|---|');
  await compare('run `true`', 20, 1, () => run('true'), () => native.executeCommand('true'));
  await compare('run `true`, 20 at a time', 40, 20, () => run('true'), () => native.executeCommand('true'));
  await compare('read 1 KiB, one after the other', 400, 1, () => readFile(file('1k')), () => native.readFile(file('1k')));
  await compare('read 1 KiB, 50 at a time', 1000, 50, () => readFile(file('1k')), () => native.readFile(file('1k')));
  await compare('read 1 MiB', 40, 1, () => readFile(file('1m')), () => native.readFile(file('1m')));
  await compare(`read ${large / 2 ** 20} MiB`, 1, 1, () => readFile(file('large')), () => native.readFile(file('large')));
  const [kib, mib] = [Buffer.alloc(1024, 'c'), Buffer.alloc(2 ** 20, 'c')];
  let number = 0;
  const renamed = (data) => async () => { const beside = file(`${number++}.tmp`); await writeFile(beside, data); await rename(beside, file('written')); };
  await compare('write 1 KiB and rename', 100, 1, renamed(kib), () => native.writeFile(file('written'), kib));
  await compare('write 1 MiB and rename', 20, 1, renamed(mib), () => native.writeFile(file('written'), mib));
  await compare(`list ${entries} entries, \`readdir\` without sizes and times`, 1, 1, () => readdir(file('many'), { withFileTypes: true }), () => native.listDirectory(file('many')));
  const listed = async () => {
    const found = await readdir(file('many'), { withFileTypes: true });
    await repeat(found.length, 16, () => lstat(file(`many/${found.pop().name}`)));
  };
  await compare(`list ${entries} entries, \`readdir\` and \`lstat\`, 16 at a time`, 1, 1, listed, () => native.listDirectory(file('many')));
  // As a process with data has it: what its own start of a program costs grows with it.
  const data = Buffer.alloc(large, 1);
  await compare(`run \`true\`, with ${data.length / 2 ** 20} MiB in memory`, 5, 1, () => run('true'), () => native.executeCommand('true'));
} finally {
  await rm(folder, { recursive: true, force: true });
}
