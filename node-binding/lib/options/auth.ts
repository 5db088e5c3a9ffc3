import { OptionError } from '../errors/errors.js';
import { TOKEN_HEADER } from '../facts/facts.generated.js';
import { asBoolean, asGroup, asToken, fail, failHidden } from './checks.js';
import type { EngineOptions } from './engine-options.js';
import { forgetKeys } from './tls.js';

const HOW_TO_SET = `Set auth.token to a secret that callers send in the header ${TOKEN_HEADER}, or auth.allowAnonymous to true to let everybody call.`;

/** Headers that mean something to HTTP itself, or of which the engine keeps another notion than their text. */
const UNUSABLE_HEADERS = new Set(['connection', 'content-length', 'content-type', 'expect', 'host', 'keep-alive', 'te', 'trailer', 'transfer-encoding', 'upgrade']);

/** Who may call. To give nothing is an error: it would be a tunnel that refuses every call. */
export function asAuth(value: unknown): EngineOptions['auth'] {
  if (value === undefined) throw new OptionError('auth', undefined, `auth is missing. ${HOW_TO_SET}`);
  const auth = asGroup('auth', value, ['token', 'header', 'allowAnonymous'], { tokens: 'auth.token (a string or an array)', anonymous: 'auth.allowAnonymous' });
  const allowAnonymous = asBoolean('auth.allowAnonymous', auth.allowAnonymous, false);
  const tokens = asTokens(auth.token);
  if (tokens.length === 0 && !allowAnonymous) {
    const present = Object.hasOwn(auth, 'token') ? 'auth.token is undefined (is its environment variable set?)' : 'auth names no token';
    throw new OptionError('auth', undefined, `${present} and auth.allowAnonymous is not true. ${HOW_TO_SET}`);
  }
  return { header: asTokenHeader(auth.header), tokens: tokens.length === 0 ? undefined : tokens, allowAnonymous };
}

function asTokens(value: unknown): string[] {
  if (value === undefined) return [];
  if (Array.isArray(value)) {
    if (value.length === 0) fail('auth.token', value, 'must hold at least one token', 'Leave it out and set auth.allowAnonymous to true to let everybody call.');
    return Array.from(value, (token: unknown, index) => asOneToken(`auth.token[${index}]`, token));
  }
  return [asOneToken('auth.token', value)];
}

function asOneToken(option: string, value: unknown): string {
  if (typeof value !== 'string') failHidden(option, `must be a string, not ${value === null ? 'null' : typeof value}`, 'Is its environment variable set?');
  if (value === '') throw new OptionError(option, '', `${option} must not be empty, got ''. An empty token would let in callers that send none.`);
  if (value !== value.trim()) failHidden(option, 'must not begin or end with blanks', 'HTTP strips them from header values, so it could never match. Trim it.');
  // Header values arrive as bytes; a token outside of these could never match one. Looks for what must not be there: a
  // match would leave the token in `RegExp.input`.
  if (/[^\t\x20-\x7e\x80-\xff]/.test(value)) failHidden(option, 'must consist of characters that a header can carry', 'Use printable ASCII, for example 32 random bytes in hex.');
  return value;
}

function asTokenHeader(value: unknown): string {
  if (value === undefined) return TOKEN_HEADER;
  const name = asToken('the name of a request header')('auth.header', value).toLowerCase();
  if (UNUSABLE_HEADERS.has(name)) fail('auth.header', value, 'must not be a header that HTTP itself uses', `Leave it out for ${TOKEN_HEADER}, or use authorization.`);
  return name;
}

/**
 * Lets go of the texts of tokens, and of a key: the engine has the digests, and the key. A string cannot be wiped, but nothing of ours keeps it from
 * being collected. What were started with these options again would let nobody in.
 */
export function forgetTokens({ auth, tls, admin }: EngineOptions): void {
  if (auth.tokens !== undefined) auth.tokens = [];
  if (tls !== undefined) forgetKeys(tls);
  if (typeof admin?.tls === 'object') forgetKeys(admin.tls);
}
