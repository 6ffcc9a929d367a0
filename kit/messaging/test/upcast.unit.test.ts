import { eventOf } from "@onsale/testing";
import fc from "fast-check";
import { Type } from "typebox";
import { describe, expect, test } from "vitest";
import { consumer } from "../src/consumers/consumer.ts";
import { defineEvent } from "../src/events/event.ts";
import { UpcastError, upcast, upcastTo, withEarlierVersions } from "../src/events/upcast.ts";

/** Priced in whole pounds; then in pence; then with the currency named. */
const v1 = defineEvent("ticket.sold.v1", {
  key: "ticketId",
  lanes: { online: true },
  schema: Type.Object({ ticketId: Type.String(), pounds: Type.Integer() }),
  sample: { ticketId: "t", pounds: 3 },
});
const v2 = defineEvent("ticket.sold.v2", {
  key: "ticketId",
  lanes: { online: true },
  schema: Type.Object({ ticketId: Type.String(), pence: Type.Integer({ minimum: 0 }) }),
  sample: { ticketId: "t", pence: 300 },
  earlier: upcast(v1, ({ ticketId, pounds }) => ({ ticketId, pence: pounds * 100 })),
});
const v3 = defineEvent("ticket.sold.v3", {
  key: "ticketId",
  lanes: { online: true },
  schema: Type.Object({ ticketId: Type.String(), minor: Type.Integer(), currency: Type.String() }),
  sample: { ticketId: "t", minor: 300, currency: "GBP" },
  earlier: upcast(v2, ({ ticketId, pence }) => ({ ticketId, minor: pence, currency: "GBP" })),
});

test("who hears the third version is given the first and the second in its shape, and nothing else of them changes", () => {
  const present = upcastTo([v3]);
  const told = eventOf(v1, { pounds: 3 }, { sequence: 5 });
  const data = { ticketId: "t", minor: 300, currency: "GBP" };
  expect(present(told)).toEqual({ ...told, type: "ticket.sold.v3", data });
  expect(present(eventOf(v2, { pence: 299 })).data).toEqual({ ...data, minor: 299 });
  expect(present(eventOf(v3, { currency: "EUR" }))).toEqual(eventOf(v3, { currency: "EUR" }));
  expect(told.data).toEqual({ ticketId: "t", pounds: 3 });
});

test("any event of the first version becomes one of the third, the same each time", () => {
  const present = upcastTo([v3]);
  fc.assert(
    fc.property(fc.string(), fc.nat(1_000_000), (ticketId, pounds) => {
      const [once, again] = [present(eventOf(v1, { ticketId, pounds })), present(eventOf(v1, { ticketId, pounds }))];
      expect(v3.validator.Check(once.data)).toBe(true);
      expect(again).toEqual(once);
    }),
  );
});

test("a version that is heard itself is left as it is; the others go to the nearest", () => {
  expect(upcastTo([v3, v1])(eventOf(v1)).type).toBe(v1.type);
  expect(upcastTo([v3, v2])(eventOf(v1)).type).toBe(v2.type);
});

test("a consumer reads every earlier version of what it hears", () => {
  const heard = consumer("test.hear", { on: v3, in: "batch", do: async () => undefined });
  expect(heard.on.map(({ type }) => type)).toEqual([v3.type, v2.type, v1.type]);
  expect(withEarlierVersions([v3, v1])).toHaveLength(3);
});

describe("refused when it is defined:", () => {
  const second = (earlier: Parameters<typeof defineEvent>[1]["earlier"], type = "ticket.sold.v2" as const) =>
    defineEvent(type, {
      key: "ticketId",
      lanes: { online: true },
      schema: v2.schema,
      sample: v2.sample,
      earlier,
    } as never);

  test("an upcaster whose outcome does not fit", () => {
    expect(() => second(upcast(v1, ({ ticketId }) => ({ ticketId, pence: -1 })))).toThrow("does not become");
  });
  test("one that changes the key", () => {
    expect(() => second(upcast(v1, () => ({ ticketId: "another", pence: 1 })))).toThrow("another key");
  });
  test("one from another fact", () => {
    const other = defineEvent("ticket.returned.v1", {
      ...{ key: "ticketId", lanes: { online: true }, schema: v1.schema, sample: v1.sample },
    } as never);
    expect(() => second(upcast(other, () => ({ ticketId: "t", pence: 1 })))).toThrow("can't be made from");
  });
});

test("an event that can't be upcast says which, and why", () => {
  const broken = { ...eventOf(v1), data: { ticketId: "t", pounds: -3 } };
  expect(() => upcastTo([v2])(broken)).toThrow(UpcastError);
  const nothing = { ...eventOf(v1), data: null as never };
  expect(() => upcastTo([v2])(nothing)).toThrow(/ticket\.sold\.v1 .* could not be made a ticket\.sold\.v2/);
});

test("a field that only later readers know does not make an event unreadable; a missing one does", () => {
  expect(v1.whyUnreadable({ ticketId: "t", pounds: 1, seat: "A1" })).toBeUndefined();
  expect(v1.validator.Check({ ticketId: "t", pounds: 1, seat: "A1" })).toBe(false);
  expect(v1.whyUnreadable({ ticketId: "t" })).toMatch(/pounds/);
});
