/** What an operator reads about a failure, and what makes two failures one. */

/** The chain of causes, shortened: an operator reads it, and it must not carry a whole payload. */
export function describeError(error: unknown): string {
  const parts: string[] = [];
  for (
    let cause = error;
    cause !== undefined && parts.length < 5;
    cause = cause instanceof Error ? cause.cause : undefined
  ) {
    parts.push(cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause));
  }
  return parts.join(" <- ").slice(0, 2_000).replaceAll("\u0000", "").toWellFormed();
}

/** Characters of a cause: enough to tell causes apart, few enough for a line of a terminal. */
const causeCharacters = 200;

// In this order: an id is not to be taken for numbers, nor what is quoted for words.
const differing: readonly (readonly [RegExp, string])[] = [
  [/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/gi, "*"],
  [/\d{4}-\d\d-\d\d[T ][\d:.]+(?:Z|[+-]\d\d:?\d\d)?/g, "*"],
  [/"[^"]*"|'[^']*'|`[^`]*`/g, "*"],
  [/\b(?=[0-9a-f]*\d)[0-9a-f]{12,}\b/gi, "*"],
  [/\b(?:[a-z]+[-_])?\d[\w.-]*/gi, "*"],
];

/**
 * The fingerprint of an error's description: the same for failures that differ only in ids, numbers, moments and quoted
 * values. A key that is a plain word stays in it; handlers that name their key quote it or name it last.
 */
export const causeOf = (description: string): string =>
  differing.reduce((text, [pattern, mark]) => text.replace(pattern, mark), description).slice(0, causeCharacters);
