import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { EventRecords } from "../../src/kafka/event-records.ts";
import { RecordBatch } from "../../src/kafka/record-batch.ts";
import type { ReadEvent } from "../../src/log.ts";
import { toDelivered } from "../../src/outbox/outbox-row.ts";
import { layoutOf, WrittenRow, writtenColumns } from "../../src/outbox/written-row.ts";
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
  readonly position: string;
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
  position: "4711",
};

/** As pgoutput tells a row, or as a statement's answer does. */
type Form = "log" | "answer";

/** A row somewhere in a larger piece of memory, with columns that make no event between ours. */
function rowOf(written: Written, form: Form): WrittenRow {
  const isTagged = form === "log";
  const names = ["xid", "note", ...writtenColumns];
  const columns = [nothing(isTagged), column("4711", isTagged)];
  columns.push(...writtenColumns.map((name) => column(written[name], isTagged)));
  const [count, before] = [Buffer.alloc(2), Buffer.from("before")];
  count.writeUInt16BE(columns.length);
  const row = Buffer.concat([count, ...columns]);
  const place = { start: before.length, size: row.length };
  return new WrittenRow(Buffer.concat([before, row]), place, layoutOf(names, { isTagged }));
}

/** Null: a letter, or a length below nothing. */
function nothing(isTagged: boolean): Buffer {
  return isTagged ? Buffer.from("n") : Buffer.from([0xff, 0xff, 0xff, 0xff]);
}

function column(text: string, isTagged: boolean): Buffer {
  const bytes = Buffer.from(text);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([Buffer.from(isTagged ? "t" : ""), length, bytes]);
}

function readFrom(written: Written, form: Form = "log"): ReadEvent {
  const row = rowOf(written, form);
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
    position: fc.integer({ min: 1 }).map(String),
  })
  .map((row) => ({ ...row }));

describe("a row as the server wrote it", () => {
  test.each<Form>(["log", "answer"])(
    "of the server's %s becomes to the byte the record that its event becomes",
    (form) => {
      fc.assert(
        fc.property(fc.array(rows, { minLength: 1, maxLength: 5 }), (written) => {
          const read = written.map((row) => readFrom(row, form));
          expect(recordsOf(...read)).toEqual(recordsOf(...read.map(withoutRow)));
        }),
      );
    },
  );

  test("knows where it lies in its outbox", () => {
    expect([rowOf(plain, "log").position, rowOf(plain, "answer").position]).toEqual([4711, 4711]);
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
