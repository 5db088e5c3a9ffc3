// What the servers of run.mjs do for a call. `mixed`: of ten calls one takes 20 ms, the others one.
const spin = (ms) => {
  const end = performance.now() + ms;
  while (performance.now() < end);
};
let calls = 0;

export const tasks = {
  add: async ({ a, b }) => a + b,
  'spin-1ms': (input) => { spin(1); return input; },
  mixed: (input) => { spin(calls++ % 10 === 9 ? 20 : 1); return input; },
};
