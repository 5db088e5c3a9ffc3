import { Readable } from 'node:stream';
import type { Call } from '../call.js';

type Headers = Record<string, string | string[]>;

/**
 * What `useExposureContext().req` gives: the call's request, in the shape of an `http.IncomingMessage`. As there, once a
 * JSON body has been read the stream is at its end.
 */
export class TunnelRequest extends Readable {
  readonly method: string;
  /** The request target as it was sent, with its query. */
  readonly url: string;
  readonly headers: Headers;
  readonly httpVersion: string;
  readonly complete = true;
  /** The client has gone before it was answered. */
  aborted = false;

  constructor(call: Call, headers: Headers) {
    super();
    this.method = call.method;
    this.url = call.url;
    this.httpVersion = call.httpVersion;
    this.headers = headers;
    // A stream without listeners of its own must not take the process along.
    this.on('error', ignore);
    this.push(null);
  }

  override _read(): void {}

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

  /** The client has gone. */
  abandon(): void {
    if (this.aborted) return;
    this.aborted = true;
    this.emit('aborted');
    this.destroy();
  }
}

function ignore(): void {}
