import type { Static, TSchema } from "typebox";
import { Value } from "typebox/value";

/** One setting: the environment variable that gives it, what it may be, and what it means to an operator. */
export interface Setting<Result = unknown> {
  /** `ONSALE_...` */
  readonly variable: string;
  readonly schema: TSchema;
  /** One sentence for an operator: unit, effect. */
  readonly about: string;
  /** Never shown, neither in a fault nor in the log. */
  readonly secret: boolean;
  readonly required: boolean;
  readonly fallback: Result | undefined;
}

interface SettingOptions {
  readonly about: string;
  readonly secret?: boolean;
}

/** A setting with a value of its own where the environment says nothing. */
export const setting = <Schema extends TSchema>(
  variable: string,
  schema: Schema,
  { fallback, ...options }: SettingOptions & { readonly fallback: Static<Schema> },
): Setting<Static<Schema>> => ({ variable, schema, secret: false, ...options, required: false, fallback });

/** A setting that may be absent. */
export const optionalSetting = <Schema extends TSchema>(
  variable: string,
  schema: Schema,
  options: SettingOptions,
): Setting<Static<Schema> | undefined> => ({
  variable,
  schema,
  secret: false,
  ...options,
  required: false,
  fallback: undefined,
});

/** A setting without which the program doesn't start. */
export const requiredSetting = <Schema extends TSchema>(
  variable: string,
  schema: Schema,
  options: SettingOptions,
): Setting<Static<Schema>> => ({ variable, schema, secret: false, ...options, required: true, fallback: undefined });

export type Specification = Readonly<Record<string, Setting>>;

export type ConfigurationOf<S extends Specification> = {
  readonly [Name in keyof S]: S[Name] extends Setting<infer Result> ? Result : never;
};

/** Everything that is wrong with the configuration, at once. */
export class ConfigurationError extends Error {
  override readonly name = "ConfigurationError";
  readonly faults: readonly string[];
  constructor(faults: readonly string[]) {
    super(["The configuration has faults:", ...faults.map((fault) => `  ${fault}`)].join("\n"));
    this.faults = faults;
  }
}

/** Names beginning so are ours: one that nobody knows is a spelling mistake, which would otherwise be obeyed by silence. */
const prefix = "ONSALE_";

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads the settings from the environment, once, and returns them typed. An empty variable counts as absent, because
 * that is how compose files and service units pass on what nobody set.
 * @throws {ConfigurationError} naming every fault.
 */
export function readConfiguration<S extends Specification>(
  specification: S,
  environment: Environment = process.env,
): ConfigurationOf<S> {
  const settings = Object.entries(specification);
  const read = settings.map(([name, it]) => ({ name, ...readSetting(it, environment[it.variable]) }));
  const known = settings.map(([, it]) => it.variable);
  const faults = [...read.flatMap(({ fault }) => fault ?? []), ...unknownNames(known, environment)];
  if (faults.length > 0) throw new ConfigurationError(faults);
  return Object.fromEntries(read.map(({ name, value }) => [name, value])) as ConfigurationOf<S>;
}

/** The values as they may be shown: by variable, secrets masked, absent ones left out. */
export function shownConfiguration<S extends Specification>(
  specification: S,
  values: ConfigurationOf<S>,
): Record<string, unknown> {
  const given = Object.entries(specification).filter(([name]) => values[name] !== undefined);
  return Object.fromEntries(
    given.map(([name, { variable, secret }]) => [variable, secret ? "[secret]" : values[name]]),
  );
}

// The compiled modules halve the work of a start of Node.
const inherited = ["PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR", "NODE_COMPILE_CACHE"];

/** The environment that a child process is given: only what every program needs, so that no secret of ours travels along. */
export function childEnvironment(more: Readonly<Record<string, string>> = {}): Record<string, string> {
  const passed = inherited.flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return { ...Object.fromEntries(passed), ...more };
}

function readSetting(
  { variable, schema, secret, required, fallback }: Setting,
  text: string | undefined,
): { value?: unknown; fault?: string } {
  if (text === undefined || text === "") return required ? { fault: `${variable} is missing.` } : { value: fallback };
  const value = fromText(schema, text);
  if (Value.Check(schema, value)) return { value };
  const shown = secret ? "" : ` is ${JSON.stringify(text)}, which`;
  return { fault: `${variable}${shown} ${whatIsWrong(schema, value)}.` };
}

/** Only the plain spellings: "8080", not " 8080", "0x1f90" or "8e3", which are mistakes more often than wishes. */
function fromText(schema: TSchema, text: string): unknown {
  const { type } = schema as { type?: string };
  if (type === "integer" && /^-?\d{1,15}$/.test(text)) return Number(text);
  if (type === "number" && /^-?\d{1,15}(\.\d{1,15})?$/.test(text)) return Number(text);
  if (type === "boolean" && /^(true|false)$/.test(text)) return text === "true";
  return text;
}

function whatIsWrong(schema: TSchema, value: unknown): string {
  const { description } = schema as { description?: string };
  if (description !== undefined) return `must be ${description}`;
  return [...Value.Errors(schema, value)].map(({ message }) => message).join(" and ") || "is not acceptable";
}

function unknownNames(known: readonly string[], environment: Environment): string[] {
  const strangers = Object.keys(environment).filter((name) => name.startsWith(prefix) && !known.includes(name));
  return strangers.sort().map((name) => {
    const nearest = nearestName(name, known);
    return `${name} is unknown${nearest === undefined ? `; known are ${known.join(", ")}` : `; did you mean ${nearest}?`}`;
  });
}

/** The known name with the smallest edit distance, if it is near enough to have been meant. */
export function nearestName(name: string, known: readonly string[]): string | undefined {
  const [nearest] = known
    .map((candidate) => ({ candidate, distance: editDistance(name, candidate) }))
    // A third of the name may differ: beyond that a suggestion misleads.
    .filter(({ candidate, distance }) => distance <= Math.floor(Math.max(name.length, candidate.length) / 3))
    .sort((a, b) => a.distance - b.distance);
  return nearest?.candidate;
}

/** Levenshtein's distance, one row of the table at a time. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (const [line, letter] of [...a].entries()) {
    const next = [line + 1];
    for (const [column, other] of [...b].entries()) {
      const substituted = (row[column] ?? 0) + (letter === other ? 0 : 1);
      next.push(Math.min(substituted, (row[column + 1] ?? 0) + 1, (next[column] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}
