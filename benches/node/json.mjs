// V8's JSON.parse over the bodies of `json.rs`, in its units: one by one, and 64 as one array, as the bridge parses them.
// `make bench-v8`
import assert from 'node:assert/strict';
import { median, print, smoke } from './measure.mjs';

// In the order of keys in which serde_json writes them.
const item = { id: 12345, name: 'A product name', ok: true, price: 19.99, tags: ['a', 'b'] };
const products = (count) => JSON.stringify({ input: Array(count).fill(item) });
const bodies = {
  '23 B': '{"input":{"a":1,"b":2}}',
  '79 B': JSON.stringify({ input: { cursor: null, limit: 20, query: 'hello world', userId: 'u_123456' } }),
  '1 kB': products(13),
  '10 kB': products(126),
  '10 kB text': JSON.stringify({ input: 'lorem ipsum dolor sit amet '.repeat(380) }),
  '64 kB': products(828),
};

/** 1024 small bodies, no two alike: those of `json.rs`, but for numbers like 7.0, which JSON.stringify writes as 7. */
function differentBodies() {
  let state = 1n;
  const below = (bound) => {
    state = BigInt.asUintN(64, state * 6364136223846793005n + 1442695040888963407n);
    return Number((state >> 33n) % BigInt(bound));
  };
  const values = [() => below(1_000_000), () => below(1_000_000) / 100, () => 'text '.repeat(below(12)), () => ({ id: below(99), tags: Array(below(4)).fill('a') }), () => below(2) === 0, () => null];
  return Array.from({ length: 1024 }, () => {
    const input = {};
    for (let field = 0, fields = 1 + below(6); field < fields; field++) {
      const value = values[below(6)]();
      input[`${'name'.repeat(1 + below(3))}${field}`] = value;
    }
    return JSON.stringify({ input });
  });
}

/** Strings as the bridge's native call makes them: flat, one byte a character, and not seen before. */
const flat = (text) => Buffer.from(text, 'latin1').toString('latin1');
const BATCH = 64;
/** Enough of them that no text is at hand because it was parsed a moment ago. */
const COPIES = 16;

/** Microseconds a call of `work`, median of 15 samples. */
function time(work) {
  const sampleMs = smoke ? 0 : 60;
  const run = (count) => {
    const started = performance.now();
    for (let call = 0; call < count; call++) work(call);
    return performance.now() - started;
  };
  let count = 1;
  while (run(count) < sampleMs / 4) count *= 2;
  const samples = Array.from({ length: smoke ? 1 : 15 }, () => (run(count) * 1000) / count);
  return median(samples);
}

let sink;
const shown = (us) => (us < 1 ? `${(us * 1000).toFixed(us < 0.1 ? 1 : 0)} ns` : `${us.toFixed(us < 100 ? 1 : 0)} us`);
const rows = Object.entries(bodies).map(([name, body]) => {
  const alone = Array.from({ length: COPIES }, () => flat(body));
  const together = Array.from({ length: body.length > 5000 ? 1 : COPIES }, () => flat(`[${Array(BATCH).fill(body).join(',')}]`));
  assert.deepEqual(JSON.parse(together[0]), Array(BATCH).fill(JSON.parse(body)));
  const each = time((call) => { sink = JSON.parse(alone[call % COPIES]); });
  const batch = time((call) => { sink = JSON.parse(together[call % together.length]); });
  return [`json/JSON.parse/${name}`, shown(each), shown(batch / BATCH)];
});
const different = differentBodies();
const alone = different.map(flat);
const together = Array.from({ length: 1024 / BATCH }, (_, batch) => flat(`[${different.slice(batch * BATCH, (batch + 1) * BATCH).join(',')}]`));
rows.push([
  'json/1024 different/JSON.parse',
  shown(time(() => { for (const body of alone) sink = JSON.parse(body); })),
  shown(time(() => { for (const batch of together) sink = JSON.parse(batch); })),
]);
assert.ok(sink);
print(`V8's JSON.parse, Node.js ${process.version}`, ['bench', 'one by one', `in arrays of ${BATCH}`], rows);
