// Calls at a constant rate, whatever becomes of them: each is due at a time of its own, and its latency counts from then.
import { Connection, WireError } from '../soak/connection.mjs';

const TICK_MS = 2;
/** More calls than that wait here: a machine that was busy for a moment is not to open thousands of connections at once. */
const MOST_CONNECTIONS = 500;

export class Load {
  /** Each call, by id: `{ begun, phase, dueMs, doneMs, status, text }`: the phase that it began in and the one that it counts for. Status 0: its connection ended without an answer. */
  calls = [];
  phase = '';
  #idle = [];
  #waiting = [];
  #open = new Set();
  /** Calls that have a connection, or are about to. */
  #places = 0;
  #timer;
  #beganMs = 0;
  #sent = 0;
  #running = new Set();

  constructor({ port, rate }) {
    this.port = port;
    this.rate = rate;
  }

  start() {
    this.#beganMs = performance.now();
    this.#timer = setInterval(() => this.#send(), TICK_MS);
  }

  /** No more calls; resolves when all have ended. */
  async end() {
    clearInterval(this.#timer);
    while (this.#running.size > 0) await Promise.allSettled(this.#running);
    for (const connection of this.#open) connection.destroy();
  }

  /** From now on, at another rate. */
  setRate(rate) {
    [this.#beganMs, this.#sent, this.rate] = [performance.now(), 0, rate];
  }

  #send() {
    const due = ((performance.now() - this.#beganMs) * this.rate) / 1000;
    while (this.#sent < due) {
      this.#sent += 1;
      const call = { begun: this.phase, phase: this.phase, dueMs: this.#beganMs + (this.#sent * 1000) / this.rate, doneMs: 0, status: 0, text: '' };
      const running = this.#run(this.calls.push(call) - 1, call).finally(() => this.#running.delete(running));
      this.#running.add(running);
    }
  }

  async #run(id, call) {
    if (this.#places >= MOST_CONNECTIONS) await new Promise((resolve) => { this.#waiting.push(resolve); });
    this.#places += 1;
    let connection;
    try {
      connection = this.#rested() ?? (await this.#connect());
      const body = JSON.stringify({ input: { id } });
      void connection.write(`POST /__runner/task/work HTTP/1.1\r\nhost: fleet\r\nx-call: ${id}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
      const answer = await connection.answer();
      if (answer !== undefined) [call.status, call.text] = [answer.status, answer.complete ? answer.body.toString() : 'not whole'];
      if (answer !== undefined && answer.complete && !answer.close && !connection.ended) this.#idle.push(connection);
      else this.#close(connection);
    } catch (error) {
      if (!(error instanceof WireError) && error.code === undefined) throw error;
      call.text = error.message;
      if (connection !== undefined) this.#close(connection);
    }
    this.#places -= 1;
    this.#waiting.shift()?.();
    call.doneMs = performance.now();
    // What goes wrong is of the phase in which it does.
    if (call.status !== 200) call.phase = this.phase;
  }

  /** A connection that waits for something to send, and has not ended meanwhile. */
  #rested() {
    for (;;) {
      const connection = this.#idle.pop();
      if (connection?.ended !== true) return connection;
      this.#close(connection);
    }
  }

  async #connect() {
    const connection = await Connection.open(this.port);
    this.#open.add(connection);
    return connection;
  }

  #close(connection) {
    this.#open.delete(connection);
    connection.destroy();
  }
}
