/** What PostgreSQL can store of a text: no NUL, and only whole characters. */

// An escape of NUL or of an unpaired surrogate, and not a backslash that stands for itself before such letters.
const unstorable = /(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f]..)/;

/** Whether whoever hears this JSON, as `JSON.stringify` writes it, can store it. */
export const isStorable = (json: string): boolean => !json.includes("\\u") || !unstorable.test(json);

/** Levels within one another that are kept: PostgreSQL and JavaScript take some thousands, and then their stacks end. */
const levelsKept = 500;

/** Whether PostgreSQL keeps this as JSON, just as it is. */
export const isKeepable = (value: unknown): boolean =>
  isWithin(levelsKept, value) && isStorable(JSON.stringify(value) ?? "");

/** What of a value that is not keepable can be kept, for a person to see what it is. */
export function likeness(value: unknown, levels = levelsKept): unknown {
  if (typeof value === "string") return value.replaceAll("\0", "\ufffd").toWellFormed();
  if (typeof value !== "object" || value === null) return value;
  if (levels === 0) return "...";
  if (Array.isArray(value)) return value.map((item) => likeness(item, levels - 1));
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [likeness(name), likeness(item, levels - 1)] as const),
  );
}

const isWithin = (levels: number, value: unknown): boolean =>
  typeof value !== "object" ||
  value === null ||
  (levels > 0 && Object.values(value).every((item) => isWithin(levels - 1, item)));
