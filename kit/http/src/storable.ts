/** Whether PostgreSQL can store this text: it has no NUL and no unpaired surrogate. */
export const isStorableText = (text: string): boolean => !text.includes("\u0000") && text.isWellFormed();

/** The same for every text in a parsed JSON value, field names included. */
export function isStorable(value: unknown): boolean {
  // A stack of its own: the depth of a body is bounded only by its size, the call stack's is less.
  const pending: unknown[] = [value];
  while (pending.length > 0) {
    const next = pending.pop();
    if (typeof next === "string" && !isStorableText(next)) return false;
    if (typeof next !== "object" || next === null) continue;
    for (const [name, inner] of Object.entries(next)) {
      if (!isStorableText(name)) return false;
      pending.push(inner);
    }
  }
  return true;
}
