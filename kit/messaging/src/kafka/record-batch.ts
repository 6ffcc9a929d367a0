/**
 * Records of one partition as Kafka keeps them: a batch of format 2
 * (https://kafka.apache.org/documentation/#recordbatch). They are written straight into one piece of memory: a client that
 * makes objects and buffers of every field of every record took half of a relay's time.
 */

import { crc32c, Writer } from "@platformatic/kafka";

/** What a producer has to say of a batch, so that the broker knows a repetition. */
export interface BatchOrigin {
  readonly producerId: bigint;
  readonly producerEpoch: number;
  /** Of the batch's first record, among all that this producer sent to the partition. */
  readonly firstSequence: number;
}

export interface KafkaRecordParts {
  readonly key?: string;
  readonly value?: string;
  readonly headers: ReadonlyMap<string, string>;
}

/** Where the parts of a batch's head lie. */
const at = {
  length: 8,
  leaderEpoch: 12,
  magic: 16,
  checksum: 17,
  attributes: 21,
  lastOffsetDelta: 23,
  firstTimestamp: 27,
  maxTimestamp: 35,
  producerId: 43,
  producerEpoch: 51,
  firstSequence: 53,
  count: 57,
  records: 61,
} as const;

const magic = 2;
const firstBytes = 16 * 1024;
/** A character takes at most three bytes of UTF-8 for each of its UTF-16 units. */
const bytesOfUnit = 3;
/** A length or number takes at most five bytes. */
export const bytesOfVarint = 5;
/** Length, attributes, timestamp, and number in the batch. */
const bytesBeforeParts = 2 * bytesOfVarint + 2;

export class RecordBatch {
  #bytes = Buffer.allocUnsafe(firstBytes);
  #end: number = at.records;
  #count = 0;

  /** Bytes that the batch has on the wire. */
  get size(): number {
    return this.#end;
  }

  get count(): number {
    return this.#count;
  }

  append({ key, value, headers }: KafkaRecordParts): void {
    const start = this.begin(largest(key, value, headers));
    this.#putText(key);
    this.#putText(value);
    this.putNumber(headers.size);
    for (const [name, content] of headers) {
      this.#putText(name);
      this.#putText(content);
    }
    this.end(start);
  }

  /** Begins a record of at most so many bytes, whose parts are put one after the other; gives what `end` is to be told. */
  begin(mostBytes: number): number {
    this.#makeRoom(mostBytes + bytesBeforeParts);
    const start = this.#end;
    // Most records of a batch are of a kind: the place for the length is rarely of another size than this.
    this.#end += 2;
    this.#bytes[this.#end++] = 0; // attributes
    this.#bytes[this.#end++] = 0; // timestamp, as a difference
    this.putNumber(this.#count++);
    return start;
  }

  end(start: number): void {
    this.#putLengthBefore(start + 2, start);
  }

  /** Puts bytes as they are. */
  put(source: Buffer, from = 0, to: number = source.length): void {
    // The way into the machine's own copying takes longer than a few bytes do.
    if (to - from > 40) source.copy(this.#bytes, this.#end, from, to);
    else for (let place = from, next = this.#end; place < to; ) this.#bytes[next++] = source[place++] ?? 0;
    this.#end += to - from;
  }

  /** The same with their number before them. */
  putSized(source: Buffer, from: number, to: number): void {
    this.putNumber(to - from);
    this.put(source, from, to);
  }

  /** Puts a number as Kafka writes them: signed, the small ones short. */
  putNumber(value: number): void {
    this.#end = this.#writeVarint(value, this.#end);
  }

  /** Empties the batch, once nobody needs what was sealed: its memory is used again. */
  clear(): void {
    this.#end = at.records;
    this.#count = 0;
  }

  /** Takes the last record back; `size`: what the batch had before it. */
  takeBack(size: number): void {
    this.#end = size;
    this.#count--;
  }

  /** The batch as it is sent. `now`: milliseconds since 1970. */
  seal({ producerId, producerEpoch, firstSequence }: BatchOrigin, now: number): Buffer {
    const bytes = this.#bytes.subarray(0, this.#end);
    bytes.writeBigInt64BE(0n, 0);
    bytes.writeInt32BE(this.#end - at.leaderEpoch, at.length);
    bytes.writeInt32BE(0, at.leaderEpoch);
    bytes.writeInt8(magic, at.magic);
    bytes.writeInt16BE(0, at.attributes);
    bytes.writeInt32BE(this.#count - 1, at.lastOffsetDelta);
    bytes.writeBigInt64BE(BigInt(now), at.firstTimestamp);
    bytes.writeBigInt64BE(BigInt(now), at.maxTimestamp);
    bytes.writeBigInt64BE(producerId, at.producerId);
    bytes.writeInt16BE(producerEpoch, at.producerEpoch);
    bytes.writeInt32BE(firstSequence, at.firstSequence);
    bytes.writeInt32BE(this.#count, at.count);
    bytes.writeUInt32BE(checksumOf(bytes.subarray(at.attributes)), at.checksum);
    return bytes;
  }

  #makeRoom(needed: number): void {
    const room = this.#bytes.length;
    if (room - this.#end >= needed) return;
    const larger = Buffer.allocUnsafe(Math.max(4 * room, this.#end + needed));
    this.#bytes.copy(larger, 0, 0, this.#end);
    this.#bytes = larger;
  }

  /** A text with its length before it; -1 for none. */
  #putText(text: string | undefined): void {
    if (text === undefined) {
      this.putNumber(-1);
      return;
    }
    // ASCII has as many bytes as units; for anything else the text is moved, should its length need more room.
    const start = this.#end + sizeOfVarint(text.length);
    const written = this.#bytes.write(text, start);
    const before = this.#end;
    this.#end = start + written;
    if (written !== text.length && sizeOfVarint(written) !== start - before) this.#putLengthBefore(start, before);
    else this.#writeVarint(written, before);
  }

  /** Puts the length of what lies between `start` and the end at `before`, and moves it where the length ends. */
  #putLengthBefore(start: number, before: number): void {
    const length = this.#end - start;
    const moved = before + sizeOfVarint(length);
    if (moved !== start) {
      this.#bytes.copyWithin(moved, start, this.#end);
      this.#end += moved - start;
    }
    this.#writeVarint(length, before);
  }

  /** Writes a signed number, the small ones short, and gives the place behind it. */
  #writeVarint(value: number, place: number): number {
    let rest = zigzag(value);
    let next = place;
    while (rest > 0x7f) {
      this.#bytes[next++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.#bytes[next++] = rest;
    return next;
  }
}

/** Handed over in the client's own kind of buffer: of any other it makes a copy first, which takes four times as long. */
export const checksumOf = (bytes: Buffer): number => crc32c(Writer.create().append(bytes).dynamicBuffer);

/** A header, or with no content what stands before a content that differs. */
export function headerBytes(name: string, content?: string): Buffer {
  const sized = (text: string): Buffer[] => {
    const bytes = Buffer.from(text);
    return [numberBytes(bytes.length), bytes];
  };
  return Buffer.concat([...sized(name), ...(content === undefined ? [] : sized(content))]);
}

function numberBytes(value: number): Buffer {
  const bytes: number[] = [];
  let rest = zigzag(value);
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  return Buffer.from([...bytes, rest]);
}

const zigzag = (value: number): number => ((value << 1) ^ (value >> 31)) >>> 0;

function sizeOfVarint(value: number): number {
  let size = 1;
  for (let rest = zigzag(value) >>> 7; rest > 0; rest >>>= 7) size++;
  return size;
}

/** More than what a record may take. */
function largest(key = "", value = "", headers: KafkaRecordParts["headers"]): number {
  let units = key.length + value.length;
  for (const [name, content] of headers) units += name.length + content.length;
  // A number before key, value, headers, and each header's name and content.
  return bytesOfUnit * units + bytesOfVarint * (3 + 2 * headers.size);
}
