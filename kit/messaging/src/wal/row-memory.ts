/** Many small copies at once: memory of its own for every row is twice as slow to get. A row that is kept keeps its block. */
const blockBytes = 64 * 1024;

/** Keeps bytes of messages beyond the messages. */
export class RowMemory {
  /** Where the last copy lies. */
  block: Buffer = Buffer.alloc(0);
  #end = 0;

  /** Copies what lies in `bytes` from `start` to `end`; gives where the copy begins in `block`. */
  keep(bytes: Buffer, start: number, end: number): number {
    const size = end - start;
    if (this.#end + size > this.block.length) {
      this.block = Buffer.allocUnsafeSlow(Math.max(blockBytes, size));
      this.#end = 0;
    }
    const place = this.#end;
    bytes.copy(this.block, place, start, end);
    this.#end += size;
    return place;
  }
}
