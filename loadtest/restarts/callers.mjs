// Clients of a server that goes and comes back. Each call has an id, and is in the end one of: answered by its handler, refused
// by an answer, or unread, when the connection ended without a byte of its answer.
import { Connection, WireError } from '../soak/connection.mjs';

export const ANSWERED = 'answered';
export const REFUSED = 'refused';
export const UNREAD = 'unread';

const RETRY_MS = 2;
const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

function bytesOf(id) {
  const [task, input] = id % 8 === 0 ? ['wait', { id, ms: id % 23 }] : ['echo', { id }];
  const body = JSON.stringify({ input });
  return `POST /__runner/task/${task} HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
}

export class Callers {
  /** What became of each call, by id. */
  fates = [];
  /** Connections that nobody accepted: nothing was sent on them. */
  unconnected = 0;
  complaints = [];
  over = false;
  #tasks = [];

  constructor(port) {
    this.port = port;
  }

  get sent() {
    return this.fates.length;
  }

  /** Starts so many clients that send `depth` requests at a time, on one connection for each time if they are `fresh`. */
  start(count, { depth = 1, fresh = false } = {}) {
    for (let client = 0; client < count; client += 1) this.#tasks.push(this.#live(depth, fresh));
  }

  /** All calls are over, one way or another. */
  async end() {
    this.over = true;
    await Promise.all(this.#tasks);
  }

  async #live(depth, fresh) {
    while (!this.over) {
      const connection = await Connection.open(this.port).catch(() => undefined);
      if (connection === undefined) {
        this.unconnected += 1;
        await sleep(RETRY_MS);
        continue;
      }
      while (!this.over && !connection.ended && (await this.#exchange(connection, depth)) && !fresh);
      connection.destroy();
    }
  }

  /** Sends some calls and takes their answers; false when the connection is done with. */
  async #exchange(connection, depth) {
    const first = this.fates.length;
    const ids = Array.from({ length: depth }, (_, index) => first + index);
    this.fates.push(...ids.map(() => undefined));
    void connection.write(ids.map(bytesOf).join(''));
    let goesOn = true;
    for (const id of ids) {
      const answer = await this.#answer(connection, id);
      this.fates[id] = answer === undefined ? UNREAD : answer.status === 200 ? ANSWERED : REFUSED;
      goesOn = answer !== undefined && !answer.close;
    }
    return goesOn;
  }

  async #answer(connection, id) {
    try {
      const answer = await connection.answer();
      if (answer === undefined) return undefined;
      const text = answer.body.toString();
      const right = answer.complete && (answer.status === 503 || (answer.status === 200 && text === `{"ok":true,"result":${id}}`));
      if (!right) this.complaints.push(`call ${id}: ${answer.status}${answer.complete ? '' : ', not whole'}: ${text.slice(0, 100)}`);
      return answer;
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.complaints.push(`call ${id}: ${error.message}`);
      return undefined;
    }
  }
}
