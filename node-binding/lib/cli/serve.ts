// `fasttunnel serve`: a tunnel for what a module exports.
import { OptionError } from '../errors/errors.js';
import type { TunnelOptions } from '../options/types.js';
import { TunnelServer } from '../tunnel/server.js';
import { CommandError, EXIT } from './command.js';
import type { Given } from './command.js';
import { TOKEN_VARIABLE, tokenOfEnvironment } from './defaults.js';
import type { Exposed } from './exports.js';
import { endWithParent } from './parent.js';
import { ServedHandlers } from './served-handlers.js';
import { UserModule } from './user-module.js';
import { Watcher } from './watcher.js';

/** Serves until a signal comes. */
export async function serve(given: Given): Promise<undefined> {
  const options = optionsOf(given);
  // Before anything of the module runs.
  const server = serverOf(options);
  const module = new UserModule(given.operands[0]!);
  if (given.flag('watch')) module.watch();
  const handlers = new ServedHandlers(server);
  handlers.set(await loaded(module));
  endWithParent();
  await server.listen();
  say(`listening on ${server.url} (${server.driver}${server.placement === 'inline' ? ', inline' : ''})`);
  if (server.admin !== undefined) say(`health on ${server.admin.url}/livez and /readyz, figures on /metrics${given.flag('dashboard') ? ' and /dashboard' : ''}`);
  say(`tasks: ${listed(server.getTaskIds())}`);
  say(`events: ${listed(server.getEventIds())}`);
  if (given.flag('watch')) watch(module, handlers);
  return undefined;
}

/** What it exposes. A top-level await of the module may wait for what never comes: then Node ends the process, and says nothing. */
async function loaded(module: UserModule): Promise<Exposed> {
  const ended = (): void => {
    complain(`${module.file} does not come to the end of its loading: a top-level await waits for what nothing will bring.`);
    process.exitCode = EXIT.failed;
  };
  process.once('beforeExit', ended);
  try {
    return await module.load();
  } finally {
    process.removeListener('beforeExit', ended);
  }
}

/** Options of a tunnel, as the command line spells them. */
const FLAGS: Readonly<Record<string, string>> = { host: '--host', socketPath: '--socket', auth: '--token', 'auth.token': '--token', 'auth.header': '--token-header', basePath: '--base-path', corsOrigins: '--cors-origin', driver: '--driver', placement: '--placement' };

/** What is wrong with an option is said of what the user has written. */
function serverOf(options: TunnelOptions): TunnelServer {
  try {
    return new TunnelServer(options);
  } catch (error) {
    const flag = error instanceof OptionError ? FLAGS[error.option.replace(/\[.*$/, '')] : undefined;
    if (!(error instanceof OptionError) || flag === undefined || !error.message.startsWith(error.option)) throw error;
    throw new CommandError(`${flag}${error.message.slice(error.option.length)}`, EXIT.usage, { cause: error });
  }
}

function watch(module: UserModule, handlers: ServedHandlers): void {
  // When the last load has failed, what is missing may be what comes.
  let failed = false;
  const watcher = new Watcher((file) => (failed ? /\.(?:[cm]?[jt]s|json)$/.test(file) : module.files.has(file)), async () => {
    try {
      const { added, removed } = handlers.set(await module.load());
      failed = false;
      say(`reloaded${[...added.map((id) => ` +${id}`), ...removed.map((id) => ` -${id}`)].join('')}`);
    } catch (error) {
      failed = true;
      complain(`not reloaded, the functions from before stay: ${error instanceof Error ? error.message : String(error)}`);
    }
    look();
  });
  const look = (): void => {
    try {
      watcher.look(module.files);
    } catch (error) {
      complain(`some files cannot be watched: ${(error as Error).message}`);
    }
  };
  look();
}

function optionsOf(given: Given): TunnelOptions {
  const socketPath = given.text('socket');
  const origins = given.list('cors-origin');
  const adminPort = given.number('admin-port');
  if (socketPath !== undefined && (given.has('port') || given.has('host'))) {
    throw new CommandError('--socket stands instead of --port and --host: leave those out.', EXIT.usage);
  }
  if (given.flag('dashboard') && adminPort === undefined) {
    throw new CommandError('--dashboard needs a port to be shown on: add --admin-port PORT.', EXIT.usage);
  }
  return {
    ...(socketPath === undefined ? { port: given.number('port'), host: given.text('host') } : { socketPath }),
    auth: authOf(given),
    basePath: given.text('base-path'),
    ...(origins.length === 0 ? {} : { corsOrigins: origins }),
    disableDiscovery: given.flag('no-discovery'),
    ...(adminPort === undefined ? {} : { admin: { port: adminPort, dashboard: given.flag('dashboard') } }),
    shards: given.number('shards'),
    driver: given.text('driver') as TunnelOptions['driver'],
    placement: given.text('placement') as TunnelOptions['placement'],
    handlerTimeoutMs: given.number('timeout-ms'),
    drainTimeoutMs: given.number('drain-ms'),
    gracefulSignals: true,
  };
}

function authOf(given: Given): NonNullable<TunnelOptions['auth']> {
  const tokens = given.list('token');
  const header = given.text('token-header');
  const named = header === undefined ? {} : { header };
  if (given.flag('anonymous')) {
    if (tokens.length > 0) throw new CommandError('--token and --anonymous exclude each other: with a token, nobody calls without it.', EXIT.usage);
    return { allowAnonymous: true, ...named };
  }
  if (tokens.length > 0) return { token: tokens, ...named };
  const token = tokenOfEnvironment();
  if (token === undefined) {
    throw new CommandError(`who may call is not said: --token TOKEN (or the variable ${TOKEN_VARIABLE}) for those who send it, or --anonymous for everybody who can connect.`, EXIT.usage);
  }
  return { token, ...named };
}

const listed = (ids: readonly string[]): string => (ids.length === 0 ? 'none' : ids.join(', '));

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

function complain(text: string): void {
  process.stderr.write(`fasttunnel: ${text}\n`);
}
