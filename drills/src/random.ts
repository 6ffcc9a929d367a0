/** Chance by a seed: the same seed, the same schedule. Mulberry32 is small and good enough to choose deeds. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** From 0 up to, but not including, 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number from `least` to `most`, both included. */
  between(least: number, most: number): number {
    return least + Math.floor(this.next() * (most - least + 1));
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  /** The same members in an order of chance. */
  shuffled<Member>(members: readonly Member[]): Member[] {
    return members
      .map((member) => ({ member, rank: this.next() }))
      .sort((a, b) => a.rank - b.rank)
      .map(({ member }) => member);
  }
}
