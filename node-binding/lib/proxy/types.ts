import type { TlsOptions } from '../options/types.js';

/** Where hosts of the own machine lead for a context: to the workspace that runs what is asked for. */
export interface ProxyRoute {
  /** The workspace. Letters, digits and inner dashes. */
  readonly morphId: string;
  /** Its part: `base`, or the name of another. */
  readonly scope: string;
  /** `localhost:5173` becomes `https://cmux-<morphId>-<scope>-5173.<domainSuffix>`. */
  readonly domainSuffix: string;
  /** With it, `https://port-5173-morphvm-<morphId><morphDomainSuffix>`, and `Host` stays what was asked for. Begins with a dot. */
  readonly morphDomainSuffix?: string | undefined;
}

/** A context, and the credentials with which a client asks for it. */
export interface ProxyContext {
  readonly id: string;
  readonly username: string;
  readonly password: string;
  readonly webContentsId: number;
}

/** A CA, in PEM. */
export interface LocalCA {
  /** What clients have to trust. */
  readonly cert: string;
  /** Whoever has it can be any host of the own machine to those clients: keep it with mode 0600. */
  readonly key: string;
}

/** The CA of a proxy: PEM, or the path of a file that holds it. Its key is of ECDSA on P-256. */
export interface InterceptTls {
  readonly cert: string | Uint8Array;
  readonly key: string | Uint8Array;
  /** Of the key, where that is encrypted. */
  readonly passphrase?: string | undefined;
}

/** A port, or the first and the last of several. */
export type PortRange = number | readonly [first: number, last: number];

/** Bounds of a proxy. docs/proxy.md says what they are when they are left out, and what happens when they are reached. */
export interface ProxyLimits {
  readonly maxConnections?: number | undefined;
  readonly maxUpstreams?: number | undefined;
  readonly maxIdleUpstreams?: number | undefined;
  readonly maxUpstreamsPerContext?: number | undefined;
  readonly headTimeoutMs?: number | undefined;
  readonly bodyTimeoutMs?: number | undefined;
  readonly idleTimeoutMs?: number | undefined;
  readonly writeTimeoutMs?: number | undefined;
  readonly idleUpstreamTimeoutMs?: number | undefined;
  readonly dnsTimeoutMs?: number | undefined;
  readonly connectTimeoutMs?: number | undefined;
  readonly tlsTimeoutMs?: number | undefined;
  readonly sendTimeoutMs?: number | undefined;
  readonly answerTimeoutMs?: number | undefined;
  readonly contentTimeoutMs?: number | undefined;
  readonly tunnelTimeoutMs?: number | undefined;
  readonly tunnelHalfTimeoutMs?: number | undefined;
  readonly sniffTimeoutMs?: number | undefined;
  readonly maxCertificates?: number | undefined;
  /** How long `stop()` waits for what is under way. */
  readonly drainTimeoutMs?: number | undefined;
}

/** What a proxy is started with. */
export interface ProxyOptions {
  /** IP address, 127.0.0.1 unless said otherwise. */
  readonly host?: string | undefined;
  /** 0 takes any free port. */
  readonly port: number;
  /** Listen on an address that others than this machine reach. */
  readonly allowRemote?: boolean | undefined;
  /** Threads; by cores unless said otherwise. */
  readonly shards?: number | undefined;
  readonly driver?: 'auto' | 'io_uring' | 'epoll' | undefined;
  /** Clients are spoken to under TLS, which they have to be told: `https=` in proxy rules. Default: in the clear. */
  readonly tls?: TlsOptions | undefined;
  /**
   * A CA of this machine's own, which clients have to trust: `createLocalCA()` makes one. By it, TLS through tunnels to the own machine is read for contexts with a
   * route, and goes where that says. Default: it goes to the host of the route as it is.
   */
  readonly interceptTls?: InterceptTls | undefined;
  /** HTTP/2 beside HTTP/1.1: with clients, by ALPN or by its preface, and with servers, by ALPN. Default true. */
  readonly http2?: boolean | undefined;
  /** Ports of servers that may be connected to, 443 where a route has led: 80, 443 and those from 1024 on, unless said otherwise. */
  readonly ports?: readonly PortRange[] | undefined;
  /** Hosts that may be gone to, after any route, and no others: `host`, `*.host` or `*`, each with or without `:port`. */
  readonly allow?: readonly string[] | undefined;
  /** Hosts that may not. */
  readonly deny?: readonly string[] | undefined;
  /** Kinds of addresses that may be connected to beside those of the internet. */
  readonly addresses?: ProxyAddresses | undefined;
  /** Hosts that are not looked up, as in `allow`, and the address of each, with or without a port. */
  readonly hosts?: Readonly<Record<string, string>> | undefined;
  /** By whom servers have to be certified, in PEM; by whom browsers trust, unless said otherwise. */
  readonly ca?: string | Uint8Array | undefined;
  /**
   * Hears what became of each request, once that is known. It runs in the event loop, and no request waits for it. What it throws becomes a
   * warning of the process.
   */
  readonly onRequest?: ((request: ProxyRequest) => void) | undefined;
  readonly limits?: ProxyLimits | undefined;
}

/** What became of a request. Nothing of its path, query, fields and content is told: there are secrets in them. */
export interface ProxyRequest {
  /** The context that it was for; `null` for who could not prove to have one. */
  readonly contextId: string | null;
  /** `CONNECT` for tunnels; `null` for what is no request. */
  readonly method: string | null;
  /** Where it was meant to go, before any route. */
  readonly host: string | null;
  readonly port: number | null;
  /** What its client was told, if anything. */
  readonly status: number | null;
  /** What went wrong, as in `Proxy-Status`. */
  readonly error: string | null;
  /** It broke off: the client has left, the server did, or the context was released. */
  readonly aborted: boolean;
  /** From its head to its end; of a tunnel that is not read, and of a WebSocket, to the end of that. */
  readonly durationMs: number;
}

/** Kinds of addresses, none of which may be connected to unless it is said here. */
export interface ProxyAddresses {
  /** This machine, for contexts without a route. */
  readonly loopback?: boolean | undefined;
  /** Networks around here. */
  readonly private?: boolean | undefined;
  /** The link, where clouds keep the keys of a machine. */
  readonly linkLocal?: boolean | undefined;
}

/** What a proxy has done, and does. */
export interface ProxyStats {
  /** Connections of clients now. */
  readonly connections: number;
  readonly accepted: number;
  /** Connections closed at once: `maxConnections`, or no descriptor left. */
  readonly turnedAway: number;
  readonly requests: number;
  /** Requests that the proxy has answered by itself. */
  readonly refused: number;
  /** Malformed, too large or too slow requests. */
  readonly protocolErrors: number;
  readonly heldBytes: number;
  readonly panics: number;
  /** Requests that `onRequest` was not told of, because too many waited to be told. */
  readonly unheard: number;
  /** What of that went over HTTP/2, and what went to servers over it. */
  readonly http2: ProxyHttp2Stats;
  readonly contexts: readonly ProxyContextStats[];
}

/** What a proxy has done over HTTP/2. */
export interface ProxyHttp2Stats {
  readonly clients: ProxyStreamStats;
  readonly servers: ProxyServerStreamStats;
}

/** Connections of HTTP/2, and their streams, on one side of a proxy. */
export interface ProxyStreamStats {
  /** Connections now. */
  readonly connections: number;
  /** Connections since the start. */
  readonly opened: number;
  /** Streams now: requests that are received, passed on or answered, and tunnels. */
  readonly streams: number;
  /** Streams since the start. */
  readonly requests: number;
  /** Of those, the ones that have ended before their time: reset by either end, or with their connection. */
  readonly resets: number;
}

/** The same of servers, and what became of HTTP/2 with them. */
export interface ProxyServerStreamStats extends ProxyStreamStats {
  /** Requests that a server has refused unseen (`REFUSED_STREAM`, `GOAWAY`). */
  readonly refused: number;
  /** Requests that were sent once more, over another connection. */
  readonly retried: number;
  /** Times that a server which was offered HTTP/2 wanted HTTP/1.1: by ALPN, or by `HTTP_1_1_REQUIRED`. */
  readonly fallbacks: number;
}

/** What was done for a context that is not released. */
export interface ProxyContextStats {
  readonly id: string;
  readonly username: string;
  readonly requests: number;
  /** Requests and tunnels under way. */
  readonly open: number;
  /** Bytes of content from clients, and through tunnels. */
  readonly sentBytes: number;
  /** Bytes to them. */
  readonly receivedBytes: number;
  /** Requests that did not get the answer of a server. */
  readonly failed: number;
}
