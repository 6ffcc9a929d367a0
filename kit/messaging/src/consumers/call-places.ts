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

  /** Waits for a place. False when `signal` aborted before there was one. */
  taken(signal: AbortSignal): Promise<boolean> {
    if (signal.aborted) return Promise.resolve(false);
    return new Promise((resolve) => {
      const withPlace = (): void => {
        signal.removeEventListener("abort", giveUp);
        resolve(true);
      };
      const giveUp = (): void => {
        this.#waiting.delete(withPlace);
        resolve(false);
      };
      if (this.take(withPlace)) resolve(true);
      else signal.addEventListener("abort", giveUp, { once: true });
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
