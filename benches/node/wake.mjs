// The bell of the bridge: from a ring on a foreign thread to the callback in JavaScript. `make bench-wake`
// parked: the loop sleeps. busy: the loop is kept in callbacks of 100 us, one after another. storm: 20,000 rings as fast
// as possible, past the doorbell, which lets one ring through for each time that the bridge parks.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { lib, native } from './addon.mjs';
import { print, quantile, smoke } from './measure.mjs';

const BUSY_US = 100;
const rounds = smoke ? 50 : Number(process.env.ROUNDS ?? 4000);
const rings = smoke ? 500 : 20_000;
const { CALLS, HEADER, LENGTH, MAX_CALLS, PER_ANSWER, PER_CALL } = lib('facts/facts.generated');
const { engine } = lib('options/options').checkOptions({ port: 0, host: '127.0.0.1', shards: 1, auth: { allowAnonymous: true }, tasks: { any: () => 0 } });

const table = new Uint32Array(LENGTH);
const rows = new Uint32Array(PER_ANSWER * 64);
let [heard, firstUs, lastUs] = [0, 0, 0];

/** In the bridge's place: answers every call with the time at which the bell was heard, or 0 where there was no need of it. */
function onRing() {
  lastUs = native.clockUs();
  if (heard++ === 0) firstUs = lastUs;
  let text = `[${lastUs}]`;
  for (let calls = tunnel.poll(MAX_CALLS); calls !== null;) {
    assert.equal(table[CALLS], 1);
    rows[0] = table[HEADER];
    rows[1] = 0;
    calls = tunnel.complete(text, rows, 1, MAX_CALLS);
    text = '[0]';
  }
}

const tunnel = new native.NativeTunnel(
  lib('bridge/native-options').nativeOptions(engine, lib('values/codec').plainCodec, {}), [{ event: false, id: 'any' }],
  { policy: 'registered', tasks: [], events: [] }, table, onRing,
);
tunnel.poll(MAX_CALLS);

/** Rings one by one; a busy loop is the application's, the bridge itself is parked. */
async function ring(gapUs, busy) {
  let stop = false;
  const work = () => {
    for (const endUs = native.clockUs() + BUSY_US; native.clockUs() < endUs;);
    if (!stop) setImmediate(work);
  };
  if (busy) work();
  heard = 0;
  const { wakeUs, ringUs } = await native.ring({ rounds, gapUs });
  stop = true;
  const wakes = wakeUs.filter((us) => us > 0);
  // On a crowded machine the next ring may come before the bridge has parked.
  assert.ok(wakes.length === heard && heard > (smoke ? 0 : rounds * 0.9));
  return { wakeUs: wakes, ringUs };
}

async function storm() {
  heard = 0;
  const eachUs = await native.storm({ rings });
  for (let before = -1; heard > before; await sleep(20)) before = heard;
  // Rings that come before the loop has turned are one.
  assert.ok(heard >= 1 && heard <= rings);
  return { eachUs, heardUs: (lastUs - firstUs) / (heard - 1) };
}

const us = (number) => `${number.toFixed(1)} us`;
const row = (name, { wakeUs, ringUs }) => [name, ...[0.5, 0.9, 0.99].map((share) => us(quantile(wakeUs, share))), us(quantile(ringUs, 0.5))];
try {
  await ring(50, false);
  print(`ring to callback, ${rounds} rounds, Node.js ${process.version}`, ['JS thread', 'p50', 'p90', 'p99', 'on the ringing thread'], [
    row('parked for 0.2 to 0.4 ms', await ring(200, false)),
    row('parked for 2 to 4 ms', smoke ? await ring(200, false) : await ring(2000, false)),
    row(`busy for ${BUSY_US} us at a time`, await ring(200, true)),
  ]);
  const { eachUs, heardUs } = await storm();
  console.log(`\nstorm of ${rings} rings, of which ${heard} reached the callback: ${eachUs.toFixed(2)} us a ring on the ringing thread, ${heardUs.toFixed(2)} us a callback on the JS thread`);
} finally {
  tunnel.stop(0);
  tunnel.finish();
}
