import { ERROR_CODES } from '../facts/facts.generated.js';

/** What a server says of a call that has failed: the error of its envelope. */
export interface RemoteErrorDetails {
  /** `INTERNAL_ERROR`, `UNAUTHORIZED`, `FORBIDDEN`, `PAYLOAD_TOO_LARGE`, …; `HTTP_ERROR` and `INVALID_RESPONSE` where there was no envelope. */
  code: string;
  /** Status of the answer. */
  status: number;
  /** The request's id, which is in the server's log as well. */
  requestId: string;
  /** Id of a typed error. */
  id?: string | undefined;
  /** Data of a typed error. */
  data?: unknown;
  /** Status that the error itself names. */
  httpCode?: number | undefined;
}

/** The server has answered, and the call has failed: what a `TaskError` of its handler, or a refusal, becomes at the caller. */
export class RemoteError extends Error {
  static {
    this.prototype.name = 'RemoteError';
  }

  readonly code: string;
  readonly status: number;
  readonly requestId: string;
  readonly id: string | undefined;
  readonly data: unknown;
  readonly httpCode: number | undefined;

  constructor(message: string, { code, status, requestId, id, data, httpCode }: RemoteErrorDetails) {
    super(message);
    this.code = code;
    this.status = status;
    this.requestId = requestId;
    this.id = id;
    this.data = data;
    this.httpCode = httpCode;
  }
}

/** Why a call has no answer. */
export type CallErrorCode =
  | 'FASTTUNNEL_CONNECT'
  | 'FASTTUNNEL_CONNECTION_LOST'
  | 'FASTTUNNEL_BAD_ANSWER'
  | 'FASTTUNNEL_TIMEOUT'
  | 'FASTTUNNEL_QUEUE_FULL'
  | typeof ERROR_CODES.closed;

/** A call without an answer. */
export class CallError extends Error {
  static {
    this.prototype.name = 'CallError';
  }

  readonly code: CallErrorCode;
  /** True: its request was sent, so that the handler may have run. False: it has not run. */
  readonly maybeRan: boolean;

  constructor(code: CallErrorCode, maybeRan: boolean, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
    this.maybeRan = maybeRan;
  }
}

/** What `fasttunnel/runner`'s client throws: of the shape that Runner's clients throw, who do not export the class. */
export class TunnelError extends Error {
  static {
    this.prototype.name = 'TunnelError';
  }

  readonly code: string;
  readonly details: unknown;
  readonly httpCode: number | undefined;
  /** Id and data of a typed error that the `errorRegistry` does not know. */
  readonly id: string | undefined;
  readonly data: unknown;

  constructor(code: string, message: string, details?: unknown, extras: { id?: string | undefined; data?: unknown; httpCode?: number | undefined; cause?: unknown } = {}) {
    super(message, 'cause' in extras ? { cause: extras.cause } : undefined);
    this.code = code;
    this.details = details;
    this.httpCode = extras.httpCode;
    this.id = extras.id;
    this.data = extras.data;
  }
}

/** What to do about a connection that cannot be made, by the system's code. */
const FIXES: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'Nothing listens there: is the server running, and is this its port?',
  ENOENT: 'There is no such socket: is the server running, and is this its socketPath?',
  EACCES: 'The process may not use that socket: run as a user who may.',
  ENOTFOUND: 'The host name is unknown: check the url.',
  EAI_AGAIN: 'The host name could not be resolved now: check the network, or give an IP address.',
  EHOSTUNREACH: 'No way leads to that host: check the network.',
  ENETUNREACH: 'No way leads to that network: check the network.',
  ETIMEDOUT: 'Nobody has answered in time (connectTimeoutMs): is a firewall in between?',
  EMFILE: 'The process has no file descriptors left: raise `ulimit -n`, or set fewer `connections`.',
  EADDRNOTAVAIL: 'The machine has no port left for a connection to there: set fewer `connections`.',
};

/** A call that no server could be reached for; `maybeRan` if it had been sent before. */
export function connectErrorOf(url: string, cause: Error, maybeRan = false): CallError {
  const code = String((cause as Error & { code?: unknown }).code ?? cause.message);
  return new CallError('FASTTUNNEL_CONNECT', maybeRan, `cannot connect to ${url}: ${code}. ${FIXES[code] ?? 'See the cause for what the system said.'}${maybeRan ? ' The call was sent before: its handler may have run.' : ''}`, { cause });
}
