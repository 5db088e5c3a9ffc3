// Where a server is: what stands in a url, and what its connections need of it.
import { fail } from '../options/checks.js';
import { BASE_PATH } from '../facts/facts.generated.js';

/** Where one server is reached. */
export interface Place {
  /** As errors and statistics name it. */
  readonly url: string;
  readonly secure: boolean;
  readonly host: string;
  readonly port: number;
  readonly socketPath: string | undefined;
  /** Value of the header Host. */
  readonly authority: string;
  /** Without a slash at its end. */
  readonly basePath: string;
}

/** How a tunnel with a socket path names itself: `unix:<path>:<base path>`. */
const UNIX = /^unix:([^\0]+?):(\/.*)?$/;

/** Reads a url. `socketPath` overrides where it leads, not its path and host. */
export function asPlace(option: string, value: unknown, socketPath: string | undefined): Place {
  const text = value instanceof URL ? value.href : value;
  if (typeof text !== 'string') fail(option, value, 'must be a url', `For example 'http://127.0.0.1:7070${BASE_PATH}'.`);
  const unix = UNIX.exec(text);
  if (unix !== null) return placeOf(text, `http://localhost${unix[2] ?? ''}`, option, value, unix[1]);
  if (!/^https?:\/\//i.test(text)) fail(option, value, 'must begin with http://, https:// or unix:', `For example 'http://127.0.0.1:7070${BASE_PATH}'.`);
  return placeOf(socketPath === undefined ? text : `unix:${socketPath}:`, text, option, value, socketPath);
}

function placeOf(shown: string, text: string, option: string, value: unknown, socketPath: string | undefined): Place {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    fail(option, value, 'must be a url', `For example 'http://127.0.0.1:7070${BASE_PATH}'.`);
  }
  if (url.username !== '' || url.password !== '') fail(option, '(hidden)', 'must not hold a user or a password', 'Use auth.token.');
  if (url.search !== '' || url.hash !== '') fail(option, value, 'must not have a query or a fragment', `For example 'http://127.0.0.1:7070${BASE_PATH}'.`);
  const secure = url.protocol === 'https:';
  return {
    url: shown,
    secure,
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: url.port === '' ? (secure ? 443 : 80) : Number(url.port),
    socketPath,
    authority: url.host,
    basePath: url.pathname.replace(/\/$/, ''),
  };
}
