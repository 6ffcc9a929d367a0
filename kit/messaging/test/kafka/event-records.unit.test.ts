import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { EventRecords } from "../../src/kafka/event-records.ts";
import { RecordBatch } from "../../src/kafka/record-batch.ts";
import type { ReadEvent } from "../../src/log.ts";
import { toDelivered } from "../../src/outbox/outbox-row.ts";
import { WrittenRow, writtenColumns } from "../../src/outbox/written-row.ts";
import { slotOf } from "../../src/slot.ts";

const stream = { source: "orders", lane: "online" } as const;
const relayedAt = 1_790_000_000_000;
const partitions = 8;

/** The columns of an outbox as the server writes them, in the table's order. */
interface Written {
  readonly id: string;
  readonly aggregateid: string;
  readonly type: string;
  readonly payload: string;
  readonly sequence: string;
  readonly headers: string;
  readonly incarnation: string;
  readonly created_at: string;
}

const plain: Written = {
  id: "0192f0c1-0000-7000-8000-00000000000a",
  aggregateid: "key-1",
  type: "order.placed.v1",
  payload: '{"orderId":"key-1"}',
  sequence: "1",
  headers: '{"correlationid":"request-7"}',
  incarnation: "0192f0c1-0000-7000-8000-00000000000b",
  created_at: "2026-11-21 08:42:14.123456+00",
};

/** A tuple of pgoutput's, somewhere in a larger piece of memory, with columns that make no event between ours. */
function tupleOf(written: Written): WrittenRow {
  const other = [Buffer.from("n"), textColumn("4711")];
  const columns = writtenColumns.map((name) => textColumn(written[name]));
  const [count, before] = [Buffer.alloc(2), Buffer.from("before")];
  count.writeUInt16BE(columns.length + other.length);
  const tuple = Buffer.concat([count, ...other, ...columns]);
  const layout = Int8Array.from([-1, -1, ...writtenColumns.keys()]);
  return new WrittenRow(Buffer.concat([before, tuple]), { start: before.length, size: tuple.length }, layout);
}

function textColumn(text: string): Buffer {
  const bytes = Buffer.from(text);
  const head = Buffer.from("t____");
  head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

function readFrom(written: Written): ReadEvent {
  const row = tupleOf(written);
  return { event: toDelivered(row.read(), stream), written: row, after: {} };
}

/** The sealed batch with these records, and the partition of the last of them. */
function recordsOf(...events: readonly ReadEvent[]) {
  const records = new EventRecords(stream);
  const batch = new RecordBatch();
  let partition: number | undefined;
  for (const event of events) {
    records.take(event, relayedAt);
    partition = records.partition(partitions);
    records.appendTo(batch);
  }
  return { partition, sealed: batch.seal({ producerId: 1n, producerEpoch: 0, firstSequence: 0 }, relayedAt) };
}

/** The same as everybody else's events become records. */
const withoutRow = ({ written: _row, ...read }: ReadEvent): ReadEvent => read;

const texts = fc.string({ unit: "grapheme", minLength: 1, maxLength: 80 });
const headers = fc
  .record(
    { correlationid: texts, causationid: texts, traceparent: texts, replayof: texts, unknown: texts },
    { requiredKeys: ["correlationid"] },
  )
  .chain((all) => fc.constantFrom(JSON.stringify(all), JSON.stringify(all, undefined, 1).replaceAll("\n", "")));
const rows: fc.Arbitrary<Written> = fc
  .record({
    id: fc.uuid(),
    aggregateid: texts,
    type: fc.constantFrom("order.placed.v1", "order.paid.v1", "stock.reserved.v12"),
    payload: fc.dictionary(texts, fc.oneof(texts, fc.integer())).map((data) => JSON.stringify(data)),
    sequence: fc.integer({ min: 1 }).map(String),
    headers,
    incarnation: fc.uuid(),
    created_at: fc.constantFrom("", ".1", ".12", ".123", ".123456").map((part) => `2026-11-21 08:42:14${part}+00`),
  })
  .map((row) => ({ ...row }));

describe("a row as the server wrote it", () => {
  test("becomes to the byte the record that its event becomes, in the same partition", () => {
    fc.assert(
      fc.property(fc.array(rows, { minLength: 1, maxLength: 5 }), (written) => {
        const read = written.map(readFrom);
        expect(recordsOf(...read)).toEqual(recordsOf(...read.map(withoutRow)));
      }),
    );
  });

  test("is told when it became visible", () => {
    const read = { ...readFrom(plain), moments: { visible: relayedAt - 5 } };
    const later = { ...readFrom({ ...plain, aggregateid: "key-2" }), moments: { visible: relayedAt - 3 } };
    expect(recordsOf(read, later)).toEqual(recordsOf(withoutRow(read), withoutRow(later)));
  });

  // Read and written anew, the first would be 1 and the second another number.
  const payload = '{"price": 1.0, "serial":12345678901234567890, "ä":"\\u00e4"}';

  test.each([
    ["plain headers", plain.headers],
    ["headers with an escape", '{"correlationid":"a\\"b"}'],
    ["headers with more than texts", '{"correlationid":"a","more":{"deep":[1]}}'],
  ])("keeps its data as they were written: %s", (_, cause) => {
    const { sealed } = recordsOf(readFrom({ ...plain, payload, headers: cause }));
    expect(sealed.includes(payload)).toBe(true);
  });

  test("is large", () => {
    const read = readFrom({ ...plain, aggregateid: "k".repeat(9_000), payload: `{"note":"${"日".repeat(80_000)}"}` });
    expect(recordsOf(read)).toEqual(recordsOf(withoutRow(read)));
  });

  test("goes to the partition of its key", () => {
    expect(recordsOf(readFrom({ ...plain, aggregateid: "schlüssel" })).partition).toBe(slotOf("schlüssel", partitions));
  });
});
