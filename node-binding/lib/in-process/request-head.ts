import { headerLinesOf } from './foreign.js';
import type { ForeignRequest } from './foreign.js';

/** How the body that follows a head is told from what comes behind it: its length, or `chunked`. */
export type Framing = number | 'chunked';

export interface RequestHead {
  readonly text: string;
  readonly framing: Framing;
}

/** Lines that concern the connection of one hop only; `expect` is dealt with by the server that has the client. */
const HOP_BY_HOP = new Set(['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'te', 'trailer', 'upgrade', 'http2-settings', 'expect']);

const METHOD = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const TARGET = /^[\x21-\x7e\x80-\xff]+$/;
const NAME = METHOD;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/**
 * The head that asks the engine what a foreign request asks for. `bodyLength`: of a body that is known as a whole.
 * `undefined` for a request that cannot be written as one; no parser lets it through, but a middleware may make it.
 */
export function requestHead(request: ForeignRequest, target: string, bodyLength: number | undefined): RequestHead | undefined {
  const method = request.method ?? 'GET';
  if (!METHOD.test(method) || !TARGET.test(target)) return undefined;
  const lines = headerLinesOf(request);
  let text = `${method} ${target} HTTP/1.1\r\n`;
  let host: string | undefined;
  let declared: string | undefined;
  let chunked = false;
  for (let index = 0; index + 1 < lines.length; index += 2) {
    const name = lines[index]!;
    const value = lines[index + 1]!;
    const key = name.toLowerCase();
    if (key === ':authority') host ??= value;
    // The other lines of HTTP/2 that are no fields: method, path, scheme.
    if (name.startsWith(':')) continue;
    if (key === 'transfer-encoding') chunked = true;
    if (HOP_BY_HOP.has(key)) continue;
    if (!NAME.test(name) || !VALUE.test(value)) return undefined;
    if (key === 'content-length') {
      if (declared !== undefined && declared !== value) return undefined;
      declared = value;
      continue;
    }
    if (key === 'host') host = '';
    text += `${name}: ${value}\r\n`;
  }
  // HTTP/1.0 asks for no Host, the engine does.
  if (host !== '') text += `Host: ${host !== undefined && VALUE.test(host) ? host : 'localhost'}\r\n`;
  const framing = framingOf(request, bodyLength, chunked, declared);
  if (framing === undefined) return undefined;
  if (framing === 'chunked') text += 'Transfer-Encoding: chunked\r\n';
  else if (framing > 0 || declared !== undefined) text += `Content-Length: ${framing}\r\n`;
  return { text: `${text}\r\n`, framing };
}

function framingOf({ rawHeaders, httpVersionMajor = 1 }: ForeignRequest, bodyLength: number | undefined, chunked: boolean, declared: string | undefined): Framing | undefined {
  if (bodyLength !== undefined) return bodyLength;
  if (chunked) return 'chunked';
  if (declared !== undefined) return /^\d{1,15}$/.test(declared) ? Number(declared) : undefined;
  // HTTP/1 says when there is a body; HTTP/2 and a stand-in need not.
  return httpVersionMajor === 1 && rawHeaders !== undefined && rawHeaders.length > 0 ? 0 : 'chunked';
}
