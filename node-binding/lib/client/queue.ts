/** First in, first out. A ring: nothing moves when an item leaves, and nothing is made when one comes. */
export class Queue<Item> {
  #items: (Item | undefined)[] = new Array<Item | undefined>(16).fill(undefined);
  #first = 0;
  length = 0;

  push(item: Item): void {
    if (this.length === this.#items.length) this.#grow();
    this.#items[(this.#first + this.length) & (this.#items.length - 1)] = item;
    this.length += 1;
  }

  /** Puts an item before all others. */
  unshift(item: Item): void {
    if (this.length === this.#items.length) this.#grow();
    this.#first = (this.#first - 1) & (this.#items.length - 1);
    this.#items[this.#first] = item;
    this.length += 1;
  }

  peek(): Item | undefined {
    return this.#items[this.#first];
  }

  shift(): Item | undefined {
    if (this.length === 0) return undefined;
    const item = this.#items[this.#first];
    this.#items[this.#first] = undefined;
    this.#first = (this.#first + 1) & (this.#items.length - 1);
    this.length -= 1;
    return item;
  }

  /** Takes everything out. */
  drain(): Item[] {
    const items: Item[] = [];
    for (let item = this.shift(); item !== undefined; item = this.shift()) items.push(item);
    return items;
  }

  *[Symbol.iterator](): Generator<Item> {
    for (let index = 0; index < this.length; index++) yield this.#items[(this.#first + index) & (this.#items.length - 1)]!;
  }

  #grow(): void {
    const items = this.#items;
    const grown = new Array<Item | undefined>(items.length * 2).fill(undefined);
    for (let index = 0; index < this.length; index++) grown[index] = items[(this.#first + index) & (items.length - 1)];
    this.#items = grown;
    this.#first = 0;
  }
}
