import { createRecordsBatch } from "@platformatic/kafka";
import { describe, expect, test } from "vitest";
import { type KafkaRecordParts, RecordBatch } from "../../src/kafka/record-batch.ts";

const origin = { producerId: 7_001n, producerEpoch: 3, firstSequence: 41 };
const now = 1_790_000_000_000;

/** The same batch as the client's own, much slower, writer makes it. */
function asTheClientWrites(records: readonly KafkaRecordParts[]): Buffer {
  const bytes = (text: string | undefined) => (text === undefined ? undefined : Buffer.from(text));
  const messages = records.map(({ key, value, headers }) => ({
    key: bytes(key),
    value: bytes(value),
    headers: new Map([...headers].map(([name, content]) => [Buffer.from(name), Buffer.from(content)])),
    topic: "t",
    partition: 0,
    timestamp: BigInt(now),
  }));
  const sequences = { getWithDefault: () => origin.firstSequence };
  const options = { ...origin, sequences } as unknown as Parameters<typeof createRecordsBatch>[1];
  return createRecordsBatch(messages as unknown as Parameters<typeof createRecordsBatch>[0], options).buffer;
}

function asWeWrite(records: readonly KafkaRecordParts[]): Buffer {
  const batch = new RecordBatch();
  for (const record of records) batch.append(record);
  expect(batch.count).toBe(records.length);
  const sealed = batch.seal(origin, now);
  expect(sealed).toHaveLength(batch.size);
  return sealed;
}

const plain: KafkaRecordParts = { key: "key-1", value: '{"id":"key-1"}', headers: new Map([["ce_id", "1"]]) };
const texts = [
  "",
  "a",
  "x".repeat(63),
  "x".repeat(64),
  "ü".repeat(32),
  "ü".repeat(63),
  "日本".repeat(4_100),
  "🎟".repeat(9),
];

describe("a batch of records", () => {
  test("is to the byte what the client writes", () => {
    expect(asWeWrite([plain])).toEqual(asTheClientWrites([plain]));
  });

  test.each(texts.map((text) => [`${text.slice(0, 3)} of ${text.length}`, text]))("holds any text: %s", (_, text) => {
    const records = [
      { key: text, value: text, headers: new Map([["name", text]]) },
      { key: "k", value: "v", headers: new Map([[`${text}name`, text]]) },
      plain,
    ];
    expect(asWeWrite(records)).toEqual(asTheClientWrites(records));
  });

  test("holds records without a key, a value or headers", () => {
    const records = [{ headers: new Map([["onsale-watermark", "now"]]) }, { key: "k", headers: new Map() }, plain];
    expect(asWeWrite(records)).toEqual(asTheClientWrites(records));
  });

  test("grows, and numbers its records beyond one byte", () => {
    const records = Array.from({ length: 9_000 }, (_, index) => ({ ...plain, key: `key-${index}` }));
    expect(asWeWrite(records)).toEqual(asTheClientWrites(records));
  });

  test("is used again when it was emptied", () => {
    const batch = new RecordBatch();
    for (const value of ["x".repeat(50_000), "y"]) batch.append({ ...plain, value });
    batch.seal(origin, now);
    batch.clear();
    batch.append(plain);
    expect(batch.count).toBe(1);
    expect(batch.seal(origin, now)).toEqual(asTheClientWrites([plain]));
  });

  test("gives its last record back", () => {
    const batch = new RecordBatch();
    batch.append(plain);
    const { size } = batch;
    batch.append({ ...plain, value: "x".repeat(100_000) });
    batch.takeBack(size);
    batch.append({ ...plain, key: "other" });
    expect(batch.seal(origin, now)).toEqual(asTheClientWrites([plain, { ...plain, key: "other" }]));
  });
});
