/** Those of one process who want the same lock, one behind the other: only the first of them asks Redis. */
export class WaitingLine {
  readonly #waiting: (() => void)[] = [];
  #taken = false;

  get isEmpty(): boolean {
    return !this.#taken && this.#waiting.length === 0;
  }

  get length(): number {
    return this.#waiting.length;
  }

  /** Resolves with true when it is the caller's turn, who then has to call `next`; with false when the time is over before. */
  enter(withinMs: number): Promise<boolean> {
    if (!this.#taken) {
      this.#taken = true;
      return Promise.resolve(true);
    }
    return new Promise((resolve) => {
      const begin = () => {
        clearTimeout(late);
        resolve(true);
      };
      const late = setTimeout(() => {
        this.#waiting.splice(this.#waiting.indexOf(begin), 1);
        resolve(false);
      }, withinMs);
      this.#waiting.push(begin);
    });
  }

  next(): void {
    const begin = this.#waiting.shift();
    if (begin === undefined) this.#taken = false;
    else begin();
  }
}
