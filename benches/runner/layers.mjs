// What a call of a Runner app costs JavaScript's thread, layer by layer: no network, no engine, batches of 64 calls as
// the engine brings them. `node benches/runner/layers.mjs` prints a table; FASTTUNNEL=folder measures another build's
// `dist/cjs`, ROUNDS=n more rounds. Each layer runs in a process of its own, because the first `AsyncLocalStorage.run`
// of a process makes every promise of it cost more from then on.
import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const require = createRequire(new URL('../../node-binding/package.json', import.meta.url));
const folder = process.env.FASTTUNNEL ?? fileURLToPath(new URL('../../node-binding/dist/cjs', import.meta.url));
const ours = (name) => require(`${folder}/${name}.js`);

const BATCH = 64;
const WARM_UP = 3_000;
const BATCHES = 8_000;
const add = async ({ a, b }) => a + b;

/** An app with one task, and what an exposure gets of it. */
async function runnerApp() {
  const { globals, r, run } = require('@bluelibs/runner/node');
  const task = r.task('app.tasks.add').run(add).build();
  const { store, taskRunner, eventManager, logger, serializer } = globals.resources;
  const app = r.resource('app').register([task]).dependencies({ store, taskRunner, eventManager, logger, serializer }).init(async (_config, services) => services).build();
  const { value } = await run(app, { logs: { printThreshold: null } });
  return { ...value, task, context: r.asyncContext('bench.context').build() };
}

/** The entry of `app.tasks.add` as the exposure makes it. */
async function runnerEntry() {
  const { store, taskRunner, serializer } = await runnerApp();
  const { runnerOf } = ours('runner/runtime');
  const runner = runnerOf(store);
  const { AsyncContexts } = ours('runner/async-contexts');
  const { ResultValues } = ours('runner/result-values');
  const { Failures } = ours('runner/failures');
  const { TaskEntry } = ours('runner/task-entry');
  const values = new ResultValues(serializer, runner);
  const failures = new Failures(runner, store, serializer, {});
  const provide = ours('runner/exposure-context').provideExposureContext({ runner, basePath: '/__runner', failures });
  const scope = { taskRunner, values, contexts: new AsyncContexts(store, serializer), failures, provide };
  return { entry: new TaskEntry('app.tasks.add', store.tasks.get('app.tasks.add'), true, scope), codec: values };
}

/** Runs batches through the bridge's own code, with nobody behind it. */
function bridged({ entry, codec }) {
  const { Calls } = ours('bridge/calls');
  const { AnswerBatch } = ours('bridge/answer-batch');
  const { HandlerIndex } = ours('bridge/handler-index');
  const { FLAG_INPUT, HEADER, LENGTH, PER_CALL } = ours('facts/facts.generated');
  const table = new Uint32Array(LENGTH);
  for (let call = 0; call < BATCH; call++) table.set([call, 0, FLAG_INPUT ?? 0], HEADER + call * PER_CALL);
  const handlers = new HandlerIndex();
  handlers.publish([entry], [0]);
  const onError = (error) => { throw error; };
  const answers = new AnswerBatch(codec, onError);
  let asked = false;
  let flushed = () => undefined;
  const flush = () => {
    asked = false;
    answers.take();
    if (answers.count !== BATCH) throw new Error(`${answers.count} answers`);
    flushed();
  };
  const calls = new Calls({
    native: {}, table, codec, handlers, answers, asks: {}, onError, files: {},
    askFlush: () => {
      if (asked) return;
      asked = true;
      queueMicrotask(() => process.nextTick(flush));
    },
  });
  // As the engine hands it over; engines of before did not cut out the input.
  const body = FLAG_INPUT === undefined ? '{"input":{"a":1,"b":2}}' : '{"a":1,"b":2}';
  const text = `[${Array(BATCH).fill(body).join()}]`;
  return () => new Promise((resolve) => {
    flushed = resolve;
    calls.run(text, BATCH);
  });
}

/** Runs batches of a function that returns a promise. */
function batched(call) {
  const input = { a: 1, b: 2 };
  return () => new Promise((resolve) => {
    let left = BATCH;
    const settled = () => { if (--left === 0) resolve(); };
    for (let index = 0; index < BATCH; index++) call(input).then(settled);
  });
}

const LAYERS = {
  'the handler': async () => batched(add),
  'Runner: taskRunner.run': async () => {
    const { taskRunner, task } = await runnerApp();
    return batched((input) => taskRunner.run(task, input));
  },
  'Runner: in a context': async () => {
    const { taskRunner, task, context } = await runnerApp();
    return batched((input) => context.provide(input, () => taskRunner.run(task, input)));
  },
  'the plain form': async () => bridged({ entry: { kind: 'task', id: 'add', run: add, streams: true }, codec: ours('values/codec').plainCodec }),
  'the plain form, hooks on': async () => {
    const { AsyncLocalStorage } = require('node:async_hooks');
    new AsyncLocalStorage().run({}, () => undefined);
    return bridged({ entry: { kind: 'task', id: 'add', run: add, streams: true }, codec: ours('values/codec').plainCodec });
  },
  'the Runner form': async () => bridged(await runnerEntry()),
};

/** Nanoseconds of this thread's CPU for one call. */
async function measure(layer) {
  const batch = await LAYERS[layer]();
  for (let round = 0; round < WARM_UP; round++) await batch();
  const before = process.cpuUsage();
  for (let round = 0; round < BATCHES; round++) await batch();
  const { user, system } = process.cpuUsage(before);
  return ((user + system) * 1000) / (BATCHES * BATCH);
}

const [layer] = process.argv.slice(2);
if (layer !== undefined) {
  console.log(await measure(layer));
} else {
  const rounds = Number(process.env.ROUNDS ?? 3);
  for (const name of Object.keys(LAYERS)) {
    const runs = Array.from({ length: rounds }, () => Number(execFileSync(process.execPath, [fileURLToPath(import.meta.url), name], { encoding: 'utf8' })));
    runs.sort((a, b) => a - b);
    console.log(`${name.padEnd(28)} ${runs.map((run) => run.toFixed(0).padStart(6)).join('')}  ns`);
  }
}
