/** Schemas, small changes of them, and values that fit them, by chance. */

import fc from "fast-check";
import type { JsonSchema } from "../src/events/content-model.ts";

const names = ["a", "b", "c", "d"] as const;
const patterns = ["^[a-z]{1,3}$", "^[0-9]{2}$"] as const;

const texts: fc.Arbitrary<JsonSchema> = fc.oneof(
  fc.record(
    { type: fc.constant("string"), minLength: fc.nat(3), maxLength: fc.integer({ min: 3, max: 6 }) },
    { requiredKeys: ["type"] },
  ),
  fc.constantFrom(...patterns).map((pattern) => ({ type: "string", pattern })),
);

const numbers: fc.Arbitrary<JsonSchema> = fc.record(
  {
    type: fc.constantFrom("integer", "number"),
    minimum: fc.integer({ min: -5, max: 0 }),
    exclusiveMinimum: fc.integer({ min: -5, max: 0 }),
    maximum: fc.integer({ min: 8, max: 12 }),
    exclusiveMaximum: fc.integer({ min: 8, max: 12 }),
    multipleOf: fc.constantFrom(1, 2, 4),
  },
  { requiredKeys: ["type"] },
);

const fixed: fc.Arbitrary<JsonSchema> = fc.oneof(
  fc.constantFrom("A", "B", 1, null, true).map((value) => ({ const: value })),
  fc.uniqueArray(fc.constantFrom("A", "B", "C", 1, 2), { minLength: 1 }).map((values) => ({ enum: values })),
  fc.constantFrom<JsonSchema>({ type: "boolean" }, { type: "null" }),
);

/** Objects are open or closed as it comes; those that are written are closed by whoever asks. */
export const { schema: schemas } = fc.letrec<{ schema: JsonSchema; object: JsonSchema; array: JsonSchema }>((tie) => ({
  schema: fc.oneof(
    { maxDepth: 2, withCrossShrink: true },
    texts,
    numbers,
    fixed,
    tie("object"),
    tie("array"),
    fc.array(tie("schema"), { minLength: 1, maxLength: 3 }).map((anyOf) => ({ anyOf })),
    fc.array(tie("object"), { minLength: 1, maxLength: 2 }).map((allOf) => ({ allOf })),
    tie("schema").map((it) => ({ type: "object", patternProperties: { "^[ab]$": it }, additionalProperties: false })),
    fc.tuple(tie("schema"), tie("schema")).map((items) => ({
      ...{ type: "array", items, additionalItems: false, minItems: 2 },
    })),
  ),
  object: fc
    .tuple(fc.dictionary(fc.constantFrom(...names), tie("schema"), { maxKeys: 3 }), fc.subarray([...names]))
    .map(([properties, wished]) => ({
      type: "object",
      properties,
      required: wished.filter((name) => name in properties),
    })),
  array: fc.record(
    { type: fc.constant("array"), items: tie("schema"), minItems: fc.nat(1), maxItems: fc.integer({ min: 1, max: 3 }) },
    { requiredKeys: ["type", "items"] },
  ),
})) as { schema: fc.Arbitrary<JsonSchema> };

/** A schema, and one that is like it here and there. */
export const changes: fc.Arbitrary<readonly [JsonSchema, JsonSchema]> = schemas.chain((before) =>
  changed(before).map((after) => [before, after] as const),
);

function changed(schema: JsonSchema): fc.Arbitrary<JsonSchema> {
  const inside = Object.entries(schema).map(([keyword, value]) =>
    changedInside(keyword, value).map((it) => (it === undefined ? [] : [[keyword, it] as const])),
  );
  const same = fc.constant(schema);
  return fc.oneof(
    { weight: 2, arbitrary: same },
    { weight: 4, arbitrary: fc.tuple(...inside).map((entries) => Object.fromEntries(entries.flat()) as JsonSchema) },
    { weight: 1, arbitrary: schemas },
    { weight: 1, arbitrary: schemas.map((other) => ({ anyOf: [schema, other] })) },
  );
}

/** Undefined: the keyword is left out. */
function changedInside(keyword: string, value: unknown): fc.Arbitrary<unknown> {
  switch (keyword) {
    case "properties": {
      const fields = Object.entries(value as Record<string, JsonSchema>);
      const kept = fc.tuple(...fields.map(([name, it]) => changed(it).map((after) => [name, after] as const)));
      const more = fc.dictionary(fc.constantFrom(...names), schemas, { maxKeys: 1 });
      return fc.tuple(kept, more).map(([entries, added]) => ({ ...added, ...Object.fromEntries(entries) }));
    }
    case "items":
      return Array.isArray(value) ? fc.tuple(...value.map(changed)) : changed(value as JsonSchema);
    case "anyOf":
    case "allOf":
      return fc.tuple(...(value as JsonSchema[]).map(changed));
    case "required":
    case "enum":
      return fc.subarray(value as unknown[], { minLength: keyword === "enum" ? 1 : 0 });
    case "minimum":
    case "maximum":
    case "exclusiveMinimum":
    case "exclusiveMaximum":
    case "minLength":
    case "maxLength":
    case "minItems":
    case "maxItems":
      return fc.oneof(
        fc
          .integer({ min: -1, max: 1 })
          .map((by) => Math.max((value as number) + by, keyword.endsWith("imum") ? -9 : 0)),
        fc.constant(undefined),
      );
    default:
      return fc.constant(value);
  }
}

/** Values that fit, if any can be found at all: an `allOf` or a union may be empty. */
export function valuesFor(schema: JsonSchema): fc.Arbitrary<unknown> {
  if ("const" in schema) return fc.constant(schema.const);
  if (schema.enum) return fc.constantFrom(...schema.enum);
  if (schema.anyOf) return fc.oneof(...schema.anyOf.map(valuesFor));
  if (schema.allOf) return fc.tuple(...schema.allOf.map(valuesFor)).map((parts) => Object.assign({}, ...parts));
  switch (schema.type) {
    case "string":
      return textsFor(schema);
    case "integer":
    case "number":
      return numbersFor(schema);
    case "boolean":
      return fc.boolean();
    case "null":
      return fc.constant(null);
    case "array":
      return arraysFor(schema);
    case "object":
      return objectsFor(schema);
    default:
      return fc.jsonValue();
  }
}

const textsFor = ({ pattern, minLength = 0, maxLength = 8 }: JsonSchema): fc.Arbitrary<string> =>
  typeof pattern === "string"
    ? fc.stringMatching(new RegExp(pattern, "u"))
    : fc.string({ minLength: minLength as number, maxLength: Math.max(minLength as number, maxLength as number) });

const numbersFor = ({ type }: JsonSchema): fc.Arbitrary<number> =>
  type === "integer"
    ? fc.integer({ min: -7, max: 14 })
    : fc.oneof(fc.integer({ min: -7, max: 14 }), fc.double({ min: -7, max: 14, noNaN: true }));

function arraysFor({ items, minItems = 0, maxItems = 4 }: JsonSchema): fc.Arbitrary<unknown[]> {
  if (Array.isArray(items)) return fc.tuple(...items.map(valuesFor));
  const [least, most] = [minItems as number, maxItems as number];
  return fc.array(valuesFor(items as JsonSchema), { minLength: least, maxLength: Math.max(least, most) });
}

function objectsFor({ properties = {}, required = [], patternProperties = {} }: JsonSchema): fc.Arbitrary<object> {
  const named = fc.record(
    Object.fromEntries(Object.entries(properties).map(([name, it]) => [name, valuesFor(it as JsonSchema)])),
    { requiredKeys: [...required] },
  );
  const [matching] = Object.values(patternProperties);
  if (!matching) return named;
  const others = fc.dictionary(fc.constantFrom("a", "b"), valuesFor(matching as JsonSchema), { maxKeys: 2 });
  return fc.tuple(others, named).map(([some, own]) => ({ ...some, ...own }));
}
