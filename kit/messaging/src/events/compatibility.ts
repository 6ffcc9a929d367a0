/**
 * Whether what was written by one schema can be read by another, decided from the schemas alone. The answer errs on one
 * side: no misfit means that every value that fits the one (and no object of which has a field that is not named) is
 * accepted by the other; a misfit may also mean that this could not be shown.
 */

import { Check } from "typebox/schema";
import { type Fields, isAnnotation, type JsonSchema, opened, type Schema } from "./content-model.ts";

/** A place in the data where what may be written is not what can be read. */
export interface Misfit {
  /** A JSON pointer into the data; `*` stands for every element of an array. */
  readonly path: string;
  readonly what: string;
}

/** Where a value that `written` allows would be refused by a reader of `read`. */
export const misfits = (written: JsonSchema, read: JsonSchema): Misfit[] => compare(written, opened(read), "");

function compare(written: Schema, read: Schema, path: string): Misfit[] {
  if (written === false || read === true) return [];
  if (read === false) return [{ path, what: "can be written, and must not be there to be read" }];
  if (written === true) return compare({}, read, path);
  const values = valuesOf(written);
  if (values) return refusedValues(values, read, path);
  if (isUnion(written)) return branchesOf(written).flatMap((branch) => compare(branch, read, path));
  if (Array.isArray(written.allOf)) return compareEachPart(written, read, path);
  return compareWith(written, read, path);
}

/** The values that a schema allows, where they can be listed. */
function valuesOf(schema: JsonSchema): readonly unknown[] | undefined {
  if ("const" in schema) return [schema.const];
  if (Array.isArray(schema.enum)) return schema.enum;
  if (schema.type === "boolean") return [false, true];
  return schema.type === "null" ? [null] : undefined;
}

function refusedValues(values: readonly unknown[], read: JsonSchema, path: string): Misfit[] {
  const refused = values.filter((value) => !Check(read, value)).map((value) => JSON.stringify(value));
  return refused.length === 0 ? [] : [{ path, what: `${refused.join(", ")} may be written and is refused by readers` }];
}

const isUnion = (schema: JsonSchema): boolean => Array.isArray(schema.anyOf) || Array.isArray(schema.oneOf);

/** What stands beside the union holds for each of its branches. */
function branchesOf(schema: JsonSchema): JsonSchema[] {
  const { anyOf, oneOf, ...beside } = schema;
  return (anyOf ?? oneOf ?? []).map((branch) => {
    const overlaps = Object.keys(branch).some((keyword) => keyword in beside);
    return overlaps ? branch : { ...beside, ...branch };
  });
}

/** What all parts of `written` allow together is less than what one of them allows: it is enough that one can be read. */
function compareEachPart(written: JsonSchema, read: JsonSchema, path: string): Misfit[] {
  const { allOf, ...beside } = written;
  const parts = [...(allOf ?? []), ...(Object.keys(beside).length > 0 ? [beside] : [])];
  return demandsOf(read).flatMap((demand) => fewest(parts.map((part) => compare(part, demand, path))));
}

/** Everything that `read` demands, as schemas of which each has to be met. */
function demandsOf(read: JsonSchema): JsonSchema[] {
  const { allOf, ...beside } = read;
  return [...(allOf ?? []), ...(Object.keys(beside).length > 0 ? [beside] : [])];
}

const fewest = (all: readonly Misfit[][]): Misfit[] =>
  all.reduce((best, next) => (next.length < best.length ? next : best));

function compareWith(written: JsonSchema, read: JsonSchema, path: string): Misfit[] {
  const { allOf, anyOf, ...own } = read;
  return [
    ...(allOf ?? []).flatMap((part) => compare(written, part, path)),
    ...(Array.isArray(anyOf) ? compareWithUnion(written, anyOf, path) : []),
    ...compareOwn(written, own, path),
  ];
}

function compareWithUnion(written: JsonSchema, alternatives: readonly JsonSchema[], path: string): Misfit[] {
  const tried = alternatives.map((alternative) => compare(written, alternative, path));
  const [closest] = fewest(tried);
  if (!closest) return [];
  return [{ path, what: `none of the ${alternatives.length} alternatives takes it; the closest: ${closest.what}` }];
}

/** Two schemas without unions. */
function compareOwn(written: JsonSchema, read: JsonSchema, path: string): Misfit[] {
  const types = typeMisfit(written, read, path);
  if (types) return [types];
  return [
    ...notUnderstood(written, read, path),
    ...fixedMisfit(written, read, path),
    ...(mayBe(written, "number") ? numberMisfits(written, read, path) : []),
    ...(mayBe(written, "string") ? textMisfits(written, read, path) : []),
    ...(mayBe(written, "array") ? arrayMisfits(written, read, path) : []),
    ...(mayBe(written, "object") ? objectMisfits(written, read, path) : []),
  ];
}

const typesOf = ({ type }: JsonSchema): readonly string[] | undefined =>
  type === undefined ? undefined : ([type].flat() as string[]);

const mayBe = (schema: JsonSchema, kind: string): boolean =>
  typesOf(schema)?.some((type) => type === kind || (kind === "number" && type === "integer")) ?? true;

function typeMisfit(written: JsonSchema, read: JsonSchema, path: string): Misfit | undefined {
  const [from, to] = [typesOf(written), typesOf(read)];
  if (!to) return undefined;
  const fits = from?.every((type) => to.includes(type) || (type === "integer" && to.includes("number")));
  return fits
    ? undefined
    : { path, what: `written as ${from?.join(" or ") ?? "anything"}, read as ${to.join(" or ")}` };
}

const understood = new Set(
  (
    "type const enum properties required additionalProperties patternProperties minProperties maxProperties " +
    "items additionalItems minItems maxItems uniqueItems minLength maxLength pattern format " +
    "minimum maximum exclusiveMinimum exclusiveMaximum multipleOf"
  ).split(" "),
);

/** A keyword unknown here is a demand all the same; that the writer has the same one will do, references excepted. */
function notUnderstood(written: JsonSchema, read: JsonSchema, path: string): Misfit[] {
  return Object.keys(read)
    .filter((keyword) => !understood.has(keyword) && !isAnnotation(keyword))
    .filter((keyword) => keyword.startsWith("$") || !same(written[keyword], read[keyword]))
    .map((keyword) => ({ path, what: `readers demand ${keyword}, which can't be compared` }));
}

function fixedMisfit(_: JsonSchema, read: JsonSchema, path: string): Misfit[] {
  const values = "const" in read ? [read.const] : read.enum;
  return values ? [{ path, what: `readers take only ${values.map((it) => JSON.stringify(it)).join(", ")}` }] : [];
}

function numberMisfits(written: JsonSchema, read: JsonSchema, path: string): Misfit[] {
  const bounds = [
    { side: -1, closed: "minimum", open: "exclusiveMinimum", word: "from" },
    { side: 1, closed: "maximum", open: "exclusiveMaximum", word: "up to" },
  ] as const;
  const outside = bounds.flatMap(({ side, closed: closedKey, open: openKey, word }) => {
    const [from, to] = [bound(written, { side, closedKey, openKey }), bound(read, { side, closedKey, openKey })];
    const beyond = from.at * side > to.at * side || (from.at === to.at && to.isOpen && !from.isOpen);
    return beyond ? [{ path, what: `written ${word} ${shown(from)}, read ${word} ${shown(to)}` }] : [];
  });
  const [step, readStep] = [written.multipleOf ?? (isInteger(written) ? 1 : undefined), read.multipleOf];
  if (readStep === undefined || (step !== undefined && Number.isInteger(step / readStep))) return outside;
  return [...outside, { path, what: `readers take only multiples of ${readStep}` }];
}

const isInteger = (schema: JsonSchema): boolean => typesOf(schema)?.every((type) => type === "integer") ?? false;

interface Bound {
  readonly at: number;
  readonly isOpen: boolean;
}

/** The tighter of the closed and the open bound on one side. */
function bound(schema: JsonSchema, given: { side: -1 | 1; closedKey: string; openKey: string }): Bound {
  const far = given.side * Number.POSITIVE_INFINITY;
  const at = (schema[given.closedKey] as number | undefined) ?? far;
  const open = (schema[given.openKey] as number | undefined) ?? far;
  const openIsTighter = open !== far && open * given.side <= at * given.side;
  return openIsTighter ? { at: open, isOpen: true } : { at, isOpen: false };
}

const shown = ({ at, isOpen }: Bound): string =>
  Number.isFinite(at) ? `${at}${isOpen ? " (exclusive)" : ""}` : "any number";

function textMisfits(written: JsonSchema, read: JsonSchema, path: string): Misfit[] {
  const rules = ["pattern", "format"].flatMap((keyword) => {
    if (read[keyword] === undefined || read[keyword] === written[keyword]) return [];
    const what = `written with ${keyword} ${written[keyword] ?? "of any kind"}, read with ${keyword} ${read[keyword]}`;
    return [{ path, what }];
  });
  return [...sizeMisfits(written, read, { least: "minLength", most: "maxLength", of: "characters", path }), ...rules];
}

function sizeMisfits(
  written: JsonSchema,
  read: JsonSchema,
  { least, most, of, path }: { least: string; most: string; of: string; path: string },
): Misfit[] {
  const [from, to] = [sizes(written, least, most), sizes(read, least, most)];
  return [
    ...(from.least < to.least
      ? [{ path, what: `written with ${from.least} ${of}, read with ${to.least} or more` }]
      : []),
    ...(from.most > to.most ? [{ path, what: `written with ${from.most} ${of}, read with ${to.most} at most` }] : []),
  ];
}

const sizes = (schema: JsonSchema, least: string, most: string) => ({
  least: (schema[least] as number | undefined) ?? 0,
  most: (schema[most] as number | undefined) ?? Number.POSITIVE_INFINITY,
});

function arrayMisfits(written: JsonSchema, read: JsonSchema, path: string): Misfit[] {
  const unique = read.uniqueItems === true && written.uniqueItems !== true;
  return [
    ...sizeMisfits(written, read, { least: "minItems", most: "maxItems", of: "elements", path }),
    ...(unique ? [{ path, what: "written with repeated elements, read without" }] : []),
    ...itemMisfits(written, read, path),
  ];
}

function itemMisfits(written: JsonSchema, read: JsonSchema, path: string): Misfit[] {
  const [from, to] = [written.items, read.items];
  if (Array.isArray(to)) {
    const sameShape =
      Array.isArray(from) && from.length === to.length && same(written.additionalItems, read.additionalItems);
    if (!sameShape) return [{ path, what: `written as another tuple than the ${to.length} elements that are read` }];
    return to.flatMap((element: Schema, index) => compare(from[index] as Schema, element, `${path}/${index}`));
  }
  if (to === undefined) return [];
  if (!Array.isArray(from)) return compare((from as Schema | undefined) ?? true, to as Schema, `${path}/*`);
  const rest = written.additionalItems ?? true;
  return [
    ...from.flatMap((element: Schema, index) => compare(element, to as Schema, `${path}/${index}`)),
    ...compare(rest, to as Schema, `${path}/*`),
  ];
}

/** The fields of an object schema: by name, by pattern, and all others. */
interface FieldRules {
  readonly named: Fields;
  readonly patterns: Fields;
  readonly others: Schema;
}

const fieldsOf = (schema: JsonSchema): FieldRules => ({
  named: schema.properties ?? {},
  patterns: schema.patternProperties ?? {},
  others: schema.additionalProperties ?? true,
});

function objectMisfits(written: JsonSchema, read: JsonSchema, path: string): Misfit[] {
  const [from, to] = [fieldsOf(written), fieldsOf(read)];
  return [
    ...missingFields(written, read, path),
    ...sizeMisfits(written, read, { least: "minProperties", most: "maxProperties", of: "fields", path }),
    ...Object.entries(to.named).flatMap(([name, schema]) => namedMisfits(from, { name, schema }, path)),
    ...Object.entries(to.patterns).flatMap(([pattern, schema]) => patternMisfits(from, { pattern, schema }, path)),
    ...(to.others === true ? [] : otherMisfits(from, to, path)),
  ];
}

function missingFields(written: JsonSchema, read: JsonSchema, path: string): Misfit[] {
  const always = new Set(written.required);
  const named = fieldsOf(written).named;
  return (read.required ?? [])
    .filter((name) => !always.has(name))
    .map((name) => ({
      path: child(path, name),
      what: `readers need it, and it is ${name in named ? "not always" : "never"} written`,
    }));
}

function namedMisfits(from: FieldRules, { name, schema }: { name: string; schema: Schema }, path: string): Misfit[] {
  const own = Object.hasOwn(from.named, name) ? from.named[name] : undefined;
  if (own !== undefined) return compare(own, schema, child(path, name));
  const matching = Object.entries(from.patterns).filter(([pattern]) => new RegExp(pattern, "u").test(name));
  const sources = matching.length > 0 ? matching.map(([, it]) => it) : [from.others];
  return sources.flatMap((it) => compare(it, schema, child(path, name)));
}

function patternMisfits(from: FieldRules, to: { pattern: string; schema: Schema }, path: string): Misfit[] {
  const matches = new RegExp(to.pattern, "u");
  const place = child(path, to.pattern);
  return [
    ...Object.entries(from.named)
      .filter(([name]) => matches.test(name))
      .flatMap(([name, it]) => compare(it, to.schema, child(path, name))),
    ...Object.values(from.patterns).flatMap((it) => compare(it, to.schema, place)),
    ...compare(from.others, to.schema, place),
  ];
}

/** What readers say of fields that they do not name, against everything that may be written under such a name. */
function otherMisfits(from: FieldRules, to: FieldRules, path: string): Misfit[] {
  const isOther = (name: string) =>
    !Object.hasOwn(to.named, name) && !Object.keys(to.patterns).some((pattern) => new RegExp(pattern, "u").test(name));
  return [
    ...Object.entries(from.named)
      .filter(([name]) => isOther(name))
      .flatMap(([name, it]) => compare(it, to.others, child(path, name))),
    ...Object.values(from.patterns).flatMap((it) => compare(it, to.others, `${path}/*`)),
    ...compare(from.others, to.others, `${path}/*`),
  ];
}

/** RFC 6901. */
const child = (path: string, name: string): string => `${path}/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`;

/** Whether two pieces of JSON are equal, the order of an object's fields aside. */
export function same(one: unknown, other: unknown): boolean {
  if (typeof one !== "object" || typeof other !== "object" || one === null || other === null) return one === other;
  if (Array.isArray(one) !== Array.isArray(other)) return false;
  const [names, others] = [Object.keys(one), Object.keys(other)];
  return (
    names.length === others.length &&
    names.every((name) => Object.hasOwn(other, name) && same((one as JsonSchema)[name], (other as JsonSchema)[name]))
  );
}
