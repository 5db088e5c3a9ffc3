// Checked by tsc only, against the built package: what a user of `import` sees.
import { fastTunnel, metricsContentType, metricsText, OptionError, TaskError, TunnelServer } from 'fasttunnel';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { Readable } from 'node:stream';
import { ReadableStream } from 'node:stream/web';
import type { AdminAddress, ByteStream, CallContext, EventsOf, InputFile, Stats, StreamResult, TaskHandlers, TasksOf, TunnelOptions } from 'fasttunnel';
import { fastTunnel as fastTunnelResource, loadRunner } from 'fasttunnel/runner';
import { CommandError, executeCommand, getVersion, init, listDirectory, NativeSession, UtilityError, walkDirectory, writeFile } from 'fasttunnel/native';
import type { CommandResult, DirectoryEntry, SessionConfig, Version } from 'fasttunnel/native';
import { r } from '@bluelibs/runner';
import type { JsonLimits, NodeExposureConfig, NodeExposureHandlers, NodeExposureHttpConfig, NodeExposureHttpCorsConfig } from '@bluelibs/runner/node';

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function expectType<Expected>() {
  return <Actual,>(_value: Actual, ..._same: Equal<Actual, Expected> extends true ? [] : ['types differ']): void => {};
}
function expectTrue<_T extends true>(): void {}

// The example, as it stands.
const tunnel = await fastTunnel({
  port: 7070,
  basePath: '/__runner',
  auth: { token: process.env['RUNNER_TOKEN'] },
  cors: { origin: ['https://app.example'] },
  tasks: {
    'app.tasks.add': async ({ a, b }: { a: number; b: number }) => a + b,
    'app.tasks.now': () => 'now',
    'app.tasks.who': (_input: undefined, context) => context.requestId,
    'app.tasks.loose': async ({ a, b }) => a + b,
  },
  events: {
    'app.events.notify': async ({ message }: { message: string }) => { console.log(message); },
    'app.events.many': [(payload: number) => payload, async (payload: number) => payload],
  },
});

expectType<number>()(tunnel.port);
expectType<'io_uring' | 'epoll'>()(tunnel.driver);
expectType<AdminAddress | undefined>()(tunnel.admin);
expectType<string | undefined>()(tunnel.driverReason);
expectType<'threads' | 'inline'>()(tunnel.placement);
expectType<Stats>()(tunnel.stats());
expectType<number>()(tunnel.stats().shards[0]!.phases.js.p99Us);
expectType<string>()(metricsText(tunnel.stats(), 'prometheus'));
expectType<string>()(metricsContentType.openmetrics);
// @ts-expect-error: not a format
metricsText(tunnel.stats(), 'json');

// The tasks' types, as their callers see them.
type Tasks = TasksOf<typeof tunnel>;
expectTrue<Equal<Tasks['app.tasks.add'], (input: { a: number; b: number }) => Promise<number>>>();
expectTrue<Equal<Tasks['app.tasks.now'], () => Promise<string>>>();
expectTrue<Equal<Tasks['app.tasks.who'], (input: undefined) => Promise<string>>>();
type Events = EventsOf<typeof tunnel>;
expectTrue<Equal<Events['app.events.notify'], { message: string }>>();
expectTrue<Equal<Events['app.events.many'], number>>();

const health: TunnelOptions = { admin: { port: 7071, host: '::1' }, gracefulSignals: ['SIGTERM'], readinessDelayMs: 5000 };
const both: TunnelOptions = { ...health, admin: { socketPath: '/run/admin.sock' }, gracefulSignals: true };
// @ts-expect-error: not a signal that it knows
const hangUp: TunnelOptions = { gracefulSignals: ['SIGHUP'] };
void [both, hangUp];

// Known ids are suggested; any string is accepted.
const ids: string[] = tunnel.getTaskIds();
tunnel.unregisterTask('app.tasks.add');
tunnel.unregisterTask('another');
ids.sort();

tunnel.registerTask('later', async (input: { a: number }, { signal, headers, id, requestId }) => {
  expectType<AbortSignal>()(signal);
  expectType<string>()(id);
  expectType<string>()(requestId);
  expectType<CallContext['headers']>()(headers);
  return input.a;
});

// Streams, in and out.
tunnel.registerTask('streams', async (_input, { body }): Promise<StreamResult> => ({ stream: body ?? Readable.from(['none']), status: 206, contentType: 'text/plain', headers: { 'content-length': 4, 'x-many': ['a', 'b'] } }));
const streams: ByteStream[] = [Readable.from([]), new ReadableStream(), (async function* () { yield 'text'; yield new Uint8Array(1); })(), new Blob([])];
tunnel.registerTask('one', (_input, { body }) => { expectType<Readable | undefined>()(body); return streams[0]; });
// @ts-expect-error a stream of numbers is none of bytes
const numbers: ByteStream = (async function* () { yield 1; })();
numbers.toString();

// Files in a task's input.
tunnel.registerTask('store', async ({ file }: { file: InputFile }) => {
  expectType<string>()(file.name);
  expectType<number | undefined>()(file.size);
  expectType<number>()((await file.toTempFile()).bytesWritten);
  for await (const chunk of file.stream()) void chunk;
});
void fastTunnel({ auth: { allowAnonymous: true }, tempDir: '/tmp', limits: { multipart: { fileSize: Infinity, files: 3 } } });
void fastTunnel({
  auth: { allowAnonymous: true },
  limits: { maxTargetBytes: 100, maxHeaders: 50, maxChunkExtensionBytes: 0, maxTrailerBytes: 0, maxJsonDepth: 20, maxRequestsPerConnection: 0, minBodyBytesPerS: 1, maxBodyTimeMs: 1 },
});

// Handlers written apart.
const handlers = { 'app.tasks.double': (input: number) => input * 2 } satisfies TaskHandlers;
const options = { auth: { allowAnonymous: true }, tasks: handlers } satisfies TunnelOptions;
const second = await fastTunnel(options);
expectTrue<Equal<TasksOf<typeof second>['app.tasks.double'], (input: number) => Promise<number>>>();

// The class form.
const server = new TunnelServer({ port: 7070, corsOrigins: ['*'], auth: { token: ['a', 'b'] } });
server.registerTask('app.tasks.add', async (input) => input.a + input.b).registerEvent('app.events.notify', async (_payload) => {});
expectType<Promise<typeof server>>()(server.listen());
await using _disposed = server;
await using _tunnel = second;

throw new TaskError('Conflict', { id: 'app.errors.conflict', data: { key: 'k1' }, httpCode: 409 });

// What must not compile.
// @ts-expect-error the port is a number
void fastTunnel({ port: '7070' });
// @ts-expect-error an unknown option
void fastTunnel({ prot: 7070 });
// @ts-expect-error a handler is a function
void fastTunnel({ tasks: { a: 1 } });
// @ts-expect-error origins are strings
new TunnelServer({ corsOrigins: [/x/] });
// @ts-expect-error a tunnel listens already
void tunnel.listen();
// @ts-expect-error read-only
tunnel.port = 1;

const failure = new OptionError('port', 1, 'text');
const code: 'FASTTUNNEL_BAD_OPTION' = failure.code;
void code;
expectType<string>()(loadRunner().version);

// The Runner side: the resource takes nodeExposure's configuration, and its value is typed.
const runnerApp = r
  .resource('app')
  .register([fastTunnelResource.with({ http: { basePath: '/x', listen: { port: 0 }, auth: { token: ['a'] }, cors: { origin: /a/ }, limits: { json: { maxSize: 1 }, multipart: { files: 1 } } }, engine: { driver: 'epoll', tempDir: '/tmp', limits: { maxHeaders: 50 } } })])
  .dependencies({ exposure: fastTunnelResource })
  .init(async (_config, { exposure }) => {
    expectType<number>()(exposure.port);
    exposure.refresh();
    return exposure.url;
  })
  .build();
void runnerApp;
// Inside of a server of the app's.
const appServer = createServer();
void fastTunnelResource.with({ http: { server: appServer } });
void fastTunnelResource.with({ http: { server: createSecureServer() } });
const attachedApp = r
  .resource('attached')
  .dependencies({ exposure: fastTunnelResource })
  .init(async (_config, { exposure }) => {
    const detach: () => void = exposure.attachTo(appServer);
    createServer((request, response) => void exposure.handleRequest(request, response).then((handled: boolean) => handled || response.end()));
    createServer(exposure.createRequestListener());
    expectType<Server>()(exposure.createServer());
    await exposure.handleTask(...([] as unknown as [IncomingMessage, ServerResponse]));
    return [detach, exposure.server?.address()];
  })
  .build();
void attachedApp;
// @ts-expect-error the limit of bodies is another's
void fastTunnelResource.with({ engine: { limits: { maxBodyBytes: 1 } } });
// @ts-expect-error a server is no port
void fastTunnelResource.with({ http: { server: 7070 } });
// @ts-expect-error the port is a number
void fastTunnelResource.with({ http: { listen: { port: '1' } } });
// Code that names what Runner exports of its exposure takes ours: its value, and its configuration.
const exposureBaseUrl = ({ server, basePath }: NodeExposureHandlers): string => {
  const address = server?.address();
  if (!address || typeof address === 'string') throw new Error('no port');
  return `http://127.0.0.1:${address.port}${basePath}`;
};
const upstreamApp = r
  .resource('upstream')
  .dependencies({ exposure: fastTunnelResource })
  .init(async (_config, { exposure }) => {
    expectType<Server | null>()(exposure.server);
    const handlers: NodeExposureHandlers = exposure;
    const { attachTo, createRequestListener, close }: NodeExposureHandlers = exposure;
    attachTo(createServer(createRequestListener()));
    void close;
    return [handlers, exposureBaseUrl(exposure)];
  })
  .build();
void upstreamApp;
const upstreamConfigs = (config: NodeExposureConfig, http: NodeExposureHttpConfig, cors: NodeExposureHttpCorsConfig, json: JsonLimits) => [
  fastTunnelResource.with(config), fastTunnelResource.with({ http }), fastTunnelResource.with({ http: { cors } }), fastTunnelResource.with({ http: { limits: { json } } }),
];
void upstreamConfigs;
// A server with one of the two names for letting go.
void fastTunnelResource.with({ http: { server: { on() {}, off() {} } } });
void fastTunnelResource.with({ http: { server: { on() {}, removeListener() {} } } });
// @ts-expect-error it could not be let go
void fastTunnelResource.with({ http: { server: { on() {} } } });

// The native utilities.
init({ logLevel: 'debug' });
// @ts-expect-error an unknown level
init({ logLevel: 'loud' });
expectType<Version>()(getVersion());
expectType<CommandResult<Buffer>>()(await executeCommand('true', [], { encoding: 'buffer' }));
expectType<CommandResult>()(await executeCommand('true', ['a', Buffer.from('b')], { encoding: 'utf8', killSignal: 'SIGINT' }));
expectType<CommandResult>()(await executeCommand('true', [], new URL('file:///tmp'), 100));
// @ts-expect-error the time stands among the options
void executeCommand('true', [], { cwd: '/' }, 100);
expectType<DirectoryEntry[]>()(await listDirectory('.', { recursive: true, maxDepth: 2, signal: AbortSignal.timeout(1) }));
for await (const { kind, size } of walkDirectory(Buffer.from('.'))) expectType<number>()(kind === 'file' ? size : 0);
void writeFile('a', new Uint16Array(2), { atomic: false, fsync: true, mode: 0o600 });
// @ts-expect-error data is text or bytes
void writeFile('a', 7);
const session = NativeSession.attach(new NativeSession({ maxMessages: 1 }).id);
session.addMessage({ role: 'user', content: 'a' });
expectType<SessionConfig>()(session.getConfig());
const utilityError: UtilityError = new CommandError('ETIMEDOUT', 'a', {}, { stdout: '', stderr: '', exitCode: null, signal: 'SIGKILL' });
expectType<string | undefined>()(utilityError.syscall);
