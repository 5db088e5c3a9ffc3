// From the text of an answer to what the call ends with.
import { RemoteError } from '../errors/client-errors.js';
import type { RemoteErrorDetails } from '../errors/client-errors.js';
import { revivePlain } from '../values/values.js';
import type { ValueCodec } from '../values/codec.js';
import { plainCodec } from '../values/codec.js';

const RESULT = '{"ok":true,"result":';
const DONE = '{"ok":true}';
/** Characters of a text that is no envelope that its error shows. */
const PREVIEW = 512;

/** Reads the bodies of answers. */
export class EnvelopeReader {
  readonly #codec: ValueCodec;
  readonly #plain: boolean;

  constructor(codec: ValueCodec) {
    this.#codec = codec;
    this.#plain = codec === plainCodec;
  }

  /** The result of a call; throws a {@link RemoteError} where it has none. */
  result(status: number, text: string, requestId: string): unknown {
    if (status === 200 && this.#plain && text.endsWith('}')) {
      if (text === DONE) return undefined;
      // What is JSON between these is the result, whatever it is: nothing else can stand beside it.
      if (text.substring(0, RESULT.length) === RESULT) {
        const result = parsed(text.slice(RESULT.length, -1));
        if (result !== NOTHING) return isObject(result) && isMarked(text) ? revivePlain(result) : result;
      }
    }
    return this.#careful(status, text, requestId);
  }

  #careful(status: number, text: string, requestId: string): unknown {
    let envelope: unknown;
    try {
      envelope = text === '' ? undefined : this.#codec.parse(text);
    } catch {
      envelope = undefined;
    }
    if (isObject(envelope)) {
      if (envelope.ok === true) return envelope.result;
      if (envelope.ok === false && isObject(envelope.error)) throw errorOf(envelope.error, status, requestId);
    }
    const shown = text.length > PREVIEW ? `${text.slice(0, PREVIEW)}…` : text;
    if (status >= 400) throw new RemoteError(`the server has answered with status ${status}`, { code: 'HTTP_ERROR', status, requestId, httpCode: status, data: { statusCode: status, bodyPreview: shown } });
    const what = text === '' ? 'without a body' : `with what is no envelope: ${JSON.stringify(shown.slice(0, 80))}`;
    throw new RemoteError(`the server has answered ${what}. Does the url lead to a tunnel, base path included? (A task that answers with a stream is called with client.stream.)`, { code: 'INVALID_RESPONSE', status, requestId, httpCode: status });
  }
}

/** A server that does not know of `returnPayload` does what it does for any event. */
export function withoutPayload(status: number, requestId: string): RemoteError {
  return new RemoteError('Tunnel event returnPayload requested but server did not include result. Upgrade the exposure server.', { code: 'INVALID_RESPONSE', status, requestId, httpCode: status });
}

/** The content is in a form that was not asked for: something between has done that, or it is no tunnel. */
export function encoded(coding: string, status: number, requestId: string): RemoteError {
  return new RemoteError(`the server has answered with the Content-Encoding ${JSON.stringify(coding)}, which the client has not asked for. Does a proxy compress whatever it passes on? Switch that off for the tunnel.`, { code: 'INVALID_RESPONSE', status, requestId, httpCode: status });
}

const NOTHING = Symbol('no JSON');

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return NOTHING;
  }
}

/** May there be records of `undefined`, or keys that reach a prototype? */
function isMarked(text: string): boolean {
  return text.includes('__') || text.includes('constructor') || text.includes('prototype') || text.includes('\\u00');
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function errorOf({ message, code, id, data, httpCode }: Record<string, unknown>, status: number, requestId: string): RemoteError {
  const details: RemoteErrorDetails = { code: typeof code === 'string' ? code : 'UNKNOWN', status, requestId, data };
  if (typeof id === 'string') details.id = id;
  if (typeof httpCode === 'number') details.httpCode = httpCode;
  return new RemoteError(typeof message === 'string' ? message : 'the server has answered with an error without a message', details);
}
