// How long this process could not run: what it did late because of that is its own fault, not the server's.

const EVERY_MS = 20;

let [lost, beatMs] = [0, performance.now()];
const sinceBeat = () => Math.max(0, performance.now() - beatMs - EVERY_MS);
setInterval(() => {
  lost += sinceBeat();
  beatMs = performance.now();
}, EVERY_MS).unref();

/** Milliseconds in which the event loop did not turn, since the start. */
export const lostMs = () => lost + sinceBeat();
