// What every server here does with a request: JSON in, an async handler, JSON out, and the headers of ours.
import { randomUUID } from 'node:crypto';

/** An app's handlers. `block` keeps the thread busy for one millisecond, as a handler does that computes. */
export const tasks = {
  'app.tasks.add': async ({ a, b }) => a + b,
  'app.tasks.echo': async (input) => input,
  'app.tasks.block': async (input) => {
    const end = performance.now() + 1;
    while (performance.now() < end);
    return input;
  },
};

export const BASE_PATH = '/__runner';
export const PORT = Number(process.env.PORT ?? 7070);
export const HOST = '127.0.0.1';

/** What our answers carry besides content-length, Date and keep-alive, which each server writes by itself. */
export const headers = () => ({
  'x-runner-request-id': randomUUID(),
  'Access-Control-Allow-Origin': '*',
  'content-type': 'application/json; charset=utf-8',
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
});

const PREFIX = `${BASE_PATH}/task/`;

/** The task that a path names, or undefined. */
export const taskAt = (path) => (path.startsWith(PREFIX) ? tasks[path.slice(PREFIX.length)] : undefined);

/** Runs a task with the text of a request's body; the text of the answer. */
export async function answer(task, text) {
  return JSON.stringify({ ok: true, result: await task(JSON.parse(text).input) });
}

export const NOT_FOUND = '{"ok":false,"error":{"message":"Not Found","code":"NOT_FOUND"}}';

/** The comparison shows this line: what exactly was measured. */
export const introduce = (text) => console.log(`server: ${text}`);
