/** The CloudEvents project's own SDK is the judge of what we write, and writes what we read. */

import { Kafka, CloudEvent as SdkEvent } from "cloudevents";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  attributesOf,
  fromKafkaRecord,
  type ReceivedRecord,
  toCloudEvent,
  toKafkaRecord,
} from "../src/events/cloud-event.ts";
import type { Delivered } from "../src/events/event.ts";
import { type OutboxRow, toDelivered } from "../src/outbox/outbox-row.ts";

const placed: Delivered = {
  id: "0192f0c1-0000-7000-8000-000000000001",
  type: "order.placed.v1",
  source: "orders",
  incarnation: "0192f0c1-0000-7000-8000-000000000002",
  key: "0192f0c1-0000-7000-8000-000000000003",
  sequence: 7,
  lane: "online",
  time: "2026-11-21T09:00:00.000Z",
  cause: { correlationId: "0192f0c1-0000-7000-8000-000000000004" },
  data: { orderId: "0192f0c1-0000-7000-8000-000000000003", lines: [] },
};

const words = fc.string({ unit: "grapheme", minLength: 1, maxLength: 40 });
const part = fc.stringMatching(/^[a-z]{1,8}(-[a-z]{1,8})?$/);
const events: fc.Arbitrary<Delivered> = fc.record(
  {
    id: fc.uuid(),
    replayOf: fc.uuid(),
    type: fc.tuple(part, part, fc.integer({ min: 1, max: 99 })).map(([noun, past, v]) => `${noun}.${past}.v${v}`),
    source: part,
    incarnation: fc.uuid(),
    key: words,
    sequence: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
    lane: fc.constantFrom("online", "bulk"),
    time: fc.date({ min: new Date(0), max: new Date("9999-12-31"), noInvalidDate: true }).map((it) => it.toISOString()),
    cause: fc.record(
      { correlationId: fc.uuid(), causationId: fc.uuid(), traceparent: words },
      { requiredKeys: ["correlationId"] },
    ),
    data: fc.dictionary(fc.string({ unit: "grapheme" }), fc.jsonValue()).map((it) => JSON.parse(JSON.stringify(it))),
  },
  { requiredKeys: ["id", "type", "source", "incarnation", "key", "sequence", "lane", "time", "cause", "data"] },
) as fc.Arbitrary<Delivered>;

/** As a broker gives it back: bytes. */
const overTheWire = ({ key, value, headers }: ReturnType<typeof toKafkaRecord>): ReceivedRecord => ({
  key: Buffer.from(key),
  value: Buffer.from(value),
  headers: [...headers].map(([name, text]) => [Buffer.from(name), Buffer.from(text)] as const),
});

test("an event that went through Kafka is the same event", () => {
  fc.assert(
    fc.property(events, (event) => {
      expect(fromKafkaRecord(overTheWire(toKafkaRecord(event)))).toEqual(event);
    }),
  );
});

test("the SDK finds every attribute valid, and every one of them in Kafka's binding", () => {
  fc.assert(
    fc.property(events, (event) => {
      // The key has headers enough.
      const { datacontenttype, subject: _key, ...attributes } = attributesOf(event);
      const { headers, ...record } = toKafkaRecord(event);
      const message = { ...record, body: record.value, timestamp: undefined, headers: Object.fromEntries(headers) };
      const read = Kafka.toEvent({ ...message, headers: { ...message.headers } } as never) as SdkEvent<unknown>;
      expect(read.validate()).toBe(true);
      expect(read).toMatchObject({ ...attributes, time: event.time, datacontenttype });
    }),
  );
});

test("what the SDK produces in binary mode is read", () => {
  const message = Kafka.binary(new SdkEvent<unknown>({ ...toCloudEvent(placed) }));
  const record = { key: message.key as string, value: JSON.stringify(placed.data) };
  expect(fromKafkaRecord({ ...record, headers: Object.entries(message.headers as Record<string, string>) })).toEqual(
    placed,
  );
});

test("data whose writer escaped whole characters is read", () => {
  const record = { ...toKafkaRecord(placed), value: '{"a":"\\ud83d\\ude00 \\\\u0000"}' };
  expect(fromKafkaRecord(record)).toEqual({ ...placed, data: { a: "\u{1f600} \\u0000" } });
});

test("an outbox row has all the attributes of its event", () => {
  const row: OutboxRow = {
    id: placed.id,
    type: placed.type,
    key: placed.key,
    payload: placed.data,
    sequence: placed.sequence,
    headers: { correlationid: placed.cause.correlationId },
    incarnation: placed.incarnation,
    createdAt: placed.time,
  };
  const event = toDelivered(row, { source: "orders", lane: "online" });
  expect(event).toEqual(placed);
  expect(new SdkEvent({ ...toCloudEvent(event) }).validate()).toBe(true);
});

describe("what is no event of ours is told by its cause:", () => {
  /** The good record, with some headers changed (undefined: left out). */
  const record = (headers: Record<string, string | undefined> = {}, rest: Partial<ReceivedRecord> = {}) => {
    const good = toKafkaRecord(placed);
    const all = { ...Object.fromEntries(good.headers), ...headers };
    const kept = Object.entries(all).flatMap(([name, text]) => (text === undefined ? [] : [[name, text] as const]));
    return { key: good.key, value: good.value, headers: kept, ...rest };
  };

  test.each<[string, ReceivedRecord, object]>([
    ["no attributes at all", { key: "k", value: "{}", headers: [] }, { foreign: "NO_CLOUD_EVENT" }],
    ["structured mode", record({ "content-type": "application/cloudevents+json" }), { foreign: "STRUCTURED_MODE" }],
    ["another version", record({ ce_specversion: "0.3" }), { foreign: "WRONG_SPECVERSION" }],
    ["no version", record({ ce_specversion: undefined }), { foreign: "MISSING_ATTRIBUTE" }],
    ["avro", record({ "content-type": "application/avro" }), { foreign: "WRONG_CONTENT_TYPE" }],
    ["no id", record({ ce_id: undefined }), { foreign: "MISSING_ATTRIBUTE", why: "it has no attribute id" }],
    ["an empty source", record({ ce_source: "" }), { foreign: "BAD_ATTRIBUTE" }],
    ["a type without a version", record({ ce_type: "order.placed" }), { foreign: "BAD_ATTRIBUTE" }],
    ["a sequence of zero", record({ ce_sequence: "0" }), { foreign: "BAD_ATTRIBUTE" }],
    ["a sequence beyond a number", record({ ce_sequence: "9007199254740993" }), { foreign: "BAD_ATTRIBUTE" }],
    ["an unknown lane", record({ ce_lane: "express" }), { foreign: "BAD_ATTRIBUTE" }],
    ["a time of nobody", record({ ce_time: "2026-13-45T00:00:00Z" }), { foreign: "BAD_ATTRIBUTE" }],
    ["no producer's life", record({ ce_incarnation: undefined }), { foreign: "MISSING_ATTRIBUTE" }],
    ["a life of nobody", record({ ce_incarnation: "first" }), { foreign: "BAD_ATTRIBUTE" }],
    ["a NUL in its id", record({ ce_id: "a\u0000" }), { foreign: "BAD_ATTRIBUTE" }],
    ["a NUL in its cause", record({ ce_causationid: "a\u0000" }), { foreign: "BAD_ATTRIBUTE" }],
    ["no correlation", record({ ce_correlationid: undefined }), { foreign: "MISSING_ATTRIBUTE" }],
    [
      "no key in the attributes",
      record({ ce_key: undefined, ce_partitionkey: undefined, ce_subject: undefined }),
      { foreign: "MISSING_KEY" },
    ],
    ["no key of the record", record({}, { key: null }), { foreign: "MISSING_KEY" }],
    ["a record under another key", record({}, { key: "another" }), { foreign: "KEY_MISMATCH" }],
    ["a tombstone", record({}, { value: null }), { foreign: "NO_DATA" }],
    ["broken JSON", record({}, { value: '{"orderId":' }), { foreign: "BROKEN_JSON" }],
    ["JSON that is no object", record({}, { value: "[1]" }), { foreign: "BROKEN_JSON" }],
    ["bytes that are no text", record({}, { value: Buffer.from([0xff, 0xfe]) }), { foreign: "BROKEN_TEXT" }],
    ["a NUL in its data", record({}, { value: '{"a":"\\u0000"}' }), { foreign: "BROKEN_TEXT" }],
    ["half of a character", record({}, { value: '{"a":"\\ud83d"}' }), { foreign: "BROKEN_TEXT" }],
    ["a broken column of Debezium's", record({ headers: "{" }), { foreign: "BAD_ATTRIBUTE" }],
  ])("%s", (_, bad, cause) => {
    expect(fromKafkaRecord(bad)).toMatchObject(cause);
  });

  test("a type that nobody knows", () => {
    const knows = (type: string) => type === "order.placed.v2";
    expect(fromKafkaRecord(record(), { knows })).toEqual({
      foreign: "UNKNOWN_TYPE",
      why: "nobody here knows order.placed.v1",
    });
  });

  test("whatever comes, it is an event or has a cause", () => {
    const bytes = fc.option(fc.oneof(words, fc.uint8Array()));
    const names = fc.constantFrom(...toKafkaRecord(placed).headers.keys(), "headers", "x");
    const changes = fc.dictionary(names, fc.oneof(words, fc.constant(undefined)));
    fc.assert(
      fc.property(changes, bytes, bytes, (headers, key, value) => {
        const read = fromKafkaRecord(record(headers, { key, value }));
        expect("foreign" in read ? read.why : read.id).not.toBe("");
      }),
    );
  });
});

test("the event router of Debezium brings the cause as one header, and no content type", () => {
  const { ce_correlationid, "content-type": _, ...headers } = Object.fromEntries(toKafkaRecord(placed).headers);
  const inner = JSON.stringify({ correlationid: ce_correlationid });
  const read = fromKafkaRecord({ ...toKafkaRecord(placed), headers: Object.entries({ ...headers, headers: inner }) });
  expect(read).toEqual(placed);
});
