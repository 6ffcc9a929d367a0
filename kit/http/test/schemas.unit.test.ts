import fc from "fast-check";
import { Type } from "typebox";
import { Compile } from "typebox/compile";
import { expect, test } from "vitest";
import { closed, type JsonSchema, plain } from "../src/schemas.ts";
import { isStorable } from "../src/storable.ts";

const schema = (value: object) => value as JsonSchema;
const accepts = (given: JsonSchema, value: unknown) => Compile(given as never).Check(value);

test("closing refuses what is not named, at every depth, and leaves what is open on purpose", () => {
  const one = closed(
    schema(
      Type.Object({
        list: Type.Array(Type.Object({ a: Type.Integer() })),
        either: Type.Union([Type.Object({ b: Type.Integer() }), Type.Null()]),
        open: Type.Record(Type.String(), Type.Integer()),
        anything: Type.Object({}, { additionalProperties: true }),
        both: Type.Intersect([Type.Object({ c: Type.Integer() }), Type.Object({ d: Type.Integer() })]),
      }),
    ),
  );
  const good = { list: [{ a: 1 }], either: { b: 1 }, open: { x: 1 }, anything: { y: 1 }, both: { c: 1, d: 1 } };
  expect(accepts(one, good)).toBe(true);
  expect(accepts(one, { ...good, more: 1 })).toBe(false);
  expect(accepts(one, { ...good, list: [{ a: 1, more: 1 }] })).toBe(false);
  expect(accepts(one, { ...good, either: { b: 1, more: 1 } })).toBe(false);
  expect(accepts(one, { ...good, both: { c: 1, d: 1, more: 1 } })).toBe(false);
});

test("plainer words accept the same values", () => {
  const kinds = Type.Union([Type.Literal("x"), Type.Literal("y")]);
  const original = Type.Object({
    choice: kinds,
    maybe: Type.Union([Type.String({ maxLength: 2 }), Type.Null()]),
    both: Type.Union([kinds, Type.Null()]),
    count: Type.Union([Type.Integer(), Type.Null()]),
    thing: Type.Union([Type.Object({ q: Type.Integer() }), Type.Null()]),
    mixed: Type.Union([Type.Literal("x"), Type.Integer()]),
  });
  const rewritten = plain(schema(original));
  expect(rewritten.properties).toMatchObject({
    choice: { enum: ["x", "y"] },
    maybe: { type: ["string", "null"] },
    both: { enum: ["x", "y", null] },
    count: { type: ["integer", "null"] },
  });
  const value = fc.constantFrom<unknown>("x", "y", "z", "xyz", "", null, 1, 1.5, true, {}, { q: 1 }, { q: "1" });
  const values = fc.record({ choice: value, maybe: value, both: value, count: value, thing: value, mixed: value });
  const names = Object.keys(original.properties) as (keyof typeof original.properties)[];
  fc.assert(
    fc.property(values, fc.constantFrom(...names), (all, name) => {
      const part = (rewritten.properties as Record<string, JsonSchema>)[name] ?? {};
      expect(accepts(part, all[name])).toBe(accepts(schema(original.properties[name]), all[name]));
    }),
  );
});

test("a text is storable unless it has a NUL or half of a surrogate pair, wherever it stands", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const broken = /\\u(?:0000|d[89ab]..(?!\\ud[c-f])|d[c-f])/.test(JSON.stringify(value));
      expect(isStorable(value)).toBe(!broken);
    }),
  );
  for (const text of ["a\u0000", "\ud800", "\udc00\ud800"]) {
    expect(isStorable({ a: [{ b: text }] })).toBe(false);
    expect(isStorable({ a: [{ [text]: 1 }] })).toBe(false);
  }
  expect(isStorable({ "😀": ["😀", null, 1] })).toBe(true);
});
