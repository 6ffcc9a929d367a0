/**
 * How strictly a schema is meant. Who writes is held to the letter: a field that the schema does not name is refused, so
 * that a misspelt one is found at once. Who reads passes over what it does not know, so that a field can be added before
 * every reader knows of it, and taken away while old events still carry it.
 */

/** A JSON Schema as plain data, with the keywords that TypeBox writes. */
export interface JsonSchema {
  readonly type?: string | readonly string[];
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
  readonly allOf?: readonly JsonSchema[];
  readonly properties?: Fields;
  readonly patternProperties?: Fields;
  readonly additionalProperties?: Schema;
  readonly required?: readonly string[];
  readonly items?: Schema | readonly Schema[];
  readonly additionalItems?: Schema;
  readonly uniqueItems?: boolean;
  readonly multipleOf?: number;
  readonly [keyword: string]: unknown;
}

/** True allows everything, false nothing. */
export type Schema = JsonSchema | boolean;
export type Fields = Readonly<Record<string, Schema>>;

const annotations = new Set([
  "title",
  "description",
  "examples",
  "default",
  "$comment",
  "$id",
  "readOnly",
  "deprecated",
]);

/** Whether a keyword only says something to people, and refuses nothing. */
export const isAnnotation = (keyword: string): boolean => annotations.has(keyword);

/** The schema without what it says to people. */
export const unannotated = (schema: object): JsonSchema => rewrite(plain(schema), leaveAnnotations);

/** The schema as writers are held to it: every object that names its fields has no others. */
export const closed = (schema: object): JsonSchema => rewrite(plain(schema), close);

/** The schema as readers take it: fields that no object names are passed over. */
export const opened = (schema: object): JsonSchema => rewrite(plain(schema), open);

/** What a schema builder may have hung on it is left behind. */
const plain = (schema: object): JsonSchema => JSON.parse(JSON.stringify(schema)) as JsonSchema;

type Rewrite = (schema: JsonSchema) => JsonSchema;

function close(schema: JsonSchema): JsonSchema {
  // Each part of an `allOf` names only some of the fields: closed, they would refuse one another's.
  if ("allOf" in schema || !("properties" in schema) || "additionalProperties" in schema) return schema;
  return { ...schema, additionalProperties: false };
}

function open(schema: JsonSchema): JsonSchema {
  const { additionalProperties, ...rest } = schema;
  return additionalProperties === false ? rest : schema;
}

const leaveAnnotations: Rewrite = (schema) =>
  Object.fromEntries(Object.entries(schema).filter(([keyword]) => !isAnnotation(keyword)));

/** Rewrites a schema and every schema inside it, the parts of an `allOf` excepted. */
function rewrite(schema: JsonSchema, how: Rewrite): JsonSchema {
  const inner = Object.entries(schema).map(([keyword, value]) => [keyword, rewriteInside(keyword, value, how)]);
  return how(Object.fromEntries(inner));
}

function rewriteInside(keyword: string, value: unknown, how: Rewrite): unknown {
  switch (keyword) {
    case "properties":
    case "patternProperties":
      return Object.fromEntries(Object.entries(value as Fields).map(([name, it]) => [name, inSchema(it, how)]));
    case "items":
    case "anyOf":
    case "oneOf":
    case "additionalProperties":
      return Array.isArray(value) ? value.map((it) => inSchema(it, how)) : inSchema(value, how);
    case "allOf":
      return (value as unknown[]).map((it) => inSchema(it, how === close ? (part) => part : how));
    default:
      return value;
  }
}

const inSchema = (value: unknown, how: Rewrite): unknown =>
  typeof value === "object" && value !== null ? rewrite(value as JsonSchema, how) : value;
