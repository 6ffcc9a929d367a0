/** What PostgreSQL can store of a text: no NUL, and only whole characters. */

// An escape of NUL or of an unpaired surrogate, and not a backslash that stands for itself before such letters.
const unstorable = /(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f]..)/;

/** Whether whoever hears this JSON, as `JSON.stringify` writes it, can store it. */
export const isStorable = (json: string): boolean => !json.includes("\\u") || !unstorable.test(json);
