// The commands, as their users see them.
import { BASE_PATH, LIMITS, NUMBERS, TOKEN_HEADER } from '../facts/facts.generated.js';
import { DEFAULT_PORT, TOKEN_VARIABLE } from './defaults.js';
import type { Command, OptionSpec } from './command.js';

const PORT = { ...NUMBERS.port, fallback: DEFAULT_PORT };
const JSON_OPTION: OptionSpec = { type: 'boolean', help: 'print JSON for programs' };
const TOKEN_HEADER_OPTION: OptionSpec = { type: 'string', value: 'NAME', help: `request header that carries the token (default ${TOKEN_HEADER})` };

const serve: Command = {
  name: 'serve',
  summary: "make a module's exports callable over HTTP",
  operands: 'MODULE',
  least: 1,
  most: 1,
  options: {
    port: { type: 'integer', value: 'PORT', bounds: PORT, help: 'TCP port; 0 for any free one' },
    host: { type: 'string', value: 'HOST', help: 'name or address to listen on (default 127.0.0.1)' },
    socket: { type: 'string', value: 'PATH', help: 'Unix domain socket to listen on, instead of port and host' },
    token: { type: 'list', value: 'TOKEN', help: `what callers have to send (default: the variable ${TOKEN_VARIABLE})` },
    'token-header': TOKEN_HEADER_OPTION,
    anonymous: { type: 'boolean', help: 'let everybody call who can connect' },
    'base-path': { type: 'string', value: 'PATH', help: `prefix of every route (default ${BASE_PATH})` },
    'cors-origin': { type: 'list', value: 'ORIGIN', help: 'origin whose pages may call (default: any)' },
    'no-discovery': { type: 'boolean', help: 'do not list the ids to callers' },
    'admin-port': { type: 'integer', value: 'PORT', bounds: { least: NUMBERS.port.least, most: NUMBERS.port.most }, help: 'port for health and figures (default: none)' },
    dashboard: { type: 'boolean', help: 'show what the tunnel does on a page of that port, /dashboard' },
    shards: { type: 'integer', value: 'N', bounds: NUMBERS.shards, help: 'threads that do HTTP; 0 goes by the number of cores' },
    driver: { type: 'string', value: 'NAME', help: 'auto, io_uring or epoll (default auto)' },
    placement: { type: 'string', value: 'NAME', help: 'auto, threads or inline (default auto)' },
    'timeout-ms': { type: 'integer', value: 'MS', bounds: LIMITS.handlerTimeoutMs, help: 'time that a function may take; 0 for any' },
    'drain-ms': { type: 'integer', value: 'MS', bounds: LIMITS.drainTimeoutMs, help: 'time for calls under way when it is stopped' },
    watch: { type: 'boolean', help: 'load the module again when one of its files changes' },
  },
  about: [
    'Each function that the module exports is a task; its id is its name. Functions in an',
    'exported object have dotted ids: math.add. Those in an export `events` are events.',
    'A module with an export `tasks` exposes those alone, beside its events.',
    'SIGINT (Ctrl-C) and SIGTERM answer what is under way, then end the process.',
  ],
  examples: ['npx fasttunnel serve ./tasks.js --token secret', 'npx fasttunnel serve ./tasks.mjs --anonymous --port 0 --watch'],
  run: async (given) => await (require('./serve.js') as typeof import('./serve.js')).serve(given),
};

const call: Command = {
  name: 'call',
  summary: 'call a task or an event, and print its result',
  operands: 'URL ID [JSON]',
  least: 2,
  most: 3,
  options: {
    token: { type: 'string', value: 'TOKEN', help: `the token (default: the variable ${TOKEN_VARIABLE})` },
    'token-header': TOKEN_HEADER_OPTION,
    header: { type: 'list', value: "'NAME: VALUE'", help: 'a further request header' },
    'timeout-ms': { type: 'integer', value: 'MS', bounds: { fallback: 30_000, least: 1, most: LIMITS.handlerTimeoutMs.most, unit: 'milliseconds' }, help: 'time to wait for the answer to begin, and for each further part of it' },
    event: { type: 'boolean', help: 'emit an event instead of running a task' },
    body: { type: 'string', value: 'FILE', help: 'send the bytes of a file as the body, `-` for those of stdin' },
    stream: { type: 'boolean', help: 'write the bytes of a streamed answer to stdout as they come' },
  },
  about: [
    'URL is what `serve` prints: http://127.0.0.1:7070, or unix:/run/app.sock for a socket.',
    `Without a path ${BASE_PATH} is meant. JSON is the input; \`-\` reads it from stdin. Without it the`,
    'input is undefined. The result goes to stdout as JSON, errors go to stderr.',
  ],
  examples: [
    `npx fasttunnel call http://127.0.0.1:${DEFAULT_PORT} math.add '{"a":1,"b":2}' --token secret`,
    `cat input.json | npx fasttunnel call unix:/run/app.sock import -`,
    `npx fasttunnel call http://127.0.0.1:${DEFAULT_PORT} report --stream > report.csv`,
  ],
  run: async (given) => await (require('./call.js') as typeof import('./call.js')).call(given),
};

const doctor: Command = {
  name: 'doctor',
  summary: 'tell how fasttunnel fares on this machine, and what stands in its way',
  operands: '',
  least: 0,
  most: 0,
  options: {
    port: { type: 'integer', value: 'PORT', bounds: { ...PORT, least: 1 }, help: 'port to look at' },
    json: JSON_OPTION,
  },
  about: ['Looks at the platform, the addon, io_uring, limits and the port, then starts a tunnel on', 'each driver and calls it. The exit code is 0 when all is fine, 1 when there is a problem.'],
  examples: ['npx fasttunnel doctor', 'npx fasttunnel doctor --json'],
  run: async (given) => await (require('./doctor.js') as typeof import('./doctor.js')).doctor(given),
};

const bench: Command = {
  name: 'bench',
  summary: 'compare with node:http on this machine',
  operands: '',
  least: 0,
  most: 0,
  options: {
    seconds: { type: 'number', value: 'S', bounds: { fallback: 2, least: 0.1, most: 60, unit: 'seconds' }, help: 'length of a turn' },
    rounds: { type: 'integer', value: 'N', bounds: { fallback: 3, least: 3, most: 50 }, help: 'turns of each server' },
    connections: { type: 'integer', value: 'N', bounds: { fallback: 64, least: 1, most: 1000 }, help: 'connections, each with one call at a time' },
    json: JSON_OPTION,
  },
  about: [
    'Both servers do the same work: check a token, read {"input":{"a":1,"b":2}}, answer with the',
    'sum. They take turns, each a process of its own, called by a third over loopback. What the',
    'figures do not tell is said below them.',
  ],
  examples: ['npx fasttunnel bench', 'npx fasttunnel bench --connections 1 --seconds 5'],
  run: async (given) => await (require('./bench.js') as typeof import('./bench.js')).bench(given),
};

const top: Command = {
  name: 'top',
  summary: 'show what a tunnel does, from its admin address',
  operands: 'ADDRESS',
  least: 1,
  most: 1,
  options: {
    once: { type: 'boolean', help: 'print it once, as text; so it is done where there is no terminal' },
    'interval-ms': { type: 'integer', value: 'MS', bounds: { fallback: 1000, least: 100, most: 60_000, unit: 'milliseconds' }, help: 'time between two looks, over which rates and latencies are taken' },
    tasks: { type: 'integer', value: 'N', bounds: { fallback: 10, least: 1, most: 201 }, help: 'tasks that are listed, the slowest first' },
  },
  about: [
    'ADDRESS is that of the option `admin`, which `serve --admin-port` prints:',
    'http://127.0.0.1:7071, or unix:/run/admin.sock for a socket. It also tells while JavaScript of',
    'the tunnel is blocked. Ends with q or Ctrl-C.',
  ],
  examples: ['npx fasttunnel top http://127.0.0.1:7071', 'npx fasttunnel top unix:/run/admin.sock --once'],
  run: async (given) => await (require('./top.js') as typeof import('./top.js')).top(given),
};

export const COMMANDS: readonly Command[] = [serve, call, doctor, bench, top];
