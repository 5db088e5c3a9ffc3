// Two functions and an event of this app, callable over HTTP. Copy it: after `npm install fasttunnel` it runs as it is.
import { fastTunnel, TaskError } from 'fasttunnel';

export const tunnel = await fastTunnel({
  port: Number(process.env.PORT ?? 7070),
  // A real app has no token in its source: leave out what follows `??`, and it will not start without one.
  auth: { token: process.env.RUNNER_TOKEN ?? 'quickstart-token' },
  tasks: {
    'app.tasks.add': async ({ a, b }) => a + b,
    'app.tasks.divide': ({ a, b }) => {
      // Callers see a TaskError as it is; of any other error they only learn "Internal Error".
      if (b === 0) throw new TaskError('Division by zero', { id: 'app.errors.division', data: { a, b }, httpCode: 422 });
      return a / b;
    },
  },
  events: {
    'app.events.notify': async ({ message }) => { console.log(`notified: ${message}`); },
  },
});

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => tunnel.close());
