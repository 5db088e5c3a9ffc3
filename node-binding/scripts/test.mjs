// Runs the JS tests: `node scripts/test.mjs [name ...]`, a name being that of a file without `.test.mjs`. Two files at a time,
// each a process of its own, because most of them wait; then, one by one, those that need the machine to themselves. A file
// that has failed beside another gets the machine to itself once, which decides; that it had to is told at the end.
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const FOLDER = fileURLToPath(new URL('..', import.meta.url));
const AT_ONCE = 2;

/** Runs that measure times or memory within narrow bounds, or fill every core: nothing runs beside them. */
const ALONE = [
  'attacks', 'client-attacks', 'client-spread', 'flooding', 'health', 'health, inline', 'http2-attacks', 'inline', 'limits-load', 'limits-load, inline', 'memory', 'overload', 'overload, inline', 'proxy-soak', 'soak', 'stats', 'stats, inline',
  // A client that sends no more has its answer within 100 ms, or goes without.
  'tls, inline',
];

/** The longest runs, in an order in which no two of a kind meet: what begins last is what everything else has to wait for. */
const FIRST = ['vectors', 'golden', 'golden, inline', 'vectors, inline', 'limits-times'];

/** What runs a second time where the event loop turns the shard. */
const INLINE = ['golden', 'vectors', 'limits', 'limits-bodies', 'limits-load', 'isolation', 'failing-shards', 'tls', 'stats', 'health', 'overload'];

const all = readdirSync(`${FOLDER}/test`).filter((name) => name.endsWith('.test.mjs')).map((name) => name.replace('.test.mjs', '')).sort();
const asked = process.argv.slice(2);
for (const name of [...INLINE, ...asked]) if (!all.includes(name)) throw new Error(`there is no test/${name}.test.mjs`);

const every = [
  ...all.map((name) => ({ name, title: name, env: {} })),
  ...INLINE.map((name) => ({ name, title: `${name}, inline`, env: { FASTTUNNEL_TEST_PLACEMENT: 'inline' } })),
];
for (const title of [...ALONE, ...FIRST]) if (!every.some((job) => job.title === title)) throw new Error(`there is no run ${title}`);
const jobs = every.filter(({ name }) => asked.length === 0 || asked.includes(name));

/** Longer than any run takes: one that hangs is ended, and what it has said until then is printed. */
const LONGEST_MS = 15 * 60_000;

/** What a file has said is printed when it has ended: two that run at a time do not mix. */
function run({ name, env }) {
  const child = spawn(process.execPath, ['--expose-gc', '--test', '--test-reporter=spec', `test/${name}.test.mjs`], { cwd: FOLDER, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => { said += text; });
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    // The runner ends its file by SIGTERM, and says which tests were under way.
    child.kill('SIGTERM');
    setTimeout(() => child.kill('SIGKILL'), 5000).unref();
  }, LONGEST_MS);
  return new Promise((resolve) => {
    const conclude = (code, signal) => {
      clearTimeout(timer);
      resolve({ ok: code === 0 && !late, said, end: late ? `ended after ${LONGEST_MS / 60_000} minutes` : signal ?? code });
    };
    child.once('error', (error) => conclude(error.code, null));
    child.once('close', conclude);
    // What a test has left running may keep the pipes open for ever.
    child.once('exit', (code, signal) => setTimeout(() => {
      child.stdout.destroy();
      child.stderr.destroy();
      conclude(code, signal);
    }, 10_000).unref());
  });
}

const totals = { tests: 0, pass: 0, fail: 0, cancelled: 0, skipped: 0 };
const failed = [];
const seconds = (since) => ((performance.now() - since) / 1000).toFixed(1);

/** Runs what is queued. Those that fail go into `again`, if there is one. */
async function take(queue, again) {
  for (let job = queue.shift(); job !== undefined; job = queue.shift()) {
    const began = performance.now();
    const { ok, said, end } = await run(job);
    console.log(`== ${job.title}: ${ok ? 'passed' : `FAILED (${end})`} after ${seconds(began)} s\n${said}`);
    if (!ok && again !== undefined) {
      again.push(job);
      continue;
    }
    for (const name of Object.keys(totals)) totals[name] += Number(new RegExp(`^ℹ ${name} (\\d+)$`, 'm').exec(said)?.[1] ?? 0);
    if (!ok) failed.push(job.title);
  }
}

const began = performance.now();
const rank = ({ title }) => (FIRST.includes(title) ? FIRST.indexOf(title) : FIRST.length);
const beside = jobs.filter(({ title }) => !ALONE.includes(title)).sort((a, b) => rank(a) - rank(b));
const again = [];
await Promise.all(Array.from({ length: AT_ONCE }, () => take(beside, again)));
const shared = seconds(began);
const repeated = again.map(({ title }) => title);
await take([...again, ...jobs.filter(({ title }) => ALONE.includes(title))]);
console.log(`${jobs.length} runs in ${seconds(began)} s, of which ${shared} s two at a time: ${Object.entries(totals).map(([name, count]) => `${count} ${name}`).join(', ')}`);
if (repeated.length > 0) console.log(`run again by themselves: ${repeated.join('; ')}`);
if (failed.length > 0) {
  console.error(`failed: ${failed.join('; ')}`);
  process.exitCode = 1;
}
