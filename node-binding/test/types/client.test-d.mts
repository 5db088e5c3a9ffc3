// Checked by tsc only, against the built package: a client knows the ids, inputs and results of a tunnel.
import { fastTunnel } from 'fasttunnel';
import { CallError, createClient, RemoteError } from 'fasttunnel/client';
import { createClient as createRunnerClient, httpClientFactory, TunnelError } from 'fasttunnel/runner';
import { createHttpClient, r, Serializer } from '@bluelibs/runner';
import type { Client, ClientOptions, ClientStats, EventsOf, TasksOf } from 'fasttunnel/client';

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function expectType<Expected>() {
  return <Actual,>(_value: Actual, ..._same: Equal<Actual, Expected> extends true ? [] : ['types differ']): void => {};
}

const tunnel = await fastTunnel({
  auth: { allowAnonymous: true },
  tasks: {
    'app.tasks.add': async ({ a, b }: { a: number; b: number }) => a + b,
    'app.tasks.now': () => 'now',
    'app.tasks.maybe': (input?: number) => input,
  },
  events: {
    'app.events.notify': ({ message }: { message: string }) => void message,
    'app.events.tick': () => {},
  },
});

type Api = TasksOf<typeof tunnel>;
const client = createClient<Api, EventsOf<typeof tunnel>>({ url: tunnel.url, auth: { token: 'secret' } });
expectType<Promise<number>>()(client.task('app.tasks.add', { a: 1, b: 2 }));
expectType<Promise<string>>()(client.task('app.tasks.now'));
expectType<Promise<number | undefined>>()(client.task('app.tasks.maybe'));
expectType<Promise<string>>()(client.task('app.tasks.now', undefined, { signal: AbortSignal.timeout(1), timeoutMs: 5, headers: { 'x-a': 'b' }, idempotent: true }));
expectType<Promise<void>>()(client.event('app.events.notify', { message: 'hi' }));
expectType<Promise<void>>()(client.event('app.events.tick'));
expectType<Promise<{ message: string }>>()(client.eventWithResult('app.events.notify', { message: 'hi' }));
expectType<ClientStats>()(client.stats());
// @ts-expect-error: no such task
client.task('app.tasks.nope');
// @ts-expect-error: an input of another type
client.task('app.tasks.add', { a: '1', b: 2 });
// @ts-expect-error: the input is missing
client.task('app.tasks.add');
// @ts-expect-error: no such option
client.task('app.tasks.now', undefined, { timeout: 5 });
// @ts-expect-error: another payload
client.event('app.events.notify', { text: 'hi' });
await client.close();
await client[Symbol.asyncDispose]();

// Without types anything goes.
const options: ClientOptions = { urls: ['http://a/__runner', new URL('http://b/__runner')], pipelining: 'auto' };
const loose: Client = createClient(options);
expectType<Promise<any>>()(loose.task('any', { any: 'thing' }));
expectType<Promise<void>>()(loose.event('any'));
loose.destroy();

const error: unknown = undefined;
if (error instanceof CallError) expectType<boolean>()(error.maybeRan);
if (error instanceof RemoteError) expectType<number>()(error.status);

// In the place of Runner's client, with what that takes.
const config = { baseUrl: 'http://a/__runner', auth: { token: 'a' }, serializer: new Serializer(), contexts: [r.asyncContext<{ user: string }>('app.ctx').build()], errorRegistry: new Map([['app.errors.no', r.error('app.errors.no').build()]]), timeoutMs: 5, onRequest: ({ headers }: { headers: Record<string, string> }) => { headers['x-a'] = 'b'; } };
const runners: ReturnType<typeof createHttpClient> = createRunnerClient(config);
expectType<Promise<number>>()(runners.task<{ a: number }, number>('app.tasks.add', { a: 1 }));
createHttpClient({ ...config, contexts: [] });
r.resource('app').overrides([httpClientFactory]).dependencies({ make: httpClientFactory }).init(async (_config, { make }) => {
  expectType<ClientStats>()(make({ baseUrl: 'http://a/__runner', auth: { token: 'a' }, engine: { connections: 4 } }).stats());
});
await using(createRunnerClient({ ...config, engine: { connections: 4 } }));
async function using(closing: { close(): Promise<void> }): Promise<void> { await closing.close(); }
if (error instanceof TunnelError) expectType<string>()(error.code);
