// Which calls there were, what became of them as their client sees it, and how often their handler ran.

/** What the client knows of a handler's runs, once its exchange is over. */
export const ONCE = 'once';
export const NEVER = 'never';
export const MAYBE = 'maybe';

export class Ledger {
  #entries = new Map();
  #complaints = [];
  /** Handlers that began, since the start. */
  begun = 0;

  open(id, about) {
    if (this.#entries.has(id)) throw new Error(`the id ${id} is used twice`);
    this.#entries.set(id, { about, fate: undefined, runs: 0 });
  }

  settle(id, fate) {
    const entry = this.#entries.get(id);
    if (entry.fate !== undefined) throw new Error(`the exchange ${id} is settled twice`);
    entry.fate = fate;
  }

  /** A handler has begun with this call. */
  ran(id) {
    this.begun += 1;
    const entry = this.#entries.get(id);
    if (entry === undefined) this.#complaints.push(`a handler ran with ${id}, which is over or was never sent`);
    else entry.runs += 1;
  }

  /** Nothing is under way: closes the books, and says what is wrong with them. */
  close() {
    for (const [id, { about, fate, runs }] of this.#entries) {
      const right = fate === ONCE ? runs === 1 : fate === NEVER ? runs === 0 : fate === MAYBE ? runs <= 1 : false;
      if (!right) this.#complaints.push(`the handler of ${id} ran ${runs} times, its client knows of ${fate ?? 'no end'} (${about})`);
    }
    this.#entries.clear();
    return this.#complaints.splice(0);
  }
}
