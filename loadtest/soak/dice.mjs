// Chance that can be repeated.

/** A stream of chance that its seeds alone decide (mulberry32). */
export class Dice {
  #state = 0x9e3779b9;

  constructor(...seeds) {
    for (const seed of seeds) {
      // Spread, so that neighbours do not meet in another place.
      this.#state = Math.floor((this.next() * 2 ** 32) ^ Math.imul(seed + 1, 0x85ebca6b)) >>> 0;
    }
  }

  /** In [0, 1). */
  next() {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number, both ends included. */
  between(least, most) {
    return least + Math.floor(this.next() * (most - least + 1));
  }

  /** True once in so many times. */
  once(times) {
    return this.next() * times < 1;
  }

  pick(list) {
    return list[Math.floor(this.next() * list.length)];
  }

  /** One of `[weight, value]` pairs. */
  weighed(pairs) {
    let rest = this.next() * pairs.reduce((sum, [weight]) => sum + weight, 0);
    for (const [weight, value] of pairs) {
      rest -= weight;
      if (rest < 0) return value;
    }
    return pairs.at(-1)[1];
  }
}
