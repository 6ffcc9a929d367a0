import { crc32c, createRecordsBatch } from "@platformatic/kafka";
import { describe, expect, test } from "vitest";
import { committedBatches } from "../../src/kafka/committed-batches.ts";
import {
  DamagedBatchError,
  type FetchedRecord,
  headerOf,
  mostRecordBytes,
  type ReceivedBatch,
  receivedBatches,
} from "../../src/kafka/received-batch.ts";
import { type KafkaRecordParts, RecordBatch } from "../../src/kafka/record-batch.ts";

const origin = { producerId: 7_001n, producerEpoch: 3, firstSequence: 41 };
const now = 1_790_000_000_000;

/** A batch as it lies on a broker, which gives it its place. */
function written(records: readonly KafkaRecordParts[], firstOffset = 0): Buffer {
  const batch = new RecordBatch();
  for (const record of records) batch.append(record);
  const bytes = Buffer.from(batch.seal(origin, now));
  bytes.writeBigInt64BE(BigInt(firstOffset), 0);
  return bytes;
}

type Headers = readonly (readonly [Buffer, Buffer | null])[];

/** Records of bytes, as foreign producers may write them. */
function foreign(
  records: readonly { key?: Buffer | null; value?: Buffer | null; headers?: Headers }[],
  options: {
    compression?: "gzip" | "snappy" | "lz4" | "zstd" | "none";
    transactionalId?: string;
    producerId?: bigint;
  } = {},
): Buffer {
  const messages = records.map(({ key, value, headers }) => ({
    ...{ key, value, headers: new Map(headers ?? []), topic: "t", partition: 0, timestamp: BigInt(now) },
  }));
  return createRecordsBatch(messages as never, options as never).buffer;
}

function recordsIn(batches: readonly ReceivedBatch[]): FetchedRecord[] {
  const records: FetchedRecord[] = [];
  for (const batch of batches) while (batch.left > 0) records.push(batch.next(records.at(-1)));
  return records;
}

const headersOf = (value: string): ReadonlyMap<string, string> =>
  new Map([
    ["ce_id", value],
    ["ce_type", "a.b.v1"],
  ]);
const plain = (value: string): KafkaRecordParts => ({ key: "key-1", value, headers: headersOf(value) });
const texts = ["", "a", "x".repeat(63), "x".repeat(64), "ü".repeat(63), "日本".repeat(4_100), "🎟", "\ufffd", "a\0b"];

describe("a batch that was received", () => {
  test("gives the records that were written, with their places", () => {
    const [batch, ...others] = receivedBatches(written([plain("one"), plain("two")], 70));
    expect(others).toEqual([]);
    expect(batch).toMatchObject({ firstOffset: 70, endOffset: 72, producerId: 7_001n, isControl: false, left: 2 });
    expect(recordsIn(batch ? [batch] : [])).toMatchObject([
      { key: "key-1", value: "one", headers: [...headersOf("one")], offset: 70, epoch: 0, appendedAt: now },
      { key: "key-1", value: "two", headers: [...headersOf("two")], offset: 71, epoch: 0, appendedAt: now },
    ]);
  });

  test.each(texts.map((text) => [`${JSON.stringify(text.slice(0, 3))} of ${text.length}`, text]))(
    "gives any text: %s",
    (_, text) => {
      const records = [text, "other", text, `${text}+`].map((it) => ({
        key: it,
        value: it,
        headers: new Map([["n", it]]),
      }));
      const read = recordsIn(receivedBatches(written(records)));
      expect(read.map(({ key, value, headers }) => ({ key, value, headers: new Map(headers) }))).toEqual(records);
    },
  );

  test("makes what a header has in common with the one before it only once", () => {
    const [one, two] = recordsIn(receivedBatches(written([plain("one"), plain("two")])));
    expect(two?.headers[1]).toBe(one?.headers[1]);
    expect(two?.headers[0]).not.toEqual(one?.headers[0]);
  });

  test("tells records without key, value or headers, and a header without a content", () => {
    const bytes = foreign([
      { key: null, value: null },
      { key: Buffer.from("k"), value: Buffer.from(""), headers: [[Buffer.from("empty"), null]] },
    ]);
    const [bare, other] = recordsIn(receivedBatches(bytes));
    expect(bare).toMatchObject({ key: null, value: null, headers: [] });
    expect(other).toMatchObject({ key: "k", value: "", headers: [["empty", null]] });
    expect(headerOf(other?.headers ?? [], "empty")).toBeUndefined();
  });

  test("leaves what is no text as it is", () => {
    const bytes = Buffer.from([0xc3, 0x28, 0x00]);
    const [record] = recordsIn(receivedBatches(foreign([{ key: bytes, value: bytes, headers: [[bytes, bytes]] }])));
    expect(record).toMatchObject({ key: bytes, value: bytes, headers: [[bytes, bytes]] });
  });

  test.each(["gzip", "snappy", "lz4", "zstd"] as const)("is read when it is compressed with %s", (compression) => {
    const values = Array.from({ length: 200 }, (_, index) => `value ${index}`);
    const bytes = foreign(
      values.map((value) => ({ value: Buffer.from(value) })),
      { compression },
    );
    expect(recordsIn(receivedBatches(bytes)).map(({ value }) => value)).toEqual(values);
  });

  test.each(["gzip", "lz4", "zstd"] as const)(
    "gives one record for all when %s made it of more than a process should hold",
    (compression) => {
      const bytes = foreign([{ value: Buffer.from("small") }, { value: Buffer.alloc(mostRecordBytes) }], {
        compression,
      });
      expect(bytes.length).toBeLessThan(mostRecordBytes / 100);
      const next = foreign([{ value: Buffer.from("next") }]);
      next.writeBigInt64BE(2n, 0);
      expect(recordsIn(receivedBatches(Buffer.concat([bytes, next])))).toMatchObject([
        { key: null, value: null, headers: [], offset: 1, tooLarge: expect.stringContaining("all 2 records") },
        { value: "next", offset: 2 },
      ]);
    },
  );

  test("of several in a row the last may be cut off anywhere, and is left", () => {
    const [first, second] = [written([plain("one")], 5), written([plain("two"), plain("three")], 6)];
    const whole = Buffer.concat([first, second]);
    expect(receivedBatches(whole).map(({ endOffset }) => endOffset)).toEqual([6, 8]);
    for (let end = first.length; end < whole.length; end++)
      expect(receivedBatches(whole.subarray(0, end)).map(({ endOffset }) => endOffset)).toEqual([6]);
  });

  test("is refused when any of its bits has turned over on the way", () => {
    const bytes = written([plain("one")], 5);
    // Before it lie its place and the leader's epoch, which the broker writes, and its length.
    for (let place = 16; place < bytes.length; place++) {
      const damaged = Buffer.from(bytes);
      damaged[place] = (damaged[place] ?? 0) ^ 0x10;
      expect(() => receivedBatches(damaged)).toThrow(DamagedBatchError);
    }
  });

  test("is refused when a record is of another length than it says", () => {
    const bytes = written([plain("one"), plain("two")]);
    // The length of the first record, of two bytes, with the checksum of a producer that can't count.
    bytes[61] = (bytes[61] ?? 0) + 2;
    bytes.writeUInt32BE(crc32c(bytes.subarray(21)), 17);
    const [batch] = receivedBatches(bytes);
    expect(() => batch?.next()).toThrow(DamagedBatchError);
  });
});

describe("of a partition that foreign transactions wrote to", () => {
  const told = { isControl: false, isTransactional: true, left: 1 };
  const batch = (producerId: bigint, firstOffset: number, more: object = {}) =>
    ({ ...told, producerId, firstOffset, endOffset: firstOffset + 1, ...more }) as unknown as ReceivedBatch;
  const mark = (producerId: bigint, firstOffset: number, key: string) =>
    batch(producerId, firstOffset, { isControl: true, next: () => ({ key }) });
  const [abort, commit] = ["\0\0\0\0", "\0\0\0\x01"];

  test("what was taken back is passed over, and so are Kafka's own marks", () => {
    const batches = [
      batch(1n, 0),
      batch(2n, 1),
      batch(1n, 2, { isTransactional: false }),
      mark(1n, 3, abort),
      batch(1n, 4),
      mark(2n, 5, commit),
      mark(1n, 6, commit),
    ];
    const committed = committedBatches(batches, [{ producerId: 1n, firstOffset: 0 }]);
    expect([...committed].map(({ firstOffset }) => firstOffset)).toEqual([1, 2, 4]);
  });

  test("a producer that takes back again and again is heard in between", () => {
    const batches = [
      batch(1n, 0),
      mark(1n, 1, abort),
      batch(1n, 2),
      mark(1n, 3, commit),
      batch(1n, 4),
      mark(1n, 5, abort),
    ];
    const aborted = [4, 0].map((firstOffset) => ({ producerId: 1n, firstOffset }));
    expect([...committedBatches(batches, aborted)].map(({ firstOffset }) => firstOffset)).toEqual([2]);
  });
});
