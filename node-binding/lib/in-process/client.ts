import type { Bridge } from '../bridge/bridge-interface.js';
import { Exchange } from './exchange.js';
import type { ForeignRequest, ForeignResponse } from './foreign.js';
import { Pool } from './pool.js';

/** After the engine has ended: how long answers may take to reach clients of the foreign server. */
const HANDING_ON_MS = 1000;

/** Puts requests of somebody else's server to an engine of this process, as any client would: over HTTP. */
export class InProcessClient {
  readonly #pool: Pool;
  readonly #underWay = new Set<Promise<void>>();

  constructor(bridge: Pick<Bridge, 'connect'>, idleTimeoutMs: number) {
    this.#pool = new Pool(() => bridge.connect(), idleTimeoutMs);
  }

  /**
   * Asks for `target` with what a request says, and answers it with what the engine says. Resolves when the answer has
   * been handed on, or there is nobody left to hand it to; rejects with what the response throws.
   */
  forward(request: ForeignRequest, response: ForeignResponse, target: string): Promise<void> {
    const exchange = new Promise<void>((resolve, reject) => {
      new Exchange(this.#pool, request, response, (error) => (error === undefined ? resolve() : reject(error as Error))).start(target);
    });
    this.#underWay.add(exchange);
    const done = (): void => void this.#underWay.delete(exchange);
    exchange.then(done, done);
    return exchange;
  }

  /** Keeps no connection any more. Before the engine stops. */
  retire(): void {
    this.#pool.retire();
  }

  /** Lets what the engine has answered reach its clients, for a moment. After the engine has stopped. */
  async close(): Promise<void> {
    let timer;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, HANDING_ON_MS);
    });
    await Promise.race([Promise.allSettled([...this.#underWay]), late]);
    clearTimeout(timer);
    this.#pool.destroy();
  }
}
