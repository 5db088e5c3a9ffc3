// The head of an answer (RFC 9112 4 and 5), read strictly: what is not clear is refused.

/** Where an answer's content ends. */
export const enum Framing {
  Length,
  Chunked,
  /** With the connection. */
  Close,
}

/** What of a head counts for a call. */
export interface AnswerHead {
  readonly status: number;
  readonly framing: Framing;
  /** Bytes of the content, where the head says. */
  readonly length: number;
  /** The connection ends behind this answer. */
  readonly close: boolean;
  /** For how many milliseconds the server keeps the connection idle; undefined where it does not say. */
  readonly keepMs: number | undefined;
  readonly requestId: string | undefined;
  readonly retryAfter: string | undefined;
  readonly contentType: string | undefined;
  /** A coding of the content, which nobody has asked for. */
  readonly contentEncoding: string | undefined;
}

/** Why a head is refused. */
export class HeadError extends Error {}

const STATUS_LINE = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: [^\r\n\0]*)?$/;
const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const KEEP = /(?:^|[\s,])timeout\s*=\s*"?(\d{1,9})/i;

/** Reads a head: its text as latin-1, without the empty line at its end. */
export function readHead(text: string): AnswerHead {
  const lines = text.split('\r\n');
  const status = STATUS_LINE.exec(lines[0]!);
  if (status === null) throw new HeadError(`no status line: ${JSON.stringify(lines[0]!.slice(0, 80))}`);
  const code = Number(status[2]);
  let length: number | undefined;
  let codings: string | undefined;
  let connection = '';
  let keepAlive: string | undefined;
  let requestId: string | undefined;
  let retryAfter: string | undefined;
  let contentType: string | undefined;
  let contentEncoding: string | undefined;
  for (let index = 1; index < lines.length; index++) {
    const line = lines[index]!;
    const colon = line.indexOf(':');
    const name = line.slice(0, Math.max(colon, 0));
    if (!NAME.test(name)) throw new HeadError(`no header line: ${JSON.stringify(line.slice(0, 80))}`);
    if (/[\r\n\0]/.test(line)) throw new HeadError(`a control character in ${name}`);
    // Names by their length first: few lines are looked at further.
    switch (name.length) {
      case 10:
        if (same(name, 'connection')) connection += `,${line.slice(colon + 1)}`;
        else if (same(name, 'keep-alive')) keepAlive = line.slice(colon + 1);
        break;
      case 11:
        if (same(name, 'retry-after')) retryAfter = line.slice(colon + 1).trim();
        break;
      case 12:
        if (same(name, 'content-type')) contentType ??= line.slice(colon + 1).trim();
        break;
      case 14:
        if (same(name, 'content-length')) length = lengthOf(line.slice(colon + 1), length);
        break;
      case 16:
        if (same(name, 'content-encoding')) contentEncoding = codingOf(line.slice(colon + 1));
        break;
      case 17:
        if (same(name, 'transfer-encoding')) codings = codings === undefined ? line.slice(colon + 1).trim() : `${codings}, ${line.slice(colon + 1).trim()}`;
        break;
      case 19:
        if (same(name, 'x-runner-request-id')) requestId ??= line.slice(colon + 1).trim();
        break;
    }
  }
  const chunked = codings !== undefined;
  if (chunked && !/^chunked$/i.test(codings!)) throw new HeadError(`a transfer coding that nobody has asked for: ${JSON.stringify(codings!.slice(0, 80))}`);
  if (chunked && length !== undefined) throw new HeadError('both Content-Length and Transfer-Encoding');
  if (chunked && status[1] === '0') throw new HeadError('Transfer-Encoding in HTTP/1.0');
  const bodiless = code < 200 || code === 204 || code === 304;
  const framing = bodiless || length !== undefined ? Framing.Length : chunked ? Framing.Chunked : Framing.Close;
  const said = /(?:^|,)\s*close\s*(?:,|$)/i.test(connection) || (status[1] === '0' && !/(?:^|,)\s*keep-alive\s*(?:,|$)/i.test(connection));
  return {
    status: code,
    framing,
    length: bodiless ? 0 : (length ?? 0),
    close: said || framing === Framing.Close,
    keepMs: keepMsOf(keepAlive),
    requestId,
    retryAfter,
    contentType,
    contentEncoding,
  };
}

function same(name: string, lower: string): boolean {
  return name === lower || name.toLowerCase() === lower;
}

function lengthOf(given: string, before: number | undefined): number {
  const text = given.trim();
  const length = /^\d{1,15}$/.test(text) ? Number(text) : NaN;
  // Equal ones may be repeated (RFC 9110 8.6); nobody has a reason to.
  if (Number.isNaN(length) || before !== undefined) throw new HeadError(`a Content-Length that says nothing: ${JSON.stringify(text.slice(0, 80))}`);
  return length;
}

/** Undefined for what is none. */
export function codingOf(value: string | undefined): string | undefined {
  const coding = value?.trim().slice(0, 80);
  return coding === '' || coding?.toLowerCase() === 'identity' ? undefined : coding;
}

function keepMsOf(value: string | undefined): number | undefined {
  const seconds = value === undefined ? null : KEEP.exec(value);
  return seconds === null ? undefined : Number(seconds[1]) * 1000;
}
