/**
 * Records of one partition as a broker gives them: batches of format 2
 * (https://kafka.apache.org/documentation/#recordbatch). A batch keeps its bytes and gives one record after the other, when
 * it is wanted: the client's own reader makes objects and buffers of all fields of all records at once, which took a third
 * of a consumer's time. `record-batch.ts` writes what is read here.
 */

import { gunzipSync, zstdDecompressSync } from "node:zlib";
import { compressionsAlgorithmsByBitmask } from "@platformatic/kafka";
import { checksumOf } from "./record-batch.ts";
import { type Content, contentAt } from "./record-text.ts";

export type RecordHeader = readonly [name: Content, content: Content | null];

export interface FetchedRecord {
  readonly key: Content | null;
  readonly value: Content | null;
  readonly headers: readonly RecordHeader[];
  readonly offset: number;
  /** The leader's epoch under which it was written. */
  readonly epoch: number;
  /** When the broker appended it, and when it came here; milliseconds since 1970. */
  readonly appendedAt: number;
  readonly fetchedAt: number;
  /** Why it stands for a whole batch that is not read. */
  readonly tooLarge?: string;
}

/** The text of the last header of this name, if there is one. */
export const headerOf = (headers: FetchedRecord["headers"], name: string): string | undefined =>
  headers.findLast(([found]) => found === name)?.[1]?.toString();

/** What came is not what was written, or in a form that nobody here reads. */
export class DamagedBatchError extends Error {
  override readonly name = "DamagedBatchError";
  constructor(firstOffset: number, why: string, cause?: unknown) {
    super(`The batch of records that begins at ${firstOffset} ${why}.`, { cause });
  }
}

/** Where the parts of a batch's head lie. */
const at = {
  firstOffset: 0,
  length: 8,
  leaderEpoch: 12,
  magic: 16,
  checksum: 17,
  attributes: 21,
  lastOffsetDelta: 23,
  maxTimestamp: 35,
  producerId: 43,
  count: 57,
  records: 61,
} as const;

const magic = 2;
const compressionBits = 0b111;
const transactionalBit = 1 << 4;
const controlBit = 1 << 5;

/**
 * Bytes that a batch's records may take. Ours take half a megabyte. A stranger's of that size may hold gigabytes when it is
 * compressed, and would end every process that reads it, one after the other.
 */
export const mostRecordBytes = 32 * 1024 * 1024;

/** The batches that lie in `bytes`. A broker cuts off what is more than it was asked for: the rest of the last is left. */
export function receivedBatches(bytes: Buffer): ReceivedBatch[] {
  const fetchedAt = Date.now();
  const batches: ReceivedBatch[] = [];
  for (let start = 0; start + at.leaderEpoch <= bytes.length; ) {
    const end = start + at.leaderEpoch + bytes.readInt32BE(start + at.length);
    if (end > bytes.length) break;
    batches.push(new ReceivedBatch(bytes.subarray(start, end), fetchedAt));
    start = end;
  }
  return batches;
}

export class ReceivedBatch {
  readonly firstOffset: number;
  /** Of what comes behind the batch, also where its last records were compacted away. */
  readonly endOffset: number;
  readonly epoch: number;
  readonly producerId: bigint;
  readonly isTransactional: boolean;
  /** Whether Kafka itself wrote it, to mark the end of a transaction. */
  readonly isControl: boolean;
  readonly #appendedAt: number;
  readonly #fetchedAt: number;
  /** The records; as they came until the first is wanted, so that of many compressed ones a process holds but one at full size. */
  #bytes: Buffer;
  #compression: number;
  #place = 0;
  #left: number;
  #tooLarge: string | undefined;

  /** @throws {DamagedBatchError} also when its checksum is another: TCP's own lets one fault in some millions pass. */
  constructor(bytes: Buffer, fetchedAt: number) {
    this.firstOffset = Number(bytes.readBigInt64BE(at.firstOffset));
    if (bytes[at.magic] !== magic) throw this.#damaged(`has the format ${bytes[at.magic]}`);
    if (bytes.length < at.records || checksumOf(bytes.subarray(at.attributes)) !== bytes.readUInt32BE(at.checksum))
      throw this.#damaged("has another checksum than it says");
    const attributes = bytes.readInt16BE(at.attributes);
    this.endOffset = this.firstOffset + bytes.readInt32BE(at.lastOffsetDelta) + 1;
    this.epoch = bytes.readInt32BE(at.leaderEpoch);
    this.producerId = bytes.readBigInt64BE(at.producerId);
    this.isTransactional = (attributes & transactionalBit) !== 0;
    this.isControl = (attributes & controlBit) !== 0;
    this.#appendedAt = Number(bytes.readBigInt64BE(at.maxTimestamp));
    this.#fetchedAt = fetchedAt;
    this.#left = bytes.readInt32BE(at.count);
    this.#bytes = bytes.subarray(at.records);
    this.#compression = attributes & compressionBits;
  }

  /** Records that it has not given yet. */
  get left(): number {
    return this.#left;
  }

  /** Bytes of the records that it has not given yet, as it holds them. */
  get bytesLeft(): number {
    return this.#bytes.length - this.#place;
  }

  /**
   * The next record, of which one has to be left; of a batch that is too large one stands for all. `before`: any other of its
   * kind, whose headers it may have in common.
   * @throws {DamagedBatchError}
   */
  next(before?: FetchedRecord): FetchedRecord {
    if (this.#compression !== 0) this.#decompress();
    if (this.#tooLarge !== undefined) return this.#standIn(this.#tooLarge);
    this.#left--;
    const end = this.#varint() + this.#place;
    this.#place++; // attributes: there are none yet
    this.#skipVarint(); // when it was made
    const offset = this.firstOffset + this.#varint();
    const key = this.#content();
    const value = this.#content();
    const headers = this.#headers(before?.headers ?? [], key, end);
    if (this.#place !== end || end > this.#bytes.length)
      throw this.#damaged("has a record of another length than it says");
    return { key, value, headers, offset, epoch: this.epoch, appendedAt: this.#appendedAt, fetchedAt: this.#fetchedAt };
  }

  #headers(before: readonly RecordHeader[], key: Content | null, end: number): RecordHeader[] {
    const headers: RecordHeader[] = [];
    for (let count = this.#varint(); count > 0 && this.#place < end; count--) {
      const likely = before[headers.length];
      const name = this.#content(likely?.[0]);
      const content = this.#content(likely?.[1], key);
      if (likely && name === likely[0] && content === likely[1]) headers.push(likely);
      // A header without a name can't be asked for.
      else if (name !== null) headers.push([name, content]);
    }
    return headers;
  }

  #content(likely?: Content | null, alsoLikely?: Content | null): Content | null {
    const length = this.#varint();
    if (length < 0) return null;
    const start = this.#place;
    this.#place += length;
    return contentAt(this.#bytes, start, this.#place, likely, alsoLikely);
  }

  /** A signed number of at most five bytes, the small ones short. */
  #varint(): number {
    let bits = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.#bytes[this.#place++] ?? 0;
      bits |= (byte & 0x7f) << shift;
      if (byte <= 0x7f) break;
    }
    return (bits >>> 1) ^ -(bits & 1);
  }

  #skipVarint(): void {
    while ((this.#bytes[this.#place++] ?? 0) > 0x7f);
  }

  #decompress(): void {
    try {
      this.#bytes = decompressed(this.#bytes, this.#compression);
    } catch (error) {
      if (!isTooLarge(error)) throw this.#damaged("can't be decompressed", error);
      this.#tooLarge = `it stands for all ${this.#left} records of its batch, which take more than ${mostRecordBytes} bytes`;
    }
    this.#compression = 0;
  }

  /** Its only one, in the place of its last: whoever remembers that has passed the whole batch. */
  #standIn(tooLarge: string): FetchedRecord {
    this.#left = 0;
    const moments = { epoch: this.epoch, appendedAt: this.#appendedAt, fetchedAt: this.#fetchedAt };
    return { ...moments, key: null, value: null, headers: [], offset: this.endOffset - 1, tooLarge };
  }

  #damaged(why: string, cause?: unknown): DamagedBatchError {
    return new DamagedBatchError(this.firstOffset, why, cause);
  }
}

/** Those that the system's own library reads, which stops at a bound, by their numbers. What the others read grows at most 255 times. */
const boundedBy = new Map<number, (records: Buffer, options: { maxOutputLength: number }) => Buffer>([
  [1, gunzipSync],
  [4, zstdDecompressSync],
]);

function decompressed(records: Buffer, compression: number): Buffer {
  const bounded = boundedBy.get(compression);
  if (bounded) return bounded(records, { maxOutputLength: mostRecordBytes });
  const algorithm = compressionsAlgorithmsByBitmask[compression];
  if (!algorithm) throw new Error(`Nobody here knows the compression ${compression}.`);
  const found = algorithm.decompressSync(records);
  if (found.length > mostRecordBytes) throw new TooLargeError();
  return found;
}

class TooLargeError extends Error {
  override readonly name = "TooLargeError";
}

const isTooLarge = (error: unknown): boolean =>
  error instanceof TooLargeError || (error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE";
