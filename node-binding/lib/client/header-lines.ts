import { REQUEST_ID_HEADER } from '../facts/facts.generated.js';
import { asToken, fail, isPlainObject } from '../options/checks.js';
import { asRequestId } from './request-ids.js';

/** What the client says itself. */
const OWN = new Set(['connection', 'content-length', 'content-type', 'expect', 'host', 'keep-alive', 'te', 'trailer', 'transfer-encoding', 'upgrade']);
const asName = asToken('the name of a request header');

/** Header lines of a request as text, each with its CRLF. */
export function asHeaderLines(option: string, value: unknown): string {
  if (value === undefined) return '';
  if (!isPlainObject(value)) fail(option, value, 'must be an object of names and values', "For example { 'x-tenant': 'a' }.");
  let lines = '';
  for (const [given, content] of Object.entries(value)) {
    const name = asName(`${option}: the name`, given).toLowerCase();
    if (OWN.has(name)) fail(`${option}.${given}`, content, 'is a header that the client sets itself', 'Leave it out.');
    // A value may be a secret: it is not shown.
    if (typeof content !== 'string' || /[^\t\x20-\x7e\x80-\xff]/.test(content)) fail(`${option}.${given}`, '(hidden)', 'must be a string of characters that a header can carry', 'Encode it, for example with encodeURIComponent.');
    lines += `${name}: ${content}\r\n`;
  }
  return lines;
}

/** The header lines of one call, and the request's id if they name it. */
export function asCallHeaders(value: unknown): { id: string | undefined; lines: string } {
  if (value === undefined) return { id: undefined, lines: '' };
  const lines = asHeaderLines('headers', value);
  // What is sent together with other calls is sent in one encoding.
  if (!isAscii(lines)) fail('headers', '(hidden)', 'of a call must be ASCII', 'Encode them, for example with encodeURIComponent.');
  const id = Object.entries(value as Record<string, string>).find(([name]) => name.toLowerCase() === REQUEST_ID_HEADER);
  if (id === undefined) return { id: undefined, lines };
  return { id: asRequestId(`headers.${id[0]}`, id[1]), lines: lines.replace(new RegExp(`^${REQUEST_ID_HEADER}: .*\r\n`, 'm'), '') };
}

/** The lines of a client and those of a call, which replace others of the same name; undefined where none does. */
export function replaceLines(client: string, lines: string): string | undefined {
  if (client === '' || lines === '') return undefined;
  const names = new Set(lines.split('\r\n').map(nameOf));
  const all = client.split('\r\n').slice(0, -1);
  const left = all.filter((line) => !names.has(nameOf(line)));
  return left.length === all.length ? undefined : left.map((line) => `${line}\r\n`).join('') + lines;
}

function nameOf(line: string): string {
  return line.slice(0, line.indexOf(':'));
}

/** Header lines as node:http and fetch take them. */
export function headersOf(lines: string): Record<string, string> {
  return Object.fromEntries(lines.split('\r\n').filter((line) => line !== '').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]));
}

export function isAscii(text: string): boolean {
  return !/[^\0-\x7f]/.test(text);
}
