import fc from "fast-check";
import { type TSchema, Type } from "typebox";
import { Check } from "typebox/schema";
import { describe, expect, test } from "vitest";
import { misfits } from "../src/events/compatibility.ts";
import { closed, type JsonSchema, opened } from "../src/events/content-model.ts";
import { changes, valuesFor } from "./schemas-by-chance.ts";

const compared = (before: TSchema, after: TSchema) => {
  const [old, now] = [closed(before), closed(after)];
  return { backward: misfits(old, now), forward: misfits(now, old) };
};

const Line = Type.Object({ sku: Type.String({ maxLength: 64 }), units: Type.Integer({ minimum: 1, maximum: 100 }) });
const Order = Type.Object({
  orderId: Type.String({ pattern: "^[0-9a-f]+$" }),
  reason: Type.Union([Type.Literal("SOLD_OUT"), Type.Literal("TIMED_OUT")]),
  lines: Type.Array(Line, { minItems: 1, maxItems: 10 }),
  note: Type.Optional(Type.String()),
});
/** The order with one field, or none, in another shape. */
const withField = (name: string, schema: TSchema) => Type.Object({ ...Order.properties, [name]: schema });
const withLine = (line: TSchema) => withField("lines", Type.Array(line, { minItems: 1, maxItems: 10 }));

describe("each change, and who can't read whom after it:", () => {
  type Case = [what: string, after: TSchema, backward: string[], forward: string[]];
  const cases: Case[] = [
    ["nothing", Order, [], []],
    ["another description", withField("note", Type.Optional(Type.String({ description: "Of the buyer." }))), [], []],
    ["an optional field comes", withField("gift", Type.Optional(Type.Boolean())), [], []],
    ["an optional field goes", Type.Omit(Order, ["note"]), [], []],
    ["a required field comes", withField("gift", Type.Boolean()), ["/gift"], []],
    ["a required field goes", Type.Omit(Order, ["reason"]), [], ["/reason"]],
    ["a field becomes required", withField("note", Type.String()), ["/note"], []],
    ["a field becomes optional", withField("orderId", Type.Optional(Order.properties.orderId)), [], ["/orderId"]],
    ["a type changes", withField("note", Type.Optional(Type.Integer())), ["/note"], ["/note"]],
    ["a type widens", withField("note", Type.Optional(Type.Union([Type.String(), Type.Null()]))), [], ["/note"]],
    [
      "an integer becomes a number",
      withLine(lineWith(Type.Number({ minimum: 1, maximum: 100 }))),
      [],
      ["/lines/*/units"],
    ],
    ["a value is added", withField("reason", Type.Enum(["SOLD_OUT", "TIMED_OUT", "LIMIT"])), [], ["/reason"]],
    ["a value is taken away", withField("reason", Type.Literal("SOLD_OUT")), ["/reason"], []],
    ["values become any text", withField("reason", Type.String()), [], ["/reason"]],
    ["a maximum falls", withLine(lineWith(Type.Integer({ minimum: 1, maximum: 99 }))), ["/lines/*/units"], []],
    ["a maximum goes", withLine(lineWith(Type.Integer({ minimum: 1 }))), [], ["/lines/*/units"]],
    ["a minimum rises", withLine(lineWith(Type.Integer({ minimum: 2, maximum: 100 }))), ["/lines/*/units"], []],
    ["a bound opens", withLine(lineWith(Type.Integer({ exclusiveMinimum: 1, maximum: 100 }))), ["/lines/*/units"], []],
    [
      "a step comes",
      withLine(lineWith(Type.Integer({ minimum: 1, maximum: 100, multipleOf: 5 }))),
      ["/lines/*/units"],
      [],
    ],
    ["a list may be shorter", withField("lines", Type.Array(Line, { maxItems: 10 })), [], ["/lines"]],
    ["a list must be shorter", withField("lines", Type.Array(Line, { minItems: 1, maxItems: 9 })), ["/lines"], []],
    [
      "a list's elements are unique",
      withField("lines", Type.Array(Line, { minItems: 1, maxItems: 10, uniqueItems: true })),
      ["/lines"],
      [],
    ],
    ["a text gets a bound", withField("note", Type.Optional(Type.String({ maxLength: 9 }))), ["/note"], []],
    ["a pattern changes", withField("orderId", Type.String({ pattern: "^[0-9A-F]+$" })), ["/orderId"], ["/orderId"]],
    ["a pattern goes", withField("orderId", Type.String()), [], ["/orderId"]],
    ["a format comes", withField("note", Type.Optional(Type.String({ format: "email" }))), ["/note"], []],
    [
      "a nested field comes",
      withLine(Type.Object({ ...Line.properties, gift: Type.Boolean() })),
      ["/lines/*/gift"],
      [],
    ],
    ["a nested field goes", withLine(Type.Omit(Line, ["units"])), [], ["/lines/*/units"]],
  ];

  test.each(cases)("%s", (_, after, backward, forward) => {
    const found = compared(Order, after);
    const places = (all: readonly { path: string }[]) => all.map(({ path }) => path);
    expect({ backward: places(found.backward), forward: places(found.forward) }).toEqual({ backward, forward });
  });
});

function lineWith(units: TSchema): TSchema {
  return Type.Object({ ...Line.properties, units });
}

test("a misfit says what was written and what is read", () => {
  const { backward } = compared(Order, withLine(lineWith(Type.Integer({ minimum: 1, maximum: 9 }))));
  expect(backward).toEqual([{ path: "/lines/*/units", what: "written up to 100, read up to 9" }]);
});

test("what it calls compatible is: every value that was written is read", () => {
  const seen = { compatible: 0, changed: 0, values: 0, refused: 0 };
  fc.assert(
    fc.property(changes, fc.gen(), ([before, after], choose) => {
      const [written, read] = [closed(before), opened(after)];
      const found = misfits(written, closed(after));
      if (found.length > 0) {
        seen.refused++;
        return;
      }
      seen.compatible++;
      if (JSON.stringify(before) !== JSON.stringify(after)) seen.changed++;
      for (let count = 0; count < 5; count++) {
        const value = choose(valuesFor, written as JsonSchema);
        if (!Check(written, value)) continue;
        seen.values++;
        expect(Check(read, value), JSON.stringify({ written, read, value })).toBe(true);
      }
    }),
    { numRuns: 1_000 },
  );
  // A property that was hardly put to the test shows nothing.
  expect(seen.changed).toBeGreaterThan(50);
  expect(seen.refused).toBeGreaterThan(100);
  expect(seen.values).toBeGreaterThan(500);
});

test("what it refuses is, nearly always, refused by some value", () => {
  let refuted = 0;
  let refused = 0;
  fc.assert(
    fc.property(changes, fc.gen(), ([before, after], choose) => {
      const [written, read] = [closed(before), opened(after)];
      if (misfits(written, closed(after)).length === 0) return;
      refused++;
      for (let count = 0; count < 30; count++) {
        const value = choose(valuesFor, written as JsonSchema);
        if (Check(written, value) && !Check(read, value)) {
          refuted++;
          return;
        }
      }
    }),
    { numRuns: 300, seed: 4 },
  );
  // The rest are rare values (a bound), schemas that nothing fits, and what can't be shown (two patterns).
  expect(refuted / refused).toBeGreaterThan(0.6);
});
