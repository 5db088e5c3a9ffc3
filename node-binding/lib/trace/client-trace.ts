import { TracedWork } from './channel.js';

/** The message of the tracing channel `fasttunnel.client.call`: one object for all channels of one call of a client. */
export interface ClientCallMessage {
  readonly kind: 'task' | 'event';
  readonly id: string;
  /** Header lines that go along with the call; subscribers of `start` may add some, `traceparent` for example. */
  readonly headers: Record<string, string>;
  /** Of the server that it was sent to last; undefined before, where the client has several. */
  readonly url: string | undefined;
  /** The path of the request, behind the path of `url`. */
  readonly path: string;
  /** Of the answer, where one has come. */
  readonly statusCode: number | undefined;
  /** The call is over. In `end` it says that neither `asyncStart` nor `asyncEnd` follows. */
  readonly settled: boolean;
  /** What the caller gets. */
  readonly result?: unknown;
  /** What the caller gets instead. */
  readonly error?: unknown;
}

/** The tracing channel of all clients in this thread. */
export const CLIENT_CALLS = new TracedWork<ClientCallMessage>('fasttunnel.client.call');

/** A call of a client that somebody listens to. */
export class ClientCallTrace implements ClientCallMessage {
  readonly headers: Record<string, string> = {};
  statusCode: number | undefined;
  settled = false;
  declare result?: unknown;
  declare error?: unknown;

  constructor(
    readonly kind: 'task' | 'event',
    readonly id: string,
    readonly path: string,
    public url: string | undefined,
  ) {}

  /** Makes the call, and tells how it goes. */
  async follow<Result>(make: () => Promise<Result>): Promise<Result> {
    let answer: Promise<Result>;
    try {
      answer = CLIENT_CALLS.start(this, make);
    } catch (error) {
      this.#failed(error);
      this.settled = true;
      CLIENT_CALLS.end(this);
      throw error;
    }
    CLIENT_CALLS.end(this);
    try {
      const result = await answer;
      this.statusCode ??= 200;
      this.result = result;
      return result;
    } catch (error) {
      this.#failed(error);
      throw error;
    } finally {
      this.settled = true;
      CLIENT_CALLS.settle(this);
    }
  }

  #failed(error: unknown): void {
    this.error = error;
    const status = typeof error === 'object' && error !== null && 'status' in error ? error.status : undefined;
    if (typeof status === 'number') this.statusCode = status;
    CLIENT_CALLS.error(this);
  }
}
