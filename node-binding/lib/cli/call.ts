// `fasttunnel call`: one task or event, its result on stdout, whatever else on stderr.
import { createReadStream, statSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { TOKEN_HEADER } from '../facts/facts.generated.js';
import { asToken } from '../options/checks.js';
import { CommandError, EXIT } from './command.js';
import type { Given } from './command.js';
import { tokenOfEnvironment } from './defaults.js';
import { ask, noAnswer, textOf } from './exchange.js';
import type { Question } from './exchange.js';
import { asTarget } from './target.js';

/** What every answer is that is not streamed. */
interface Envelope {
  readonly ok: boolean;
  readonly result?: unknown;
  readonly error?: { readonly message?: unknown; readonly code?: unknown; readonly id?: unknown; readonly data?: unknown };
}

export async function call(given: Given): Promise<number> {
  const [url, id] = given.operands as readonly [string, string];
  const target = asTarget(url);
  if (id === '') throw new CommandError('the id is empty: name a task or an event.', EXIT.usage);
  const kind = given.flag('event') ? 'event' : 'task';
  const body = await bodyOf(given, kind);
  const headers = headersOf(given, body.type);
  const path = `${target.basePath}/${kind}/${encodeURIComponent(id)}`;
  const answer = await ask(target, { path, headers, body: body.content, timeoutMs: given.number('timeout-ms')! });
  try {
    if (!given.flag('stream') || (answer.statusCode ?? 0) >= 300) return showAnswer(answer, await textOf(target, answer), given);
    // An error of stdout ends the process by itself: this is one of the answer.
    await pipeline(answer, process.stdout, { end: false }).catch((error: Error) => { throw noAnswer(target, error); });
    return EXIT.fine;
  } finally {
    // What is answered before all of the body was sent: nobody wants the rest.
    answer.socket.destroy();
  }
}

/** JSON of an operand or of stdin, or the bytes of a file. */
async function bodyOf(given: Given, kind: 'task' | 'event'): Promise<{ type: string; content: Question['body'] }> {
  const json = given.operands[2];
  const file = given.text('body');
  if (file !== undefined) {
    if (json !== undefined) throw new CommandError('--body is the whole body: leave the JSON out.', EXIT.usage);
    if (kind === 'event') throw new CommandError('--body is for tasks: an event has a payload in JSON.', EXIT.usage);
    return { type: 'application/octet-stream', content: file === '-' ? process.stdin : await opened(file) };
  }
  if (json === undefined) return { type: 'application/json', content: '' };
  const text = json === '-' ? await stdinText() : json;
  try {
    JSON.parse(text);
  } catch (error) {
    const fix = json === '-' ? 'stdin has to hold one JSON value.' : `Quote it for the shell: '{"a":1}'; a text is '"text"'.`;
    throw new CommandError(`the ${kind === 'task' ? 'input' : 'payload'} is no JSON: ${(error as Error).message}. ${fix}`, EXIT.usage);
  }
  // The text itself, in which numbers keep all of their digits.
  return { type: 'application/json', content: `{"${kind === 'task' ? 'input' : 'payload'}":${text}}` };
}

function opened(file: string): Promise<Question['body']> {
  // It can be opened, and not be read.
  if (statSync(file, { throwIfNoEntry: false })?.isDirectory() === true) throw new CommandError(`--body: ${file} is a directory: name a file.`, EXIT.usage);
  const stream = createReadStream(file);
  return new Promise((resolve, reject) => {
    stream.once('open', () => resolve(stream));
    stream.once('error', (error) => reject(new CommandError(`--body: ${error.message}`, EXIT.usage)));
  });
}

async function stdinText(): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of process.stdin as AsyncIterable<Buffer>) parts.push(part);
  return Buffer.concat(parts).toString();
}

function headersOf(given: Given, contentType: string): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = { 'content-type': contentType };
  const token = given.text('token') ?? tokenOfEnvironment();
  if (token !== undefined) headers[asToken('the name of a request header')('--token-header', given.text('token-header') ?? TOKEN_HEADER)] = token;
  for (const line of given.list('header')) {
    const [, name, value] = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*(.*)$/.exec(line) ?? [];
    if (name === undefined || value === undefined) throw new CommandError(`--header ${JSON.stringify(line)} is no header line. Write for example --header 'x-tenant: 7'.`, EXIT.usage);
    headers[name.toLowerCase()] = value;
  }
  for (const [name, value] of Object.entries(headers)) {
    // The value may be a token.
    if (typeof value === 'string' && /[^\t\x20-\x7e\x80-\xff]/.test(value)) throw new CommandError(`the value of the header ${name} has characters that a header cannot carry.`, EXIT.usage);
  }
  return headers;
}

function showAnswer(answer: IncomingMessage, text: string, given: Given): number {
  const status = answer.statusCode ?? 0;
  const envelope = envelopeOf(text);
  if (envelope === undefined) {
    if (status < 300) throw new CommandError(`the answer is no JSON of a tunnel, but ${answer.headers['content-type'] ?? 'of no type'}. If the task answers with a stream, add --stream.`);
    throw new CommandError(`${status} ${answer.statusMessage ?? ''}`.trimEnd() + `: the answer is not that of a tunnel. Is the address right?`);
  }
  if (envelope.ok) {
    if (envelope.result !== undefined) process.stdout.write(`${JSON.stringify(envelope.result, null, 2)}\n`);
    return EXIT.fine;
  }
  const { message, code, id, data } = envelope.error ?? {};
  const lines = [`${status} ${String(code ?? '')}: ${String(message ?? '')}${id === undefined ? '' : ` (${String(id)})`}`];
  if (data !== undefined) lines.push(JSON.stringify(data, null, 2));
  const fix = fixOf(status, given);
  if (fix !== undefined) lines.push(fix);
  throw new CommandError(lines.join('\n'));
}

function fixOf(status: number, given: Given): string | undefined {
  if (status === 401) return headersOf(given, '')[given.text('token-header') ?? TOKEN_HEADER] === undefined ? 'It wants a token: --token TOKEN.' : 'The token is not the right one.';
  if (status === 403) return `No ${given.flag('event') ? 'event' : 'task'} with that id may be called: is it spelled right, or ${given.flag('event') ? 'a task (without --event)' : 'an event (--event)'}?`;
  if (status === 404) return 'No tunnel has that path: is the base path right?';
  return undefined;
}

/** An answer of a tunnel; typed `undefined` is that. */
function envelopeOf(text: string): Envelope | undefined {
  try {
    const value = JSON.parse(text) as Envelope | null;
    if (typeof value !== 'object' || value === null || typeof value.ok !== 'boolean') return undefined;
    const { result } = value as { result?: { __type?: unknown } | null };
    return typeof result === 'object' && result?.__type === 'Undefined' ? { ...value, result: undefined } : value;
  } catch {
    return undefined;
  }
}
