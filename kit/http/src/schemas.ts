/** How requests are checked against the schemas of their routes. */

import type { FastifySchemaCompiler } from "fastify";
import { type TSchema, Type } from "typebox";
import { Compile } from "typebox/compile";
import { httpErrors } from "./errors.ts";
import { type ProblemPart, problem } from "./problem.ts";
import { isStorableText } from "./storable.ts";

/** A JSON Schema as plain data. */
export type JsonSchema = { readonly [keyword: string]: unknown };

/** What a route without a body schema takes: nothing, or an object without fields. */
export const noBody: TSchema = Type.Union([Type.Null(), Type.Object({}, { additionalProperties: false })]);

/** The same schema, with every object in it closed: a field that is not named is refused. */
export function closed(schema: JsonSchema): JsonSchema {
  // The parts of an intersection each know only their own fields; the whole is what is closed.
  if (Array.isArray(schema.allOf)) return { ...schema, unevaluatedProperties: schema.unevaluatedProperties ?? false };
  const copy = mapInner(schema, closed);
  return isOpenObject(schema) ? { ...copy, additionalProperties: false } : copy;
}

const isOpenObject = ({ properties, additionalProperties }: JsonSchema): boolean =>
  properties !== undefined && additionalProperties === undefined;

/**
 * The same schema in plainer words: constant texts to choose from as `enum`, a value that may be null as two types. The
 * compiled serializer writes those straight, where it tries each branch of an `anyOf`.
 */
export function plain(schema: JsonSchema): JsonSchema {
  const { anyOf, ...rest } = mapInner(schema, plain);
  if (!Array.isArray(anyOf)) return rest;
  const options = anyOf as JsonSchema[];
  if (options.every((option) => typeof option.const === "string")) {
    return { ...rest, type: "string", enum: options.map((option) => option.const) };
  }
  const [some, none] = [options.find(({ type }) => type !== "null"), options.find(({ type }) => type === "null")];
  if (options.length !== 2 || !some || !none || !isScalar(some)) return { ...rest, anyOf };
  return {
    ...rest,
    ...some,
    type: [some.type, "null"],
    ...(Array.isArray(some.enum) && { enum: [...some.enum, null] }),
  };
}

const isScalar = ({ type, const: constant }: JsonSchema): boolean =>
  constant === undefined && ["string", "integer", "number", "boolean"].includes(String(type));

const isSchema = (value: unknown): value is JsonSchema =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function mapInner(schema: JsonSchema, map: (inner: JsonSchema) => JsonSchema): JsonSchema {
  const one = (value: unknown) => (isSchema(value) ? map(value) : value);
  const inner = (keyword: string, value: unknown) => {
    if (keyword === "properties" || keyword === "patternProperties") {
      return Object.fromEntries(Object.entries(value as object).map(([name, part]) => [name, one(part)]));
    }
    if (["anyOf", "oneOf", "allOf"].includes(keyword)) return (value as unknown[]).map(one);
    return keyword === "items" || keyword === "additionalProperties" ? one(value) : value;
  };
  return Object.fromEntries(Object.entries(schema).map(([keyword, value]) => [keyword, inner(keyword, value)]));
}

/** Bodies are taken as they are; what comes from a URL is text, and is read as the type that its schema names. */
export const compileValidator: FastifySchemaCompiler<JsonSchema> = ({ schema, httpPart }) => {
  const validator = Compile(schema as TSchema);
  if (httpPart === "body") {
    return (value) => (validator.Check(value) ? { value } : { error: refusal(422, "body", validator.Errors(value)) });
  }
  const part = httpPart === "params" ? "path" : httpPart === "headers" ? "header" : "query";
  return (given) => {
    const value = fromText(schema, given as TextFields);
    if (value === undefined) return { error: unstorable(part) };
    return validator.Check(value) ? { value } : { error: refusal(400, part, validator.Errors(value)) };
  };
};

type TextFields = Readonly<Record<string, string | readonly string[] | undefined>>;

/** Undefined where a text could not be stored. */
function fromText(schema: JsonSchema, given: TextFields): Record<string, unknown> | undefined {
  const properties = (schema.properties ?? {}) as Record<string, JsonSchema | undefined>;
  const fields = Object.entries(given ?? {});
  if (!fields.every(([name, value]) => isStorableText(name) && [value ?? ""].flat().every(isStorableText)))
    return undefined;
  return Object.fromEntries(fields.map(([name, value]) => [name, readAs(properties[name], value)]));
}

// Up to 15 digits: every such number is exact.
const wholeNumber = /^-?\d{1,15}$/;
const anyNumber = /^-?\d{1,15}(?:\.\d{1,15})?$/;

function readAs(schema: JsonSchema | undefined, value: string | readonly string[] | undefined): unknown {
  if (schema?.type === "array" && value !== undefined)
    return [value].flat().map((item) => readAs(schema.items as JsonSchema, item));
  if (typeof value !== "string") return value;
  if (schema?.type === "integer" && wholeNumber.test(value)) return Number(value);
  if (schema?.type === "number" && anyNumber.test(value)) return Number(value);
  if (schema?.type === "boolean" && (value === "true" || value === "false")) return value === "true";
  return value;
}

interface ValidationFault {
  readonly keyword: string;
  readonly instancePath: string;
  readonly message: string;
  readonly params: object;
}

// Enough to mend a form by; a body of 1,000 bad lines need not be answered with 1,000 complaints.
const faultsTold = 20;

function refusal(status: 400 | 422, part: NonNullable<ProblemPart["in"]>, faults: readonly ValidationFault[]) {
  // A closed object is reported once as a whole and once for each field it refuses; the former names the field, too.
  const told = faults
    .filter(({ keyword }) => keyword !== "boolean")
    .flatMap(partsOf)
    .slice(0, faultsTold);
  const [first] = told;
  return problem(status, httpErrors.VALIDATION_FAILED, {
    ...(first && { detail: `${part} ${first.pointer} ${first.detail}`.replace("  ", " ") }),
    errors: told.map(({ pointer, detail }) => ({ pointer, in: part, detail })),
  });
}

function partsOf({ keyword, instancePath, message, params }: ValidationFault): { pointer: string; detail: string }[] {
  const named = (names: unknown, detail: string) =>
    (names as string[]).map((name) => ({ pointer: `${instancePath}/${escapePointer(name)}`, detail }));
  if (keyword === "additionalProperties")
    return named((params as { additionalProperties: unknown }).additionalProperties, "is not known here");
  if (keyword === "required")
    return named((params as { requiredProperties: unknown }).requiredProperties, "is missing");
  return [{ pointer: instancePath, detail: message }];
}

// The name is the client's own, so it is cut before it is sent back.
const escapePointer = (name: string): string => name.slice(0, 64).replaceAll("~", "~0").replaceAll("/", "~1");

const unstorable = (part: NonNullable<ProblemPart["in"]>) =>
  problem(400, httpErrors.VALIDATION_FAILED, {
    detail: `The ${part} has a NUL character or half of a surrogate pair.`,
  });
