import { AsyncResource } from 'node:async_hooks';
import { Connection } from './connection.js';

/** Connections that wait for a request. More: closed when their answer is over. */
const MAX_IDLE = 256;

/** Connections to one engine, used again and again. */
export class Pool {
  readonly #connect: () => number;
  readonly #maxIdleMs: number;
  readonly #idle: Connection[] = [];
  readonly #busy = new Set<Connection>();
  // Sockets carry the async context that they are made in: not that of whoever came first.
  readonly #origin = new AsyncResource('FASTTUNNEL_IN_PROCESS');
  #retired = false;

  /** `idleTimeoutMs`: after which time the engine closes an idle connection. */
  constructor(connect: () => number, idleTimeoutMs: number) {
    this.#connect = connect;
    this.#maxIdleMs = idleTimeoutMs / 2;
  }

  /** A connection for one request. Throws what the engine says when it takes no more. */
  take(): Connection {
    for (let connection = this.#idle.pop(); connection !== undefined; connection = this.#idle.pop()) {
      if (connection.usable && performance.now() - connection.idleSinceMs < this.#maxIdleMs) return this.#use(connection);
      connection.destroy();
    }
    return this.#use(this.#origin.runInAsyncScope(() => new Connection(this.#connect())));
  }

  #use(connection: Connection): Connection {
    this.#busy.add(connection);
    return connection;
  }

  /** Gives a connection back, whose request was sent and whose answer was read to the end; or one that has ended. */
  give(connection: Connection): void {
    this.#busy.delete(connection);
    connection.leave();
    if (this.#retired || connection.last || !connection.usable || this.#idle.length >= MAX_IDLE) return connection.destroy();
    connection.idleSinceMs = performance.now();
    this.#idle.push(connection);
  }

  /** Keeps no connection any more; those in use end with their answers. */
  retire(): void {
    this.#retired = true;
    for (const connection of this.#idle.splice(0)) connection.destroy();
  }

  /** Cuts off what is in use. */
  destroy(): void {
    this.retire();
    for (const connection of [...this.#busy]) connection.destroy();
  }
}
