// What the servers of run.mjs do for a call.
const spin = (ms) => {
  const end = performance.now() + ms;
  while (performance.now() < end);
};

export const tasks = {
  add: async ({ a, b }) => a + b,
  'spin-1ms': (input) => { spin(1); return input; },
  'spin-20ms': (input) => { spin(20); return input; },
};
