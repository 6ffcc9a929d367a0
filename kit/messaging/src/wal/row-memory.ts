/** Many small copies at once: memory of its own for every row is twice as slow to get. A row that is kept keeps its block. */
const blockBytes = 64 * 1024;

/** Keeps bytes of messages beyond the messages. */
export class RowMemory {
  /** Where the last copy lies. */
  block: Buffer = Buffer.alloc(0);
  #end = 0;

  /** Copies what lies in `message` from `start` to its end; gives where that begins in `block`. */
  keep(message: Buffer, start: number): number {
    const size = message.length - start;
    if (this.#end + size > this.block.length) {
      this.block = Buffer.allocUnsafeSlow(Math.max(blockBytes, size));
      this.#end = 0;
    }
    const place = this.#end;
    message.copy(this.block, place, start);
    this.#end += size;
    return place;
  }
}
