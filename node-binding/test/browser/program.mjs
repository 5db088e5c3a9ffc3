// What runs in a browser, and wherever else there is fetch: packed with the client by `page.mjs`. Says what came out, as JSON.
/* global TUNNEL, SCRIPTED, NOBODY, REPORT */
import { CallError, createClient, fileFrom, OptionError, RemoteError } from 'fasttunnel/client';

const auth = { token: 't0ken' };
const outcomes = {};

const failureOf = async (promise) => {
  try {
    return { value: await promise };
  } catch (error) {
    const { name, code, status, data, maybeRan, message } = error;
    const kind = [CallError, RemoteError, OptionError].find((one) => error instanceof one);
    return JSON.parse(JSON.stringify({ kind: kind === CallError ? 'CallError' : kind === RemoteError ? 'RemoteError' : kind === OptionError ? 'OptionError' : name, code, status, data, maybeRan, message }));
  }
};
const textOf = async (stream) => {
  const decoder = new TextDecoder();
  let text = '';
  for await (const chunk of stream) text += decoder.decode(chunk, { stream: true });
  return text;
};
const made = (options) => failureOf((async () => { createClient(options); })());

const CHECKS = {
  task: (client) => client.task('app.tasks.add', { a: 1, b: 2 }),
  'undefined both ways': async (client) => [await client.task('app.tasks.typeOf'), (await client.task('app.tasks.echo')) === undefined],
  'an odd id': (client) => client.task('app.tasks/odd id ü'),
  event: async (client) => [await client.event('app.events.notify', { n: 1 }) === undefined, await client.task('app.tasks.heard')],
  'event with result': (client) => client.eventWithResult('app.events.mark', { n: 1 }),
  'an answer as a stream': async (client) => {
    const answer = await client.stream('app.tasks.rows', { count: 3 });
    return [answer instanceof ReadableStream, answer.statusCode, answer.headers['content-type'], await textOf(answer)];
  },
  'a stream that is cancelled': async (client) => {
    const answer = await client.stream('app.tasks.endless');
    for await (const chunk of answer) if (chunk.length > 0) break;
    return true;
  },
  'a value where a stream was wanted': (client) => failureOf(client.stream('app.tasks.add', { a: 1, b: 2 })),
  'a stream where a value was wanted': (client) => failureOf(client.task('app.tasks.rows', { count: 3 })),
  'bodies of every kind': (client) => Promise.all([
    'text ü', new TextEncoder().encode('bytes'), new Blob(['blob']), new Blob(['stream']).stream(),
    (async function* () { yield 'itera'; yield 'tor'; })(),
  ].map((body) => client.task('app.tasks.body', undefined, { body }))),
  'a body, and an answer as a stream': async (client) => textOf(await client.stream('app.tasks.upper', undefined, { body: 'rows' })),
  'a body that fails': (client) => failureOf(client.task('app.tasks.body', undefined, { body: (async function* () { yield 'x'; throw new RangeError('the source has failed'); })() })),
  files: (client) => client.task('app.tasks.files', {
    title: 'ü',
    list: [new File(['a file'], 'a.pdf', { type: 'application/pdf' }), new Blob(['a blob'], { type: 'image/png' })],
    made: fileFrom(new Blob(['from a stream']).stream(), { name: 'b.csv', type: 'text/csv', extra: { n: 1 } }),
  }, { files: true }),
  'headers and ids': (client) => client.task('app.tasks.headers', undefined, { headers: { 'x-tenant': 'a', 'x-runner-request-id': 'mine-1' } }),
  'a serializer': async () => {
    const serializer = { parse: (text) => JSON.parse(text, (_, value) => (value?.$big === undefined ? value : BigInt(value.$big))), stringify: (value) => JSON.stringify(value, (_, one) => (typeof one === 'bigint' ? { $big: String(one) } : one)) };
    return String(await createClient({ url: TUNNEL, auth, serializer }).task('app.tasks.echo', 12345678901234567890n));
  },
  'an abort': async (client) => {
    const controller = new AbortController();
    setTimeout(() => controller.abort('no longer wanted'), 50);
    const reason = await client.task('app.tasks.slow', {}, { signal: controller.signal }).catch((error) => error);
    return [reason, await client.task('app.tasks.waitForAbort')];
  },
  'an abort before': async (client) => client.task('app.tasks.add', {}, { signal: AbortSignal.abort('before') }).catch((error) => error),
  'a time-out': (client) => failureOf(client.task('app.tasks.slow', {}, { timeoutMs: 50 })),
  'an error with data': (client) => failureOf(client.task('app.tasks.conflict')),
  'a wrong token': () => failureOf(createClient({ url: TUNNEL, auth: { token: 'wrong' } }).task('app.tasks.add')),
  'an unknown id': (client) => failureOf(client.task('nope')),
  'nobody listens': () => failureOf(createClient({ url: NOBODY, auth }).task('app.tasks.add')),
  'a server that is busy once': () => failureOf(createClient({ url: SCRIPTED }).task('busy')),
  'a server that is busy, a call with a body': () => failureOf(createClient({ url: SCRIPTED }).task('busy-again', undefined, { body: 'x' })),
  'a call that is lost': () => failureOf(createClient({ url: SCRIPTED }).task('lost')),
  'a call that is lost and may run twice': () => failureOf(createClient({ url: SCRIPTED }).task('lost-twice', 1, { idempotent: true })),
  'a redirect': () => failureOf(createClient({ url: SCRIPTED, auth }).task('elsewhere')),
  'a page instead of an answer': () => failureOf(createClient({ url: SCRIPTED }).task('page')),
  'an event of which the server gives no payload back': () => failureOf(createClient({ url: SCRIPTED }).eventWithResult('unheard', 1)),
  'answers of many bytes': async () => {
    const one = createClient({ url: SCRIPTED, maxAnswerBytes: 2048 });
    return [(await one.task('large', 2000)).length, await failureOf(one.task('large', 100_000)), await failureOf(one.stream('large', 100_000))];
  },
  'options that are wrong': () => Promise.all([
    made({}), made({ url: 'ftp://x' }), made({ url: 'unix:/run/x:/y' }), made({ url: TUNNEL, connections: 4 }), made({ url: TUNNEL, retrys: 1 }), made({ url: TUNNEL, timeoutMs: -1 }), made({ url: TUNNEL, auth: { token: ' ' } }), made({ url: TUNNEL, credentials: 'all' }),
  ]),
  'a call whose options are wrong': (client) => failureOf(client.task('app.tasks.add', {}, { timeout: 5 })),
  counts: (client) => { const { calls, results, errors, failed, timedOut, aborted, outstanding } = client.stats(); return [calls === results + errors + failed + timedOut + aborted, timedOut, aborted, outstanding]; },
  'a client that is destroyed': async () => {
    const client = createClient({ url: TUNNEL, auth });
    const call = failureOf(client.task('app.tasks.slow'));
    await client.task('app.tasks.add', { a: 1, b: 2 });
    client.destroy();
    await client.close();
    return [await call, await failureOf(client.task('app.tasks.add'))];
  },
  'what there is of Node': () => [typeof process, typeof Buffer],
};

const client = createClient({ url: TUNNEL, auth });
for (const [name, check] of Object.entries(CHECKS)) {
  let timer;
  const late = new Promise((resolve) => { timer = setTimeout(resolve, 10_000, 'no outcome after 10 s'); });
  outcomes[name] = await Promise.race([Promise.resolve().then(() => check(client)).catch((error) => `${error?.stack ?? error}`), late]);
  clearTimeout(timer);
}
await client.close();
await fetch(REPORT, { method: 'POST', body: JSON.stringify(outcomes) });
