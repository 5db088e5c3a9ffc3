// Where a call goes, as its user writes it.
import { BASE_PATH } from '../facts/facts.generated.js';
import { CommandError, EXIT } from './command.js';

/** What `node:http` is told, and the prefix of every route. */
export interface Target {
  readonly secure: boolean;
  readonly socketPath?: string;
  readonly hostname?: string;
  readonly port?: number;
  readonly basePath: string;
  /** For messages. */
  readonly shown: string;
}

const FORMS = 'http://127.0.0.1:7070, http://127.0.0.1:7070/base or unix:/run/app.sock';

/** Reads `http://host:port/base` and `unix:/path:/base`. Without a path the default prefix is meant, with `/` none. */
export function asTarget(text: string): Target {
  if (text.startsWith('unix:')) return asSocket(text);
  const url = urlOf(text);
  if (url === undefined) {
    const meant = /^[\w.-]+(?::\d+)?(?:\/|$)/.test(text) ? `Did you mean http://${text}?` : `Write for example ${FORMS}.`;
    throw new CommandError(`${JSON.stringify(text)} is no URL that can be called. ${meant}`, EXIT.usage);
  }
  const says = url.pathname !== '/' || /^[a-z]+:\/\/[^/]*\//i.test(text);
  return {
    secure: url.protocol === 'https:',
    hostname: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port),
    basePath: says ? url.pathname.replace(/\/$/, '') : BASE_PATH,
    shown: url.origin,
  };
}

function urlOf(text: string): URL | undefined {
  try {
    const url = new URL(text);
    return url.protocol === 'http:' || url.protocol === 'https:' ? url : undefined;
  } catch {
    return undefined;
  }
}

function asSocket(text: string): Target {
  // As `url` of a tunnel has it; a path of a socket may hold colons.
  const [, path = '', base] = /^unix:(.*?)(?::(\/.*)?)?$/.exec(text) ?? [];
  if (path === '') throw new CommandError(`${JSON.stringify(text)} names no socket. Write for example unix:/run/app.sock.`, EXIT.usage);
  return { secure: false, socketPath: path, basePath: base === undefined ? BASE_PATH : base.replace(/\/$/, ''), shown: `unix:${path}` };
}
