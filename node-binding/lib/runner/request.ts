import type { Call } from '../calls/call.js';
import type { TlsPeer } from '../options/types.js';
import { BodyStream } from '../streams/body.js';
import type { BodyPort } from '../streams/body.js';

type Headers = Record<string, string | string[]>;

/**
 * What `useExposureContext().req` gives: the call's request, in the shape of an `http.IncomingMessage`. Of an octet-stream
 * call it is the body; as there, once a JSON body has been read the stream is at its end.
 */
export class TunnelRequest extends BodyStream {
  readonly method: string;
  /** The request target as it was sent, with its query. */
  readonly url: string;
  readonly headers: Headers;
  readonly httpVersion: string;
  readonly #call: () => Call;
  /** The client has gone before it was answered. */
  aborted = false;

  /** @param port where the body comes from; without one it has been read */
  constructor(call: Call, headers: Headers, port?: BodyPort) {
    super(port ?? NOWHERE);
    this.method = call.method;
    this.url = call.url;
    this.httpVersion = call.httpVersion;
    this.headers = headers;
    this.#call = () => call;
    if (port === undefined) this.finish();
  }

  /** How the client has come by TLS, and its certificate; see `CallContext`. */
  get tls(): TlsPeer | undefined {
    return this.#call().tls;
  }

  /** The address of the client; see `CallContext`. */
  get remoteAddress(): string | undefined {
    return this.#call().remoteAddress;
  }

  get remotePort(): number | undefined {
    return this.#call().remotePort;
  }

  /** What the client speaks; see `CallContext`. */
  get protocol(): 'http' | 'https' | undefined {
    return this.#call().protocol;
  }

  /** The host that the client has asked for; see `CallContext`. */
  get host(): string | undefined {
    return this.#call().host;
  }

  /** Names and values in turn. Names are in lower case: how they were written is not kept. */
  get rawHeaders(): string[] {
    return Object.entries(this.headers).flatMap(([name, value]) => (Array.isArray(value) ? value.flatMap((one) => [name, one]) : [name, value]));
  }

  get headersDistinct(): Record<string, string[]> {
    return Object.fromEntries(Object.entries(this.headers).map(([name, value]) => [name, Array.isArray(value) ? value : [value]]));
  }

  get httpVersionMajor(): number {
    return Number(this.httpVersion.split('.')[0]);
  }

  get httpVersionMinor(): number {
    return Number(this.httpVersion.split('.')[1]);
  }

  /** No more will come; with an error, because the client has gone. */
  override abandon(error?: Error): void {
    if (error !== undefined && !this.aborted) {
      this.aborted = true;
      this.emit('aborted');
    }
    super.abandon(error);
  }
}

const NOWHERE: BodyPort = { credit: ignore, discard: ignore };

function ignore(): void {}
