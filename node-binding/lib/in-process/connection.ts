import { closeSync } from 'node:fs';
import { connect, Socket } from 'node:net';
import type { NetConnectOpts } from 'node:net';
import { onBun } from '../process/runtime.js';
import { AnswerReader } from './answer-reader.js';
import type { AnswerSink } from './answer-reader.js';

/** Whoever has a connection for one request and its answer. */
export interface Holder extends AnswerSink {
  /** What was written has left; `write` may go on. */
  drained(): void;
  /** The connection has ended before the answer has. */
  cut(): void;
}

/** Bun opens a descriptor by connecting to it: a socket that is made with one is closed there. */
function socketOf(fd: number): Socket {
  return onBun ? connect({ fd } as unknown as NetConnectOpts) : new Socket({ fd, readable: true, writable: true });
}

/** One connection to the engine: one request at a time, and its answer. */
export class Connection {
  readonly #socket: Socket;
  readonly #reader = new AnswerReader();
  #holder: Holder | undefined;
  /** When the last answer was over, in milliseconds of `performance.now()`. */
  idleSinceMs = 0;

  /** Takes the descriptor over. */
  constructor(descriptor: number) {
    try {
      this.#socket = socketOf(descriptor);
    } catch (error) {
      closeSync(descriptor);
      throw error;
    }
    this.#socket.on('data', (bytes: Buffer) => {
      if (!this.#reader.read(bytes)) this.destroy();
    });
    this.#socket.on('drain', () => this.#holder?.drained());
    // 'close' follows; why it ended makes no difference.
    this.#socket.on('error', () => {});
    this.#socket.on('end', () => this.destroy());
    this.#socket.on('close', () => this.#cut());
  }

  /** It can take a request. */
  get usable(): boolean {
    return !this.#socket.destroyed && this.#holder === undefined && this.#reader.idle;
  }

  /** The answer that was read last is the last one of this connection. */
  get last(): boolean {
    return this.#reader.last;
  }

  /** Begins a request. What follows in this turn of the event loop leaves together with its head. */
  begin(holder: Holder, head: string, toHead: boolean): void {
    this.#holder = holder;
    this.#reader.expect(holder, toHead);
    this.#socket.ref();
    this.#socket.cork();
    this.#socket.write(head, 'latin1');
  }

  /** Lets the head go, with what of the body has come. */
  flush(): void {
    this.#socket.uncork();
  }

  /** False: wait for `drained`. */
  write(bytes: Uint8Array | string): boolean {
    return this.#socket.write(bytes);
  }

  /** Writes bytes in the chunked coding. */
  writeChunk(bytes: Uint8Array): boolean {
    this.#socket.cork();
    this.#socket.write(`${bytes.length.toString(16)}\r\n`, 'latin1');
    this.#socket.write(bytes);
    const room = this.#socket.write('\r\n', 'latin1');
    this.#socket.uncork();
    return room;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** The request and its answer are over: nobody hears of the connection until the next `begin`. */
  leave(): void {
    this.#holder = undefined;
    // A reader that was paused for a client that is slow has to see the end.
    this.#socket.resume();
    this.#socket.unref();
  }

  /** Ends it at once. The engine gives up what it does for it. */
  destroy(): void {
    this.#socket.destroy();
    this.#cut();
  }

  #cut(): void {
    const holder = this.#holder;
    this.#holder = undefined;
    holder?.cut();
  }
}
