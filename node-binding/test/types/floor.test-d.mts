// The oldest TypeScript that the package's types are for sees this file as well, and looks into their declarations.
import { fastTunnel, OptionError, TaskError, TunnelServer } from 'fasttunnel';
import { executeCommand, listDirectory, NativeSession, readFile, walkDirectory } from 'fasttunnel/native';
import type { EventsOf, InputFile, TasksOf, Tunnel, TunnelOptions } from 'fasttunnel';

const options: TunnelOptions = { port: 0, auth: { token: ['a', 'b'] }, limits: { multipart: { files: 3 } } };
const tunnel = await fastTunnel({
  auth: { allowAnonymous: true },
  tasks: {
    'app.tasks.add': async ({ a, b }: { a: number; b: number }) => a + b,
    'app.tasks.store': async ({ file }: { file: InputFile }) => (await file.toTempFile()).path,
  },
  events: { 'app.events.notify': ({ message }: { message: string }) => void message },
});
const call: TasksOf<typeof tunnel>['app.tasks.add'] = async ({ a, b }) => a + b;
const sum: number = await call({ a: 1, b: 2 });
const payload: EventsOf<typeof tunnel>['app.events.notify'] = { message: `${sum}` };
const server: Tunnel = await new TunnelServer(options).listen();
await server[Symbol.asyncDispose]();
await tunnel.close();
if (payload.message === '') throw new TaskError('none', { httpCode: 404 });
const code: 'FASTTUNNEL_BAD_OPTION' = new OptionError('port', 1, 'text').code;
void code;

const bytes: Buffer = await readFile('a');
const text: string = (await executeCommand('echo', [bytes], { timeoutMs: 1 })).stdout;
for await (const { path, modified } of walkDirectory(text)) void [path, modified];
const [entry] = await listDirectory('.', true);
if (entry?.kind === 'directory') new NativeSession().addMessage('user', entry.name);
