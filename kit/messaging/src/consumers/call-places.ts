/**
 * Room for the calls that one consumer has under way in this process, all its streams together: the other side is not to be
 * flooded because lanes have slots. Where there is none, streams are given a place in turn.
 */
export class CallPlaces {
  #free: number;
  readonly #waiting = new Set<() => void>();

  constructor(concurrency: number) {
    this.#free = concurrency;
  }

  /** Takes a place, if one is free. Otherwise `withPlace` will be called once, with a place, when its turn has come. */
  take(withPlace: () => void): boolean {
    if (this.#free === 0) {
      this.#waiting.add(withPlace);
      return false;
    }
    this.#free--;
    return true;
  }

  /** Resolves with a place. */
  taken(): Promise<void> {
    return new Promise((resolve) => {
      // A function of its own for each: one that waits already would not wait twice.
      if (this.take(() => resolve())) resolve();
    });
  }

  giveBack(): void {
    const [next] = this.#waiting;
    if (!next) {
      this.#free++;
      return;
    }
    this.#waiting.delete(next);
    next();
  }
}
