// Runs the JS tests: `node scripts/test.mjs [name ...]`, a name being that of a file without `.test.mjs`. Two files at a time,
// each a process of its own, because most of them wait; then, one by one, those that need the machine to themselves.
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const FOLDER = fileURLToPath(new URL('..', import.meta.url));
const AT_ONCE = 2;

/** Files that measure times or memory within narrow bounds, or fill every core: nothing runs beside them. */
const ALONE = ['attacks', 'client-attacks', 'client-spread', 'flooding', 'health', 'http2-attacks', 'inline', 'limits-load', 'memory', 'overload', 'soak', 'stats'];

/** The longest runs, in an order in which no two of a kind meet: what begins last is what everything else has to wait for. */
const FIRST = ['vectors', 'golden', 'golden, inline', 'vectors, inline', 'limits-times'];

/** What runs a second time where the event loop turns the shard. */
const INLINE = ['golden', 'vectors', 'limits', 'limits-bodies', 'isolation', 'failing-shards', 'tls'];

const all = readdirSync(`${FOLDER}/test`).filter((name) => name.endsWith('.test.mjs')).map((name) => name.replace('.test.mjs', '')).sort();
const asked = process.argv.slice(2);
for (const name of [...ALONE, ...INLINE, ...asked]) if (!all.includes(name)) throw new Error(`there is no test/${name}.test.mjs`);

const jobs = [
  ...all.map((name) => ({ name, title: name, env: {}, alone: ALONE.includes(name) })),
  ...INLINE.map((name) => ({ name, title: `${name}, inline`, env: { FASTTUNNEL_TEST_PLACEMENT: 'inline' }, alone: ALONE.includes(name) })),
].filter(({ name }) => asked.length === 0 || asked.includes(name));

/** What a file has said is printed when it has ended: two that run at a time do not mix. */
function run({ name, env }) {
  const child = spawn(process.execPath, ['--expose-gc', '--test', '--test-reporter=spec', `test/${name}.test.mjs`], { cwd: FOLDER, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => { said += text; });
  return new Promise((resolve) => child.once('close', (code, signal) => resolve({ ok: code === 0, said, end: signal ?? code })));
}

const totals = { tests: 0, pass: 0, fail: 0, cancelled: 0, skipped: 0 };
const failed = [];
const seconds = (since) => ((performance.now() - since) / 1000).toFixed(1);

async function take(queue) {
  for (let job = queue.shift(); job !== undefined; job = queue.shift()) {
    const began = performance.now();
    const { ok, said, end } = await run(job);
    console.log(`== ${job.title}: ${ok ? 'passed' : `FAILED (${end})`} after ${seconds(began)} s\n${said}`);
    for (const name of Object.keys(totals)) totals[name] += Number(new RegExp(`^ℹ ${name} (\\d+)$`, 'm').exec(said)?.[1] ?? 0);
    if (!ok) failed.push(job.title);
  }
}

const began = performance.now();
const rank = ({ title }) => (FIRST.includes(title) ? FIRST.indexOf(title) : FIRST.length);
const beside = jobs.filter(({ alone }) => !alone).sort((a, b) => rank(a) - rank(b));
await Promise.all(Array.from({ length: AT_ONCE }, () => take(beside)));
const shared = seconds(began);
await take(jobs.filter(({ alone }) => alone));
console.log(`${jobs.length} runs in ${seconds(began)} s, of which ${shared} s two at a time: ${Object.entries(totals).map(([name, count]) => `${count} ${name}`).join(', ')}`);
if (failed.length > 0) {
  console.error(`failed: ${failed.join('; ')}`);
  process.exitCode = 1;
}
