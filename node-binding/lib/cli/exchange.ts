// One request and its answer, by Node's own client: `call` works where there is no addon.
import { request as plain } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { request as secure } from 'node:https';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { CommandError, EXIT } from './command.js';
import type { Target } from './target.js';

export interface Question {
  /** By default POST. */
  readonly method?: 'GET' | 'POST';
  readonly path: string;
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  readonly body: string | Readable;
  /** For the head of the answer, and for each part of the body. */
  readonly timeoutMs: number;
}

/** The answer, of which the head has come. Rejects with a CommandError when there is none. */
export function ask(target: Target, { method = 'POST', path, headers, body, timeoutMs }: Question): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const { hostname, port, socketPath } = target;
    const where = socketPath === undefined ? { hostname, port } : { socketPath };
    const length = typeof body === 'string' && method === 'POST' ? { 'content-length': Buffer.byteLength(body) } : {};
    // An agent would keep the connection, and with it the process.
    const sent = (target.secure ? secure : plain)({ ...where, agent: false, method, path, headers: { ...length, ...headers } as Record<string, string | string[]> });
    let answer: IncomingMessage | undefined;
    sent.setTimeout(timeoutMs, () => {
      const late = answer === undefined ? 'no answer' : 'nothing more';
      (answer ?? sent).destroy(new CommandError(`${late} from ${target.shown} within ${timeoutMs} ms (--timeout-ms).`, EXIT.unanswered));
    });
    // Not once: what breaks behind an answer is the answer's error, and comes here as well.
    sent.on('error', (error) => reject(noAnswer(target, error)));
    sent.once('response', (come: IncomingMessage) => resolve(answer = come));
    if (typeof body === 'string') sent.end(body);
    else pipeline(body, sent).catch((error: Error) => reject(noAnswer(target, error)));
  });
}

/** All of an answer's body, as text. */
export async function textOf(target: Target, answer: IncomingMessage): Promise<string> {
  try {
    const parts: Buffer[] = [];
    for await (const part of answer as AsyncIterable<Buffer>) parts.push(part);
    return Buffer.concat(parts).toString();
  } catch (error) {
    throw noAnswer(target, error as Error);
  }
}

/** What to do when nothing comes back, by the system's code. */
const FIXES: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'Nothing listens there: is it started, and is the port right?',
  ENOENT: 'There is no such socket: is it started?',
  ENOTFOUND: 'The host name is unknown.',
  EAI_AGAIN: 'The host name could not be resolved now.',
  ENETUNREACH: 'No network leads there: is it up?',
  EHOSTUNREACH: 'No network leads there: is the address right?',
  EACCES: 'This user may not connect to that socket.',
  ECONNRESET: 'The connection was cut before the answer was complete.',
  HPE_INVALID_CONSTANT: 'What listens there does not speak HTTP.',
  EPROTO: 'What listens there does not speak TLS: write http: instead of https:.',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'Name its certificate in the variable NODE_EXTRA_CA_CERTS.',
};

export function noAnswer(target: Target, error: Error): CommandError {
  if (error instanceof CommandError) return error;
  const code = (error as NodeJS.ErrnoException).code ?? '';
  // Of a name with several addresses, Node wraps the errors of all, and has no message of its own.
  // The message of EPROTO is a line of OpenSSL's log.
  const what = code === 'EPROTO' ? code : error.message || code;
  return new CommandError(`no answer from ${target.shown}: ${what}. ${FIXES[code] ?? ''}`.trim(), EXIT.unanswered, { cause: error });
}
